import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom, seeds } from "#pkg/clock/testing";
import {
  type Election,
  type ElectionEffect,
  type ElectionEvent,
  mayWrite,
  nextDeadline,
  startElection,
  step,
} from "./election.ts";

const timings = { leaseMs: 4_000, renewDeadlineMs: 3_000, retryMs: 1_000 };
const other = { holder: "other", durationSeconds: 4, transitions: 7, resourceVersion: "70" };
const mine = { holder: "me", durationSeconds: 4, transitions: 8, resourceVersion: "80" };

/** Runs events at their times. @returns the end, and all effects in order */
function run(...events: readonly (readonly [at: number, event: ElectionEvent])[]) {
  let election = startElection("me", timings, 0);
  const effects: ElectionEffect[] = [];
  for (const [at, event] of events) {
    const [next, now] = step(election, event, at);
    election = next;
    effects.push(...now);
  }
  return { election, effects, kinds: effects.map(({ type }) => type) };
}

const leading = [
  [0, { type: "unused" }],
  [0, { type: "observed", lease: undefined }],
  [10, { type: "written", lease: { ...mine, transitions: 0 } }],
] as const;

test("without a Lease one is made, and whoever made it leads", () => {
  const { election, effects } = run(...leading);
  assert.deepEqual(effects, [
    { type: "write", record: { holder: "me", durationSeconds: 4, transitions: 0, acquires: true }, resourceVersion: undefined },
    { type: "lead", isAlone: false },
  ]);
  assert.equal(nextDeadline(election), 1_000, "it is renewed 1 s after the write was begun");
});

test("one that begins without a Lease waits for as long as one that was deleted before may be worth, unless nobody has ever led", () => {
  const waiting = run([0, { type: "observed", lease: undefined }]);
  assert.deepEqual([waiting.kinds, nextDeadline(waiting.election)], [[], 4_000]);
  assert.deepEqual(step(waiting.election, { type: "unused" }, 100)[1][0]?.type, "write");
  const held = run(
    [0, { type: "observed", lease: other }],
    [10, { type: "unused" }],
    [20, { type: "observed", lease: undefined }],
  );
  assert.deepEqual([held.kinds, nextDeadline(held.election)], [[], 4_020], "it has seen a Lease");
  const late = run([0, { type: "observed", lease: undefined }], [1_001, { type: "unused" }]);
  const later = run([0, { type: "unused" }], [1_001, { type: "observed", lease: undefined }]);
  assert.deepEqual([late.kinds, later.kinds], [[], []], "it may have stood still while somebody led");
  const read = run([0, { type: "watch", isForbidden: true }], [10, { type: "read", lease: undefined }]);
  assert.deepEqual([read.kinds, read.election.heldMs], [["read"], undefined], "the same where it may not be watched");
});

test("one that makes a Lease anew leads once it has renewed it, unless nobody has ever led: another's may have been deleted just before", () => {
  const anew = [
    [0, { type: "observed", lease: undefined }],
    [4_000, { type: "timer" }],
    [4_010, { type: "written", lease: { ...mine, transitions: 0 } }],
  ] as const;
  const made = run(...anew);
  assert.deepEqual([made.kinds, made.election.role, nextDeadline(made.election)], [["write"], "standby", 5_000]);
  const renewed = run(...anew, [5_000, { type: "timer" }], [5_010, { type: "written", lease: mine }]);
  assert.deepEqual(renewed.kinds, ["write", "write", "lead"]);
  const gone = run(...anew, [4_500, { type: "observed", lease: undefined }], [5_000, { type: "timer" }]);
  assert.deepEqual([gone.kinds, nextDeadline(gone.election)], [["write"], 8_500]);
});

test("nothing is written before the Lease was looked for", () => {
  const { election, effects } = run([0, { type: "timer" }]);
  assert.deepEqual(effects, []);
  assert.equal(nextDeadline(election), Infinity);
});

test("another's Lease is taken over when it has not changed for as long as it says, by this process's clock", () => {
  const waiting = run([50, { type: "observed", lease: other }], [4_049, { type: "timer" }]);
  assert.deepEqual(waiting.effects, []);
  assert.equal(nextDeadline(waiting.election), 4_050);
  const [, effects] = step(waiting.election, { type: "timer" }, 4_050);
  assert.deepEqual(effects, [
    { type: "write", record: { holder: "me", durationSeconds: 4, transitions: 8, acquires: true }, resourceVersion: "70" },
  ]);
});

test("a Lease whose count of transitions is as high as the API takes is taken over all the same", () => {
  const full = { ...other, holder: "", transitions: 2 ** 31 - 1 };
  const { effects } = run([0, { type: "observed", lease: full }]);
  assert.deepEqual(effects, [
    {
      type: "write",
      record: { holder: "me", durationSeconds: 4, transitions: 2 ** 31 - 1, acquires: true },
      resourceVersion: "70",
    },
  ]);
});

test("a Lease that says it is held for years is taken over when it has not changed for ten minutes", () => {
  const { election } = run([50, { type: "observed", lease: { ...other, durationSeconds: 2 ** 31 - 1 } }]);
  assert.equal(nextDeadline(election), 600_050);
});

test("seeing the same version again does not prolong another's Lease, and a renewal does", () => {
  const same = run([0, { type: "observed", lease: other }], [3_000, { type: "observed", lease: other }]);
  assert.equal(nextDeadline(same.election), 4_000);
  const renewed = run(
    [0, { type: "observed", lease: other }],
    [3_000, { type: "observed", lease: { ...other, resourceVersion: "71" } }],
  );
  assert.equal(nextDeadline(renewed.election), 7_000);
});

test("a Lease that was given back is taken at once", () => {
  const { kinds } = run(
    [0, { type: "observed", lease: other }],
    [100, { type: "observed", lease: { ...other, holder: "", resourceVersion: "71" } }],
  );
  assert.deepEqual(kinds, ["write"]);
});

test("a write that was refused or whose fate is unknown is tried again after 1 s", () => {
  for (const type of ["conflict", "failed"] as const) {
    const { election } = run([0, { type: "unused" }], [0, { type: "observed", lease: undefined }], [200, { type }]);
    assert.equal(nextDeadline(election), 1_200, type);
    assert.equal(step(election, { type: "timer" }, 1_200)[1][0]?.type, "write", type);
  }
});

test("a leader renews every second, and gives up 3 s after the begin of the last write that succeeded", () => {
  const { election, kinds } = run(
    ...leading,
    [1_000, { type: "timer" }],
    [1_500, { type: "failed" }],
    [2_500, { type: "timer" }],
  );
  assert.deepEqual(kinds, ["write", "lead", "write", "write"]);
  assert.equal(nextDeadline(election), 3_000);
  const [end, effects] = step(election, { type: "timer" }, 3_000);
  assert.deepEqual(effects, [{ type: "lost", reason: "it could not be renewed for 3000 ms" }]);
  assert.equal(end.role, "standby");
});

test("a leader that stood still may not write, before any of its timers has run", () => {
  const { election } = run(...leading);
  assert.equal(mayWrite(election, 2_999), true);
  assert.equal(mayWrite(election, 3_000), false);
});

test("an answer that came after the Lease may have been taken over makes no leader", () => {
  const { election, kinds } = run(
    [0, { type: "unused" }],
    [0, { type: "observed", lease: undefined }],
    [3_000, { type: "written", lease: mine }],
  );
  assert.deepEqual(kinds, ["write"]);
  assert.equal(election.role, "standby");
});

test("a leader that sees another holder of a later term gives up, and is not shaken by what came before its own term", () => {
  const lead = [
    [0, { type: "observed", lease: { ...other, holder: "" } }],
    [10, { type: "written", lease: mine }],
  ] as const;
  const stale = run(...lead, [20, { type: "observed", lease: other }]);
  assert.equal(stale.election.role, "leader");
  assert.equal(stale.election.lease?.resourceVersion, "80");
  const taken = run(...lead, [20, { type: "observed", lease: { ...other, transitions: 9, resourceVersion: "90" } }]);
  assert.deepEqual(taken.effects.at(-1), { type: "lost", reason: "other holds the Lease now" });
});

test("a Lease that was deleted or edited under the leader is renewed all the same", () => {
  const version = (effects: readonly ElectionEffect[]) =>
    effects.flatMap((each) => (each.type === "write" ? [each.resourceVersion] : []));
  const deleted = run(...leading, [500, { type: "observed", lease: undefined }], [1_000, { type: "timer" }]);
  assert.deepEqual(version(deleted.effects), [undefined, undefined]);
  const edited = { ...mine, transitions: 0, resourceVersion: "81" };
  const conflict = run(
    ...leading,
    [500, { type: "observed", lease: edited }],
    [1_000, { type: "timer" }],
    [1_010, { type: "conflict" }],
    [2_010, { type: "timer" }],
  );
  assert.deepEqual(version(conflict.effects), [undefined, "80", "81"]);
});

test("a Lease that is deleted is made again by its leader at once, and by a standby when it has waited for as long as that was worth", () => {
  const leader = run(...leading, [20, { type: "observed", lease: mine }], [500, { type: "observed", lease: undefined }]);
  assert.deepEqual(leader.effects.at(-1), {
    type: "write",
    record: { holder: "me", durationSeconds: 4, transitions: 0, acquires: true },
    resourceVersion: undefined,
  });
  const standby = run([0, { type: "observed", lease: other }], [3_000, { type: "observed", lease: undefined }]);
  assert.deepEqual([standby.kinds, nextDeadline(standby.election)], [[], 7_000]);
  const again = run(
    [0, { type: "observed", lease: other }],
    [3_000, { type: "observed", lease: undefined }],
    [3_500, { type: "observed", lease: undefined }],
    [6_999, { type: "timer" }],
    [7_000, { type: "timer" }],
  );
  assert.deepEqual(again.kinds, ["write"]);
  const read = run(
    [0, { type: "watch", isForbidden: true }],
    [10, { type: "read", lease: other }],
    [1_010, { type: "timer" }],
    [1_020, { type: "read", lease: undefined }],
  );
  assert.deepEqual(read.kinds, ["read", "read"], "the same where it may not be watched");
  const own = run(
    [0, { type: "observed", lease: { ...mine, holder: "" } }],
    [10, { type: "failed" }],
    [1_010, { type: "timer" }],
    [1_020, { type: "written", lease: mine }],
    [4_010, { type: "timer" }],
    [60_000, { type: "failed" }],
    [60_001, { type: "observed", lease: undefined }],
  );
  assert.equal(nextDeadline(own.election), 64_001, "another one may have had it since it was this process's own");
});

test("a leader whose Lease was deleted, and made by another one, gives up when it finds that, and not when it finds its own", () => {
  const found = (lease: typeof other) =>
    run(...leading, [1_000, { type: "timer" }], [1_010, { type: "conflict", found: { lease } }]).effects.at(-1);
  assert.deepEqual(found({ ...other, transitions: 0 }), { type: "lost", reason: "other holds the Lease now" });
  assert.equal(found({ ...mine, transitions: 0, resourceVersion: "81" })?.type, "write");
});

test("a watch that runs behind does not make a leader renew an older version", () => {
  const late = { ...mine, transitions: 0, resourceVersion: "79" };
  const { effects } = run(...leading, [500, { type: "observed", lease: late }], [1_000, { type: "timer" }]);
  assert.deepEqual(effects.at(-1), {
    type: "write",
    record: { holder: "me", durationSeconds: 4, transitions: 0, acquires: false },
    resourceVersion: "80",
  });
});

test("a leader that stops gives the Lease back; a standby leaves it alone; both do nothing any more", () => {
  const { election, effects } = run(
    ...leading,
    [500, { type: "stop" }],
    [1_000, { type: "timer" }],
    [1_001, { type: "observed", lease: undefined }],
  );
  assert.deepEqual(effects.slice(2), [
    { type: "write", record: { holder: "", durationSeconds: 1, transitions: 0, acquires: false }, resourceVersion: "80" },
  ]);
  assert.equal(nextDeadline(election), Infinity);
  assert.deepEqual(run([0, { type: "observed", lease: other }], [500, { type: "stop" }]).effects, []);
});

/** A process that asks when it is time to, and is refused everything from 0 on; the time is after the last refusal. */
function refusedUntil(until: number) {
  let [election] = step(startElection("me", timings, 0), { type: "watch", isForbidden: true }, 0);
  let now = 0;
  const kinds: string[] = ["read"];
  while (now < until) {
    const [refused, effects] = step(election, { type: "forbidden" }, now + 10);
    now = nextDeadline(refused);
    const [next, more] = step(refused, { type: "timer" }, now);
    kinds.push(...[...effects, ...more].map(({ type }) => type));
    election = next;
  }
  return { election, now, kinds };
}

test("a process that is refused everything leads alone when that was so for half a minute, and asks every 10 s from then on", () => {
  const before = refusedUntil(29_000);
  assert.deepEqual(new Set(before.kinds), new Set(["read"]));
  const alone = refusedUntil(62_000);
  assert.deepEqual([alone.election.role, alone.kinds.slice(-5)], ["alone", ["lead", "read", "read", "read", "read"]]);
  const [refused, effects] = step(before.election, { type: "forbidden" }, before.now + 60_000);
  assert.equal(refused.role, "standby", "it stood still, and the answer is an old one");
  assert.deepEqual(
    effects.filter(({ type }) => type === "lead"),
    [],
    "not for a moment either",
  );
  const [failed] = step(before.election, { type: "failed" }, before.now);
  const [again] = step(failed, { type: "timer" }, 60_000);
  assert.equal(step(again, { type: "forbidden" }, 60_010)[0].role, "standby", "there was another answer in between");
});

test("a process that leads alone may not write, before any of its timers has run, when it stood still for half a minute", () => {
  const { election } = refusedUntil(40_000);
  const giveUpAt = election.renewedAt + 30_000;
  assert.equal(mayWrite(election, giveUpAt - 1), true);
  assert.equal(mayWrite(election, giveUpAt), false);
  const [stopped, effects] = step(election, { type: "timer" }, giveUpAt);
  assert.deepEqual([stopped.role, effects.map(({ type }) => type)], ["standby", ["lost"]]);
});

/**
 * People delete the only Lease. Three candidates have clocks that differ, are killed, and begin again at once. The API is slow, loses answers, is cut off from some
 * candidates, and refuses the Lease or its watch to some for less than half a minute.
 */
function simulate(seed: number) {
  const random = seededRandom(seed);
  interface Candidate {
    readonly name: string;
    readonly offset: number; // How far its clock is ahead.
    election: Election;
    frozenUntil: number;
    cutUntil: number;
    forbiddenUntil: number;
    inbox: { at: number; event: ElectionEvent }[];
    watchedAt: number; // Its next view of the Lease comes no earlier.
  }
  let version = 0;
  let lease: { holder: string; durationSeconds: number; transitions: number; resourceVersion: string } | undefined;
  const offsets = ["a", "b", "c"].map((name) => ({ name, offset: Math.floor(random() * 60_000) - 30_000 }));
  const candidates: Candidate[] = offsets.map(({ name, offset }) => ({
    name,
    offset,
    election: startElection(name, timings, offset),
    frozenUntil: 0,
    cutUntil: 0,
    forbiddenUntil: 0,
    inbox: [
      { at: Math.floor(random() * 200), event: { type: "observed", lease: undefined } },
      { at: Math.floor(random() * 200), event: { type: "unused" } },
    ],
    watchedAt: 200,
  }));
  let lives = 0;
  let leaderless = 0;
  let longestLeaderless = 0;
  const writers: string[] = [];
  for (let now = 0; now < 60_000; now += 10) {
    if (now > 2_000 && now < 50_000 && random() < 0.000_5) {
      lease = undefined;
      show(now);
    }
    for (const candidate of candidates) {
      if (now > 2_000 && now < 40_000 && random() < 0.000_5) {
        candidate.election = startElection(`${candidate.name}${++lives}`, timings, now + candidate.offset);
        candidate.watchedAt = Math.max(now, candidate.cutUntil) + 20 + random() * 300;
        candidate.inbox = [{ at: candidate.watchedAt, event: { type: "observed", lease } }];
      }
      if (now < 40_000 && random() < 0.000_5) candidate.frozenUntil = now + random() * 8_000;
      if (now < 40_000 && random() < 0.000_5) candidate.cutUntil = now + random() * 8_000;
      if (now < 20_000 && candidate.forbiddenUntil === 0 && random() < 0.000_5) {
        candidate.forbiddenUntil = now + random() * 29_000;
        if (random() < 0.5) candidate.inbox.push({ at: now, event: { type: "watch", isForbidden: true } });
        const watchedAt = candidate.forbiddenUntil + random() * 15_000;
        candidate.inbox.push({ at: watchedAt, event: { type: "watch", isForbidden: false } });
      }
      if (now < candidate.frozenUntil) continue;
      const local = now + candidate.offset;
      const due = candidate.inbox.filter(({ at }) => at <= now).map(({ event }) => event);
      candidate.inbox = candidate.inbox.filter(({ at }) => at > now);
      if (nextDeadline(candidate.election) <= local) due.push({ type: "timer" });
      for (const event of due) {
        const [next, effects] = step(candidate.election, event, local);
        candidate.election = next;
        for (const effect of effects) if (effect.type === "write" || effect.type === "read") ask(candidate, effect, now);
      }
    }
    // A candidate that wakes up asks before it writes.
    const may = candidates.filter(({ election, offset, frozenUntil }) => now >= frozenUntil && mayWrite(election, now + offset));
    assert.ok(may.length <= 1, `seed ${seed}, ${now} ms: ${may.map(({ name }) => name).join(" and ")} may write`);
    leaderless = may.length === 0 && now > 50_000 ? leaderless + 10 : 0;
    longestLeaderless = Math.max(longestLeaderless, leaderless);
    writers.push(may[0]?.name ?? "");
  }
  assert.ok(longestLeaderless < 6_000, `seed ${seed}: nobody led for ${longestLeaderless} ms without a fault`);
  assert.notEqual(writers.at(-1), "", `seed ${seed}: nobody leads in the end`);
  return new Set(writers);

  function ask(candidate: Candidate, effect: ElectionEffect & { type: "read" | "write" }, now: number): void {
    const reply = (event: ElectionEvent) => candidate.inbox.push({ at: now + 20 + random() * 200, event });
    if (now < candidate.cutUntil) {
      candidate.inbox.push({ at: now + timings.renewDeadlineMs, event: { type: "failed" } });
      return;
    }
    if (now < candidate.forbiddenUntil) {
      reply({ type: "forbidden" });
      return;
    }
    if (effect.type === "read") {
      reply({ type: "read", lease });
      return;
    }
    if (lease?.resourceVersion !== effect.resourceVersion) {
      reply({ type: "conflict", found: { lease } });
      return;
    }
    const { holder, durationSeconds, transitions } = effect.record;
    lease = { holder, durationSeconds, transitions, resourceVersion: String(++version) };
    const written = lease;
    const isLost = random() < 0.05 && now < 50_000;
    reply(isLost ? { type: "failed" } : { type: "written", lease: written });
    show(now);
  }

  /** To those who watch it, in the order of its changes. */
  function show(now: number): void {
    for (const watcher of candidates.filter(({ election }) => !election.isUnwatched)) {
      watcher.watchedAt = Math.max(watcher.watchedAt, Math.max(now, watcher.cutUntil) + 20 + random() * 300);
      watcher.inbox.push({ at: watcher.watchedAt, event: { type: "observed", lease } });
    }
    for (const { inbox } of candidates) inbox.sort((x, y) => x.at - y.at);
  }
}

test("in 300 simulated minutes with deaths, freezes, cuts, lost answers, refusals, skewed clocks and a Lease that is deleted no two may write at once, and in the end one leads", () => {
  const leaders = new Set<string>();
  for (const seed of seeds(300)) for (const name of simulate(seed)) leaders.add(name);
  assert.deepEqual([...leaders].sort(), ["", "a", "b", "c"]);
});

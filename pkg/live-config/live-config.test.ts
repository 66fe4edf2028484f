import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Portions } from "#pkg/clock";
import { SimulatedClock } from "#pkg/clock/testing";
import { type ParsedConfig, parseConfig } from "#pkg/config";
import { LiveConfig, type LiveConfigEffect, type LiveDecision, readCandidate } from "#pkg/live-config";
import { configText } from "#pkg/live-config/testing";
import { parseAddress } from "#pkg/net";

const wide = configText("a 10.0.0.0-10.0.0.9");
const narrow = configText("a 10.0.0.5-10.0.0.9");
const other = configText("b 192.0.2.0-192.0.2.9");
const invalid = "address-pools: 7";

/** A cluster from the view of one process, and the decisions of that process. */
function setUp(
  initial: { holds?: Record<string, string>; config?: string; lastGood?: string; start?: boolean; later?: true } = {},
) {
  const holds = new Map(Object.entries(initial.holds ?? {})); // service -> addresses, or several sets of them
  const decisions: string[] = [];
  const clock = new SimulatedClock();
  const read: string[] = []; // Texts.
  const reading: { readonly text: string; readonly finish: () => void }[] = [];
  const reader = {
    read(text: string, done: (parsed: ParsedConfig) => void) {
      const finish = () => done(parseConfig(text));
      read.push(text);
      if (initial.later === undefined) finish();
      else reading.push({ text, finish });
    },
  };
  const portions = new Portions(clock, initial.later ? 1 : Infinity);
  const carryOut = (effect: LiveConfigEffect) => {
    if (effect.type === "readConfig")
      readCandidate(effect.secretText, reader, portions, (parsed) => live.read(effect.secretText, parsed));
    if (effect.type === "judgePortion") portions.do(() => decided(live.portion(effect.of)));
  };
  const live = new LiveConfig(
    { now: 0, do: carryOut },
    {
      services: () => holds.keys(),
      of: (service) =>
        (holds.get(service) ?? "").split(" or ").map((set) => ({
          addresses: set
            .split(" ")
            .map(parseAddress)
            .filter((address) => address !== undefined),
          mayHoldSeveral: false,
        })),
    },
    "known",
    0,
    "lb/settings",
  );
  const decided = (decision: LiveDecision | undefined) => decision && decisions.push(print());
  const print = () => {
    const { inForce, verdict } = live.state;
    const list = verdict?.type === "strands" ? ` ${[...verdict.stranded].map(([s, a]) => `${s}=${a.join("+")}`).join(" ")}` : "";
    return `${inForce?.text ?? "nothing"} | ${verdict?.type}${verdict?.type === "missing" ? ` ${verdict.what}` : list}`;
  };
  const config = (text: string | undefined, mayRenumber = false, missing: "configMap" | "key" = "configMap") =>
    decided(live.configMapChanged(missing === "key" || text !== undefined ? { text, version: "" } : undefined, mayRenumber));
  const hold = (service: string, addresses: string | undefined) => {
    if (addresses === undefined) holds.delete(service);
    else holds.set(service, addresses);
    decided(live.serviceChanged(service));
  };
  if (initial.lastGood !== undefined) live.lastGoodChanged(initial.lastGood);
  if (initial.config !== undefined) config(initial.config);
  if (initial.start !== false) live.start();
  return { live, config, hold, holds, decisions, clock, read, reading };
}

const byLabels = wide.replace("{name: a,", "{name: a, sharing: none, namespace-selectors: [{match-labels: {a: b}}],");
const missing = { missing: "no right" };

test("a configuration that asks for labels of namespaces is refused at that place while they cannot be had", () => {
  const { live, config, decisions } = setUp({ config: wide });
  live.namespaceLabelsChanged(missing);
  config(byLabels);
  const { inForce, verdict } = live.state;
  assert.equal(inForce?.text, wide);
  if (verdict?.type !== "invalid") assert.fail(verdict?.type);
  assert.deepEqual(
    verdict.problems.filter(({ severity }) => severity === "error"),
    [{ severity: "error", path: "address-pools[0].namespace-selectors", line: 2, column: 28, message: "no right" }],
  );
  live.namespaceLabelsChanged("known");
  assert.equal(live.inForce?.text, byLabels);
  live.lastGoodChanged(byLabels);
  live.namespaceLabelsChanged(missing);
  config(`${byLabels}\n#`);
  assert.equal(live.inForce?.text, byLabels);
  assert.equal(decisions.length, 4);
});

test("one that was accepted before a restart stays in force without the labels", () => {
  const { live } = setUp({ config: byLabels, lastGood: byLabels, start: false });
  live.namespaceLabelsChanged(missing);
  live.start();
  assert.deepEqual([live.inForce?.text, live.state.verdict?.type], [byLabels, "accepted"]);
});

test("a process that has no labels takes such a configuration as soon as it is on record", () => {
  const { live, config, decisions } = setUp({ config: wide, lastGood: wide });
  live.namespaceLabelsChanged("awaited");
  config(byLabels);
  assert.deepEqual([live.inForce?.text, live.state.verdict?.type], [wide, "awaited"]);
  assert.match(live.refused ?? "", /the controller has not put it in force yet/);
  live.lastGoodChanged(byLabels);
  assert.deepEqual([live.inForce?.text, live.refused], [byLabels, undefined]);
  assert.deepEqual(decisions.slice(1), [`${wide} | awaited`, `${byLabels} | accepted`]);
});

const atStart: { name: string; holds?: Record<string, string>; config?: string; lastGood?: string; want: string }[] = [
  { name: "nothing there: nothing in force", want: "nothing | missing configMap" },
  {
    name: "a first configuration is accepted, whatever addresses there are",
    config: narrow,
    holds: { s: "10.0.0.1" },
    want: `${narrow} | accepted`,
  },
  { name: "an invalid first configuration leaves nothing in force", config: invalid, want: "nothing | invalid" },
  { name: "the last good configuration survives a ConfigMap that is gone", lastGood: wide, want: `${wide} | missing configMap` },
  {
    name: "the last good configuration survives one that is invalid",
    lastGood: wide,
    config: invalid,
    want: `${wide} | invalid`,
  },
  { name: "the same text again is accepted", lastGood: wide, config: wide, want: `${wide} | accepted` },
  {
    name: "a change made meanwhile is accepted if it strands nothing",
    lastGood: wide,
    config: narrow,
    holds: { s: "10.0.0.5" },
    want: `${narrow} | accepted`,
  },
  {
    name: "a change made meanwhile is refused for what it strands, all of it",
    lastGood: wide,
    config: narrow,
    holds: { s: "10.0.0.1", t: "10.0.0.2", u: "10.0.0.7", v: "" },
    want: `${wide} | strands s=10.0.0.1 t=10.0.0.2`,
  },
  {
    name: "a status of other pools excuses nothing that was given, which a change would part",
    lastGood: configText("a 10.0.0.0-10.0.0.9 fd00::-fd00::9; b 10.1.0.0-10.1.0.9"),
    config: configText("a 10.0.0.0-10.0.0.9; c fd00::-fd00::9; b 10.1.0.0-10.1.0.9"),
    holds: { s: "10.1.0.1 fd00::1 or 10.0.0.1 fd00::1" },
    want: `${configText("a 10.0.0.0-10.0.0.9 fd00::-fd00::9; b 10.1.0.0-10.1.0.9")} | strands s=10.0.0.1+fd00::1`,
  },
  {
    name: "a status of two pools holds the addresses of the first, and blocks no change of the other",
    lastGood: configText("a 10.0.0.0-10.0.0.9; b fd00::-fd00::9"),
    config: narrow,
    holds: { s: "10.0.0.7 fd00::1" },
    want: `${narrow} | accepted`,
  },
  {
    name: "foreign addresses do not block a change",
    lastGood: wide,
    config: other,
    holds: { s: "172.16.0.1" },
    want: `${other} | accepted`,
  },
  {
    name: "a last good configuration that cannot be read counts as none",
    lastGood: invalid,
    config: narrow,
    holds: { s: "10.0.0.1" },
    want: `${narrow} | accepted`,
  },
];
for (const { name, want, ...initial } of atStart) {
  test(`at start: ${name}`, () => {
    assert.deepEqual(setUp(initial).decisions, [want]);
  });
}

test("nothing is decided before everything has been seen", () => {
  const { live, decisions } = setUp({ config: wide, lastGood: narrow, start: false });
  live.serviceChanged("s");
  assert.deepEqual([live.state, decisions], [{ inForce: undefined, verdict: undefined }, []]);
});

test("the order in which ConfigMap and last good configuration are seen does not matter", () => {
  const { live, config, decisions } = setUp({ holds: { s: "10.0.0.1" }, start: false });
  config(narrow);
  live.lastGoodChanged(wide);
  live.start();
  assert.deepEqual(decisions, [`${wide} | strands s=10.0.0.1`]);
});

test("a refused change takes effect by itself when the last Service in its way goes", () => {
  const { config, hold, decisions } = setUp({ config: wide, holds: { s: "10.0.0.1", t: "10.0.0.2" } });
  decisions.length = 0;
  config(narrow);
  hold("s", undefined);
  hold("t", "10.0.0.6");
  assert.deepEqual(decisions, [`${wide} | strands s=10.0.0.1 t=10.0.0.2`, `${narrow} | accepted`]);
});

test("a permission counts for the text that it is given with, and not for the one before while that text is still being read", () => {
  const holds = { s: "10.0.0.1", t: "10.0.0.2" };
  const { config, hold, decisions, clock, reading } = setUp({ config: wide, holds, later: true });
  const readNext = () => {
    reading.shift()?.finish();
    clock.advanceBy(0);
  };
  readNext();
  config(narrow);
  readNext();
  config(other, true);
  hold("s", undefined);
  clock.advanceBy(0);
  assert.deepEqual(decisions.slice(1), [`${wide} | strands s=10.0.0.1 t=10.0.0.2`]);
  readNext();
  assert.deepEqual(decisions.slice(2), [`${other} | accepted`]);
});

test("a refused change is blocked also by Services that come later, and the list is kept up to date", () => {
  const { live, config, hold } = setUp({ config: wide, holds: { s: "10.0.0.1" } });
  config(narrow);
  hold("late", "10.0.0.2");
  hold("s", undefined);
  const { verdict } = live.state;
  assert.deepEqual(verdict?.type === "strands" && [...verdict.stranded.keys()], ["late"]);
});

test("a refused change that is taken back is accepted without having had an effect", () => {
  const { live, config, decisions } = setUp({ config: wide, holds: { s: "10.0.0.1" } });
  const before = live.inForce;
  config(other);
  config(wide);
  assert.deepEqual(decisions, [`${wide} | accepted`, `${wide} | strands s=10.0.0.1`, `${wide} | accepted`]);
  assert.equal(live.inForce, before);
});

test("a ConfigMap that is deleted, or loses its key, or turns invalid, changes nothing but the verdict", () => {
  const { config, decisions } = setUp({ config: wide });
  decisions.length = 0;
  config(undefined);
  config(undefined, false, "key");
  config(invalid);
  config(`${invalid} `);
  assert.deepEqual(decisions, [`${wide} | missing configMap`, `${wide} | missing key`, `${wide} | invalid`, `${wide} | invalid`]);
});

test("once accepted, Services are no reason to look again", () => {
  const { config, hold, decisions } = setUp({ config: wide });
  config(narrow);
  decisions.length = 0;
  hold("s", "10.0.0.1");
  assert.deepEqual(decisions, []);
});

test("the same text is read once, whichever way it comes", () => {
  const { live, config, hold, read } = setUp({ lastGood: wide, config: wide, holds: { s: "10.0.0.1" } });
  config(narrow);
  hold("s", "10.0.0.2");
  hold("s", "10.0.0.6");
  live.lastGoodChanged(narrow);
  config(narrow);
  assert.deepEqual(read, [wide, narrow]);
});

// The speaker watches what the controller decides from; it may see it in another order.
test("a follower that accepts too early comes to the controller's decision when it sees the address", () => {
  const { config, hold, decisions } = setUp({ lastGood: wide, config: wide });
  decisions.length = 0;
  config(narrow); // Here: accepted. The controller has seen s already, and refuses.
  hold("s", "10.0.0.1");
  assert.deepEqual(decisions, [`${narrow} | accepted`, `${wide} | strands s=10.0.0.1`]);
});

test("a follower that refuses too long is corrected by the controller's record", () => {
  const { live, config, decisions } = setUp({ lastGood: wide, config: wide, holds: { s: "10.0.0.1" } });
  decisions.length = 0;
  config(narrow); // Here: refused. The controller has seen s go already.
  live.lastGoodChanged(narrow);
  assert.deepEqual(decisions, [`${wide} | strands s=10.0.0.1`, `${narrow} | accepted`]);
});

for (const { name, second, want } of [
  { name: "invalid", second: invalid, want: `${wide} | invalid` },
  { name: "one that strands an address", second: narrow, want: `${wide} | strands s=10.0.0.1` },
  { name: "a deletion", second: undefined, want: `${wide} | missing configMap` },
])
  test(`of two quick changes, the second of them ${name}, a follower does not keep the first, which the controller never saw`, () => {
    const both = configText("a 10.0.0.0-10.0.0.9; b 192.0.2.0-192.0.2.9");
    const { live, config, decisions } = setUp({ lastGood: wide, config: wide, holds: { s: "10.0.0.1" } });
    decisions.length = 0;
    config(both);
    config(second);
    assert.deepEqual(decisions, [`${both} | accepted`, want]);
    // One that did see it has it on record.
    live.lastGoodChanged(both);
    assert.equal(live.inForce?.text, both);
  });

test("a record that is ahead of the ConfigMap does not flap", () => {
  const { live, config, decisions } = setUp({ lastGood: wide, config: wide });
  decisions.length = 0;
  live.lastGoodChanged(narrow);
  config(narrow);
  assert.deepEqual(decisions, [`${narrow} | accepted`]);
});

test("a record that is deleted or damaged while running changes nothing", () => {
  const { live, decisions } = setUp({ lastGood: wide, config: invalid });
  decisions.length = 0;
  live.lastGoodChanged(invalid);
  live.lastGoodChanged(undefined);
  assert.deepEqual([live.inForce?.text, decisions], [wide, []]);
});

test("while a text is being read, what is decided stays; of several that come meanwhile only the last is read", () => {
  const { live, config, decisions, clock, read, reading } = setUp({ config: wide, start: false, later: true });
  live.start();
  live.lastGoodChanged(wide);
  assert.deepEqual([decisions, live.refused], [[], undefined]);
  reading.shift()?.finish();
  clock.advanceBy(0);
  assert.deepEqual(decisions.splice(0), [`${wide} | accepted`]);
  for (const text of [narrow, other, invalid]) config(text);
  assert.deepEqual([decisions, live.inForce?.text], [[], wide]);
  reading.shift()?.finish();
  config(wide);
  reading.shift()?.finish();
  clock.advanceBy(0);
  assert.deepEqual([decisions, read], [[], [wide, narrow, invalid]]);
});

test("the first decision waits for every text that was seen before it, and no deletion leaves it waiting", () => {
  for (const missing of ["configMap", "key"] as const) {
    const { live, config, decisions, clock, reading } = setUp({ config: narrow, lastGood: wide, start: false, later: true });
    live.start();
    reading.shift()?.finish();
    clock.advanceBy(0);
    assert.deepEqual(decisions, []);
    config(undefined, false, missing);
    reading.shift()?.finish();
    clock.advanceBy(0);
    assert.deepEqual(decisions, [`${wide} | missing ${missing}`]);
  }
});

test("Services are looked at 500 at a time, and those that change meanwhile are seen", () => {
  const holds = Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`s${i}`, "10.0.0.5"]));
  const { live, config, hold, decisions, clock, reading } = setUp({ lastGood: wide, holds, start: false, later: true });
  config(wide);
  live.start();
  while (reading.length > 0) reading.shift()?.finish();
  clock.advanceBy(0);
  decisions.length = 0;
  config(narrow);
  reading.shift()?.finish();
  for (let portion = 2; portion <= 3; portion++) {
    assert.deepEqual(decisions, []);
    clock.advanceToNext();
  }
  hold("s0", "10.0.0.1");
  hold("s1999", "10.0.0.2");
  hold("s1999", undefined);
  assert.deepEqual(decisions, []);
  clock.advanceBy(0);
  assert.deepEqual(decisions, [`${wide} | strands s0=10.0.0.1`]);
});

for (const { name, next, want } of [
  { name: "is invalid", next: invalid, want: "invalid" },
  { name: "has no pool for an address that was given since", next: wide, want: "strands s0=192.0.2.1" },
])
  test(`a change that is accepted while the next one is read is the one that stays where that ${name}`, () => {
    const both = configText("a 10.0.0.0-10.0.0.9; b 192.0.2.0-192.0.2.9");
    const holds = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`s${i}`, "10.0.0.5"]));
    const { live, config, hold, decisions, clock, reading } = setUp({ lastGood: narrow, holds, start: false, later: true });
    const settle = () => {
      while (reading.length > 0) reading.shift()?.finish();
      clock.advanceBy(0);
    };
    config(narrow);
    live.start();
    settle();
    decisions.length = 0;
    config(both);
    reading.shift()?.finish();
    config(next); // While Services are looked at.
    clock.advanceBy(0);
    live.lastGoodChanged(both);
    hold("s0", "192.0.2.1");
    settle();
    assert.deepEqual(decisions, [`${both} | accepted`, `${both} | ${want}`]);
  });

test("however long texts and Services take, the decision in the end is the one that is made when they take no time", () => {
  const texts = [wide, narrow, other];
  const event = fc.oneof(
    fc.record({ type: fc.constant("config" as const), text: fc.constantFrom(...texts, invalid, undefined) }),
    fc.record({ type: fc.constant("lastGood" as const), text: fc.constantFrom(...texts) }),
    fc.record({
      type: fc.constant("hold" as const),
      service: fc.constantFrom("s", "t"),
      address: fc.constantFrom("10.0.0.1", "10.0.0.6", "192.0.2.1", undefined),
    }),
    fc.record({ type: fc.constant("read" as const) }),
    fc.record({ type: fc.constant("turn" as const) }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 20 }), (events) => {
      const atOnce = setUp({ lastGood: wide, config: wide });
      const later = setUp({ lastGood: wide, config: wide, later: true });
      for (const each of events) {
        for (const { live, config, hold } of [atOnce, later]) {
          if (each.type === "config") config(each.text);
          if (each.type === "lastGood") live.lastGoodChanged(each.text);
          if (each.type === "hold") hold(each.service, each.address);
        }
        if (each.type === "read") later.reading.shift()?.finish();
        if (each.type === "turn") later.clock.advanceToNext();
      }
      while (later.reading.length > 0) later.reading.shift()?.finish();
      later.clock.advanceBy(0);
      const last = ({ live }: ReturnType<typeof setUp>) => [live.inForce?.text, live.state.verdict?.type, live.refused];
      assert.deepEqual(last(later), last(atOnce));
    }),
    { numRuns: 500 },
  );
});

test("an address that went from one Service to another is in the way, also before the other one is heard of", () => {
  const { live, config, hold, holds } = setUp({ config: wide, holds: { a: "10.0.0.1" } });
  config(narrow);
  assert.equal(live.state.verdict?.type, "strands");
  holds.set("b", "10.0.0.1");
  hold("a", undefined);
  assert.equal(live.inForce?.text, wide);
  hold("b", "10.0.0.7");
  assert.equal(live.inForce?.text, narrow);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PoolIndex, parseConfig } from "#pkg/config";
import type { Address } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { ConflictBench, first } from "../../testing/conflict-bench.ts";
import { announceAddress, currentConflicts, withdrawAddress } from "./address-defender.ts";
import { describeConflict } from "./conflict-reports.ts";

const parsed = parseConfig(`address-pools:
- {name: lan, protocol: layer2, conflict-probe: strict, addresses: [192.0.2.0/24]}
- {name: other, protocol: layer2, conflict-probe: strict, addresses: [198.51.100.0/24]}
`);
const config = parsed.config ?? assert.fail(`${parsed.problems}`);
const pools = new PoolIndex(config.pools);
const window = 600_000;
const maxOfPool = 16;

function start(node = "node1"): ConflictBench {
  const bench = new ConflictBench(node);
  bench.state.config = { config, pools };
  bench.setOccupants({});
  return bench;
}

function announce(bench: ConflictBench, one: Address): void {
  bench.run((effects) => announceAddress(bench.state, one, first, bench.clock.now(), effects));
}

function withdraw(bench: ConflictBench, one: Address): void {
  bench.run((effects) => withdrawAddress(bench.state, one, effects));
}

function lan(host: number): Address {
  return address(`192.0.2.${host}`);
}

/** Addresses that are not announced, although nobody else answers from now on. */
function heldBack(bench: ConflictBench, addresses: readonly Address[]): Address[] {
  bench.clock.advanceBy(1_000);
  return addresses.filter((one) => bench.state.conflicts.defended.get(one.toString())?.isAnnounced !== true);
}

/** New addresses, each answered for by a host with a MAC address of its own. */
function spend(bench: ConflictBench, addresses: readonly Address[]): void {
  for (const [i, one] of addresses.entries()) {
    announce(bench, one);
    bench.sight(`host${i}`, "uses", one);
  }
}

test("hosts with ever other MAC addresses keep sixteen addresses of a pool from being announced, and no more, and are reported", () => {
  const bench = start();
  const addresses = Array.from({ length: 60 }, (_, i) => lan(i + 10));
  for (const [i, one] of addresses.entries()) {
    announce(bench, one);
    bench.sight(`host${Math.floor(i / 3)}`, "uses", one);
  }
  assert.deepEqual(heldBack(bench, addresses), addresses.slice(0, maxOfPool));
  assert.equal(bench.noted.filter((line) => line.startsWith("occupied ")).length, maxOfPool);
  assert.equal(bench.noted.filter((line) => line.startsWith("began ")).length, addresses.length - maxOfPool);
  for (let i = 0; i < 2; i++) {
    const causes = currentConflicts(bench.state).map((conflict) => describeConflict(conflict).other.answersForMany);
    assert.deepEqual(causes, Array(addresses.length - maxOfPool).fill(true));
    bench.sight("host9", "announces", lan(37)); // Its report stays.
  }
});

test("those of another pool are kept back all the same, and so are those of this one ten minutes later", () => {
  const bench = start();
  spend(
    bench,
    Array.from({ length: maxOfPool }, (_, i) => lan(i + 10)),
  );
  const [late, elsewhere, later] = [lan(100), address("198.51.100.1"), lan(101)];
  for (const one of [late, elsewhere]) {
    announce(bench, one);
    bench.sight("rare", "uses", one);
  }
  assert.deepEqual(heldBack(bench, [late, elsewhere]), [elsewhere]);
  bench.clock.advanceTo(window);
  announce(bench, later);
  bench.sight("another", "uses", later);
  assert.deepEqual(heldBack(bench, [later]), [later]);
});

test("an address that is kept back again counts from then on", () => {
  const bench = start();
  const again = lan(10);
  announce(bench, again);
  bench.sight("first", "uses", again);
  bench.clock.advanceBy(window / 2);
  withdraw(bench, again);
  const others = Array.from({ length: maxOfPool - 1 }, (_, i) => lan(i + 20));
  spend(bench, [again, ...others]);
  bench.clock.advanceBy(window / 2);
  const late = lan(100);
  announce(bench, late);
  bench.sight("late", "uses", late);
  assert.deepEqual(heldBack(bench, [late]), []);
});

test("an address that is kept back stays so for as long as its host answers, whatever becomes of others, and while it moves", () => {
  const bench = start();
  const mine = lan(10);
  const isStill = () => {
    bench.sight("mine", "uses", mine);
    return heldBack(bench, [mine]).length === 1;
  };
  const others = Array.from({ length: 40 }, (_, i) => lan(i + 20));
  announce(bench, mine);
  assert.ok(isStill());
  spend(bench, others);
  withdraw(bench, mine);
  announce(bench, mine);
  assert.ok(isStill(), "no more may be, and it is announced anew");
  for (let minute = 1; minute < 30; minute++) {
    bench.clock.advanceBy(59_100); // It is probed again.
    if (minute % 14 === 0) for (const one of others) withdraw(bench, one);
    if (minute % 14 === 0) spend(bench, others);
    assert.ok(isStill(), `minute ${minute}`);
  }
  withdraw(bench, mine);
  bench.setOccupants({ [mine.toString()]: JSON.stringify({ mac: "mine", node: "node2" }) });
  announce(bench, mine);
  assert.ok(isStill(), "it comes from another node");
});

test("a conflict of an address that is announced already keeps its cause while none more of its pool are kept back", () => {
  const bench = start();
  announce(bench, lan(1));
  bench.clock.advanceBy(1_000);
  spend(
    bench,
    Array.from({ length: 20 }, (_, i) => lan(i + 20)),
  );
  bench.sight("thief", "uses", lan(1));
  const conflict = currentConflicts(bench.state).find(({ mac }) => mac === "thief");
  assert.equal(conflict?.answersForMany, false);
});

test("an entry that somebody adds for an address that was announced all the same takes it off the network", () => {
  const bench = start();
  spend(
    bench,
    Array.from({ length: 17 }, (_, i) => lan(i + 20)),
  );
  const last = lan(36);
  assert.deepEqual(heldBack(bench, [last]), []);
  bench.setOccupants({ [last.toString()]: "" });
  bench.sight("host16", "uses", last);
  assert.deepEqual(heldBack(bench, [last]), [last]);
});

test("a Service that a host drives from address to address and from node to node gets one that is announced", () => {
  const benches = [start("node1"), start("node2")];
  const occupants: Record<string, string> = {};
  let moves = 0;
  for (; moves < 60; moves++) {
    const bench = benches[moves % 2] ?? assert.fail();
    const one = lan(moves + 10);
    announce(bench, one);
    bench.sight(`host${moves}`, "uses", one);
    if (heldBack(bench, [one]).length === 0) break;
    occupants[one.toString()] = JSON.stringify({ mac: `host${moves}`, node: bench.state.node });
    withdraw(bench, one);
    for (const each of benches) each.setOccupants({ ...occupants });
  }
  assert.equal(moves, maxOfPool);
});

test("entries that were there when the speaker started, or that people added, count for nothing", () => {
  const entries = (node: string) =>
    Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`192.0.2.${i + 20}`, JSON.stringify({ mac: `host${i}`, node })]));
  const started = new ConflictBench("node1");
  started.state.config = { config, pools };
  started.setOccupants(entries("node2"));
  const running = start();
  running.setOccupants(entries("somebody"));
  for (const bench of [started, running]) {
    spend(
      bench,
      Array.from({ length: 40 }, (_, i) => lan(i + 20)),
    );
    announce(bench, lan(1));
    bench.sight("foreign", "uses", lan(1));
    assert.deepEqual(heldBack(bench, [lan(1)]), [lan(1)]);
  }
});

const hosts = fc.integer({ min: 10, max: 69 });
const macs = fc.nat(100);
const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ type: fc.constant("announce" as const), host: hosts, mac: macs }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant("sight" as const), host: hosts, mac: macs }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("withdraw" as const), host: hosts }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("wait" as const), seconds: fc.constantFrom(1, 60, 300) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constantFrom("written" as const, "pruned" as const) }) },
  ),
  { minLength: 20, maxLength: 150 },
);
type Step = typeof steps extends fc.Arbitrary<readonly (infer One)[]> ? One : never;

/** One step of a host on the network, or of the cluster. */
function take(bench: ConflictBench, step: Step): void {
  switch (step.type) {
    case "announce":
      announce(bench, lan(step.host));
      bench.sight(`host${step.mac}`, "uses", lan(step.host));
      break;
    case "sight":
      bench.sight(`host${step.mac}`, "uses", lan(step.host));
      break;
    case "withdraw":
      withdraw(bench, lan(step.host));
      break;
    case "wait":
      bench.clock.advanceBy(step.seconds * 1_000);
      break;
    case "written": {
      const lines = bench.written.map((line) => /^(\S+) (.*)$/.exec(line)?.slice(1) ?? []);
      bench.setOccupants(Object.fromEntries(lines.filter(([, value]) => value !== "free")));
      break;
    }
    case "pruned":
      bench.setOccupants({});
      break;
    default:
      step satisfies never;
  }
}

test("property: whatever MAC addresses answer, a pool keeps back at most sixteen new addresses in any ten minutes", () => {
  let most = 0;
  fc.assert(
    fc.property(steps, (sequence) => {
      const bench = start();
      const { conflicts } = bench.state;
      const begun: { at: number; key: string }[] = []; // Addresses that were not kept back, and then were.
      let before = new Set<string>();
      for (const step of sequence) {
        take(bench, step);
        const now = bench.clock.now();
        const held = new Set(
          [...conflicts.defended].flatMap(([key, { defense }]) => (defense.occupiedBy === undefined ? [] : [key])),
        );
        for (const key of held.difference(before)) if (!conflicts.occupants.has(key)) begun.push({ at: now, key });
        before = held;
        const recent = new Set(begun.filter(({ at }) => at > now - window).map(({ key }) => key));
        most = Math.max(most, recent.size);
        assert.ok(recent.size <= maxOfPool, `${recent.size} within ten minutes`);
      }
    }),
    { numRuns: 300 },
  );
  assert.equal(most, maxOfPool, "the sequences try it");
});

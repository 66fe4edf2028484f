import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { AddressSighting } from "#pkg/layer2";
import type { Address } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { elect } from "#pkg/placement";
import { ConflictBench, first, x } from "../../testing/conflict-bench.ts";
import { learnMacs } from "../members/members.ts";
import { announceAddress, currentConflicts, reannounceAddress, withdrawAddress } from "./address-defender.ts";
import { describeConflict } from "./conflict-reports.ts";

const both = ["node1", "node2"];
const winner = elect(both, x) ?? "";
const loser = winner === "node1" ? "node2" : "node1";

test("what another node announced before is announced at once, also where new addresses have to be free", () => {
  const bench = new ConflictBench("node1");
  bench.announce();
  assert.deepEqual(bench.take(), [`announce ${x}`]);
});

test("a first announcement waits for nobody to answer where it has to be free, and does not elsewhere", () => {
  for (const [conflictProbe, want] of [
    ["off", [`announce ${x}`]],
    ["report", [`announce ${x}`, ...Array(3).fill(`probe all for ${x}`)]],
    ["strict", [`listen ${x}`, ...Array(3).fill(`probe all for ${x}`), `announce ${x}`]],
  ] as const) {
    const bench = new ConflictBench("node1");
    bench.announce({ ...first, conflictProbe });
    bench.clock.advanceBy(1000);
    assert.deepEqual(bench.take(), want);
  }
});

test("an address that is not free is reported and never announced", () => {
  const bench = new ConflictBench("node1");
  bench.announce(first);
  bench.sight("foreign", "uses");
  bench.clock.advanceBy(60_000);
  assert.deepEqual(bench.noted, ["occupied foreign"]);
  assert.ok(!bench.take().includes(`announce ${x}`));
});

test("what is known to be another host's is not announced, also by a successor, until it is free and nobody answers", () => {
  const bench = new ConflictBench("node1");
  bench.setOccupants({ [x.toString()]: "" });
  bench.announce();
  bench.sight("foreign", "uses");
  bench.clock.advanceBy(59_000);
  assert.ok(!bench.take().includes(`announce ${x}`));
  bench.setOccupants({});
  bench.clock.advanceBy(1000);
  assert.deepEqual(bench.take().at(-1), `announce ${x}`);
});

test("an entry that says so alone, which any speaker's token can write, keeps no address from being announced", () => {
  const bench = new ConflictBench("node1");
  bench.setOccupants({ [x.toString()]: "" });
  bench.announce();
  bench.clock.advanceBy(1000);
  assert.deepEqual(bench.take().at(-1), `announce ${x}`);
  for (let i = 0; i < 10; i++) {
    bench.setOccupants({});
    bench.setOccupants({ [x.toString()]: JSON.stringify({ mac: "foreign", node: "node2" }) });
    bench.clock.advanceBy(60_000);
  }
  assert.ok(!bench.take().some((line) => line.startsWith("listen") || line.startsWith("withdraw")));
});

test("a host that answers every probe keeps three addresses from being announced, and no more, and is reported", () => {
  const bench = new ConflictBench("node1");
  const addresses = Array.from({ length: 8 }, (_, i) => address(`192.0.2.${i + 10}`));
  for (const one of addresses) {
    bench.run((effects) => announceAddress(bench.state, one, first, bench.clock.now(), effects));
    bench.sight("foreign", "uses", one);
  }
  bench.clock.advanceBy(1000);
  const announced = bench.take().filter((line) => line.startsWith("announce "));
  assert.deepEqual(
    announced.sort(),
    addresses.slice(3).map((one) => `announce ${one}`),
  );
  assert.deepEqual(bench.noted, [...Array(3).fill("occupied foreign"), ...Array(5).fill("began foreign")]);
  const [conflict] = currentConflicts(bench.state).map(describeConflict);
  assert.deepEqual(conflict?.other, { mac: "foreign", answersForMany: true });
});

test("of two nodes that do not see each other one stops answering, the other does not, and the first is back once the ring is whole", () => {
  const [wins, loses] = [new ConflictBench(winner), new ConflictBench(loser)];
  for (const [bench, other] of [
    [wins, loser],
    [loses, winner],
  ] as const) {
    bench.lose(other);
    bench.announce();
    bench.clock.advanceBy(10_000);
    bench.sightFrom(other);
    assert.deepEqual(bench.noted, [`began ${other}`]);
  }
  assert.ok(!wins.take().includes(`listen ${x}`));
  assert.ok(loses.take().includes(`listen ${x}`));
  assert.deepEqual(
    [wins, loses].map(({ state }) => currentConflicts(state).map(({ node, followed }) => [node, followed])),
    [[[loser, false]], [[winner, true]]],
  );
  loses.run((effects) => reannounceAddress(loses.state, x, effects));
  assert.deepEqual(loses.take(), [], "a yielded address stays so");
  loses.membersChanged(["node1", "node2"]);
  loses.clock.advanceBy(500);
  assert.deepEqual(loses.take().at(-1), `announce ${x}`);
  assert.deepEqual(loses.noted.at(-1), `ended ${winner}`);
});

test("a node that was away since this process began is no foreign host once it is back: hosts learn within a second who answers", () => {
  const bench = new ConflictBench("node1", ["node1"]);
  const back = "02:00:00:00:00:02"; // Not known yet.
  bench.announce();
  bench.clock.advanceBy(10_000);
  bench.sight(back);
  bench.sight(back);
  bench.take();
  bench.runner.dispatch({ type: "member", change: "joined", node: "node2", incarnation: 1, life: 1, macs: [back] });
  bench.membersChanged(both);
  bench.clock.advanceBy(1_000);
  assert.deepEqual(
    [bench.take(), bench.noted],
    [
      [`probe ${back} for ${x}`, `reannounce ${x}`, `announce ${x}`],
      [`began ${back}`, `ended ${back}`],
    ],
  );
});

test("an address that is withdrawn is forgotten with its conflicts", () => {
  const bench = new ConflictBench("node1");
  bench.announce();
  bench.sight("foreign");
  bench.run((effects) => withdrawAddress(bench.state, x, effects));
  assert.deepEqual(bench.noted, ["began foreign", "ended foreign"]);
  const { defended, deadlines } = bench.state.conflicts;
  assert.deepEqual([currentConflicts(bench.state), defended.size, deadlines.next], [[], 0, Infinity]);
  assert.deepEqual(bench.take().at(-1), `withdraw ${x}`);
});

test("other interfaces are passed on, and do not begin anew", () => {
  const bench = new ConflictBench("node1");
  bench.announce();
  bench.announce({ ...first, interfaces: ["eth1"] });
  assert.deepEqual(bench.take(), [`announce ${x}`, `announce ${x} on eth1`]);
});

test("a node that leaves defends nothing", () => {
  const bench = new ConflictBench("node1");
  bench.announce();
  bench.runner[Symbol.dispose]();
  bench.sight("foreign");
  assert.deepEqual(bench.noted, []);
});

test("a node that has just left goes on answering until its successors do, which is no conflict", () => {
  for (const afterMs of [0, 3_000]) {
    const bench = new ConflictBench("node1");
    bench.announce();
    bench.runner.dispatch({ type: "member", change: "left", node: "node2", incarnation: 1, life: 1, macs: undefined });
    bench.membersChanged(["node1"]);
    bench.clock.advanceBy(afterMs);
    bench.sightFrom("node2");
    assert.equal(bench.noted.length > 0, afterMs > 0);
  }
});

const frames = fc.array(
  fc.record({
    wait: fc.constantFrom(0, 100, 200, 1000, 20_000),
    mac: fc.constantFrom("node1", winner, loser, "foreign", "another"),
    kind: fc.constantFrom<AddressSighting["kind"]>("announces", "uses", "probes"),
  }),
  { maxLength: 60 },
);
type Frame = typeof frames extends fc.Arbitrary<readonly (infer One)[]> ? One : never;

/** Sends the frames, and answers every probe in the name of its target. @returns how long nobody announced the address */
function attack(bench: ConflictBench, sequence: readonly Frame[]): number {
  let silent = 0;
  const advance = (wait: number): void => {
    for (let left = wait; left > 0; left -= 100) {
      const before = bench.state.conflicts.defended.get(x.toString())?.isAnnounced;
      bench.clock.advanceBy(100);
      if (before === false) silent += 100;
      const [, to] =
        bench
          .take()
          .at(-1)
          ?.match(/^probe (\S+)/) ?? [];
      if (to !== undefined) bench.sight(to === "all" ? "foreign" : to, "uses");
    }
  };
  for (const { wait, mac, kind } of sequence) {
    advance(wait);
    bench.sight(mac, kind);
  }
  advance(60_000);
  return silent;
}

test("property: no sequence of frames silences an owner, whatever the names they come in", () => {
  fc.assert(
    fc.property(fc.constantFrom("off", "report"), fc.boolean(), frames, (conflictProbe, isFirst, sequence) => {
      const bench = new ConflictBench(loser); // The election prefers the other of the two.
      bench.announce({ interfaces: [], conflictProbe, isFirst, item: undefined });
      assert.equal(attack(bench, sequence), 0);
    }),
    { numRuns: 200 },
  );
});

test("property: nor do frames while members leave, join again, and are of another kind", () => {
  const happenings: Readonly<Record<string, (bench: ConflictBench) => void>> = {
    leave: (bench) => {
      bench.runner.dispatch({ type: "member", change: "left", node: winner, incarnation: 1, life: 1, macs: undefined });
      bench.membersChanged([loser]);
    },
    join: (bench) => {
      bench.runner.dispatch({ type: "member", change: "joined", node: winner, incarnation: 2, life: 2, macs: [winner] });
      bench.membersChanged(["node1", "node2"]);
    },
    "MetalLB's comes": (bench) => bench.membersChanged(undefined, ["node3"]),
    "MetalLB's goes": (bench) => bench.membersChanged(),
    "another has the MAC address": (bench) => learnMacs(bench.state.members.macs, "node3", [winner]),
  };
  const names = fc.constantFrom(...Object.keys(happenings));
  fc.assert(
    fc.property(fc.array(fc.tuple(names, frames), { maxLength: 6 }), (courses) => {
      const bench = new ConflictBench(loser);
      bench.announce();
      for (const [name, sequence] of courses) {
        happenings[name]?.(bench);
        assert.equal(attack(bench, sequence), 0, name);
      }
    }),
    { numRuns: 100 },
  );
});

test("property: nor do frames in the name of a node that failed, whatever Kubernetes has of it", () => {
  const taints = fc.constantFrom([], "deleted" as const, ["node.kubernetes.io/unreachable"]);
  fc.assert(
    fc.property(frames, frames, taints, (before, after, taints) => {
      const bench = new ConflictBench(loser);
      bench.announce();
      bench.lose(winner);
      const silent = attack(bench, before);
      bench.setTaints(winner, taints);
      assert.equal(silent + attack(bench, after), 0);
    }),
    { numRuns: 200 },
  );
});

/** The address goes where another one of its Service is elected to, as this node sees it. */
function electBy({ state }: ConflictBench, electionAddress: Address): void {
  const nodes = ["node1", "node2"];
  const of = { address: x, pool: "lan", protocol: "layer2" as const, isOwned: true, verdicts: new Map() };
  state.placements.set(`${x}`, [{ ...of, electionAddress, candidates: nodes, contenders: nodes, owner: state.node }]);
}

test("across a cut of the ring a Service's second address stays with the owner of its first, as both had agreed", () => {
  const owners = [address("192.0.2.3"), address("192.0.2.4"), address("192.0.2.5")].map((one) => {
    const owner = elect(["node1", "node2"], one) ?? "";
    const benches = ["node1", "node2"].map((node) => new ConflictBench(node));
    for (const [i, bench] of benches.entries()) {
      electBy(bench, one);
      bench.lose(`node${2 - i}`);
      bench.announce();
      bench.clock.advanceBy(10_000);
      bench.sightFrom(`node${2 - i}`);
      assert.equal(bench.take().includes(`listen ${x}`), bench.state.node !== owner, `${bench.state.node} by ${one}`);
    }
    return owner;
  });
  assert.ok(owners.includes(loser), "the address by itself goes to the other one");
});

/** Time passes; while `proves`, the node proves each time what it is challenged for, and `forges` has it seen besides. */
function live(bench: ConflictBench, milliseconds: number, proves: boolean, forges = false): number {
  let silent = 0;
  for (let at = 0; at < milliseconds; at += 100) {
    bench.clock.advanceBy(100);
    if (bench.state.conflicts.defended.get(x.toString())?.isAnnounced === false) silent += 100;
    const sent = bench.take();
    if (proves && sent.includes(`challenge ${winner} for ${x}`)) bench.sight(winner, "proves");
    if (sent.includes(`probe ${winner} for ${x}`)) bench.sight(winner, "uses");
    if (forges) bench.sight(winner, "announces");
  }
  return silent;
}

/** A node that may not go on announcing sees the other one, which is cut off and announces. */
function yielding(): ConflictBench {
  const bench = new ConflictBench(loser);
  bench.announce();
  bench.lose(winner);
  bench.clock.advanceBy(10_000);
  bench.sightFrom(winner);
  assert.equal(bench.state.conflicts.defended.get(x.toString())?.isAnnounced, false);
  return bench;
}

test("a node that is cut off is left the address for as long as it proves that it announces it, and no longer, whoever sends in its name", () => {
  for (const forges of [false, true]) {
    const bench = yielding();
    assert.equal(live(bench, 1_200_000, true, forges), 1_200_000);
    const silent = live(bench, 600_000, false, forges);
    assert.ok(silent > 2_000 && silent <= 3_300, `${silent} ms`);
    assert.equal(live(bench, 10_000, true, forges) > 5_000, forges, "it announces again, and proves it");
  }
});

/** It has lost this other one besides, and the API. */
function loseAll(bench: ConflictBench, other: string): void {
  bench.lose(other);
  bench.runner.dispatch({ type: "apiLost", since: bench.clock.now() });
}

/** The other node proves so each time when it is challenged. @returns whether the node answers in the end */
function answersBeside(bench: ConflictBench, other: string, kind: "proves" | "provesAlone", milliseconds = 20_000): boolean {
  for (let at = 0; at < milliseconds; at += 100) {
    bench.clock.advanceBy(100);
    const sent = bench.take();
    if (sent.includes(`challenge ${other} for ${x}`)) bench.sight(other, kind);
    if (sent.includes(`probe ${other} for ${x}`)) bench.sight(other, "uses");
    if (at % 5_000 === 0) bench.sight(other);
  }
  return bench.state.conflicts.defended.get(x.toString())?.isAnnounced === true;
}

test("of two nodes that have lost one another the one that has lost all others leaves the address, whichever is elected", () => {
  for (const [self, other] of [
    [winner, loser],
    [loser, winner],
  ] as const)
    for (const isAlone of [false, true])
      for (const kind of ["proves", "provesAlone"] as const) {
        const bench = new ConflictBench(self, ["node1", "node2", "node3"]);
        bench.announce();
        bench.lose(other);
        if (isAlone) loseAll(bench, "node3");
        assert.equal(bench.alone, isAlone, "it says so in its proofs");
        bench.sight(other);
        const isElected = self === winner;
        const answers = isAlone === (kind === "provesAlone") ? isElected : !isAlone;
        assert.equal(answersBeside(bench, other, kind), answers, `${self}, ${isAlone}, ${kind}`);
      }
});

test("an address that was left to a node is announced again within seconds after that node has lost all others", () => {
  const bench = new ConflictBench(loser, ["node1", "node2", "node3"]);
  bench.announce();
  bench.lose(winner);
  bench.sight(winner);
  assert.equal(answersBeside(bench, winner, "proves"), false);
  assert.equal(answersBeside(bench, winner, "provesAlone", 4_000), true);
});

test("a node that has lost all others is alone once it does not see the API either, and no longer when one of the two is back", () => {
  const bench = new ConflictBench(winner, ["node1", "node2", "node3"]);
  bench.lose(loser);
  bench.lose("node3");
  assert.equal(bench.alone, false, "the ring may be cut, and nothing else");
  bench.runner.dispatch({ type: "apiLost", since: bench.clock.now() });
  assert.equal(bench.alone, true);
  bench.runner.dispatch({ type: "apiLost", since: Infinity });
  assert.equal(bench.alone, false);
});

test("with ten thousand addresses left to a node that is cut off, each is announced again within six seconds of its last proof", () => {
  const bench = yielding();
  bench.state.conflicts.yielded += 10_000;
  live(bench, 30_000, true);
  const silent = live(bench, 30_000, false);
  assert.ok(silent > 2_000 && silent <= 5_300, `${silent} ms`);
});

for (const [what, taints] of Object.entries({
  NotReady: ["node.kubernetes.io/not-ready"],
  unreachable: ["node.kubernetes.io/unreachable"],
  "out of service": ["node.kubernetes.io/out-of-service"],
  deleted: "deleted" as const,
}))
  test(`a node that is ${what} is left nothing, proof or not, and what was left to it is announced again within three seconds`, () => {
    const bench = yielding();
    bench.setTaints(winner, taints);
    assert.ok(live(bench, 60_000, true, true) <= 3_300);
    assert.equal(live(bench, 600_000, true, true), 0);
    bench.setTaints(winner);
    if (taints !== "deleted") assert.ok(live(bench, 60_000, true, true) > 50_000, "it is back");
  });

/** Two members of one ring that both announce the address. */
function twoAnnounce(begin: (bench: ConflictBench, index: number) => void = () => {}) {
  const [wins, loses] = [new ConflictBench(winner), new ConflictBench(loser)];
  const both = [wins, loses];
  for (const [index, bench] of both.entries()) {
    begin(bench, index);
    bench.participate();
    bench.announce();
  }
  ConflictBench.connect(wins, loses);
  const announced = () => both.map(({ state }) => state.conflicts.defended.get(x.toString())?.isAnnounced);
  return { wins, loses, both, announced };
}

test("two members that both announce an address agree over the ring, and the one that is left goes on when the other withdraws", () => {
  const { wins, loses, both, announced } = twoAnnounce();
  for (const [bench, other] of [
    [wins, loser],
    [loses, winner],
  ] as const)
    bench.sight(other);
  for (let i = 0; i < 100; i++) {
    for (const bench of both) bench.clock.advanceBy(100);
    ConflictBench.answerProbes(wins, loses);
  }
  assert.deepEqual(announced(), [true, false]);
  wins.run((effects) => withdrawAddress(wins.state, x, effects));
  ConflictBench.answerProbes(wins, loses);
  assert.deepEqual(announced(), [undefined, true]);
  assert.deepEqual(
    both.map(({ state }) => state.conflicts.asked.size),
    [0, 0],
  );
});

/** They hear one another's announcements for ten seconds. */
function meet(wins: ConflictBench, loses: ConflictBench): void {
  for (let i = 0; i < 100; i++) {
    for (const [bench, other] of [
      [wins, loses],
      [loses, wins],
    ] as const) {
      if (i % 20 === 0 && other.state.conflicts.defended.get(x.toString())?.isAnnounced) bench.sight(other.state.node);
      bench.clock.advanceBy(100);
    }
    ConflictBench.answerProbes(wins, loses);
  }
}

test("of two members that both announce an address the one that sees the API keeps it, also where the other one had been left it", () => {
  const { wins, loses, announced } = twoAnnounce();
  meet(wins, loses);
  assert.deepEqual(announced(), [true, false]);
  wins.runner.dispatch({ type: "apiLost", since: wins.clock.now() });
  meet(wins, loses);
  assert.deepEqual(announced(), [false, true]);
  loses.runner.dispatch({ type: "apiLost", since: loses.clock.now() });
  wins.runner.dispatch({ type: "apiLost", since: Infinity });
  meet(wins, loses);
  assert.deepEqual(announced(), [true, false]);
});

test("beside a member of an earlier version, which goes by the election alone, it decides for both, whoever sees the API", () => {
  for (const earlier of [0, 1])
    for (const blind of [0, 1]) {
      const { wins, loses, both, announced } = twoAnnounce((bench, index) => {
        bench.isEarlier = index === earlier;
      });
      // A member of an earlier version says nothing of it, and does not count it.
      if (blind !== earlier) both[blind]?.runner.dispatch({ type: "apiLost", since: wins.clock.now() });
      for (let times = 0; times < 10; times++) {
        meet(wins, loses);
        assert.deepEqual(announced(), [true, false], `earlier ${earlier}, blind ${blind}, after ${10 * (times + 1)} s`);
      }
    }
});

test("addresses that move to this node from a MetalLB speaker are no conflicts, and one that such a speaker keeps is", () => {
  const bench = new ConflictBench("node1");
  bench.membersChanged(undefined, ["node3"]);
  const addresses = Array.from({ length: 300 }, (_, i) => address(`198.51.${100 + Math.floor(i / 200)}.${i % 200}`));
  for (const one of addresses) {
    bench.run((effects) => announceAddress(bench.state, one, first, bench.clock.now(), effects));
    bench.sight("foreign", "announces", one); // Until it has learned of it.
  }
  bench.clock.advanceBy(60_000);
  assert.deepEqual([bench.noted, bench.written], [[], []]);
  bench.announce();
  bench.sightFrom("foreign");
  assert.deepEqual(bench.noted, ["began foreign"]);
});

test("a MetalLB speaker that has left the ring and still answers for some seconds is no conflict, and one that goes on is", () => {
  const bench = new ConflictBench("node1");
  bench.membersChanged(undefined, ["node3"]);
  bench.announce();
  bench.membersChanged();
  bench.sight("foreign", "uses");
  assert.deepEqual(bench.noted, [], "it has just left");
  bench.clock.advanceBy(60_000);
  assert.deepEqual(bench.noted, [], "it was not seen again");
  bench.sightFrom("foreign");
  assert.deepEqual(bench.noted, ["began foreign"]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock";
import type { Claim } from "#pkg/layer2";
import { type Address, parseAddress } from "#pkg/net";
import { elect } from "#pkg/placement";
import { FakeLayer2 } from "../testing/fake-layer2.ts";
import { Guard, type GuardedAnnouncement } from "./guard.ts";

const x = address("192.0.2.1");
const winner = elect(["node1", "node2"], x) ?? "";
const loser = winner === "node1" ? "node2" : "node1";
const later: GuardedAnnouncement = { interfaces: [], conflictProbe: "strict", isFirst: false };
const first: GuardedAnnouncement = { ...later, isFirst: true };

function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed);
  return parsed;
}

function claim(mac: string, kind: Claim["kind"] = "announces"): Claim {
  return { address: x, mac, kind, interface: "eth0", ownMac: "02:00:00:00:00:01" };
}

class Bench {
  readonly layer2 = new FakeLayer2();
  readonly clock = new SimulatedClock();
  readonly told: string[] = [];
  readonly taken = new Set<string>(); // addresses that are known to be another host's
  active: string[] = ["node1", "node2"];
  readonly guard: Guard;

  /** A MAC address is the name of its node, and `stranger` is none's. */
  constructor(node: string) {
    const tell = (what: string) => (conflict: { mac: string }) => void this.told.push(`${what} ${conflict.mac}`);
    this.guard = new Guard({
      node,
      layer2: this.layer2,
      clock: this.clock,
      active: () => this.active,
      nodeOf: (mac) => (mac === "stranger" ? undefined : mac),
      electionAddress: (address) => address,
      isOccupied: (address) => this.taken.has(address.toString()),
      began: tell("began"),
      ended: tell("ended"),
      occupied: tell("occupied"),
      wanted: tell("wanted"),
    });
    this.guard.membersChanged();
  }

  /** It hears another node announce the address, and whoever is asked answers. */
  hearFrom(mac: string): void {
    this.guard.heard(claim(mac));
    for (let i = 0; i < 3000; i += 100) {
      this.clock.advanceBy(100);
      if (this.layer2.lines.at(-1) === `ask ${mac} for ${x}`) this.guard.heard(claim(mac, "uses"));
    }
  }
}

test("what another node announced before is announced at once, also where new addresses have to be free", () => {
  const bench = new Bench("node1");
  bench.guard.announce(x, later);
  assert.deepEqual(bench.layer2.take(), [`announce ${x}`]);
});

test("a first announcement waits for nobody to answer where it has to be free, and does not elsewhere", () => {
  for (const [conflictProbe, want] of [
    ["off", [`announce ${x}`]],
    ["report", [`announce ${x}`, ...Array(3).fill(`ask all for ${x}`)]],
    ["strict", [`listen ${x}`, ...Array(3).fill(`ask all for ${x}`), `announce ${x}`]],
  ] as const) {
    const bench = new Bench("node1");
    bench.guard.announce(x, { ...first, conflictProbe });
    bench.clock.advanceBy(1000);
    assert.deepEqual(bench.layer2.take(), want);
  }
});

test("where it is not free it is told, and never announced", () => {
  const bench = new Bench("node1");
  bench.guard.announce(x, first);
  bench.guard.heard(claim("stranger", "uses"));
  bench.clock.advanceBy(60_000);
  assert.deepEqual(bench.told, ["occupied stranger"]);
  assert.ok(!bench.layer2.take().includes(`announce ${x}`));
});

test("what is known to be another host's is not announced, also by a successor, until it is free and nobody answers", () => {
  const bench = new Bench("node1");
  bench.taken.add(x.toString());
  bench.guard.announce(x, later);
  bench.clock.advanceBy(60_000);
  assert.deepEqual(bench.layer2.take(), [`listen ${x}`]);
  bench.taken.clear();
  bench.guard.occupiedChanged();
  bench.clock.advanceBy(1000);
  assert.deepEqual(bench.layer2.take().at(-1), `announce ${x}`);
  bench.taken.add(x.toString());
  bench.guard.occupiedChanged();
  assert.deepEqual(bench.layer2.take(), [`listen ${x}`]);
});

test("of two nodes that do not see each other one falls silent, the other does not, and the first is back once the ring is whole", () => {
  const [wins, loses] = [new Bench(winner), new Bench(loser)];
  for (const [bench, other] of [
    [wins, loser],
    [loses, winner],
  ] as const) {
    bench.active = bench.active.filter((node) => node !== other);
    bench.guard.membersChanged();
    bench.guard.announce(x, later);
    bench.clock.advanceBy(10_000);
    bench.hearFrom(other);
    assert.deepEqual(bench.told, [`began ${other}`]);
  }
  assert.ok(!wins.layer2.take().includes(`listen ${x}`));
  assert.ok(loses.layer2.take().includes(`listen ${x}`));
  assert.deepEqual(
    [wins, loses].map(({ guard }) => guard.conflicts.map(({ node, followed }) => [node, followed])),
    [[[loser, false]], [[winner, true]]],
  );
  loses.guard.announceAgain(x);
  assert.deepEqual(loses.layer2.take(), [], "what is silent stays so");
  loses.active = ["node1", "node2"];
  loses.guard.membersChanged();
  loses.clock.advanceBy(500);
  assert.deepEqual(loses.layer2.take().at(-1), `announce ${x}`);
  assert.deepEqual(loses.told.at(-1), `ended ${winner}`);
});

test("an address that is withdrawn is forgotten with its conflicts", () => {
  const bench = new Bench("node1");
  bench.guard.announce(x, later);
  bench.guard.heard(claim("stranger"));
  bench.guard.withdraw(x);
  assert.deepEqual(bench.told, ["began stranger", "ended stranger"]);
  assert.deepEqual([bench.guard.conflicts, bench.guard.has(x), bench.clock.pending()], [[], false, []]);
  assert.deepEqual(bench.layer2.take().at(-1), `withdraw ${x}`);
});

test("other interfaces are passed on, and do not begin anew", () => {
  const bench = new Bench("node1");
  bench.guard.announce(x, later);
  bench.guard.announce(x, { ...first, interfaces: ["eth1"] });
  assert.deepEqual(bench.layer2.take(), [`announce ${x}`, `announce ${x} on eth1`]);
});

test("one that goes lets others claim what they like", () => {
  const bench = new Bench("node1");
  bench.guard.announce(x, later);
  bench.guard[Symbol.dispose]();
  bench.guard.heard(claim("stranger"));
  assert.deepEqual(bench.told, []);
});

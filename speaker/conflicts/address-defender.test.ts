import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock";
import type { AddressSighting } from "#pkg/layer2";
import { address } from "#pkg/net/testing";
import { elect } from "#pkg/placement";
import { FakeLayer2 } from "../testing/fake-layer2.ts";
import { AddressDefender, type DefendedAnnouncement } from "./address-defender.ts";

const x = address("192.0.2.1");
const winner = elect(["node1", "node2"], x) ?? "";
const loser = winner === "node1" ? "node2" : "node1";
const later: DefendedAnnouncement = { interfaces: [], conflictProbe: "strict", isFirst: false };
const first: DefendedAnnouncement = { ...later, isFirst: true };

function sighting(mac: string, kind: AddressSighting["kind"] = "announces"): AddressSighting {
  return { address: x, mac, kind, interface: "eth0", ownMac: "02:00:00:00:00:01" };
}

class Bench {
  readonly layer2 = new FakeLayer2();
  readonly clock = new SimulatedClock();
  readonly reported: string[] = [];
  readonly taken = new Set<string>(); // addresses that are known to be another host's
  active: string[] = ["node1", "node2"];
  readonly defender: AddressDefender;

  /** A MAC address is the name of its node, and `foreign` is none's. */
  constructor(node: string) {
    const note = (what: string) => (conflict: { mac: string }) => void this.reported.push(`${what} ${conflict.mac}`);
    this.defender = new AddressDefender({
      node,
      layer2: this.layer2,
      clock: this.clock,
      active: () => this.active,
      nodeOf: (mac) => (mac === "foreign" ? undefined : mac),
      electionAddress: (address) => address,
      isOccupied: (address) => this.taken.has(address.toString()),
      began: note("began"),
      ended: note("ended"),
      occupied: note("occupied"),
      wanted: note("wanted"),
    });
    this.defender.membersChanged();
  }

  /** It sights another node announcing the address, and whoever is probed answers. */
  sightFrom(mac: string): void {
    this.defender.handleSighting(sighting(mac));
    for (let i = 0; i < 3000; i += 100) {
      this.clock.advanceBy(100);
      if (this.layer2.lines.at(-1) === `probe ${mac} for ${x}`) this.defender.handleSighting(sighting(mac, "uses"));
    }
  }
}

test("what another node announced before is announced at once, also where new addresses have to be free", () => {
  const bench = new Bench("node1");
  bench.defender.announce(x, later);
  assert.deepEqual(bench.layer2.take(), [`announce ${x}`]);
});

test("a first announcement waits for nobody to answer where it has to be free, and does not elsewhere", () => {
  for (const [conflictProbe, want] of [
    ["off", [`announce ${x}`]],
    ["report", [`announce ${x}`, ...Array(3).fill(`probe all for ${x}`)]],
    ["strict", [`listen ${x}`, ...Array(3).fill(`probe all for ${x}`), `announce ${x}`]],
  ] as const) {
    const bench = new Bench("node1");
    bench.defender.announce(x, { ...first, conflictProbe });
    bench.clock.advanceBy(1000);
    assert.deepEqual(bench.layer2.take(), want);
  }
});

test("an address that is not free is reported and never announced", () => {
  const bench = new Bench("node1");
  bench.defender.announce(x, first);
  bench.defender.handleSighting(sighting("foreign", "uses"));
  bench.clock.advanceBy(60_000);
  assert.deepEqual(bench.reported, ["occupied foreign"]);
  assert.ok(!bench.layer2.take().includes(`announce ${x}`));
});

test("what is known to be another host's is not announced, also by a successor, until it is free and nobody answers", () => {
  const bench = new Bench("node1");
  bench.taken.add(x.toString());
  bench.defender.announce(x, later);
  bench.clock.advanceBy(60_000);
  assert.deepEqual(bench.layer2.take(), [`listen ${x}`]);
  bench.taken.clear();
  bench.defender.occupiedChanged();
  bench.clock.advanceBy(1000);
  assert.deepEqual(bench.layer2.take().at(-1), `announce ${x}`);
  bench.taken.add(x.toString());
  bench.defender.occupiedChanged();
  assert.deepEqual(bench.layer2.take(), [`listen ${x}`]);
});

test("of two nodes that do not see each other one stops answering, the other does not, and the first is back once the ring is whole", () => {
  const [wins, loses] = [new Bench(winner), new Bench(loser)];
  for (const [bench, other] of [
    [wins, loser],
    [loses, winner],
  ] as const) {
    bench.active = bench.active.filter((node) => node !== other);
    bench.defender.membersChanged();
    bench.defender.announce(x, later);
    bench.clock.advanceBy(10_000);
    bench.sightFrom(other);
    assert.deepEqual(bench.reported, [`began ${other}`]);
  }
  assert.ok(!wins.layer2.take().includes(`listen ${x}`));
  assert.ok(loses.layer2.take().includes(`listen ${x}`));
  assert.deepEqual(
    [wins, loses].map(({ defender }) => defender.conflicts.map(({ node, followed }) => [node, followed])),
    [[[loser, false]], [[winner, true]]],
  );
  loses.defender.reannounce(x);
  assert.deepEqual(loses.layer2.take(), [], "a yielded address stays so");
  loses.active = ["node1", "node2"];
  loses.defender.membersChanged();
  loses.clock.advanceBy(500);
  assert.deepEqual(loses.layer2.take().at(-1), `announce ${x}`);
  assert.deepEqual(loses.reported.at(-1), `ended ${winner}`);
});

test("an address that is withdrawn is forgotten with its conflicts", () => {
  const bench = new Bench("node1");
  bench.defender.announce(x, later);
  bench.defender.handleSighting(sighting("foreign"));
  bench.defender.withdraw(x);
  assert.deepEqual(bench.reported, ["began foreign", "ended foreign"]);
  assert.deepEqual([bench.defender.conflicts, bench.defender.has(x), bench.clock.pending()], [[], false, []]);
  assert.deepEqual(bench.layer2.take().at(-1), `withdraw ${x}`);
});

test("other interfaces are passed on, and do not begin anew", () => {
  const bench = new Bench("node1");
  bench.defender.announce(x, later);
  bench.defender.announce(x, { ...first, interfaces: ["eth1"] });
  assert.deepEqual(bench.layer2.take(), [`announce ${x}`, `announce ${x} on eth1`]);
});

test("a node that leaves defends nothing", () => {
  const bench = new Bench("node1");
  bench.defender.announce(x, later);
  bench.defender[Symbol.dispose]();
  bench.defender.handleSighting(sighting("foreign"));
  assert.deepEqual(bench.reported, []);
});

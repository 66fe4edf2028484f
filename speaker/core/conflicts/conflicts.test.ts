import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "#pkg/metrics";
import { address } from "#pkg/net/testing";
import { registerConflicts } from "../../metrics.ts";
import { ConflictBench, first, later, x } from "../../testing/conflict-bench.ts";
import { pools } from "../../testing/speaker-bench.ts";
import { SpeakerView } from "../view.ts";
import { announceAddress, currentConflicts, withdrawAddress } from "./address-defender.ts";
import { conflictVerdict, describeConflict } from "./conflict-reports.ts";

const mac = "02:00:00:00:00:42";
const ownMac = "02:00:00:00:00:01";

test("an address that a host answers for is reported and quarantined, and announced when it leaves quarantine", () => {
  const bench = new ConflictBench("node1", ["node1"]);
  bench.announce(first);
  bench.sight(mac, "uses");
  assert.deepEqual(bench.recorded, ["web: addressOccupied"]);
  assert.deepEqual(bench.written, [`${x} {"mac":"${mac}","node":"node1","interface":"eth0"}`]);
  bench.setOccupants({ [x.toString()]: JSON.stringify({ mac, node: "node1" }) });
  assert.deepEqual(
    Array.from(bench.state.conflicts.occupants, ([address, { mac }]) => [address, mac]),
    [[x.toString(), mac]],
  );
  bench.clock.advanceBy(5_000);
  assert.ok(!bench.take().includes(`announce ${x}`));
  bench.setOccupants({});
  bench.clock.advanceBy(5_000);
  assert.ok(bench.take().includes(`announce ${x}`));
});

test("another host that has an address of this node is reported, described and a series", async () => {
  const bench = new ConflictBench("node1", ["node1"]);
  const registry = new Registry();
  registerConflicts(registry, new SpeakerView(bench.state));
  bench.announce({ ...later, conflictProbe: "off" });
  bench.sight(mac);
  assert.deepEqual(bench.recorded, ["web: addressConflict"]);
  const found = currentConflicts(bench.state).map(describeConflict);
  assert.deepEqual(found, [{ address: x.toString(), other: { mac }, ownMac, interface: "eth0", owner: "self" }]);
  const series = async () => (await registry.metrics()).split("\n").filter((line) => line.startsWith("ingot_"));
  const occupied = "ingot_layer2_occupied_addresses 0";
  assert.deepEqual(await series(), [`ingot_layer2_conflict{ip="${x}",mac="${mac}",node="",owner="self"} 1`, occupied]);
  bench.run((effects) => withdrawAddress(bench.state, x, effects));
  assert.deepEqual(await series(), [occupied]);
  assert.equal(bench.recorded.at(-1), "web: addressConflictEnded");
});

test("without a ring an unknown host may be another speaker's, and has two seconds to stop before it is a conflict", () => {
  for (const { active, isGone, want } of [
    { active: ["node1", "node2"], isGone: true, want: [] },
    { active: ["node1", "node2"], isGone: false, want: ["unidentifiedHost"] },
    { active: ["node1"], isGone: false, want: ["addressConflict"] },
  ]) {
    const bench = new ConflictBench("node1", active, false);
    bench.announce({ ...later, conflictProbe: "off" });
    bench.sight(mac);
    bench.clock.advanceBy(2_000);
    if (!isGone) bench.sight(mac, "uses");
    const found = currentConflicts(bench.state).map((conflict) => conflictVerdict(bench.state, conflict).cause);
    assert.deepEqual(found, want);
    assert.equal(bench.recorded.length, want.length);
  }
});

test("an address that another host has is counted and told while a strict pool has it, as the remedy is to take it out", async () => {
  const bench = new ConflictBench("node1", ["node1"]);
  const registry = new Registry();
  registerConflicts(registry, new SpeakerView(bench.state));
  bench.setOccupants({ [x.toString()]: JSON.stringify({ mac, node: "node1" }) });
  const count = async (text: string) => {
    bench.setConfig(pools(text));
    return [/^ingot_layer2_occupied_addresses (\d+)$/m.exec(await registry.metrics())?.[1], bench.view.occupants.size];
  };
  const strict = "name: lan, protocol: layer2, conflict-probe: strict";
  assert.deepEqual(await count(`{${strict}, addresses: [192.0.2.0/28]}`), ["1", 1]);
  assert.deepEqual(await count(`{${strict}, addresses: [192.0.2.2-192.0.2.15]}`), ["0", 0]);
  assert.deepEqual(await count("{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}"), ["0", 0]);
});

test("as many conflicts of a flood are series as are reported, and /v1/conflicts has all", async () => {
  const bench = new ConflictBench("node1", ["node1"]);
  const registry = new Registry();
  registerConflicts(registry, new SpeakerView(bench.state));
  for (let i = 0; i < 250; i++) {
    const own = address(`198.51.100.${i}`);
    bench.run((effects) => announceAddress(bench.state, own, later, bench.clock.now(), effects));
    bench.sight(mac, "announces", own);
  }
  const series = (await registry.metrics()).split("\n").filter((line) => line.startsWith("ingot_layer2_conflict{"));
  assert.deepEqual([currentConflicts(bench.state).length, series.length], [250, 200]);
});

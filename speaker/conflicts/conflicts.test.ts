import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock";
import type { Service } from "#pkg/k8s";
import type { AddressSighting } from "#pkg/layer2";
import { silentLog } from "#pkg/log";
import { Registry } from "#pkg/metrics";
import { type Address, parseAddress } from "#pkg/net";
import { FakeLayer2 } from "../testing/fake-layer2.ts";
import { Conflicts } from "./conflicts.ts";
import { registerConflicts } from "./metrics.ts";

const x = parseAddress("192.0.2.1") as Address;
const mac = "02:00:00:00:00:42";
const ownMac = "02:00:00:00:00:01";

function bench() {
  const layer2 = new FakeLayer2();
  const clock = new SimulatedClock();
  const written: Readonly<Record<string, string | null>>[] = [];
  const reported: string[] = [];
  const conflicts = new Conflicts({
    namespace: "metallb-system",
    node: "node1",
    active: () => ["node1"],
    layer2,
    clock,
    random: () => 0.5,
    log: silentLog,
    cluster: { writeConfigMap: async (_namespace, _name, data) => void written.push(data) },
    interfaces: () => [],
    nodeOf: () => undefined,
    electionAddress: (address) => address,
    services: () => [{ name: "web" } as Service],
    record: ({ name }, _type, reason) => reported.push(`${name}: ${reason}`),
  });
  conflicts.defender.membersChanged();
  const sight = (kind: AddressSighting["kind"]) => conflicts.handleSighting({ address: x, mac, kind, interface: "eth0", ownMac });
  return { conflicts, layer2, clock, written, reported, sight };
}

test("an address that a host answers for is reported and quarantined, and announced when it leaves quarantine", async () => {
  const { conflicts, layer2, clock, written, reported, sight } = bench();
  conflicts.defender.announce(x, { interfaces: [], conflictProbe: "strict", isFirst: true });
  sight("uses");
  await setImmediate();
  assert.deepEqual(reported, ["web: addressOccupied"]);
  const [data] = written as Record<string, string>[];
  assert.ok(data);
  conflicts.quarantine.set(data);
  assert.deepEqual(
    conflicts.describe().occupied.map(({ address, mac }) => [address, mac]),
    [[x.toString(), mac]],
  );
  clock.advanceBy(5_000);
  assert.ok(!layer2.take().includes(`announce ${x}`));
  conflicts.quarantine.set({});
  clock.advanceBy(5_000);
  assert.ok(layer2.take().includes(`announce ${x}`));
});

test("another host that has an address of this node is reported, described and a series", async () => {
  const { conflicts, reported, sight } = bench();
  const registry = new Registry();
  registerConflicts(registry, conflicts);
  conflicts.defender.announce(x, { interfaces: [], conflictProbe: "off", isFirst: false });
  sight("announces");
  assert.deepEqual(reported, ["web: addressConflict"]);
  const { conflicts: found } = conflicts.describe();
  assert.deepEqual(found, [{ address: x.toString(), other: { mac }, ownMac, interface: "eth0", owner: "self" }]);
  const series = async () => (await registry.metrics()).split("\n").filter((line) => line.startsWith("ingot_"));
  const occupied = "ingot_layer2_occupied_addresses 0";
  assert.deepEqual(await series(), [`ingot_layer2_conflict{ip="${x}",mac="${mac}",node="",owner="self"} 1`, occupied]);
  conflicts.defender.withdraw(x);
  assert.deepEqual(await series(), [occupied]);
  assert.equal(reported.at(-1), "web: addressConflictEnded");
});

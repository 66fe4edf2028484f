import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock";
import { ApiError } from "#pkg/k8s";
import type { AddressSighting } from "#pkg/layer2";
import { silentLog } from "#pkg/log";
import { type Address, parseAddress } from "#pkg/net";
import { elect } from "#pkg/placement";
import { decodeQuarantine } from "#pkg/quarantine";
import { FakeLayer2 } from "../testing/fake-layer2.ts";
import { Quarantine } from "./quarantine.ts";

const x = parseAddress("192.0.2.1") as Address;
const nodes = ["node1", "node2"];
const inspector = elect(nodes, x) ?? "";
const other = nodes.find((node) => node !== inspector) ?? "";

class Bench {
  readonly layer2 = new FakeLayer2();
  readonly clock = new SimulatedClock();
  readonly writes: Readonly<Record<string, string | null>>[] = [];
  away = false;
  changes = 0;
  readonly quarantine: Quarantine;

  constructor(node: string, guarded = false) {
    this.quarantine = new Quarantine({
      namespace: "metallb-system",
      node,
      active: () => nodes,
      layer2: this.layer2,
      clock: this.clock,
      log: silentLog,
      cluster: {
        writeConfigMap: async (_namespace, _name, data) => {
          if (this.away) throw new ApiError("Cannot write", 0, "Unreachable");
          this.writes.push(data);
        },
      },
      interfaces: () => [],
      isDefended: () => guarded,
      changed: () => this.changes++,
      random: () => 0.5,
    });
    this.quarantine.start();
  }

  sight(kind: AddressSighting["kind"]): void {
    this.quarantine.handleSighting({ address: x, mac: "02:00:00:00:00:42", kind, interface: "eth0", ownMac: "" });
  }
}

const conflict = { address: x, mac: "02:00:00:00:00:42", interface: "eth0", ownMac: "", node: undefined, followed: false };

test("what is found is written for all, again and again until it succeeds", async () => {
  const bench = new Bench("node1");
  bench.away = true;
  bench.quarantine.add(conflict);
  await setImmediate();
  assert.deepEqual(bench.writes, []);
  bench.away = false;
  bench.clock.advanceBy(1000);
  await setImmediate();
  const [write = {}] = bench.writes as Record<string, string>[];
  const { mac, node, interface: name } = decodeQuarantine(write).get(x.toString()) ?? {};
  assert.deepEqual([mac, node, name], [conflict.mac, "node1", "eth0"]);
  assert.equal(bench.writes.length, 1);
});

test("an address counts as another host's as soon and as long as the ConfigMap says so", () => {
  const bench = new Bench("node1");
  bench.quarantine.set({ "192.0.2.1": "" });
  assert.deepEqual([bench.quarantine.has(x), bench.quarantine.describe().map(({ address }) => address)], [true, ["192.0.2.1"]]);
  bench.quarantine.set({});
  assert.deepEqual([bench.quarantine.has(x), bench.changes], [false, 2]);
});

test("each minute one speaker probes three times, and takes it out when nobody answers", async () => {
  const bench = new Bench(inspector);
  bench.quarantine.set({ "192.0.2.1": "" });
  bench.clock.advanceBy(59_000);
  assert.deepEqual(bench.layer2.take(), []);
  bench.clock.advanceBy(2_000);
  await setImmediate();
  assert.deepEqual(bench.layer2.take(), [`listen ${x}`, ...Array(3).fill(`probe all for ${x}`), `withdraw ${x}`]);
  assert.deepEqual(bench.writes, [{ "192.0.2.1": null }]);
});

test("it stays in while somebody answers, and one that only probes too does not count", async () => {
  const bench = new Bench(inspector, true);
  bench.quarantine.set({ "192.0.2.1": "" });
  for (let minute = 1; minute <= 3; minute++) {
    bench.clock.advanceTo(60_000 * minute);
    bench.sight("probes");
    assert.deepEqual(
      bench.layer2.take(),
      [`listen ${x}`, `probe all for ${x}`],
      "what something else listens for is not withdrawn",
    );
    bench.sight("uses");
    bench.clock.advanceBy(1000);
    assert.deepEqual(bench.layer2.take(), []);
  }
  await setImmediate();
  assert.deepEqual(bench.writes, []);
});

test("the node that saw the host probes, as long as it is there", () => {
  const [seer, elected] = [new Bench(other), new Bench(inspector)];
  for (const bench of [seer, elected]) {
    bench.quarantine.set({ "192.0.2.1": JSON.stringify({ node: other }) });
    bench.clock.advanceTo(60_000);
  }
  assert.deepEqual([seer.layer2.take().length, elected.layer2.take().length], [2, 0]);
});

test("another node does not probe, and the elected one stops when somebody took it out", async () => {
  const idle = new Bench(other);
  idle.quarantine.set({ "192.0.2.1": "" });
  idle.clock.advanceBy(600_000);
  assert.deepEqual(idle.layer2.take(), []);
  const bench = new Bench(inspector);
  bench.quarantine.set({ "192.0.2.1": "" });
  bench.clock.advanceTo(60_000);
  bench.quarantine.set({});
  bench.clock.advanceBy(10_000);
  await setImmediate();
  assert.deepEqual(bench.layer2.take(), [`listen ${x}`, `probe all for ${x}`, `withdraw ${x}`]);
  assert.deepEqual(bench.writes, []);
});

test("after its end nothing is probed", () => {
  const bench = new Bench(inspector);
  bench.quarantine.set({ "192.0.2.1": "" });
  bench.quarantine[Symbol.dispose]();
  bench.clock.advanceBy(600_000);
  assert.deepEqual(bench.layer2.take(), []);
});

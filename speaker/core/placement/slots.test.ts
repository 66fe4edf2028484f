import assert from "node:assert/strict";
import { test } from "node:test";
import { Bench, pools } from "../../testing/speaker-bench.ts";

const router = "{name: x, my-asn: 64512, peer-asn: 64513, peer-address: 10.0.0.254}";
const routed = "{name: routed, protocol: bgp, addresses: [192.0.2.0/28], next-hop-slots: 10.0.0.224/28}";

test("a node that is alone answers for all slots of a pool, whose routes have a path to each", () => {
  const bench = new Bench("node1");
  bench.membersChanged(["node1"]);
  bench.setConfig(pools(routed, router));
  bench.serve("default/web", ["192.0.2.1"]);
  bench.start();
  bench.settle();
  assert.equal(bench.onWire.length, 16);
  const [placement] = bench.state.placements.get("192.0.2.1") ?? [];
  const [route] = placement !== undefined && "routes" in placement ? (placement.routes as never[]) : [];
  const { via } = (route ?? assert.fail("no route")) as { via: { slots: ReadonlyMap<string, readonly { path: number }[]> } };
  assert.deepEqual(
    via.slots.get("IPv4")?.map(({ path }) => path),
    Array.from({ length: 16 }, (_, i) => i + 1),
  );
  bench.serve("default/web", ["192.0.2.1"], { externalTrafficPolicy: "Local" });
  bench.settle();
  assert.deepEqual(bench.state.placements.get("192.0.2.1")?.[0]?.verdicts.get("default/web"), {
    announced: false,
    reason: "localBySlots",
  });
  bench.setConfig(pools("{name: routed, protocol: bgp, addresses: [192.0.2.0/28]}", router));
  bench.settle();
  assert.deepEqual(bench.onWire, []);
});

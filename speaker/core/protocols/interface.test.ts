import assert from "node:assert/strict";
import { test } from "node:test";
import type { Item } from "#pkg/kernel";
import { excludeLabel } from "#pkg/placement";
import { Bench, pools, x } from "../../testing/speaker-bench.ts";
import { serviceView } from "../verdicts/address-verdict.ts";
import { poolVerdict } from "../verdicts/pool-verdict.ts";

const pool = (rest = "", protocol = "interface") =>
  pools(`{name: routed, protocol: ${protocol}, addresses: [192.0.2.0/24, '2001:db8::/120']${rest}}`);

/** With one Service, whose ready endpoint is on node1. */
function started(node = "node1", configuration = pool(), more = {}): Bench {
  const bench = new Bench(node);
  bench.setConfig(configuration);
  bench.serve("default/web", [x], more);
  bench.start();
  bench.settle();
  return bench;
}

function text(item: Item): string {
  if (item.type === "route") return `route ${item.prefix} ${item.interface} ${item.table} ${item.protocol}`;
  return `${item.address}/${item.prefixLength} ${item.interface} ${item.lifetimeSeconds} ${item.protocol}`;
}
const kernel = (bench: Bench) => [...bench.kernel.values()].flat().map(text);

test("every node has an address in its kernel while an endpoint is ready, wherever that is", () => {
  for (const node of ["node1", "node2"]) assert.deepEqual(kernel(started(node)), [`${x}/32 kube-lb0 Infinity 248`]);
  const bench = started("node2");
  bench.endpoints("default/web", { node1: false });
  bench.settle();
  assert.deepEqual(kernel(bench), []);
});

test("under Local nodes with a ready endpoint have it alone, as a host even where the pool aggregates", () => {
  const local = { externalTrafficPolicy: "Local" } as const;
  assert.deepEqual(kernel(started("node1", pool(", aggregation-length: 24"), local)), [`${x}/32 kube-lb0 Infinity 248`]);
  assert.deepEqual(kernel(started("node2", pool(), local)), []);
  assert.deepEqual(kernel(started("node1", pool(", aggregation-length: 24, dummy-interface: lb0, address-lifetime: 5m"))), [
    `${x}/24 lb0 300 248`,
  ]);
});

test("carrier route has a route in its table instead", () => {
  const configuration = pool(", carrier: route, route-table: 70000, route-protocol: 250, aggregation-length: 25");
  assert.deepEqual(kernel(started("node2", configuration)), ["route 192.0.2.0/25 kube-lb0 70000 250"]);
});

test("a node that is excluded, or not selected, has nothing; its labels are followed", () => {
  const bench = started("node1", pool(", node-selectors: [{match-labels: {disk: ssd}}]"));
  assert.deepEqual(kernel(bench), []);
  bench.setNode("node1", { disk: "ssd" });
  bench.settle();
  assert.equal(kernel(bench).length, 1);
  bench.setNode("node1", { disk: "ssd", [excludeLabel]: "" });
  bench.settle();
  assert.deepEqual(kernel(bench), []);
  const { verdict } = serviceView(bench.state, "default/web", new Map()) ?? assert.fail();
  assert.match(
    `${verdict.cause}: ${verdict.message}`,
    /^nodeExcluded: node1 has the label .*: it does not announce 192\.0\.2\.1$/,
  );
});

test("the kernel is not cleared of what is left before all Services are placed", () => {
  const bench = new Bench("node1");
  bench.setConfig(pool());
  for (let i = 0; i < 150; i++) bench.serve(`default/web${i}`, [`192.0.2.${i}`]);
  bench.start();
  bench.proceed();
  assert.equal(bench.isKernelComplete, false);
  bench.settle();
  assert.equal(bench.isKernelComplete, true);
  assert.equal(kernel(bench).length, 150);
});

test("a pool that is no longer of protocol interface, or gone, leaves nothing in the kernel", () => {
  for (const other of [pool("", "layer2"), pool("", "none"), pools("{name: o, protocol: layer2, addresses: [10.0.0.0/30]}")]) {
    const bench = started();
    bench.setConfig(other);
    bench.settle();
    assert.deepEqual(kernel(bench), []);
  }
});

test("a Service that is deleted leaves nothing in the kernel, also at once with its pool or after it", () => {
  for (const withPool of ["kept", "deleted before", "deleted at once"]) {
    const bench = started();
    if (withPool !== "kept") bench.setConfig(pools("{name: o, protocol: layer2, addresses: [10.0.0.0/30]}"));
    if (withPool === "deleted before") bench.settle();
    bench.setService("default/web", undefined);
    bench.settle();
    assert.deepEqual(kernel(bench), [], withPool);
  }
});

test("verdicts, metric and log say that the node has the address, or why it cannot", () => {
  const bench = started();
  const of = () => {
    const view = serviceView(bench.state, "default/web", new Map()) ?? assert.fail();
    const [one] = bench.state.config?.config.pools ?? [];
    const { state, cause } = poolVerdict(bench.state, one ?? assert.fail());
    return [`${view.verdict.state} ${view.verdict.cause}: ${view.verdict.message}`, `${state} ${cause}`];
  };
  assert.deepEqual(of(), [
    `Announced announced: node1 has ${x} of pool routed in its kernel (interface kube-lb0)`,
    "Ready available",
  ]);
  assert.deepEqual(bench.state.status.announcements.get("default/web"), [
    { protocol: "interface", pool: "routed", addresses: [x] },
  ]);
  const problems = new Map([[x, "interface eth0 has this address already"]]);
  bench.runner.dispatch({ type: "kernel", failure: undefined, problems });
  assert.deepEqual(of(), [
    `Pending notInKernel: node1 does not have ${x} of pool routed in its kernel: interface eth0 has this address already`,
    "Ready available",
  ]);
  bench.runner.dispatch({ type: "kernel", failure: "the process needs the capability NET_ADMIN", problems: new Map() });
  assert.match(of().join(), /^Pending notInKernel: .*NET_ADMIN,Pending noKernelAccess$/);
});

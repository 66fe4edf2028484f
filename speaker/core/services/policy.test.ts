import assert from "node:assert/strict";
import { test } from "node:test";
import { formatCommunity } from "#pkg/config";
import type { Service } from "#pkg/k8s";
import { isByBgp } from "#pkg/placement";
import { Bench, nodes, pools, x } from "../../testing/speaker-bench.ts";

const entry = (more: string) =>
  `{name: lan, protocol: bgp, addresses: [192.0.2.0/28], bgp-advertisements: [{${more}}, {med: 9, service-selectors: [{match-labels: {a: b}}]}]}`;
const peer = "{my-asn: 64500, peer-asn: 64501, peer-address: 10.0.0.1}";
const asking = (text: string, created: number, labels: Record<string, string> = {}): Partial<Service> => ({
  annotations: { c: text, "metallb.universe.tf/allow-shared-ip": "k" },
  created,
  labels,
});

function benchWith(more: string): Bench {
  const bench = new Bench(nodes[0] ?? "");
  bench.setConfig(pools(entry(more), peer));
  bench.start();
  return bench;
}

/** What routers are told of the address, and the verdict for each Service on it. */
function told(bench: Bench) {
  bench.settle();
  const placed = bench.state.placements.get(x)?.find(isByBgp);
  const routes = placed?.routes.map(({ via: { advertisement } }) =>
    [advertisement.communities.map(formatCommunity).join(" "), advertisement.med ?? ""].join("/"),
  );
  const verdicts = [...(placed?.verdicts.values() ?? [])].map((one) => (one.announced ? "announced" : one.reason));
  return [routes, verdicts];
}

test("of Services that share an address the oldest asks, and a change of it alone changes the route", () => {
  const bench = benchWith("communities-from: {annotation: c, allowed: ['1:1', '1:2']}");
  bench.serve("default/young", [x], asking("1:2", 2));
  assert.deepEqual(told(bench), [["1:2/"], ["announced"]]);
  bench.serve("default/old", [x], asking("1:1", 1));
  assert.deepEqual(told(bench), [["1:1/"], ["announced", "announced"]]);
  const route = bench.state.placements.get(x)?.find(isByBgp)?.routes[0]?.via;
  bench.serve("default/young", [x], asking("1:1,1:2", 2));
  assert.deepEqual(told(bench), [["1:1/"], ["announced", "announced"]]);
  assert.equal(bench.state.placements.get(x)?.find(isByBgp)?.routes[0]?.via, route, "so that nothing is sent");
  bench.serve("default/old", [x], asking("1:1", 1, { a: "b" }));
  assert.deepEqual(told(bench), [["/9"], ["announced", "announced"]]);
  bench.setService("default/old", undefined);
  assert.deepEqual(told(bench), [["1:1 1:2/"], ["announced"]]);
});

test("a namespace that gets a label, or loses it, has routes, or none, at once", () => {
  const bench = benchWith("namespace-selectors: [{match-labels: {tier: gold}}]");
  bench.serve("default/web", [x]);
  assert.deepEqual(told(bench), [[], ["notAdvertised"]]);
  bench.runner.dispatch({ type: "namespace", name: "default", labels: { tier: "gold" } });
  assert.deepEqual(told(bench), [["/"], ["announced"]]);
  bench.runner.dispatch({ type: "namespace", name: "other", labels: undefined });
  bench.runner.dispatch({ type: "namespace", name: "default", labels: undefined });
  assert.deepEqual(told(bench), [[], ["notAdvertised"]]);
});

test("peers that come and go change the routes of every variant, and equal ones stay the same objects", () => {
  const bench = benchWith("med-from: {annotation: c, min: 0, max: 99}");
  bench.serve("default/web", [x], asking("7", 1));
  assert.deepEqual(told(bench), [["/7"], ["announced"]]);
  const route = () => bench.state.placements.get(x)?.find(isByBgp)?.routes[0]?.via;
  const before = route();
  bench.setNode(nodes[0] ?? "", { rack: "a" });
  told(bench);
  assert.equal(route(), before);
});

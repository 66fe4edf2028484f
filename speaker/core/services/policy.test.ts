import assert from "node:assert/strict";
import { test } from "node:test";
import { formatCommunity } from "#pkg/config";
import type { Service } from "#pkg/k8s";
import { isByBgp } from "#pkg/placement";
import { amongOthers, Bench, eth0, loser, nodes, owner, pools, x } from "../../testing/speaker-bench.ts";
import { ownedPlacement } from "../state.ts";
import { serviceView } from "../verdicts/address-verdict.ts";
import { poolVerdict } from "../verdicts/pool-verdict.ts";
import { notGranted } from "./policy.ts";

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

/** The attributes that routers get with the address, and the verdict for each Service on it. */
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

test("a Service that shares its address is told that the oldest asks, also while that has no endpoint", () => {
  const bench = benchWith("communities-from: {annotation: c, allowed: ['1:1', '1:2']}");
  const missing = (key: string) => {
    bench.settle();
    const placement = bench.state.placements.get(x)?.find(isByBgp);
    return placement && notGranted(bench.state, key, placement);
  };
  bench.serve("default/old", [x], asking("1:1", 1), { [owner]: false });
  bench.serve("default/young", [x], asking("1:2", 2));
  assert.deepEqual(told(bench), [["1:1/"], ["noReadyEndpoint", "announced"]]);
  assert.match(missing("default/young") ?? "", /^the routes have what default\/old asks for/);
  assert.equal(missing("default/old"), undefined);
  bench.serve("default/young", [x], asking("", 2));
  assert.equal(missing("default/young"), undefined, "it asks for nothing");
  bench.serve("default/young", [x], asking("1:1,9:9", 2));
  assert.match(missing("default/young") ?? "", /^its annotation c asks for "9:9"/, "both ask for the same, but for that");
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

const byLabel = (...entries: string[]) =>
  `{name: lan, protocol: layer2, addresses: [192.0.2.0/28], layer2-advertisements: [${entries.join(", ")}]}`;
const isPublic = "service-selectors: [{match-labels: {exposure: public}}]";

/** Which node has the address on layer 2, and the verdict for each Service on it. */
function placed(bench: Bench) {
  bench.settle();
  const { owner: at, verdicts } = ownedPlacement(bench.state, x) ?? {};
  return [at ?? "nobody", ...[...(verdicts?.values() ?? [])].map((one) => (one.announced ? "announced" : one.reason))];
}

test("on layer 2 the labels of a Service choose nodes and interfaces, and withdraw it", () => {
  const bench = Bench.announcing(owner);
  bench.setInterfaces(eth0, { ...eth0, index: 9, name: "eth1" });
  bench.setNode(loser, { rack: "a" });
  bench.setConfig(
    pools(byLabel(`{interfaces: [eth1], ${isPublic}}`, "{node-selectors: [{match-labels: {rack: a}}], namespaces: [racked]}")),
  );
  assert.deepEqual(placed(bench), ["nobody", "notAdvertised"]);
  assert.deepEqual([...bench.wire], []);
  assert.match(bench.reported.at(-1) ?? "", /"serviceWithdrawn".*"reason":"notAdvertised"/);
  bench.serve("default/web", [x], { labels: { exposure: "public" } });
  assert.deepEqual(placed(bench), [owner, "announced"]);
  assert.deepEqual([...bench.wire], [[x, "eth1"]]);
  bench.setService("default/web", undefined);
  bench.serve("racked/web", [x], { labels: { exposure: "public" } });
  assert.deepEqual(placed(bench), [loser, "announced"], "of several entries the last one counts");
  const [seen] = serviceView(bench.state, "racked/web", new Map())?.addresses ?? [];
  assert.match(JSON.stringify(seen?.verdict), /the pool's node-selectors do not match it/);
  bench.setNode(loser, {});
  assert.deepEqual(placed(bench), ["nobody", "noNodeSelected"]);
  const { message, next } = serviceView(bench.state, "racked/web", new Map())?.verdict ?? assert.fail();
  assert.match(
    message,
    /: the node-selectors of the pool or its layer2-advertisements\[1\] match none that has a running speaker$/,
  );
  assert.match(next, /change the node-selectors of the pool or its layer2-advertisements\[1\] or the labels$/);
  const lan = poolVerdict(bench.state, bench.state.config?.config.pools[0] ?? assert.fail());
  assert.match(
    lan.message,
    /^no node in sight may announce pool lan by layer2-advertisements\[1\]: its node-selectors match none/,
  );
  assert.match(lan.next, /the node-selectors of the pool or its layer2-advertisements\[1\]/);
});

test("of Services that share an address on layer 2 the oldest decides where it is", () => {
  const bench = Bench.announcing(owner);
  const shared = { "metallb.universe.tf/allow-shared-ip": "k" };
  bench.setConfig(pools(byLabel(`{${isPublic}}`)));
  bench.serve("default/web", [x], { labels: { exposure: "public" }, annotations: shared, created: 2 });
  assert.deepEqual(placed(bench), [owner, "announced"]);
  bench.serve("default/old", [x], { annotations: shared, created: 1 });
  assert.deepEqual(placed(bench), ["nobody", "notAdvertised", "notAdvertised"]);
  bench.serve("default/old", [x], { labels: { exposure: "public" }, annotations: shared, created: 1 });
  bench.serve("default/web", [x], { annotations: shared, created: 2 });
  assert.deepEqual(placed(bench), [owner, "announced", "announced"]);
});

test("a sticky address that its labels withdraw is released, and a label brings it back", () => {
  const { bench } = amongOthers(
    owner,
    byLabel(`{${isPublic}}`).replace("protocol: layer2", "protocol: layer2, l2-placement: sticky"),
  );
  const owners = () => bench.gossip.owners(x);
  assert.deepEqual([placed(bench), owners()], [["nobody", "notAdvertised"], []]);
  bench.serve("default/web", [x], { labels: { exposure: "public" } });
  bench.settle();
  bench.clock.advanceBy(60_000);
  assert.deepEqual([placed(bench), owners()], [[owner, "announced"], [owner]]);
  bench.serve("default/web", [x]);
  assert.deepEqual([placed(bench), owners()], [["nobody", "notAdvertised"], []]);
});

test("a namespace that gets a label has its Services on layer 2, and withdraws them without it", () => {
  const bench = Bench.announcing(owner);
  bench.setConfig(pools(byLabel("{namespace-selectors: [{match-labels: {tier: gold}}]}")));
  assert.deepEqual(placed(bench), ["nobody", "notAdvertised"]);
  bench.runner.dispatch({ type: "namespace", name: "default", labels: { tier: "gold" } });
  assert.deepEqual(placed(bench), [owner, "announced"]);
  bench.runner.dispatch({ type: "namespace", name: "default", labels: undefined });
  assert.deepEqual(placed(bench), ["nobody", "notAdvertised"]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { excludeLabel } from "#pkg/placement";
import { Bench, loser, owner, pools, x } from "../../testing/speaker-bench.ts";
import { announcedHere } from "../placement/placements.ts";
import { type Sessions, serviceView } from "../verdicts/address-verdict.ts";
import { poolVerdict } from "../verdicts/pool-verdict.ts";

const router = "{name: x, my-asn: 64512, peer-asn: 64513, peer-address: 203.0.113.1}";
const peer = "203.0.113.1:179";
const pool = (protocol: string, rest = "") => `{name: lan, protocol: ${protocol}, addresses: [192.0.2.0/28]${rest}}`;
const both = (rest = "") => pools(pool("[layer2, bgp]", rest), router);

/** With one ready Service, under this configuration. */
function announcing(node: string, configuration = both()): Bench {
  const bench = Bench.announcing(node);
  bench.setConfig(configuration);
  bench.settle();
  return bench;
}

/** `PROTOCOL STATE CAUSE` of each of a Service's addresses, and of the whole. */
function verdicts(bench: Bench, sessions: Sessions = new Map()): string[] {
  const view = serviceView(bench.state, "default/web", sessions) ?? assert.fail();
  const each = view.addresses.map(({ placement, verdict }) => `${placement?.protocol} ${verdict.state} ${verdict.cause}`);
  return [...each, `${view.verdict.state} ${view.verdict.cause}`];
}

const established: Sessions = new Map([
  [peer, { established: true, since: 0, message: "", standing: () => undefined, notCarriedSince: () => undefined }],
]);

test("with both protocols the owner answers on layer 2, and every node has routes", () => {
  const [here, elsewhere] = [announcing(owner), announcing(loser)];
  assert.deepEqual([here.onWire, [...here.routes]], [[x], [[x, `${x}/32 ${peer}`]]]);
  assert.deepEqual([elsewhere.onWire, [...elsewhere.routes.keys()]], [[], [x]]);
  const announced = (bench: Bench) => [...announcedHere(bench.state)].map(({ protocol }) => protocol);
  assert.deepEqual([announced(here), announced(elsewhere)], [["layer2", "bgp"], ["bgp"]]);
  assert.deepEqual(
    here.state.status.announcements.get("default/web"),
    (["layer2", "bgp"] as const).map((protocol) => ({ protocol, pool: "lan", addresses: [x] })),
  );
  assert.deepEqual(verdicts(here, established), ["layer2 Announced announced", "bgp Announced announced", "Announced announced"]);
  assert.deepEqual(verdicts(elsewhere, established).slice(0, 2), ["layer2 Announced notOwner", "bgp Announced announced"]);
  assert.deepEqual(verdicts(here), ["layer2 Announced announced", "bgp Degraded noSession", "Degraded noSession"]);
});

test("what one protocol announces stays when the other is taken away, and comes back with it", () => {
  const bench = announcing(owner);
  bench.reported.length = 0;
  bench.setConfig(pools(pool("bgp"), router));
  bench.settle();
  assert.deepEqual([bench.onWire, [...bench.routes.keys()]], [[], [x]]);
  assert.deepEqual(bench.reported, [
    `withdrawing service announcement {"event":"serviceWithdrawn","service":"default/web","ips":["${x}"],"protocol":"layer2","reason":"poolProtocolChanged"}`,
  ]);
  bench.setConfig(both());
  bench.settle();
  assert.deepEqual([bench.onWire, [...bench.routes.keys()]], [[x], [x]]);
  assert.equal(bench.reported.at(-1), "nodeAssigned default/web");
  bench.setConfig(pools(pool("layer2")));
  bench.settle();
  assert.deepEqual([bench.onWire, [...bench.routes.keys()]], [[x], []]);
});

test("node-selectors of the pool are for layer 2, and those of an advertisement for BGP", () => {
  const selected = (rest: string) => {
    const bench = announcing(owner, both(rest));
    bench.setNode(owner, { disk: "ssd" });
    bench.settle();
    return [bench.onWire, [...bench.routes.keys()]];
  };
  const none = "node-selectors: [{match-labels: {disk: none}}]";
  assert.deepEqual(selected(`, ${none}`), [[], [x]]);
  assert.deepEqual(selected(`, bgp-advertisements: [{${none}}]`), [[x], []]);
});

test("that no node may announce it on layer 2 is said of layer 2 alone", () => {
  const bench = announcing(owner, both(", node-selectors: [{match-labels: {disk: none}}]"));
  assert.match(
    bench.reported.at(-1) ?? "",
    new RegExp(`^noNodeSelected default/web ${x} of pool lan is announced by no node on layer 2: `),
  );
  assert.deepEqual(verdicts(bench, established), [
    "layer2 Degraded noNodeSelected",
    "bgp Announced announced",
    "Degraded noNodeSelected",
  ]);
});

test("the verdict on a pool is the worst by any protocol, leaving out what is not this node's", () => {
  const of = (bench: Bench) => {
    const [pool] = bench.state.config?.config.pools ?? [];
    const { state, cause } = poolVerdict(bench.state, pool ?? assert.fail());
    return `${state} ${cause}`;
  };
  assert.equal(of(announcing(owner)), "Ready available");
  assert.equal(of(announcing(owner, pools(pool("[layer2, bgp]")))), "Ready available", "without a peer");
  assert.equal(of(announcing(owner, both(", node-selectors: [{match-labels: {disk: none}}]"))), "Pending noNodeSelected");
  assert.equal(of(announcing(owner, pools(pool("none")))), "NotOurs protocolNone");
});

test("addresses of a pool without protocol are announced by nobody, whatever becomes of nodes", () => {
  const bench = announcing(owner);
  bench.reported.length = 0;
  bench.setConfig(pools(pool("none"), router));
  bench.settle();
  assert.deepEqual([bench.onWire, [...bench.routes.keys()], [...bench.state.status.announcements]], [[], [], []]);
  assert.deepEqual(
    bench.reported.map((line) => /"protocol":"\w+","reason":"\w+"/.exec(line)?.[0]),
    ["layer2", "bgp"].map((protocol) => `"protocol":"${protocol}","reason":"protocolNone"`),
  );
  assert.deepEqual(verdicts(bench), ["undefined NotOurs protocolNone", "NotOurs protocolNone"]);
  bench.setNode(owner, { [excludeLabel]: "" });
  bench.membersChanged([]);
  bench.settle();
  assert.equal(bench.reported.length, 2, "no node is missed");
});

test("an address without its pool is announced by none of its protocols", () => {
  const bench = announcing(owner);
  bench.setConfig(pools("{name: other, protocol: [layer2, bgp], addresses: [198.51.100.0/28]}", router));
  bench.settle();
  assert.deepEqual([bench.onWire, [...bench.routes.keys()]], [[], []]);
  assert.deepEqual(verdicts(bench), ["undefined Pending ipNotAllowed", "Pending ipNotAllowed"]);
});

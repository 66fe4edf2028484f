import assert from "node:assert/strict";
import { test } from "node:test";
import { address } from "#pkg/net/testing";
import type { DefaultGateway } from "#pkg/placement";
import { Bench, pools } from "../../testing/speaker-bench.ts";

const pool = "{name: routed, protocol: bgp, addresses: [192.0.2.0/28]}";
const a = { address: address("10.0.0.1"), interface: "eth0", metric: 100 };
const b = { address: address("10.0.0.2"), interface: "eth0", metric: 100 };
const c = { address: address("10.0.1.1"), interface: "eth1", metric: 200 };

/** A speaker whose peers are the gateways of its node. */
class GatewayBench extends Bench {
  constructor(fields = "") {
    super("node1");
    this.setNode("node1", {});
    this.setConfig(pools(pool, `{my-asn: 64512, peer-asn: 64513, peer-address: gateway${fields}}`));
    this.start();
    this.settle();
  }

  /** A second later the kernel has default routes by these, and no others. @returns the routers that are peers then */
  route(...gateways: readonly DefaultGateway[]): readonly string[] {
    this.clock.advanceBy(1_000);
    this.runner.dispatch({ type: "gateways", gateways: { IPv4: gateways, IPv6: [] } });
    return this.peers;
  }

  after(ms: number): readonly string[] {
    this.clock.advanceBy(ms);
    return this.peers;
  }

  get peers(): readonly string[] {
    return this.state.bgp.peers.map(({ key }) => key.replace(":179", ""));
  }
}

test("a gateway stays the peer while the default route is away for up to 10 s, as a DHCP client takes it away and sets it again", () => {
  const bench = new GatewayBench();
  assert.deepEqual(bench.route(a), ["10.0.0.1"]);
  assert.deepEqual(bench.route(), ["10.0.0.1"]);
  assert.deepEqual(bench.after(9_000), ["10.0.0.1"]);
  assert.deepEqual(bench.route(a), ["10.0.0.1"]);
  assert.deepEqual(bench.after(20_000), ["10.0.0.1"], "the route is back");
  bench.route();
  assert.deepEqual(bench.after(9_000), ["10.0.0.1"], "and may go once more");
  assert.deepEqual(bench.after(1_000), ["gateway"], "for good");
});

test("another gateway takes the place of one that is gone at once", () => {
  const bench = new GatewayBench();
  bench.route(a);
  assert.deepEqual(bench.route(b), ["10.0.0.2"]);
  assert.deepEqual(bench.route(), ["10.0.0.2"], "the one that went last counts, alone");
  assert.deepEqual(bench.route(a, b), ["10.0.0.1", "10.0.0.2"]);
  assert.deepEqual(bench.route(b), ["10.0.0.2"], "one of two next hops is left");
  assert.deepEqual(bench.route(c), ["10.0.1.1"], "another interface's, of a higher metric");
});

test("several gateways that go together keep their order", () => {
  const bench = new GatewayBench();
  assert.deepEqual(bench.route(a, c), ["10.0.0.1"]);
  assert.deepEqual(bench.route(), ["10.0.0.1"]);
  assert.deepEqual(bench.route(c), ["10.0.1.1"]);
});

test("a gateway by an interface that is not meant takes nobody's place", () => {
  const bench = new GatewayBench(", interface: eth0");
  bench.route(a, c);
  assert.deepEqual(bench.route(c), ["10.0.0.1"]);
  assert.deepEqual(bench.after(10_000), ["gateway on eth0"]);
});

test("one router may be the gateway of both families, and of one of them later", () => {
  const bench = new GatewayBench();
  const router = { address: address("fe80::1"), interface: "eth0", metric: 100 };
  const told = (...of: ("IPv4" | "IPv6")[]) => {
    const by = (family: "IPv4" | "IPv6") => (of.includes(family) ? [router] : []);
    bench.clock.advanceBy(11_000);
    bench.runner.dispatch({ type: "gateways", gateways: { IPv4: by("IPv4"), IPv6: by("IPv6") } });
    bench.clock.advanceBy(11_000);
    return bench.state.bgp.peers.map(({ key, peer }) => `${key} ${peer.families}`);
  };
  assert.deepEqual(told("IPv4", "IPv6"), ["[fe80::1%eth0]:179 IPv4,IPv6"]);
  assert.deepEqual(told("IPv4"), ["[fe80::1%eth0]:179 IPv4"]);
  assert.deepEqual(told("IPv6"), ["[fe80::1%eth0]:179 IPv6"]);
  assert.deepEqual(told("IPv4", "IPv6"), ["[fe80::1%eth0]:179 IPv4,IPv6"]);
});

test("a router that an annotation of the node names as its gateway follows the default route", () => {
  const bench = new Bench("node1");
  const peer = "{my-asn: 64512, peer-asn: 64513, from-node: {peer-address: {annotation: example.com/tor}}}";
  const routers = () => bench.state.bgp.peers.map(({ key }) => key);
  const facts = { labels: {}, annotations: { "example.com/tor": "gateway" }, unschedulable: false, deleting: false };
  bench.setConfig(pools(pool, peer));
  bench.runner.dispatch({ type: "node", name: "node1", node: { ...facts, taints: [], flannelAddresses: [], internalIPs: [] } });
  bench.start();
  bench.settle();
  assert.ok(bench.followsGateways);
  assert.deepEqual(routers(), ["gateway:179"]);
  for (const gateway of [a, b]) {
    bench.runner.dispatch({ type: "gateways", gateways: { IPv4: [gateway], IPv6: [] } });
    assert.deepEqual(routers(), [`${gateway.address}:179`]);
  }
});

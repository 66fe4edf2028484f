import assert from "node:assert/strict";
import { test } from "node:test";
import { PoolIndex, parseConfig } from "#pkg/config";
import type { Delivery } from "#pkg/gossip";
import { endpointSlice, service } from "#pkg/k8s/testing";
import { type Prefix, parsePrefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import type { AddressPlacement } from "#pkg/placement";
import type { NodeEndpoints } from "#pkg/service";
import { excludeLabel } from "../../../pkg/placement/eligibility.ts";
import { createState, type SpeakerState } from "../state.ts";
import { probePlan, roundTest } from "./probes.ts";
import { wireVerdict } from "./self-tests.ts";
import { setService, setSlice } from "./services.ts";

const nodes = ["node1", "node2", "node3", "node4"];
const owned = address("192.0.2.1");
const routed = address("198.51.100.1");
const lan: ReadonlyMap<string, readonly Prefix[]> = new Map([["eth0", [parsePrefix("192.0.2.0/24") as Prefix]]]);
const far: ReadonlyMap<string, readonly Prefix[]> = new Map([["eth0", [parsePrefix("203.0.113.0/24") as Prefix]]]);

/** Three nodes on a link, a fourth elsewhere; node1 owns an address, and each of `carrying` has routes to another one. */
function stateOf(node: string, carrying: readonly string[] = nodes): SpeakerState {
  const state = createState({ node, ignoreExcludeLabel: false, hasRing: true });
  const { config } = parseConfig(
    "address-pools: [{name: lan, protocol: layer2, addresses: [192.0.2.0/24]}, {name: far, protocol: bgp, addresses: [198.51.100.0/24]}]",
  );
  assert.ok(config);
  state.config = { config, pools: new PoolIndex(config.pools) };
  state.members.active = nodes;
  const delivery = (one: string): Delivery => (carrying.includes(one) ? "carried" : "noSession");
  Object.assign(state.members.gossip as object, {
    reachability: (one: string) => ({ answers: true, hasKernelAccess: true, interfaces: one === "node4" ? far : lan }),
    deliveries: (one: string) => ({ IPv4: delivery(one), IPv6: "noPeer" }),
  });
  state.bgp.deliveries = new Map([["far", { IPv4: delivery(node), IPv6: "noPeer" }]]);
  const ports = [
    { name: "dns", protocol: "UDP", port: 53 },
    { name: "http", protocol: "TCP", port: 80 },
  ];
  setService(state.services, "default/web", service("default/web", { ingress: ["192.0.2.1", "198.51.100.1"], ports }));
  const slice = endpointSlice("default/web", { node2: true, node3: false });
  setSlice(state.services, slice.key, slice, undefined);
  const verdicts = new Map([["default/web", { announced: true } as const]]);
  const common = { candidates: ["node1"], contenders: ["node1"], verdicts };
  const onLan: AddressPlacement = {
    ...common,
    address: owned,
    electionAddress: owned,
    isOwned: true,
    owner: "node1",
    pool: "lan",
    protocol: "layer2",
  };
  const byBgp = { ...common, address: routed, electionAddress: routed, isOwned: false, pool: "far", protocol: "bgp", routes: [] };
  state.placements.set("192.0.2.1", [onLan]);
  state.placements.set("198.51.100.1", [byBgp as unknown as AddressPlacement]);
  return state;
}

const owners = (state: SpeakerState, of = routed) => probePlan(state, of).tests.map(({ owner }) => owner);

test("an address with an owner is tried by all others, and looked at by the owner", () => {
  for (const node of nodes.slice(1)) assert.deepEqual(owners(stateOf(node), owned), ["node1"], node);
  assert.deepEqual(probePlan(stateOf("node1"), owned), {
    tests: [],
    own: { key: "default/web", port: 80, portName: "http" },
    isHere: true,
    nextHops: [],
    why: "",
  });
});

test("what comes by way of each node with routes is tried by the next one on its link, once", () => {
  assert.deepEqual(
    nodes.map((node) => owners(stateOf(node))),
    [["node3"], ["node1"], ["node2"], []],
  );
  assert.deepEqual(probePlan(stateOf("node2"), routed).tests, [{ address: routed, owner: "node1", port: 80, isRouted: true }]);
  assert.ok(probePlan(stateOf("node4"), routed).isHere, "nobody is on its link, and it looks at itself all the same");
  const two = (node: string) => owners(stateOf(node, ["node1", "node3"]));
  assert.deepEqual(nodes.map(two), [["node3"], ["node1"], [], []]);
  assert.equal(probePlan(stateOf("node4", ["node1"]), routed).why, "other nodes try it");
  assert.equal(probePlan(stateOf("node1", []), routed).why, "no node announces it");
});

test("what central speakers announce is tried by way of the nodes that they lead to", () => {
  const led = (node: string, ...drained: readonly string[]) => {
    const state = stateOf(node, ["central/node1"]);
    state.members.central = ["central/node1"];
    for (const one of drained) state.nodes.labels.set(one, { [excludeLabel]: "" });
    return owners(state);
  };
  assert.deepEqual(
    nodes.map((node) => led(node)),
    [["node3"], ["node1"], ["node2"], []],
  );
  assert.deepEqual(
    nodes.map((node) => led(node, "node1")),
    [["node3"], [], ["node2"], []],
  );
});

test("a central speaker tries nothing, and names the nodes that it leads to", () => {
  const state = stateOf("central/node1", ["central/node1"]);
  const slots = new Map([["IPv4", [{ path: 1, nextHop: address("10.0.0.2"), isOwn: false }]]]);
  const paths = new Map([["IPv4", { path: 1, nextHop: address("10.0.0.2"), isOwn: false }]]);
  state.served = { ...state.served, nodes: new Map([["node2", { name: "node2", labels: {}, paths }]]) as never };
  const plan = (routes: readonly object[]) => {
    const [placement] = state.placements.get("198.51.100.1") ?? assert.fail();
    state.placements.set("198.51.100.1", [{ ...placement, routes } as unknown as AddressPlacement]);
    const { tests, isHere, nextHops, why } = probePlan(state, routed);
    return [tests.length, isHere, nextHops.map((hop) => `${hop.address} ${hop.node}`), why];
  };
  assert.deepEqual(plan([{ via: { advertisement: {}, slots } }]), [0, true, ["10.0.0.2 node2"], ""]);
  const fixed = { nextHop: address("10.0.0.9"), nextHopV6: undefined };
  assert.deepEqual(plan([{ via: { advertisement: fixed, slots: new Map() } }]), [0, true, ["10.0.0.9 undefined"], ""]);
  assert.deepEqual(plan([]), [0, false, [], "it does not announce it"]);
});

test("with policy Local only nodes with an endpoint in use are tried", () => {
  const local = (node: string, endpoints?: readonly NodeEndpoints[]) => {
    const state = stateOf(node);
    const slice = endpointSlice("default/web", {});
    if (endpoints !== undefined) setSlice(state.services, slice.key, { ...slice, endpoints }, slice);
    const { service: web } = state.services.rows.get("default/web") ?? assert.fail();
    setService(state.services, "default/web", { ...web, externalTrafficPolicy: "Local" });
    return owners(state);
  };
  assert.deepEqual(
    nodes.map((node) => local(node)),
    [[], [], ["node2"], []],
  );
  const ends = { nodeName: "node1", ready: 0, draining: 1 };
  assert.deepEqual(
    nodes.map((node) => local(node, [ends])),
    [[], ["node1"], [], []],
    "the last Pod, which ends, has its packets still",
  );
});

test("of a round each address is tried once, whoever announces it", () => {
  for (const one of [owned, routed]) {
    const tests = nodes.flatMap((node) => {
      const state = stateOf(node, ["node1", "node2", "node3"]);
      return (state.placements.get(one.toString()) ?? []).flatMap((placement) => roundTest(state, placement) ?? []);
    });
    assert.equal(tests.length, 1, `${one}`);
  }
});

test("a routed address is at fault only where its port is silent", () => {
  const state = stateOf("node2");
  const tested = { address: routed, owner: "node1", port: 80, interface: "eth0", isRouted: true } as const;
  for (const connection of ["accepts", "refuses", undefined] as const)
    assert.equal(wireVerdict(state, { ...tested, answer: { macs: ["02:00:00:00:00:09"], connection } }), undefined);
  const { cause, message } = wireVerdict(state, { ...tested, answer: { macs: [], connection: "silent" } }) ?? assert.fail();
  assert.equal(cause, "notConnected");
  assert.match(message, /^what comes for 198\.51\.100\.1 by way of node1 gets no answer: TCP port 80 /);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { slow } from "#pkg/clock/testing";
import { answeredBits, pathSigns, seenWithoutBit, seenWithoutBits } from "#pkg/gossip";
import { service } from "#pkg/k8s/testing";
import { families, parseAddress } from "#pkg/net";
import { drainLabel } from "#pkg/placement";
import { amongOthers, loser, nodes, owner, x } from "../../testing/speaker-bench.ts";
import type { ConnectionResult, PathFault } from "./data-path-state.ts";

const lan = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}";
const routed = "{name: lan, protocol: bgp, addresses: [192.0.2.0/28]}";
const peer = "{peer-address: 10.0.0.1, peer-asn: 65002, my-asn: 65001}";
const noFacts = {
  missing: [],
  failed: undefined,
  findings: [],
  bfdWarnings: [],
  lossy: [],
  pathProblems: [],
  refusedWrites: [],
  viewAge: 0,
};
const everywhere = Object.fromEntries(nodes.map((node) => [node, true]));

type Among = ReturnType<typeof amongOthers>;

function look({ bench }: Among, ...faults: PathFault[]): void {
  bench.runner.dispatch({ type: "dataPath", faults: { IPv4: faults, IPv6: faults }, hasPods: true });
  bench.settle();
}

/** Only IPv6 has these signs. */
function lookAtIpv6({ bench }: Among, ...faults: PathFault[]): void {
  bench.runner.dispatch({ type: "dataPath", faults: { IPv4: [], IPv6: faults }, hasPods: true });
  bench.settle();
}

function pass({ bench }: Among, ms: number): void {
  bench.clock.advanceBy(ms);
  bench.settle();
}

function broken(node: string, text = lan, peers = ""): Among {
  const one = amongOthers(node, text, peers);
  one.bench.settle();
  look(one);
  look(one, "conntrackFull");
  pass(one, 1_200);
  return one;
}

test("remedies name the NIC whose settings are in the way, and ask for nothing once all is well", () => {
  const one = amongOthers(owner, lan);
  one.bench.settle();
  look(one);
  const nextOf = () => one.bench.view.nodeVerdicts(noFacts)[0]?.next ?? "";
  const lookAtNic = (...IPv4: PathFault[]) => {
    const nics = IPv4.length > 0 ? { IPv4: "eth0.7" } : {};
    one.bench.runner.dispatch({ type: "dataPath", faults: { IPv4, IPv6: [] }, nics, hasPods: true });
    pass(one, 1_200);
  };
  lookAtNic("forwardingOff");
  assert.equal(nextOf(), "sysctl -w net.ipv4.conf.eth0/7.forwarding=1");
  lookAtNic();
  assert.equal(nextOf(), "wait");
});

const ownerOf = ({ bench }: Among) => bench.state.placements.get(x)?.[0]?.owner;

const messageOf = ({ bench }: Among) => bench.view.nodeVerdicts(noFacts)[0]?.message ?? "";
const routesOf = ({ bench }: Among) => [...bench.routes.values()].toSorted();

/** Tries what the speaker wants to try, once a second. @returns the Services in turn */
function tryAll(one: Among, count: number, result: (key: string | undefined) => ConnectionResult): (string | undefined)[] {
  const tried: (string | undefined)[] = [];
  for (let i = 0; i < count; i++) {
    const next = one.bench.view.nextConnectionTest(one.bench.clock.now());
    for (const test of next?.beside ?? [])
      if (typeof test.to === "object") one.bench.runner.dispatch({ type: "connected", test, result: result(test.to.key) });
    if (next !== undefined) {
      const key = typeof next.to === "object" ? next.to.key : undefined;
      if (next.to !== undefined) tried.push(key);
      const test = next.to === "api" ? ({ ...next, family: "IPv4" } as const) : next;
      one.bench.runner.dispatch({ type: "connected", test, result: next.to === undefined ? "untried" : result(key) });
    }
    pass(one, 1_000);
  }
  return tried;
}

function serving(namespaces: readonly string[], node = owner): Among {
  const one = amongOthers(node, lan);
  one.bench.setService("default/web", undefined);
  for (const [index, namespace] of namespaces.entries())
    one.bench.serve(`${namespace}/s${index}`, [`192.0.2.${index + 1}`], {
      clusterIPs: [`10.96.0.${index + 1}`],
      ports: [{ name: "", protocol: "TCP", port: 80 }],
    });
  one.bench.settle();
  look(one);
  return one;
}

test("an owner that cannot deliver leaves its address to another node within 1.2 s of the first sign, and a sign that goes again moves nothing", () => {
  const one = amongOthers(owner, lan);
  look(one);
  look(one, "forwardingOff");
  pass(one, 1_199);
  assert.deepEqual(one.bench.onWire, [x]);
  look(one);
  pass(one, 60_000);
  assert.deepEqual(one.bench.onWire, [x], "the sign has gone");
  look(one, "forwardingOff");
  pass(one, 1_200);
  assert.deepEqual(one.bench.onWire, []);
  assert.match(one.bench.reported.join(), /cannot deliver.*"faults":\["forwardingOff"\]/);
});

const six = "2001:db8::1";
const dualLan = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28, '2001:db8::/124']}";
const dualPeer = `${peer}, {peer-address: "2001:db8:1::1", peer-asn: 65002, my-asn: 65001}`;

/** At the owner of both addresses of a Service. */
function dual(text: string, peers = ""): Among {
  const one = amongOthers(owner, text, peers);
  one.bench.serve("default/web", [x, six]);
  one.bench.settle();
  look(one);
  return one;
}

test("a node that delivers one family alone leaves the addresses of the other to nodes that deliver it, and says which", () => {
  const one = dual(dualLan);
  assert.deepEqual(one.bench.onWire.toSorted(), [x, six]);
  lookAtIpv6(one, "noPodRoute");
  pass(one, 1_200);
  assert.deepEqual(one.bench.onWire, [x]);
  assert.match(
    one.bench.view.nodeVerdicts(noFacts)[0]?.message ?? "",
    /cannot deliver IPv6 packets to Pods: its kernel has no route/,
  );
  look(one, "noPodRoute");
  pass(one, 1_200);
  assert.deepEqual(one.bench.onWire, []);
  lookAtIpv6(one, "noPodRoute");
  pass(one, 30_000);
  assert.deepEqual(one.bench.onWire, [x], "IPv4 is well again");
});

test("an owner whose NIC has no IPv6 leaves its IPv6 addresses, also where it starts so and no other node has said that it works", () => {
  for (const looks of [[[], ["ipv6Off"]], [["ipv6Off"]]] satisfies PathFault[][][]) {
    const one = amongOthers(owner, dualLan);
    one.bench.serve("default/web", [x, six]);
    for (const faults of looks) lookAtIpv6(one, ...faults);
    pass(one, 1_200);
    assert.deepEqual(one.bench.onWire, [x], looks.join(" then "));
    assert.match(messageOf(one), /cannot deliver IPv6 packets to Pods: IPv6 is off on its NIC/);
  }
});

test("where no node delivers IPv6 all go on with it, and with IPv4 those that deliver it", () => {
  const one = dual(dualLan);
  for (const { state } of one.others) state.setUndelivered(["IPv6"]);
  one.hear();
  look(one, "conntrackFull");
  pass(one, 1_200);
  assert.deepEqual(one.bench.onWire, [six]);
});

test("routers are told to prefer other nodes for the routes of the family that is not delivered, which go", () => {
  const routedBoth = dualLan.replace("layer2", "bgp");
  const one = dual(routedBoth, dualPeer);
  one.others[0]?.state.setDeliveries(new Map([["lan", { IPv4: "carried", IPv6: "carried" } as const]]));
  one.hear();
  lookAtIpv6(one, "noPodRoute");
  pass(one, 1_200);
  const [sent, marked] = ["10.0.0.1:179,[2001:db8:1::1]:179", "as the last resort"];
  assert.deepEqual(routesOf(one), [`${x}/32 ${sent}`, `${six}/128 ${sent} ${marked}`]);
  pass(one, 2_000);
  assert.deepEqual(routesOf(one), [`${x}/32 ${sent}`]);
  lookAtIpv6(one);
  pass(one, 30_000);
  assert.deepEqual(routesOf(one), [`${x}/32 ${sent}`, `${six}/128 ${sent}`]);
});

test("routes of pools that are announced while the node is alive are neither marked nor withdrawn, whatever other pools ask for", () => {
  const alive = "{name: kept, protocol: bgp, announce-when: alive, addresses: [198.51.100.0/28]}";
  const kept = "198.51.100.1";
  const one = amongOthers(owner, `${routed}, ${alive}`, peer);
  one.bench.serve("default/kept", [kept], {}, everywhere);
  const carried = { IPv4: "carried", IPv6: "noPeer" } as const;
  one.others[0]?.state.setDeliveries(new Map(["lan", "kept"].map((pool) => [pool, carried])));
  one.hear();
  one.bench.settle();
  const keptRoute = one.bench.routes.get(kept);
  assert.ok(keptRoute !== undefined);
  look(one);
  look(one, "noPodRoute");
  pass(one, 1_200);
  assert.match(one.bench.routes.get(x) ?? "", /as the last resort$/);
  assert.deepEqual([one.bench.routes.get(kept), one.bench.isLeaving], [keptRoute, false]);
  pass(one, 2_000);
  assert.deepEqual([...one.bench.routes], [[kept, keptRoute]]);
});

test("a node that cannot deliver has routed addresses in its kernel again once the last node that delivers is gone", () => {
  const one = broken(owner, "{name: lan, protocol: interface, addresses: [192.0.2.0/28]}");
  const inKernel = () => [...one.bench.kernel.keys()];
  assert.deepEqual(inKernel(), []);
  one.bench.membersChanged([owner]);
  one.bench.settle();
  assert.deepEqual(inKernel(), [x]);
  one.bench.membersChanged(nodes);
  one.bench.settle();
  assert.deepEqual(inKernel(), []);
});

test("routes that no other node carries go once the one that does is drained no more", () => {
  const one = amongOthers(owner, routed, peer);
  const [other] = one.others;
  assert.ok(other !== undefined);
  other.state.setDeliveries(new Map([["lan", { IPv4: "carried", IPv6: "noPeer" } as const]]));
  one.hear();
  one.bench.setNode(other.name, { [drainLabel]: "" });
  look(one);
  look(one, "noPodRoute");
  pass(one, 5_000);
  assert.equal(one.bench.routes.size, 1);
  one.bench.setNode(other.name, {});
  one.bench.settle();
  assert.equal(one.bench.routes.size, 0);
  one.bench.setNode(other.name, { [drainLabel]: "" });
  one.bench.settle();
  assert.equal(one.bench.routes.size, 1);
});

test("a drained node keeps its routes where the others that carry them cannot deliver", () => {
  const one = amongOthers(owner, routed, peer);
  for (const { state } of one.others) {
    state.setDeliveries(new Map([["lan", { IPv4: "carried", IPv6: "noPeer" } as const]]));
    state.setUndelivered(["IPv4"]);
  }
  one.hear();
  look(one);
  one.bench.setNode(owner, { [drainLabel]: "" });
  pass(one, 5_000);
  assert.deepEqual([one.bench.routes.size, one.bench.isLeaving], [1, true]);
  one.others[0]?.state.setUndelivered([]);
  one.hear();
  one.bench.settle();
  assert.equal(one.bench.routes.size, 0);
});

test("a node that is drained while it cannot deliver marks all its routes, and leaves none behind", () => {
  const one = amongOthers(owner, routed, peer);
  one.others[0]?.state.setDeliveries(new Map([["lan", { IPv4: "carried", IPv6: "noPeer" } as const]]));
  one.hear();
  look(one);
  look(one, "noPodRoute");
  pass(one, 1_200);
  one.bench.setNode(owner, { [drainLabel]: "" });
  one.bench.settle();
  assert.equal(one.bench.isLeaving, true);
  pass(one, 2_000);
  assert.deepEqual([...one.bench.routes], []);
  look(one);
  pass(one, 30_000);
  assert.deepEqual([[...one.bench.routes], one.bench.isLeaving], [[], true], "it delivers, and is drained");
});

test("the successor takes the address over when it hears of it, and gives it back when the owner delivers again", () => {
  const successor = nodes.find((node) => node !== owner && ownerOf(broken(owner)) === node) ?? "";
  const one = amongOthers(successor, lan);
  const other = one.others.find(({ name }) => name === owner);
  for (const [isBroken, wire] of [
    [true, [x]],
    [false, []],
  ] as const) {
    other?.state.setUndelivered(isBroken ? families : []);
    one.hear();
    one.bench.settle();
    assert.deepEqual(one.bench.onWire, wire);
  }
  const address = parseAddress(x);
  assert.deepEqual(one.bench.measured, [{ type: "tookOver", address, from: owner, cause: "cannotDeliver" }]);
});

test("a sign that a node has had since its speaker started is none, until it was seen without it", () => {
  const one = amongOthers(owner, lan);
  look(one, "forwardingOff", "proxySilent");
  pass(one, 100_000);
  assert.deepEqual(one.bench.onWire, [x]);
  look(one, "proxySilent");
  look(one, "forwardingOff", "proxySilent");
  pass(one, 100_000);
  assert.deepEqual(one.bench.view.pathFaults("IPv4"), ["forwardingOff"]);
});

/** A speaker starts with these signs. @param without how many of its two neighbors were once seen without them */
function startingWith(faults: readonly PathFault[], without: number, hasPods = true, text = lan): Among {
  return amongOthers(owner, text, text === lan ? "" : peer, (bench, { others, hear }) => {
    bench.runner.dispatch({ type: "dataPath", faults: { IPv4: faults, IPv6: faults }, hasPods });
    for (const { state } of others.slice(0, without)) state.setSeenWithout(seenWithoutBits({ IPv4: pathSigns, IPv6: [] }));
    hear();
  });
}

test("a speaker that starts with a sign that most other nodes were seen without announces nothing, and has its addresses 30 s after the sign went", () => {
  for (const sign of ["forwardingOff", "noPodRoute"] as const) {
    for (const [without, wire] of [
      [2, []],
      [1, [x]],
      [0, [x]],
    ] as const)
      assert.deepEqual(startingWith([sign], without).bench.onWire, wire, `${sign}: ${without} of 2 others`);
    const one = startingWith([sign], 2);
    assert.doesNotMatch(one.bench.lines.join(), /announce/, "not for a moment");
    look(one);
    pass(one, 30_000);
    assert.deepEqual(one.bench.onWire, [x]);
  }
});

test("a node without Pods needs no route to them, and one that all others are like works in another way", () => {
  const one = startingWith(["noPodRoute"], 2, false);
  assert.deepEqual(one.bench.onWire, [x]);
  look(one, "noPodRoute");
  assert.deepEqual(one.bench.onWire, [], "there are Pods now");
  const two = startingWith(["noPodRoute"], 0);
  pass(two, 100_000);
  assert.deepEqual(two.bench.onWire, [x]);
  for (const { state } of two.others) state.setSeenWithout(seenWithoutBits({ IPv4: ["noPodRoute"], IPv6: [] }));
  two.hear();
  two.bench.settle();
  assert.deepEqual(two.bench.onWire, [], "the others got theirs");
  const three = startingWith([], 2);
  three.bench.runner.dispatch({ type: "dataPath", faults: { IPv4: ["noPodRoute"], IPv6: [] }, hasPods: false });
  pass(three, 2_000);
  assert.deepEqual(three.bench.onWire, [x], "its last Pod has gone");
  look(three, "noPodRoute");
  pass(three, 2_000);
  assert.deepEqual(three.bench.onWire, []);
});

test("a speaker that starts with a sign has no routes where another node carries them, and marks none", () => {
  for (const [without, count] of [
    [2, 0],
    [0, 1],
  ] as const) {
    const one = startingWith(["noPodRoute"], without, true, routed);
    one.others[0]?.state.setDeliveries(new Map([["lan", { IPv4: "carried", IPv6: "noPeer" } as const]]));
    one.hear();
    one.bench.settle();
    assert.equal(one.bench.routes.size, count);
    assert.doesNotMatch(routesOf(one).join(), /last resort/);
  }
});

test("a kube-proxy that is silent from the start counts after a minute, where it is healthy on other nodes", () => {
  const one = startingWith(["proxySilent"], 2);
  pass(one, 58_000);
  assert.deepEqual(one.bench.onWire, [x]);
  pass(one, 2_000);
  assert.deepEqual(one.bench.onWire, []);
});

test("a sign that a node works without is told to the others, by a speaker that started with it once it was without", () => {
  const one = startingWith(["forwardingOff"], 0);
  const told = () => pathSigns.filter((sign) => (one.bench.gossip.seenWithout(owner) & seenWithoutBit("IPv4", sign)) !== 0);
  assert.deepEqual(told(), ["noPodRoute", "proxySilent"], "no Service has answered");
  const sent: string[] = [];
  one.bench.onGossip = (entries) => sent.push(...entries.map(({ key }) => key));
  look(one);
  assert.deepEqual(told(), ["forwardingOff", "noPodRoute", "proxySilent"]);
  assert.deepEqual(sent, ["h"], "at once, although nothing moves");
  look(one, "forwardingOff");
  assert.deepEqual(told(), ["forwardingOff", "noPodRoute", "proxySilent"]);
});

test("a node on which no Service has answered since its speaker started cannot deliver, where Services of three namespaces are silent and others had answers", () => {
  for (const [namespaces, without, faults] of [
    [["a", "b", "c"], 2, ["noConnection"]],
    [["a", "a", "b"], 2, []],
    [["a", "b", "c"], 1, []],
  ] as const) {
    const one = serving(namespaces);
    for (const { state } of one.others.slice(0, without))
      state.setSeenWithout(seenWithoutBits({ IPv4: ["noConnection"], IPv6: [] }));
    one.hear();
    tryAll(one, 10, (key) => (key === undefined ? "answered" : "silent"));
    assert.deepEqual(one.bench.view.pathFaults("IPv4"), faults, `${namespaces}, ${without} others`);
    tryAll(one, 3, () => "answered");
    pass(one, 30_000);
    assert.deepEqual(one.bench.view.pathFaults("IPv4"), []);
  }
});

test("a node tells the others while a Service answers it, and for 40 s", () => {
  const one = serving(["a"]);
  const isTold = () => (one.bench.gossip.seenWithout(owner) & answeredBits.IPv4) !== 0;
  assert.equal(isTold(), false);
  tryAll(one, 5, () => "answered");
  tryAll(one, 30, () => "silent");
  assert.equal(isTold(), true);
  tryAll(one, 15, () => "silent");
  assert.equal(isTold(), false);
});

test("Services of few namespaces that never answer are remembered once", () => {
  const one = serving(["a", "b"]);
  tryAll(one, 200, () => "silent");
  assert.ok(one.bench.state.dataPath.IPv4.tests.silentAtFirst.length <= 3);
});

test("a kube-proxy that is silent moves nothing for a minute, nor while Services answer", () => {
  const one = serving(["a", "b"]);
  look(one, "proxySilent");
  tryAll(one, 59, () => "answered");
  assert.deepEqual(one.bench.view.pathFaults("IPv4"), []);
  tryAll(one, 20, () => "answered");
  assert.deepEqual(one.bench.view.pathFaults("IPv4"), []);
  pass(one, 10_000);
  assert.deepEqual(one.bench.view.pathFaults("IPv4"), ["proxySilent"]);
});

test("the verdict on a node that is well again says for how long it has to be, and what it lacked", () => {
  const one = broken(owner);
  look(one);
  const again = `${owner} delivers to Pods again, and gets addresses once it has for 30 s; before that, its kernel drops packets`;
  assert.ok(messageOf(one).startsWith(again), messageOf(one));
  pass(one, 30_000);
  assert.equal(one.bench.view.nodeVerdicts(noFacts)[0]?.cause, "ready");
});

test("a node that is well counts as able after 30 s, and after twice as long each time that it fails again soon, at most 10 min", () => {
  const one = broken(owner);
  for (const hold of [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]) {
    look(one);
    pass(one, hold - 1);
    assert.deepEqual(one.bench.onWire, [], `${hold}`);
    pass(one, 1);
    assert.deepEqual(one.bench.onWire, [x], `${hold}`);
    look(one, "conntrackFull");
    pass(one, 1_200);
  }
  look(one);
  pass(one, 600_000);
  pass(one, 600_000);
  look(one, "conntrackFull");
  pass(one, 1_200);
  look(one);
  pass(one, 30_000);
  assert.deepEqual(one.bench.onWire, [x], "long ago is forgotten");
});

test("a node that is well counts as able after a second where no other delivers, or none that has an endpoint of a Local Service", () => {
  for (const isLocal of [false, true]) {
    const one = broken(owner);
    if (isLocal) one.bench.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { [owner]: true, [loser]: true });
    for (const { name, state } of one.others) state.setUndelivered(isLocal && name !== loser ? [] : families);
    one.hear();
    one.bench.settle();
    assert.deepEqual(one.bench.gossip.undelivering([owner], "IPv4"), [owner]);
    for (const hold of [1_000, 2_000, 4_000]) {
      look(one);
      pass(one, hold - 1);
      assert.deepEqual(one.bench.gossip.undelivering([owner], "IPv4"), [owner]);
      pass(one, 1);
      assert.deepEqual([one.bench.gossip.undelivering([owner], "IPv4"), one.bench.onWire], [[], [x]]);
      look(one, "conntrackFull");
      pass(one, 1_200);
    }
  }
});

test("a route that stays because no node with an endpoint delivers has its node count as able after a second of health", () => {
  const one = amongOthers(owner, routed, peer);
  one.bench.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { [owner]: true, [loser]: true });
  for (const { name, state } of one.others) {
    state.setDeliveries(new Map([["lan", { IPv4: "carried", IPv6: "noPeer" } as const]]));
    state.setUndelivered(name === loser ? families : []);
  }
  one.hear();
  look(one);
  look(one, "conntrackFull");
  pass(one, 10_000);
  assert.equal(one.bench.routes.size, 1);
  look(one);
  pass(one, 1_000);
  assert.deepEqual(one.bench.gossip.undelivering([owner], "IPv4"), []);
  for (const { state } of one.others) state.setUndelivered([]);
  one.hear();
  look(one, "conntrackFull");
  pass(one, 10_000);
  assert.equal(one.bench.routes.size, 0);
  look(one);
  pass(one, 2_000);
  assert.deepEqual(one.bench.gossip.undelivering([owner], "IPv4"), [owner], "another node delivers");
});

test("a node that waits counts as able within a second of when the last other node ceases to deliver", () => {
  const one = broken(owner);
  look(one);
  pass(one, 5_000);
  for (const { state } of one.others) state.setUndelivered(families);
  one.hear();
  pass(one, 1_000);
  assert.deepEqual(one.bench.gossip.undelivering([owner], "IPv4"), []);
});

test("where no node can deliver all go on, and a pool with announce-when: alive does not mind", () => {
  const one = broken(owner);
  for (const { state } of one.others) state.setUndelivered(families);
  one.hear();
  one.bench.settle();
  assert.deepEqual(one.bench.onWire, [x]);
  const [worst] = one.bench.view.nodeVerdicts(noFacts);
  assert.equal(worst?.cause, "nobodyDelivers");
  assert.deepEqual(broken(owner, lan.replace("}", ", announce-when: alive}")).bench.onWire, [x]);
});

test("an address that each node has in its kernel goes from a node that cannot deliver, where another one of the pool does", () => {
  const inKernel = "{name: lan, protocol: interface, addresses: [192.0.2.0/28], node-selectors: [{match-labels: {edge: yes}}]}";
  const has = ({ bench }: Among) => [...bench.kernel.values()].flat().length > 0;
  for (const [nodesOfPool, hasKernelAccess, isKept] of [
    [nodes, true, false],
    [nodes, false, true],
    [[owner], true, true],
  ] as const) {
    const one = amongOthers(owner, inKernel);
    for (const { state } of one.others) state.setReachability({ answers: true, hasKernelAccess, interfaces: new Map() });
    one.hear();
    for (const name of nodes) one.bench.setNode(name, nodesOfPool.includes(name) ? { edge: "yes" } : {});
    one.bench.settle();
    look(one);
    assert.equal(has(one), true);
    look(one, "noPodRoute");
    pass(one, 1_200);
    assert.equal(has(one), isKept);
    look(one);
    pass(one, 30_000);
    assert.equal(has(one), true);
    one.bench.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { [owner]: true });
    look(one, "noPodRoute");
    pass(one, 1_200);
    assert.equal(has(one), true, "no other node has an endpoint");
  }
});

test("a Local Service stays at a node that cannot deliver where no other has an endpoint", () => {
  const local = { externalTrafficPolicy: "Local" } as const;
  for (const [ready, wire] of [
    [{ [owner]: true }, [x]],
    [everywhere, []],
  ] as const) {
    const one = amongOthers(owner, lan);
    one.bench.serve("default/web", [x], local, ready);
    look(one);
    look(one, "noPodRoute");
    pass(one, 1_200);
    assert.deepEqual(one.bench.onWire, wire);
  }
});

test("while a member does not take it into account, as MetalLB's or one of an earlier version, all is as before", () => {
  const one = broken(owner);
  assert.match(messageOf(one), /its table of connections is full$/);
  one.bench.membersChanged([...nodes], [loser]);
  one.bench.settle();
  assert.deepEqual(one.bench.onWire, [x]);
  assert.match(messageOf(one), /is full; its addresses stay, because/);
  one.bench.membersChanged([...nodes], []);
  one.bench.settle();
  assert.deepEqual(one.bench.onWire, []);
});

test("routes are withdrawn 2 s after routers heard of it, where another node delivers and has a session, and are back with its health", () => {
  const one = amongOthers(owner, routed, peer);
  look(one);
  look(one, "noPodRoute");
  pass(one, 5_000);
  assert.equal(one.bench.routes.size, 1, "no other node has a session");
  const carried = new Map([["lan", { IPv4: "carried", IPv6: "noPeer" } as const]]);
  one.others[0]?.state.setDeliveries(carried);
  one.hear();
  one.bench.settle();
  assert.equal(one.bench.routes.size, 0);
  assert.equal(one.bench.state.bgp.undelivering.get("IPv4")?.isGone, true);
  look(one);
  pass(one, 30_000);
  assert.deepEqual([one.bench.routes.size, one.bench.state.bgp.undelivering.size], [1, 0]);
  one.others[1]?.state.setUndelivered(families);
  look(one, "noPodRoute");
  pass(one, 1_200);
  assert.equal(one.bench.routes.size, 1, "they are marked first");
  pass(one, 2_000);
  assert.equal(one.bench.routes.size, 0);
});

test("Services that refuse or hang are no fault of the node, as long as others or the API answer", () => {
  const one = serving(["a", "a", "b", "evil"]);
  const isEvil = (key: string | undefined) => key?.startsWith("evil") === true;
  tryAll(one, 20, () => "answered");
  const tried = tryAll(one, 60, (key) => (isEvil(key) ? "silent" : "answered"));
  assert.ok(tried.some(isEvil));
  assert.deepEqual(one.bench.view.pathFaults("IPv4"), []);
  const two = serving(["evil", "evil2"]);
  tryAll(two, 20, () => "answered");
  tryAll(two, 60, (key) => (isEvil(key) ? "silent" : "answered"));
  assert.deepEqual(two.bench.view.pathFaults("IPv4"), [], "one owner of two namespaces, and the API answers");
});

test("an API that is silent while Services answer is no fault of the node at any moment", () => {
  const one = serving(["a", "b"]);
  tryAll(one, 60, () => "answered");
  for (let second = 0; second < 90; second++) {
    tryAll(one, 1, (key) => (key === undefined ? "silent" : "answered"));
    assert.deepEqual(one.bench.view.pathFaults("IPv4"), []);
  }
});

test("Services that never answered, or on nodes that are gone, say nothing", () => {
  const one = serving(["a", "b", "c", "d"]);
  tryAll(one, 60, (key) => (key === undefined ? "answered" : "silent"));
  assert.deepEqual(one.bench.view.pathFaults("IPv4"), []);
  const two = serving(["a", "b", "c", "d"]);
  tryAll(two, 20, () => "answered");
  two.bench.membersChanged(nodes.filter((node) => node !== "node1" || node === owner));
  for (const key of ["a/s0", "b/s1", "c/s2", "d/s3"]) two.bench.endpoints(key, { gone: true });
  tryAll(two, 60, (key) => (key === undefined ? "answered" : "silent"));
  assert.deepEqual(two.bench.view.pathFaults("IPv4"), []);
});

test("Services that answered while their Pods were on this node, and have none here, are a sign with the API's silence, or others' answers", () => {
  const one = serving(["a", "b", "c"]);
  const keys = ["a/s0", "b/s1", "c/s2"];
  for (const key of keys) one.bench.endpoints(key, { [owner]: true });
  tryAll(one, 12, () => "answered");
  for (const key of keys) one.bench.endpoints(key, { [loser]: true });
  tryAll(one, 24, (key) => (key === undefined ? "answered" : "silent"));
  assert.deepEqual(one.bench.view.pathFaults("IPv4"), []);
  for (const { state } of one.others) state.setSeenWithout(answeredBits.IPv4);
  one.hear();
  tryAll(one, 1, (key) => (key === undefined ? "answered" : "silent"));
  assert.deepEqual(one.bench.view.pathFaults("IPv4"), ["noConnection"], "others get answers");
  tryAll(one, 12, () => "answered");
  pass(one, 30_000);
  assert.deepEqual(one.bench.view.pathFaults("IPv4"), []);
  tryAll(one, 12, () => "silent");
  assert.deepEqual(one.bench.view.pathFaults("IPv4"), ["noConnection"]);
});

test("when neither a Service nor the API answers, a node cannot deliver after two tests, and can when both answer again", () => {
  const one = serving(["a"]);
  tryAll(one, 20, () => "answered");
  const before = one.bench.clock.now();
  tryAll(one, 2, () => "silent");
  assert.deepEqual(one.bench.view.pathFaults("IPv4"), ["noConnection"]);
  assert.ok(one.bench.clock.now() - before <= 2_000);
  tryAll(one, 60, (key) => (key === undefined ? "answered" : "silent"));
  tryAll(one, 40, () => "answered");
  assert.deepEqual(one.bench.view.pathFaults("IPv4"), []);
});

test("Services that never answer, wherever they stand, take no more than their turn from those that did", () => {
  for (const namespaces of [
    ["hangs", "a"],
    ["a", "hangs"],
    ["a", "a", "hangs"],
    ["hangs", "hangs2", "hangs3", "a"],
    ["a", "hangs", "hangs2"],
  ]) {
    const one = serving(namespaces);
    const hangs = (key: string | undefined) => key?.startsWith("hangs") === true;
    const tried = tryAll(one, 60, (key) => (hangs(key) ? "silent" : "answered"));
    assert.ok(tried.filter(hangs).length <= 30, `${namespaces}: ${tried}`);
    assert.deepEqual(one.bench.view.pathFaults("IPv4"), []);
    tryAll(one, 4, () => "silent");
    assert.deepEqual(one.bench.view.pathFaults("IPv4"), ["noConnection"], `${namespaces}`);
  }
});

test("an API that is not there is no sign, and without it Services of three namespaces are", () => {
  const one = serving(["a", "b"]);
  tryAll(one, 20, () => "answered");
  one.bench.runner.dispatch({ type: "apiLost", since: one.bench.clock.now() });
  for (const { state } of one.others) state.setView("behind");
  one.hear();
  tryAll(one, 20, () => "silent");
  assert.deepEqual(one.bench.view.pathFaults("IPv4"), []);
  const two = serving(["a", "b", "c"]);
  tryAll(two, 20, (key) => (key === undefined ? "untried" : "answered"));
  tryAll(two, 5, (key) => (key === undefined ? "untried" : "silent"));
  assert.deepEqual(two.bench.view.pathFaults("IPv4"), ["noConnection"]);
});

test("a node that loses the API because it cannot deliver, as a speaker reaches it by its Service, is one until a Service answers", () => {
  for (const isFirst of [false, true]) {
    const one = serving(["a"]);
    tryAll(one, 20, () => "answered");
    if (!isFirst) tryAll(one, 3, () => "silent");
    one.bench.runner.dispatch({ type: "apiLost", since: one.bench.clock.now() });
    for (const { state } of isFirst ? [] : one.others) state.setView("behind"); // The API ends, too.
    one.hear();
    tryAll(one, isFirst ? 5 : 400, () => "silent");
    assert.deepEqual(one.bench.view.pathFaults("IPv4"), ["noConnection"], `the API is lost first: ${isFirst}`);
    tryAll(one, 40, (key) => (key === undefined ? "silent" : "answered"));
    assert.deepEqual(one.bench.view.pathFaults("IPv4"), []);
  }
});

test("a node that cannot deliver is one until a Service answers, also when the silent ones go, or the node of their Pods", () => {
  for (const isDeleted of [false, true]) {
    const one = serving(["a", "b", "c"]);
    const keys = ["a/s0", "b/s1", "c/s2"];
    for (const key of keys) one.bench.endpoints(key, { [loser]: true });
    const silent = (key: string | undefined) => (key === undefined ? "answered" : "silent");
    tryAll(one, 20, () => "answered");
    tryAll(one, 12, silent);
    assert.deepEqual(one.bench.view.pathFaults("IPv4"), ["noConnection"]);
    if (isDeleted) one.bench.setService("a/s0", undefined);
    else one.bench.membersChanged(nodes.filter((node) => node !== loser));
    tryAll(one, 400, silent);
    assert.deepEqual(one.bench.view.pathFaults("IPv4"), ["noConnection"], `deleted: ${isDeleted}`);
    for (const key of keys.slice(1)) one.bench.endpoints(key, { [owner]: true });
    tryAll(one, 40, () => "answered");
    assert.deepEqual(one.bench.view.pathFaults("IPv4"), []);
  }
});

test("Services that answer over IPv4 and not over IPv6 are the node's fault where three namespaces are, and one test at a time tells", () => {
  const one = amongOthers(owner, dualLan);
  one.bench.setService("default/web", undefined);
  for (const [index, namespace] of ["a", "b", "c", "d"].entries())
    one.bench.serve(`${namespace}/s${index}`, [`192.0.2.${index + 1}`], {
      clusterIPs: [`10.96.0.${index + 1}`, `fd00:96::${index + 1}`],
      ports: [{ name: "", protocol: "TCP", port: 80 }],
    });
  one.bench.settle();
  look(one);
  const tried: string[] = [];
  const answers = (isIpv6Dead: boolean, seconds: number) => {
    for (let i = 0; i < seconds; i++) {
      const next = one.bench.view.nextConnectionTest(one.bench.clock.now());
      if (typeof next?.to === "object") tried.push(next.to.address);
      const test = next?.to === "api" ? ({ ...next, family: "IPv4" } as const) : next;
      const result = test?.family === "IPv6" && isIpv6Dead ? "silent" : "answered";
      if (test !== undefined) one.bench.runner.dispatch({ type: "connected", test, result });
      pass(one, 1_000);
    }
  };
  answers(false, 60);
  const six = tried.filter((address) => address.includes(":"));
  assert.ok(six.length >= 8 && six.length <= 30, `${six.length} of ${tried.length}`);
  answers(true, 12);
  assert.deepEqual([one.bench.view.pathFaults("IPv4"), one.bench.view.pathFaults("IPv6")], [[], ["noConnection"]]);
  answers(false, 60);
  assert.deepEqual(one.bench.view.pathFaults("IPv6"), []);
});

test("a Service without endpoints of a family proves no way to Pods in it, although kube-proxy of the node refuses connections to it", () => {
  const one = amongOthers(owner, dualLan);
  one.bench.setService("default/web", undefined);
  for (const [index, namespace] of ["a", "b", "c", "half", "half-empty"].entries()) {
    const key = `${namespace}/s${index}`;
    const ingress = [`192.0.2.${index + 1}`, `2001:db8::${index + 1}`];
    const clusterIPs = [`10.96.0.${index + 1}`, `fd00:96::${index + 1}`];
    one.bench.setService(key, service(key, { ingress, clusterIPs, ports: [{ name: "", protocol: "TCP", port: 80 }] }));
    one.bench.endpoints(key, { [loser]: true }, "IPv4");
    if (namespace !== "half") one.bench.endpoints(key, { [loser]: !namespace.startsWith("half") }, "IPv6");
  }
  one.bench.settle();
  look(one);
  const answers = (isDead: boolean, seconds: number) => {
    for (let i = 0; i < seconds; i++) {
      const next = one.bench.view.nextConnectionTest(one.bench.clock.now());
      const test = next?.to === "api" ? ({ ...next, family: "IPv4" } as const) : next;
      const isRefused = typeof test?.to === "object" && test.to.key.startsWith("half");
      const result = test?.family === "IPv6" && isDead && !isRefused ? "silent" : "answered";
      if (test !== undefined) one.bench.runner.dispatch({ type: "connected", test, result });
      pass(one, 1_000);
    }
  };
  answers(false, 60);
  answers(true, 12);
  assert.deepEqual([one.bench.view.pathFaults("IPv4"), one.bench.view.pathFaults("IPv6")], [[], ["noConnection"]]);
  answers(true, 60);
  assert.deepEqual(one.bench.view.pathFaults("IPv6"), ["noConnection"]);
});

test("when all is silent, at whatever moment and in whatever family first, a node of both families leaves both after three tests", () => {
  for (const namespaces of [["a"], ["a", "b", "c"], ["a", "hangs"]])
    for (let seconds = 60; seconds < 70; seconds++) {
      const one = amongOthers(owner, dualLan);
      one.bench.setService("default/web", undefined);
      for (const [index, namespace] of namespaces.entries())
        one.bench.serve(`${namespace}/s${index}`, [`192.0.2.${index + 1}`, `2001:db8::${index + 1}`], {
          clusterIPs: [`10.96.0.${index + 1}`, `fd00:96::${index + 1}`],
          ports: [{ name: "", protocol: "TCP", port: 80 }],
        });
      one.bench.settle();
      look(one);
      tryAll(one, seconds, (key) => (key?.startsWith("hangs") ? "silent" : "answered"));
      tryAll(one, namespaces.includes("hangs") ? 4 : 3, () => "silent");
      for (const family of families) assert.deepEqual(one.bench.view.pathFaults(family), ["noConnection"], `${namespaces}`);
    }
});

test("of 10,000 Services one is tried at a time, twelve in turn and two of a namespace, and the API every 30 s", slow, () => {
  const one = amongOthers(owner, "{name: lan, protocol: layer2, addresses: [192.0.0.0/16]}");
  for (let i = 0; i < 10_000; i++) one.bench.setService(`n${i % 50}/s${i}`, undefined);
  const more = { clusterIPs: ["10.96.0.1"], ports: [{ name: "", protocol: "TCP", port: 80 }] };
  for (let i = 0; i < 10_000; i++) one.bench.serve(`n${i % 50}/s${i}`, [`192.0.${i >> 8}.${i & 255}`], more);
  look(one);
  const tried = tryAll(one, 120, () => "answered");
  assert.ok(new Set(tried).size <= 13 + 1);
  assert.ok(tried.filter((key) => key === undefined).length <= 5);
});

test("a node whose speaker starts beside Services of many namespaces that never answer nodes, as under network policies, can deliver", () => {
  const one = serving(["hangs1", "hangs2", "hangs3", "hangs4", "a"]);
  for (const { state } of one.others) state.setSeenWithout(seenWithoutBits({ IPv4: ["noConnection"], IPv6: [] }));
  one.hear();
  for (let seconds = 0; seconds < 120; seconds++) {
    tryAll(one, 1, (key) => (key?.startsWith("hangs") ? "silent" : "answered"));
    assert.deepEqual(one.bench.view.pathFaults("IPv4"), [], `after ${seconds} s`);
  }
});

test("one of several API servers is away while a tenant's Service hangs: a node that knows others asks them", () => {
  for (const seconds of [20, 25, 31, 33]) {
    const one = serving(["hangs", "a", "b"]);
    tryAll(one, seconds, () => "answered");
    const before = one.bench.clock.now();
    while (one.bench.clock.now() < before + 60_000) {
      tryAll(one, 1, (key) => (key === undefined || key.startsWith("hangs") ? "silent" : "answered"));
      assert.deepEqual(one.bench.view.pathFaults("IPv4"), [], `after ${seconds} s, and ${one.bench.clock.now() - before} ms`);
    }
    tryAll(one, 4, () => "silent");
    assert.deepEqual(one.bench.view.pathFaults("IPv4"), ["noConnection"]);
  }
});

test("the API's silence is no sign alone, nor beside one tenant's while a Service of another one is known", () => {
  const ended = ({ bench }: Among, to: string, result: ConnectionResult) => {
    const { scan } = bench.state.dataPath;
    const service = { key: to, address: "10.96.0.1", port: 80, isHere: false };
    const test = { family: "IPv4", to: to === "api" ? to : service, scan, isSuspect: false, isFresh: false } as const;
    bench.runner.dispatch({ type: "connected", test, result });
    bench.settle();
  };
  const one = serving(["hangs", "a"]);
  tryAll(one, 20, () => "answered");
  ended(one, "hangs/s0", "silent");
  ended(one, "api", "silent");
  assert.deepEqual(one.bench.view.pathFaults("IPv4"), []);
  ended(one, "a/s1", "silent");
  assert.deepEqual(one.bench.view.pathFaults("IPv4"), ["noConnection"]);

  const two = serving([]);
  ended(two, "api", "answered");
  ended(two, "api", "silent");
  assert.deepEqual(two.bench.view.pathFaults("IPv4"), []);
});

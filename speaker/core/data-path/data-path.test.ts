import assert from "node:assert/strict";
import { test } from "node:test";
import { amongOthers, loser, nodes, owner, pools, x } from "../../testing/speaker-bench.ts";
import type { ConnectionResult, PathFault } from "./data-path-state.ts";

const lan = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}";
const routed = "{name: lan, protocol: bgp, addresses: [192.0.2.0/28]}";
const peer = "{peer-address: 10.0.0.1, peer-asn: 65002, my-asn: 65001}";
const everywhere = Object.fromEntries(nodes.map((node) => [node, true]));

type Among = ReturnType<typeof amongOthers>;

function look({ bench }: Among, ...faults: PathFault[]): void {
  bench.runner.dispatch({ type: "dataPath", faults });
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

const ownerOf = ({ bench }: Among) => bench.state.placements.get(x)?.[0]?.owner;

/** Tries what the speaker wants to try, once a second. @returns the Services in turn */
function tryAll(one: Among, count: number, result: (key: string | undefined) => ConnectionResult): (string | undefined)[] {
  const tried: (string | undefined)[] = [];
  for (let i = 0; i < count; i++) {
    const next = one.bench.view.nextConnectionTest(one.bench.clock.now());
    if (next !== undefined) {
      tried.push(next.service?.key);
      one.bench.runner.dispatch({ type: "connected", test: next, result: result(next.service?.key) });
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

test("the successor takes the address over when it hears of it, and gives it back when the owner delivers again", () => {
  const successor = nodes.find((node) => node !== owner && ownerOf(broken(owner)) === node) ?? "";
  const one = amongOthers(successor, lan);
  const other = one.others.find(({ name }) => name === owner);
  for (const [isBroken, wire] of [
    [true, [x]],
    [false, []],
  ] as const) {
    other?.state.setDataPathBroken(isBroken);
    one.hear();
    one.bench.settle();
    assert.deepEqual(one.bench.onWire, wire);
  }
});

test("a sign that a node has had since its speaker started is none, until it was seen without it", () => {
  const one = amongOthers(owner, lan);
  look(one, "forwardingOff", "proxySilent");
  pass(one, 100_000);
  assert.deepEqual(one.bench.onWire, [x]);
  look(one, "proxySilent");
  look(one, "forwardingOff", "proxySilent");
  pass(one, 100_000);
  assert.deepEqual(one.bench.view.pathFaults, ["forwardingOff"]);
});

test("a kube-proxy that is silent moves nothing for a minute, nor while Services answer", () => {
  const one = serving(["a", "b"]);
  look(one, "proxySilent");
  tryAll(one, 59, () => "answered");
  assert.deepEqual(one.bench.view.pathFaults, []);
  tryAll(one, 20, () => "answered");
  assert.deepEqual(one.bench.view.pathFaults, []);
  pass(one, 10_000);
  assert.deepEqual(one.bench.view.pathFaults, ["proxySilent"]);
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

test("where no node can deliver all go on, and a pool with announce-when: alive does not mind", () => {
  const one = broken(owner);
  for (const { state } of one.others) state.setDataPathBroken(true);
  one.hear();
  one.bench.settle();
  assert.deepEqual(one.bench.onWire, [x]);
  const [worst] = one.bench.view.nodeVerdicts({
    missing: [],
    failed: undefined,
    findings: [],
    bfdWarnings: [],
    lossy: [],
    pathProblems: [],
    viewAge: 0,
  });
  assert.equal(worst?.cause, "nobodyDelivers");
  assert.deepEqual(broken(owner, lan.replace("}", ", announce-when: alive}")).bench.onWire, [x]);
});

test("an address that each node has in its kernel goes from a node that cannot deliver, where another one of the pool does", () => {
  const inKernel = "{name: lan, protocol: interface, addresses: [192.0.2.0/28], node-selectors: [{match-labels: {edge: yes}}]}";
  const has = ({ bench }: Among) => [...bench.kernel.values()].flat().length > 0;
  for (const [nodesOfPool, isKept] of [
    [nodes, false],
    [[owner], true],
  ] as const) {
    const one = amongOthers(owner, inKernel);
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
  one.bench.membersChanged([...nodes], [loser]);
  one.bench.settle();
  assert.deepEqual(one.bench.onWire, [x]);
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
  assert.equal(one.bench.state.bgp.leaving?.isGone, true);
  look(one);
  pass(one, 30_000);
  assert.deepEqual([one.bench.routes.size, one.bench.state.bgp.leaving], [1, undefined]);
  one.others[1]?.state.setDataPathBroken(true);
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
  assert.deepEqual(one.bench.view.pathFaults, []);
  const two = serving(["evil", "evil2"]);
  tryAll(two, 20, () => "answered");
  tryAll(two, 60, (key) => (isEvil(key) ? "silent" : "answered"));
  assert.deepEqual(two.bench.view.pathFaults, [], "one owner of two namespaces, and the API answers");
});

test("Services that never answered, or on nodes that are gone, say nothing", () => {
  const one = serving(["a", "b", "c", "d"]);
  tryAll(one, 60, (key) => (key === undefined ? "answered" : "silent"));
  assert.deepEqual(one.bench.view.pathFaults, []);
  const two = serving(["a", "b", "c", "d"]);
  tryAll(two, 20, () => "answered");
  two.bench.membersChanged(nodes.filter((node) => node !== "node1" || node === owner));
  for (const key of ["a/s0", "b/s1", "c/s2", "d/s3"]) two.bench.endpoints(key, { gone: true });
  tryAll(two, 60, (key) => (key === undefined ? "answered" : "silent"));
  assert.deepEqual(two.bench.view.pathFaults, []);
});

test("when neither a Service nor the API answers, a node cannot deliver after two tests, and can when both answer again", () => {
  const one = serving(["a"]);
  tryAll(one, 20, () => "answered");
  const before = one.bench.clock.now();
  tryAll(one, 2, () => "silent");
  assert.deepEqual(one.bench.view.pathFaults, ["noConnection"]);
  assert.ok(one.bench.clock.now() - before <= 2_000);
  tryAll(one, 60, (key) => (key === undefined ? "answered" : "silent"));
  tryAll(one, 40, () => "answered");
  assert.deepEqual(one.bench.view.pathFaults, []);
});

test("an API that is not there is no sign, and without it Services of three namespaces are", () => {
  const one = serving(["a", "b"]);
  tryAll(one, 20, () => "answered");
  one.bench.runner.dispatch({ type: "apiLost", since: one.bench.clock.now() });
  tryAll(one, 20, () => "silent");
  assert.deepEqual(one.bench.view.pathFaults, []);
  const two = serving(["a", "b", "c"]);
  tryAll(two, 20, (key) => (key === undefined ? "untried" : "answered"));
  tryAll(two, 5, (key) => (key === undefined ? "untried" : "silent"));
  assert.deepEqual(two.bench.view.pathFaults, ["noConnection"]);
});

test("of 10,000 Services one is tried at a time, twelve in turn and two of a namespace, and the API every 30 s", () => {
  const one = amongOthers(owner, "{name: lan, protocol: layer2, addresses: [192.0.0.0/16]}");
  for (let i = 0; i < 10_000; i++) one.bench.setService(`n${i % 50}/s${i}`, undefined);
  const more = { clusterIPs: ["10.96.0.1"], ports: [{ name: "", protocol: "TCP", port: 80 }] };
  for (let i = 0; i < 10_000; i++) one.bench.serve(`n${i % 50}/s${i}`, [`192.0.${i >> 8}.${i & 255}`], more);
  look(one);
  const tried = tryAll(one, 120, () => "answered");
  assert.ok(new Set(tried).size <= 13 + 1);
  assert.ok(tried.filter((key) => key === undefined).length <= 5);
});

test("connections go on over no node that cannot deliver", () => {
  const one = amongOthers(loser, lan.replace("}", ", keep-connections: true}"));
  one.others.find(({ name }) => name === owner)?.state.setDataPathBroken(true);
  one.hear();
  one.bench.settle();
  assert.equal(one.bench.handovers.size, 0);
  assert.equal(one.bench.state.handovers.current.size, 0);
  assert.ok(pools(lan).config.pools[0]?.announceWhen === "delivering");
});

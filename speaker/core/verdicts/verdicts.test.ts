import assert from "node:assert/strict";
import { test } from "node:test";
import type { RouteStanding } from "#pkg/bgp";
import { PoolIndex, parseConfig } from "#pkg/config";
import { centralName } from "#pkg/gossip";
import type { AddressSighting } from "#pkg/layer2";
import { parsePrefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { drainLabel, excludeLabel, networkTaint, outOfServiceTaint } from "#pkg/placement";
import { verdict } from "#pkg/verdict";
import { amongOthers, Bench, eth0, excluded, loser, nodes, owner, pools, ssd, x } from "../../testing/speaker-bench.ts";
import { ownNodeRule } from "../members/node-state.ts";
import { type SessionState, type Sessions, serviceView } from "./address-verdict.ts";
import { type NodeFacts, nodeVerdicts } from "./node-verdict.ts";
import { poolVerdict } from "./pool-verdict.ts";

const noSessions: Sessions = new Map();

/** `STATE CAUSE: MESSAGE` of a Service. */
function on(bench: Bench, key = "default/web", sessions = noSessions): string {
  const view = serviceView(bench.state, key, sessions);
  return view === undefined ? "none" : `${view.verdict.state} ${view.verdict.cause}: ${view.verdict.message}`;
}

function started(text: string, serve: (bench: Bench) => void, node = owner, peers = ""): Bench {
  const bench = new Bench(node);
  bench.setConfig(pools(text, peers));
  serve(bench);
  bench.start();
  bench.settle();
  return bench;
}

const lan = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}";

test("a node that speaks for itself says which label, taint or selector keeps it from announcing, and what to do about that one", () => {
  const routed = "{name: lan, protocol: bgp, addresses: [192.0.2.0/28]}";
  const router = "{my-asn: 64500, peer-asn: 64501, peer-address: 10.0.0.1}";
  const of = (labels: Record<string, string>, taints: readonly string[], text = routed) => {
    const serve = (bench: Bench) => {
      bench.setNode("node1", labels, [...taints]);
      bench.serve("default/web", [x]);
    };
    const bench = started(text, serve, "node1", router);
    const { message, next } = serviceView(bench.state, "default/web", noSessions)?.verdict ?? assert.fail();
    return `${message}; ${next}`;
  };
  assert.match(of(excluded, []), /node1 has the label node\.kubernetes\.io\/exclude\S+: .*; kubectl label node node1 node/);
  assert.match(of({}, [networkTaint]), /node1 has the taint \S+network-unavailable: .*; kubectl describe node node1 /);
  const elsewhere = of(
    {},
    [],
    `${routed.replace("bgp", "interface").slice(0, -1)}, node-selectors: [{match-labels: {disk: ssd}}]}`,
  );
  assert.match(elsewhere, /node-selectors of pool lan do not match node1: .*; kubectl get nodes --show-labels/);
});

test("the owner announces the address, and the others say who does", () => {
  assert.equal(on(Bench.announcing(owner)), `Announced announced: ${owner} announces ${x} of pool lan by layer 2`);
  const elsewhere = Bench.announcing(loser);
  assert.equal(on(elsewhere), `Announced notOwner: ${owner} announces ${x}`);
  const view = serviceView(elsewhere.state, "default/web", noSessions);
  assert.deepEqual(
    view?.addresses[0]?.verdict.evidence.map(({ name, value }) => `${name}: ${value}`),
    [`owner: ${owner}`, `candidates: ${nodes.join(", ")}`, `${loser}: it could announce the address, and is not its owner`],
  );
});

/** Why a node that another one announces for does not: what is told of `loser`, once it has seen the rest. */
const notHere: { name: string; text?: string; of?: (ring: ReturnType<typeof amongOthers>) => void; says: string }[] = [
  { name: "another node's hash is first", says: "it could announce the address, and is not its owner" },
  {
    name: "its label excludes it",
    of: ({ bench }) => bench.setNode(loser, excluded),
    says: "it is excluded from load balancers by its label",
  },
  {
    name: "its taint excludes it",
    of: ({ bench }) => bench.setNode(loser, {}, ["node.kubernetes.io/network-unavailable"]),
    says: "it has the taint node.kubernetes.io/network-unavailable",
  },
  {
    name: "it has no endpoint of a Local Service",
    of: ({ bench }) => bench.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { [owner]: true }),
    says: "it has no ready endpoint, and externalTrafficPolicy is Local",
  },
  {
    name: "it cannot deliver",
    of: ({ bench }) => {
      for (const signs of [[], ["noPodRoute"]] as const)
        bench.runner.dispatch({ type: "dataPath", faults: { IPv4: signs, IPv6: [] }, hasPods: true });
      bench.clock.advanceBy(2_000);
    },
    says: "it cannot deliver to Pods",
  },
  {
    name: "it is drained",
    of: ({ bench }) => bench.setNode(loser, { [drainLabel]: "" }),
    says: "it is drained by its label ingot.dev/drain",
  },
  {
    name: "its taint has it out of service",
    of: ({ bench }) => bench.setNode(loser, {}, [outOfServiceTaint]),
    says: "it has the taint of a node that is out of service",
  },
  {
    name: "the pool selects others",
    text: ssd,
    of: ({ bench }) => bench.setNode(owner, { disk: "ssd" }),
    says: "the pool's node-selectors do not match it",
  },
  {
    name: "the pool prefers others",
    text: lan.replace("}", ", preferred-nodes: [{weight: 1, match-labels: {disk: ssd}}]}"),
    of: ({ bench }) => bench.setNode(owner, { disk: "ssd" }),
    says: "it could announce the address, and the pool prefers its owner",
  },
  {
    name: "it has no carrier",
    of: ({ bench }) => bench.setInterfaces({ ...eth0, running: false }),
    says: "it has no interface for the pool that is up and has a carrier",
  },
  {
    name: "its speaker may not change the kernel",
    text: "{name: lan, protocol: interface, placement: lan, addresses: [192.0.2.0/28]}",
    of: ({ bench }) => bench.runner.dispatch({ type: "kernel", failure: "no capability", problems: new Map() }),
    says: "its speaker may not put addresses on NICs: it lacks the capability NET_ADMIN",
  },
  {
    name: "it is in another subnet",
    text: lan.replace("}", ", l2-placement: subnet}"),
    of: ({ bench }) => bench.setInterfaces({ ...eth0, addresses: ["198.51.100.1/24"] }),
    says: "it has no address in the subnet",
  },
];
for (const { name, text = lan, of, says } of notHere)
  test(`a node says why another announces an address: ${name}`, () => {
    const ring = amongOthers(loser, text);
    const { bench, others, hear } = ring;
    const subnet = parsePrefix("192.0.2.0/24") ?? assert.fail();
    for (const { state } of others)
      state.setReachability({ answers: true, hasKernelAccess: true, interfaces: new Map([["eth0", [subnet]]]) });
    hear();
    bench.setInterfaces({ ...eth0, addresses: ["192.0.2.100/24"] });
    of?.(ring);
    bench.settle();
    const { verdict } = serviceView(bench.state, "default/web", noSessions) ?? assert.fail();
    const own = verdict.evidence.find((fact) => fact.name === loser);
    assert.equal(`${verdict.cause}: ${own?.value}`, `notOwner: ${says}`);
  });

const cases: { name: string; text?: string; serve: (bench: Bench) => void; says: RegExp }[] = [
  { name: "no address", serve: (bench) => bench.serve("default/web", []), says: /^Pending noIPAllocated: / },
  { name: "a status that is no address", serve: (bench) => bench.serve("default/web", ["x"]), says: /^Pending invalidIP: / },
  {
    name: "another class",
    serve: (bench) => bench.serve("default/web", [x], { isClaimed: false }),
    says: /^NotOurs otherLoadBalancerClass: /,
  },
  {
    name: "an address in no pool",
    serve: (bench) => bench.serve("default/web", ["10.0.0.1"]),
    says: /^Pending ipNotAllowed: 10\.0\.0\.1 /,
  },
  {
    name: "no ready endpoint",
    serve: (bench) => bench.serve("default/web", [x], {}, { node1: false }),
    says: /^Pending noReadyEndpoint: no endpoint is ready \(the Service has 1\), /,
  },
  {
    name: "no endpoint",
    serve: (bench) => bench.serve("default/web", [x], {}, {}),
    says: /^Pending noReadyEndpoint: no endpoint is ready \(the Service has none\), /,
  },
  {
    name: "Local without a speaker where the endpoints are",
    serve: (bench) => bench.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { node9: true }),
    says: /^Pending noReadyEndpointOnActiveNode: /,
  },
  { name: "no selected node", text: ssd, serve: (bench) => bench.serve("default/web", [x]), says: /^Pending noNodeSelected: / },
  {
    name: "excluded nodes alone",
    serve: (bench) => {
      for (const node of nodes) bench.setNode(node, excluded);
      bench.serve("default/web", [x]);
    },
    says: /^Pending nodeExcluded: .*every candidate has the label .*\(node1, node2, node3\)$/,
  },
  {
    name: "no speaker",
    serve: (bench) => {
      bench.membersChanged([]);
      bench.serve("default/web", [x]);
    },
    says: /^Pending noActiveSpeaker: no node has a working speaker, so that none announces 192\.0\.2\.\d+$/,
  },
  {
    name: "nodes out of service alone",
    serve: (bench) => {
      for (const node of nodes) bench.setNode(node, {}, [outOfServiceTaint]);
      bench.serve("default/web", [x]);
    },
    says: /^Pending noActiveSpeaker: all nodes with a working speaker have the taint node\.kubernetes\.io\/out-of-service, /,
  },
];
for (const { name, text = lan, serve, says } of cases)
  test(`the verdict on a Service with ${name}`, () => assert.match(on(started(text, serve)), says));

test("before anything is placed the verdict says so, and there is none on what there is not", () => {
  const bench = new Bench(owner);
  bench.setConfig(pools(lan));
  bench.serve("default/web", [x]);
  assert.match(on(bench), /^Pending notPlaced: /);
  assert.equal(on(bench, "default/none"), "none");
});

test("a verdict is since the owner became the owner, not since the last change of the Service", () => {
  const bench = Bench.announcing(owner);
  const since = () => serviceView(bench.state, "default/web", noSessions)?.since;
  assert.equal(since(), 0);
  bench.clock.advanceBy(7_000);
  bench.serve("default/web", [x], { annotations: { note: "other" } });
  bench.settle();
  assert.equal(since(), 0);
  bench.endpoints("default/web", { node1: false });
  bench.settle();
  assert.equal(since(), 7_000);
});

test("a verdict is since that address is placed as it is, whatever became of the Service's other addresses", () => {
  const bench = Bench.announcing(owner);
  const y = "192.0.2.9";
  const since = () => serviceView(bench.state, "default/web", noSessions)?.addresses.map((one) => one.since);
  const serve = (...addresses: string[]) => {
    bench.serve("default/web", addresses, { annotations: { "metallb.universe.tf/loadBalancerIPs": addresses.join() } });
    bench.settle();
  };
  assert.deepEqual(since(), [0]);
  bench.clock.advanceBy(7_000);
  serve(x, y);
  assert.deepEqual(since(), [0, 7_000]);
  bench.clock.advanceBy(1_000);
  serve(y);
  assert.deepEqual(since(), [7_000]);
});

test("no verdict on a Service is since before the Service was seen, or placed as it is", () => {
  const bench = Bench.announcing(owner);
  bench.membersChanged([owner]); // Beside other speakers, without a ring, the host might be one of theirs.
  bench.clock.advanceBy(60_000);
  bench.serve("default/late", ["192.0.2.9"]);
  const since = (key: string) => serviceView(bench.state, key, noSessions)?.since;
  assert.match(on(bench, "default/late"), /notPlaced/);
  assert.equal(since("default/late"), 60_000, "before it is placed");
  bench.settle();
  assert.equal(since("default/late"), 60_000);
  const sighting: AddressSighting = {
    address: address(x),
    kind: "uses",
    mac: "02:00:00:00:00:99",
    interface: "eth0",
    ownMac: "02:00:00:00:00:01",
  };
  for (let i = 0; i < 3; i++) {
    bench.runner.dispatch({ type: "sighting", sighting });
    bench.clock.advanceBy(1_000);
  }
  assert.equal(since("default/web"), 60_000, "since the other host uses its address");
  bench.serve("default/second", [x]);
  bench.settle();
  assert.match(on(bench, "default/second"), /addressConflict/);
  assert.equal(since("default/second"), 63_000, "the other host was there before it");
});

test("another host with the address degrades it, and names the host", () => {
  const bench = Bench.announcing(owner);
  const mac = "02:00:00:00:00:99";
  bench.membersChanged([owner]); // Beside other speakers, without a ring, it might be one of theirs.
  bench.clock.advanceBy(10_000);
  const sighting: AddressSighting = { address: address(x), kind: "uses", mac, interface: "eth0", ownMac: "02:00:00:00:00:01" };
  for (let i = 0; i < 3; i++) {
    bench.runner.dispatch({ type: "sighting", sighting });
    bench.clock.advanceBy(1_000);
  }
  assert.match(on(bench), /^Degraded addressConflict: a host that is no speaker, 02:00:00:00:00:99, uses 192\.0\.2\.1 too/);
});

const peer = "{my-asn: 1, peer-asn: 2, peer-address: 10.0.0.1}, {my-asn: 1, peer-asn: 2, peer-address: 10.0.0.2}";
const bgpPool = "{name: b, protocol: bgp, addresses: [192.0.2.0/28]}";

test("by BGP an address is announced by the sessions that are established", () => {
  const bench = started(bgpPool, (one) => one.serve("default/web", [x]), "node1", peer);
  const standing = () => ({ state: "sent", nextHops: [address("10.0.0.9")] }) as const;
  const message = "the session is not up: its limit of prefixes";
  const notCarriedSince = () => undefined;
  const sessions = (first: boolean, second: boolean): Sessions =>
    new Map([
      ["10.0.0.1:179", { established: first, since: 1_000, message, standing, notCarriedSince }],
      ["10.0.0.2:179", { established: second, since: 2_000, message, standing, notCarriedSince }],
    ]);
  const up = (first: boolean, second: boolean) => on(bench, "default/web", sessions(first, second));
  assert.match(
    up(true, true),
    /^Announced announced: node1 announces 192\.0\.2\.1 of pool b by BGP to 10\.0\.0\.1:179, 10\.0\.0\.2:179$/,
  );
  assert.match(up(true, false), /^Degraded someSessionsDown: .* and not to 10\.0\.0\.2:179$/);
  assert.match(up(false, false), /^Pending noSession: /);
  assert.equal(serviceView(bench.state, "default/web", sessions(false, false))?.since, 2_000);
  bench.clock.advanceBy(5_000);
  bench.serve("default/late", ["192.0.2.2"]);
  bench.settle();
  assert.equal(serviceView(bench.state, "default/late", sessions(false, false))?.since, bench.clock.now(), "placed later");
  assert.match(on(started(bgpPool, (one) => one.serve("default/web", [x]), "node1")), /^Pending noPeer: /);
  const local = (one: Bench) => one.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { node2: true });
  assert.match(on(started(bgpPool, local, "node1", peer)), /^Pending noReadyEndpointOnNode: node1 has no ready endpoint/);
});

test("of the routes of an address it is said how each stands in its session, and which no session carries", () => {
  const bench = started(bgpPool, (one) => one.serve("default/web", [x]), "node1", peer);
  const view = (...standings: RouteStanding[]) => {
    const sessions = standings.map((one, index): [string, SessionState] => [
      `10.0.0.${index + 1}:179`,
      {
        established: true,
        since: 0,
        message: "",
        standing: () => one,
        notCarriedSince: () => (one.state === "sent" ? undefined : 7_000 + index),
      },
    ]);
    const { verdict, since } = serviceView(bench.state, "default/web", new Map(sessions)) ?? assert.fail();
    assert.equal(since, verdict.cause === "routeNotCarried" ? 7_001 : 0);
    const facts = verdict.evidence.filter(({ source }) => source === "BGP session").map(({ name, value }) => `${name}: ${value}`);
    return [`${verdict.state} ${verdict.cause}`, ...facts];
  };
  const sent: RouteStanding = { state: "sent", nextHops: [address("10.0.0.9")] };
  assert.deepEqual(view(sent, { state: "waits" }), [
    "Announced announced",
    "192.0.2.1/32 to 10.0.0.1:179: sent, with next hop 10.0.0.9",
    "192.0.2.1/32 to 10.0.0.2:179: waits to be sent",
  ]);
  assert.deepEqual(view(sent, { state: "noNextHop" }), [
    "Degraded routeNotCarried",
    "192.0.2.1/32 to 10.0.0.1:179: sent, with next hop 10.0.0.9",
    "192.0.2.1/32 to 10.0.0.2:179: not sent: this node has no address of its own to be the next hop",
  ]);
  const other: RouteStanding = { state: "familyNotNegotiated" };
  assert.equal(view(other, other)[0], "Pending routeNotCarried");
});

test("a pool is available where some node may announce it", () => {
  const of = (bench: Bench) => {
    const [pool] = bench.state.config?.config.pools ?? [];
    assert.ok(pool);
    const { state, cause, message } = poolVerdict(bench.state, pool);
    return `${state} ${cause}: ${message}`;
  };
  const nothing = () => {};
  const excludeAll = (bench: Bench) => {
    for (const node of nodes) bench.setNode(node, excluded);
  };
  assert.match(of(started(lan, nothing)), /^Ready available: 3 nodes may announce pool lan by layer 2: node1, node2, node3$/);
  assert.match(of(started(ssd, nothing)), /^Pending noNodeSelected: no node in sight may announce pool lan by layer 2: /);
  const both = ssd.replace("layer2", "[layer2, bgp]");
  assert.match(
    of(started(both, nothing, "node1", peer)),
    /^Pending noNodeSelected: no node in sight may announce pool lan by layer 2: /,
  );
  const alone = (bench: Bench) => {
    for (const node of nodes) bench.setNode(node, excluded);
    bench.membersChanged([owner]);
  };
  const says = `${owner}, which sees no other speaker, does not announce pool lan by layer 2: a label excludes ${owner}`;
  assert.match(of(started(lan, alone)), new RegExp(`^Pending nodeExcluded: ${says} from load balancers$`));
  const mixed = (bench: Bench) => {
    bench.setNode("node1", excluded);
    bench.setNode("node2", {}, [outOfServiceTaint]);
    bench.setNode("node3", {}, [networkTaint]);
  };
  assert.match(
    of(started(lan, mixed)),
    /: a label or the taint node\.kubernetes\.io\/network-unavailable excludes node1, node3 from load balancers$/,
    "each reason of each node",
  );
  const tainted = (bench: Bench) => bench.setNode("node1", { disk: "ssd" }, [outOfServiceTaint]);
  const [ofTainted] = [started(ssd, tainted)].map((bench) => {
    const [pool] = bench.state.config?.config.pools ?? [];
    return poolVerdict(bench.state, pool ?? assert.fail());
  });
  const others = (bench: Bench) => {
    for (const node of nodes) if (node !== owner) bench.setNode(node, {}, [outOfServiceTaint]);
    bench.setNode(owner, excluded);
  };
  assert.match(of(started(lan, others)), /: no node in sight may announce pool lan by layer 2: a label excludes/, "it sees them");
  assert.match(ofTainted?.message ?? "", /match none with a working speaker \(they match node1, with the taint/);
  assert.match(ofTainted?.next ?? "", /^once the node is well again, remove the taint: kubectl taint nodes node1 /);
  assert.match(of(started(lan, (bench) => bench.membersChanged([]))), /^Pending noActiveSpeaker: /);
  assert.match(of(started(lan, excludeAll)), /^Pending nodeExcluded: /);
  const { state } = started(lan, excludeAll);
  const [excludedPool] = state.config?.config.pools ?? [];
  assert.ok(excludedPool);
  assert.match(
    poolVerdict(state, excludedPool).next,
    /^kubectl label node node1 node\.kubernetes\.io\/exclude-\S+-,/,
    "for a shell",
  );
  const sticky = "{name: s, protocol: layer2, addresses: [192.0.2.0/28], l2-placement: sticky}";
  assert.match(of(started(sticky, nothing)), /^Degraded placementNeedsRing: /);
  assert.match(of(amongOthers(owner, sticky).bench), /^Ready available: /);
  assert.match(of(started(bgpPool, nothing, "node1", peer)), /^Ready available: node1 may announce pool b by BGP to /);
  assert.match(of(started(bgpPool, nothing, "node1")), /^NotOurs noPeer: /);
});

test("a central speaker lacks nothing of what only speakers of nodes do", () => {
  const bench = new Bench("central/node1", { hasRing: true, announceFor: "all", active: ["node1", "node2", "central/node1"] });
  const { config, problems } = parseConfig(
    "{failover: {interval: 10ms}, address-pools: [{name: lan, protocol: layer2, keep-connections: true, addresses: [192.0.2.0/28]}]}",
  );
  assert.ok(config, JSON.stringify(problems));
  bench.setConfig({ config, pools: new PoolIndex(config.pools) });
  bench.start();
  bench.settle();
  bench.runner.dispatch({
    type: "handoverFailures",
    failures: new Map([["IPv4", "the process needs the capability NET_ADMIN"]]),
  });
  const none = { missing: [], findings: [], bfdWarnings: [], lossy: [], refusedWrites: [] };
  const facts = { ...none, failed: undefined, pathProblems: undefined, viewAge: 0 };
  assert.deepEqual(
    nodeVerdicts(bench.state, facts).map(({ cause }) => cause),
    ["ready"],
  );
});

test("of all that is the case with a node the worst comes first", () => {
  const well: NodeFacts = {
    missing: [],
    failed: undefined,
    findings: [],
    bfdWarnings: [],
    lossy: [],
    pathProblems: [],
    refusedWrites: [],
    viewAge: 0,
  };
  const bench = Bench.announcing("node1");
  const causes = (facts: Partial<NodeFacts>) => nodeVerdicts(bench.state, { ...well, ...facts }).map(({ cause }) => cause);
  assert.deepEqual(causes({}), ["ready"]);
  assert.deepEqual(causes({ findings: [verdict("node", "rpFilter")], failed: "no socket" }), ["layer2Unavailable", "rpFilter"]);
  assert.deepEqual(causes({ viewAge: 75, bfdWarnings: ["port in use"], missing: ["Nodes"] }), [
    "waiting",
    "apiUnreachable",
    "bfd",
  ]);
  assert.deepEqual(causes({ lossy: ["node2", "node3"] }), ["ringPacketsLost"]);
  const [{ message }] = nodeVerdicts(bench.state, { ...well, lossy: ["node2", "node3"] });
  assert.match(message, /between node1 and node2, node3, which/);
  const pathProblems = ["there is no BFD session with node2", "BFD took node3 for gone"];
  assert.deepEqual(causes({ pathProblems }), ["fastPathOff"]);
  assert.match(
    nodeVerdicts(bench.state, { ...well, pathProblems })[0].message,
    /without BFD: there is no .* node2; BFD took node3/,
  );
  assert.deepEqual(causes({ pathProblems: undefined }), ["ready"], "nothing asks for BFD");
  const refusedWrites = ["Cannot write ConfigMap a: 403", "Cannot write ConfigMap b: 403"];
  const [notReported] = nodeVerdicts(bench.state, { ...well, refusedWrites });
  assert.equal(notReported.cause, "notReported");
  assert.match(notReported.message, /what node1 reports for all nodes is refused: Cannot write ConfigMap a: 403 \(and 1 more\)/);
  const central = new Bench(centralName("node1"), { hasRing: true, announceFor: "all" });
  const ofCentral = (more: string) => {
    const { config, problems } = parseConfig(`{address-pools: [], bfd-profiles: [{name: b}], failover: {interval: 50ms}, peers: [
      {my-asn: 64512, peer-asn: 64513, peer-address: 10.0.0.254, ${more}}]}`);
    assert.ok(config, JSON.stringify(problems));
    central.setConfig({ config, pools: new PoolIndex([]) });
    return nodeVerdicts(central.state, { ...well, pathProblems: undefined }).map(({ cause }) => cause);
  };
  assert.deepEqual(ofCentral("bfd-profile: b"), ["bfd"], "the node's own speaker has the port");
  assert.deepEqual(ofCentral("bfd-profile: b, ebgp-multihop: true"), ["ready"]);
  assert.deepEqual(ofCentral("hold-time: 9s"), ["ready"], "it needs no BFD with nodes");
  const why = "the process needs the capability NET_ADMIN";
  bench.runner.dispatch({ type: "handoverFailures", failures: new Map([["IPv6", why]]) });
  assert.deepEqual(causes({}), ["ready"], "no pool keeps connections");
  const keeping = (addresses: string) => `{name: lan, protocol: layer2, keep-connections: true, addresses: [${addresses}]}`;
  bench.setConfig(pools(keeping("192.0.2.0/24")));
  assert.deepEqual(causes({}), ["ready"], "no pool keeps connections of IPv6");
  bench.setConfig(pools(keeping("192.0.2.0/24, 2001:db8::/120")));
  assert.deepEqual(causes({}), ["handoverUnavailable"]);
  assert.match(nodeVerdicts(bench.state, well)[0].message, /to it: IPv6: the process needs the capability NET_ADMIN$/);
  bench.setConfig(pools());
  const nic = { index: 2, name: "eth0", mac: "02:00:00:00:00:01", status: "answering", running: false } as const;
  bench.setInterfaces({ ...nic, addresses: ["192.0.2.100/24"] });
  assert.deepEqual(causes({ missing: ["the ring"] }), ["waiting", "noCarrier"]);
  const [{ message: downMessage, evidence: downFacts }] = nodeVerdicts(bench.state, well);
  assert.match(downMessage, /^interface eth0 of node1 is down or has no carrier$/);
  assert.deepEqual(
    downFacts.map(({ name, value }) => `${name} ${value}`),
    ["interface eth0", "subnet 192.0.2.0/24", "pool lan"],
  );
  const wide = parseConfig("address-pools: [{name: lan, protocol: layer2, addresses: [192.0.0.10-192.0.9.9]}]").config;
  assert.ok(wide);
  bench.setConfig({ config: wide, pools: new PoolIndex(wide.pools) });
  assert.deepEqual(causes({}), ["noCarrier"], "the pool is in several subnets");
  const named = parseConfig(
    `address-pools: [{name: lan, protocol: layer2, interfaces: ["can_reach:203.0.113.9"], addresses: [192.0.2.0/24]}]`,
  ).config;
  assert.ok(named);
  bench.setConfig({ config: named, pools: new PoolIndex(named.pools) });
  bench.state.carriers.routes = new Map([["203.0.113.9", "eth0"]]);
  assert.deepEqual(causes({}), ["noCarrier"], "by what it leads to");
  bench.state.carriers.routes = new Map([["203.0.113.9", "eth1"]]);
  assert.deepEqual(causes({}), ["ready"]);
  bench.setConfig(pools());
  const others = [
    { ...nic, addresses: ["192.0.2.100/24"], running: true },
    { ...nic, addresses: ["192.0.2.100/24"], status: "enslaved" as const },
    { ...nic, addresses: ["172.17.0.1/16"] }, // Docker's, without containers.
    { ...nic, addresses: [] },
  ];
  for (const other of others) {
    bench.setInterfaces(other);
    assert.deepEqual(causes({}), ["ready"], JSON.stringify(other));
  }
  bench.setNode("node1", { [excludeLabel]: "" });
  assert.deepEqual(causes({}), ["excluded"]);
  bench.setNode("node1", {}, [networkTaint]);
  const [tainted] = nodeVerdicts(bench.state, well);
  assert.match(tainted.message, /has the taint node\.kubernetes\.io\/network-unavailable: it announces nothing$/);
  assert.match(tainted.next, /^kubectl describe node node1 says/);
});

test("in a large ring a list says of an address elsewhere that another node has it, and an answer on one Service which", () => {
  const bench = new Bench(loser, { ownNode: { ...ownNodeRule, fromMembers: 2 } });
  bench.setConfig(pools());
  bench.serve("default/web", [x]);
  bench.start();
  bench.settle();
  const messages = [false, true].map((isWhole) =>
    bench.view
      .service("default/web", new Map(), isWhole)
      ?.addresses.map(({ placement, verdict }) => [placement?.owner, verdict.cause, verdict.message]),
  );
  assert.deepEqual(messages, [
    [[undefined, "notOwner", `another node announces ${x}`]],
    [[owner, "notOwner", `${owner} announces ${x}`]],
  ]);
});

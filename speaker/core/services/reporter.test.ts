import assert from "node:assert/strict";
import { test } from "node:test";
import { slow } from "#pkg/clock/testing";
import { parsePrefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { excludeLabel } from "#pkg/placement";
import { amongOthers, Bench, eth0, excluded, loser, nodes, owner, pools, x } from "../../testing/speaker-bench.ts";
import { serviceView } from "../verdicts/address-verdict.ts";
import { mayBeOutOfSight, outcomeOf } from "./outcome.ts";

const lan = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}";
const routed = "{name: lan, protocol: bgp, addresses: [192.0.2.0/28]}";
const peer = "{my-asn: 64500, peer-asn: 64501, peer-address: 10.0.0.1}";
const first = nodes[0] ?? "";
const carried = { IPv4: "carried", IPv6: "carried" } as const;
const noSession = { IPv4: "noSession", IPv6: "noSession" } as const;
const notCarried = { IPv4: "notCarried", IPv6: "notCarried" } as const;

function advance(bench: Bench, ms: number): void {
  for (let at = 0; at < ms; at += 1_000) {
    bench.clock.advanceBy(1_000);
    bench.settle();
  }
}

const said = (bench: Bench) => bench.told.get("default/web");

test("where no central speaker is left, that is why nobody announces a Service by BGP, and not its peers", () => {
  for (const announceFor of ["node-without-bgp", "node"] as const) {
    const bench = new Bench("node1", { hasRing: true, announceFor, active: ["node1"] });
    bench.setConfig(pools(routed, announceFor === "node" ? "" : peer));
    bench.serve("default/web", [x]);
    bench.start();
    bench.settle();
    advance(bench, 60_000);
    const isCentral = announceFor === "node-without-bgp";
    assert.match(
      said(bench) ?? "",
      isCentral ? /^noPeer: central speakers .*none is in the ring/ : /^noPeer: no node has a BGP peer/,
    );
    const { verdict } = serviceView(bench.state, "default/web", new Map()) ?? assert.fail();
    assert.match(verdict.message, isCentral ? /^central speakers .*none is in the ring/ : /^node1 has no peer/);
    assert.match(verdict.next, isCentral ? /get deployments,pods/ : /^add a peer/);
  }
});

test("the first speaker by name tells the controller who announces a Service, and no other one does", () => {
  for (const node of nodes) {
    const { bench } = amongOthers(node, lan);
    advance(bench, 60_000);
    assert.equal(said(bench), node === first ? `announced: ${x} is announced by ${owner}` : undefined, node);
    assert.equal(bench.tellings, node === first ? 1 : 0, "and once");
  }
});

test("without a ring nobody knows whether a Service is announced by BGP, and none is said not to be since an endpoint is ready again", () => {
  const bench = new Bench(first);
  bench.setConfig(pools(routed, peer));
  bench.serve("default/web", [x]);
  bench.start();
  bench.settle();
  for (const failingMs of [10_000, 60_000]) {
    bench.endpoints("default/web", {});
    advance(bench, failingMs);
    assert.equal(said(bench)?.split(":")[0], failingMs < 30_000 ? undefined : "noReadyEndpoint");
    bench.endpoints("default/web", { node1: true });
    advance(bench, 60_000);
    assert.equal(said(bench), undefined);
  }
});

const causes: {
  name: string;
  text?: string;
  peers?: string;
  plant: (ring: ReturnType<typeof amongOthers>) => void;
  says: RegExp;
}[] = [
  {
    name: "no endpoint",
    plant: ({ bench }) => bench.endpoints("default/web", {}),
    says: /^noReadyEndpoint: .*none.*see whether its selector/,
  },
  {
    name: "none ready",
    plant: ({ bench }) => bench.endpoints("default/web", { node1: false }),
    says: /^noReadyEndpoint: .*see why its Pods are not ready$/,
  },
  {
    name: "Local without one at a speaker",
    plant: ({ bench }) => bench.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { node9: true }),
    says: /^noReadyEndpointOnActiveNode: /,
  },
  {
    name: "outside all subnets",
    text: lan.replace("}", ", l2-placement: subnet}"),
    plant: ({ bench, others, hear }) => {
      const subnet = parsePrefix("198.51.100.0/24") ?? assert.fail();
      for (const { state } of others)
        state.setReachability({ answers: true, hasKernelAccess: true, interfaces: new Map([["eth0", [subnet]]]) });
      hear();
      bench.setInterfaces({ ...eth0, addresses: ["198.51.100.1/24"] });
    },
    says: /^notInSubnet: /,
  },
  {
    name: "no session",
    text: routed,
    peers: peer,
    plant: ({ others, hear }) => {
      for (const { state } of others) state.setDeliveries(new Map([["lan", noSession]]));
      hear();
    },
    says: /^noSession: no node has a BGP session .*: node1, node2, node3; run ingotctl peers/,
  },
  {
    name: "routes that no session carries",
    text: routed,
    peers: peer,
    plant: ({ others, hear }) => {
      others[0]?.state.setDeliveries(new Map([["lan", noSession]]));
      others[1]?.state.setDeliveries(new Map([["lan", notCarried]]));
      hear();
    },
    says: /^routeNotCarried: .*: node3; /,
  },
  {
    name: "no peer",
    text: routed,
    plant: ({ others, hear }) => {
      for (const { state } of others) state.setDeliveries(new Map([["lan", { IPv4: "noPeer", IPv6: "noPeer" }]]));
      hear();
    },
    says: /^noPeer: no node has a BGP peer/,
  },
  {
    name: "no peer, and one node that a label excludes",
    text: routed,
    plant: ({ bench, others, hear }) => {
      for (const { state } of others) state.setDeliveries(new Map([["lan", { IPv4: "noPeer", IPv6: "noPeer" }]]));
      hear();
      bench.setNode("node2", { [excludeLabel]: "" });
    },
    says: /^noPeer: .*: node1, node3 have no BGP peer .*, and a label or taint keeps it from node2; add a peer .*; or kubectl label node node2 /,
  },
  {
    name: "Local by BGP, and the node of its endpoint without a session",
    text: routed,
    peers: peer,
    plant: ({ bench, others, hear }) => {
      bench.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { node2: true });
      others[0]?.state.setDeliveries(new Map([["lan", noSession]]));
      others[1]?.state.setDeliveries(new Map([["lan", carried]]));
      hear();
    },
    says: /^noSession: .*: node2; /,
  },
];
for (const { name, text = lan, peers, plant, says } of causes)
  test(`a Service that nobody announces is told of after 30 s: ${name}`, () => {
    const ring = amongOthers(first, text, peers);
    plant(ring);
    advance(ring.bench, 29_000);
    assert.ok(said(ring.bench)?.startsWith("announced") ?? true, said(ring.bench));
    advance(ring.bench, 8_000);
    assert.match(said(ring.bench) ?? "", says);
    ring.bench.setService("default/web", undefined);
    advance(ring.bench, 10_000);
    assert.equal(said(ring.bench), undefined);
  });

const asn = { cause: "notificationSent", about: "peer 10.0.0.1:179", text: "its AS number is 64502; set peer-asn: 64502" };
const asnText = "its AS number is 64502; set peer-asn: 64502";
const forwarding = { cause: "forwardingOff", about: "forwarded IPv4", text: "net.ipv4.ip_forward is 0" };
const arp = { cause: "strictArp", about: "0.0.0.0/0", text: "arp_ignore is 0 on eth0" };
const otherPeer = { ...asn, about: "peer 10.0.0.9:179" };
const bfd = { cause: "bfdUnknown", about: "path 10.0.0.1:179", text: "BFD is not up" };
const toldFaults: {
  name: string;
  text?: string;
  /** How the nodes deliver their routes; absent for layer 2. */
  delivers?: "carried" | "noSession";
  /** Reported by the owner on layer 2, and by each of the other nodes by BGP. */
  faults: readonly (typeof asn)[];
  ready?: Record<string, boolean>;
  says: RegExp;
}[] = [
  {
    name: "a session without which nobody announces it",
    delivers: "noSession",
    faults: [asn],
    says: new RegExp(`^noSession: no node has .*: node1, node2, node3; on node2: ${asnText}$`),
  },
  { name: "a session with another pool's router", delivers: "noSession", faults: [otherPeer], says: /; run ingotctl peers/ },
  {
    name: "several faults of one node",
    delivers: "noSession",
    faults: [asn, otherPeer, { ...asn, cause: "connectTimeout" }],
    says: /64502 \(1 other fault there: ingotctl explain\)$/,
  },
  {
    name: "a session that is up without BFD",
    delivers: "carried",
    faults: [bfd],
    says: /^announcedWithFault: .* by BGP; on node2: BFD is not up$/,
  },
  {
    name: "a session beside another that carries the route",
    delivers: "carried",
    faults: [asn],
    says: /^announced: .* is announced by BGP$/,
  },
  {
    name: "a setting of the owner",
    faults: [arp],
    says: new RegExp(`^announcedWithFault: ${x} is announced by ${owner}; on ${owner}: arp_ignore`),
  },
  { name: "a subnet that the address is not in", faults: [{ ...arp, about: "198.51.100.0/24" }], says: /^announced: / },
  { name: "words that are no prefix", faults: [{ ...arp, about: "x" }], says: /^announced: / },
  { name: "packets of another family", faults: [{ ...forwarding, about: "forwarded IPv6" }], says: /^announced: / },
  { name: "packets that stay on the owner", faults: [forwarding], ready: { [owner]: true }, says: /^announced: / },
  {
    name: "packets for another node",
    faults: [forwarding],
    ready: { [loser]: true },
    says: /^announcedWithFault: .*ip_forward is 0$/,
  },
  {
    name: "by BGP, packets for another node, at any node with routes, and not at that of the endpoint, node2",
    delivers: "carried",
    faults: [forwarding],
    says: /^announcedWithFault: .* by BGP; on node3: net\.ipv4\.ip_forward is 0$/,
  },
  {
    name: "by BGP, packets for another node, at nodes without routes",
    delivers: "noSession",
    faults: [forwarding],
    says: /^noSession: (?!.*ip_forward)/,
  },
  { name: "by BGP, a setting that matters on layer 2", delivers: "carried", faults: [arp], says: /^announced: / },
];
for (const { name, text = lan, delivers, faults, ready = { node1: true }, says } of toldFaults)
  test(`of a fault that a node reports its Services are told, and no others: ${name}`, () => {
    const { bench, others, hear } = amongOthers(first, delivers === undefined ? text : routed, peer);
    bench.endpoints("default/web", ready);
    if (delivers !== undefined && delivers === "carried") bench.endpoints("default/web", { node2: true });
    for (const { name: node, state } of others) {
      if (delivers !== undefined) state.setDeliveries(new Map([["lan", { IPv4: delivers, IPv6: delivers }]]));
      if (delivers !== undefined || node === owner) state.setFaults(faults);
    }
    if (owner === first && delivers === undefined) bench.runner.dispatch({ type: "faults", faults });
    hear();
    advance(bench, 40_000);
    assert.match(said(bench) ?? "", says);
    for (const { state } of others) state.setFaults([]);
    bench.runner.dispatch({ type: "faults", faults: [] });
    hear();
    advance(bench, 10_000);
    assert.doesNotMatch(said(bench) ?? "", /on node\d: /);
  });

test("another wording of a fault is no other line", () => {
  const { bench, others, hear } = amongOthers(first, lan);
  const tell = (text: string) => {
    if (owner === first) bench.runner.dispatch({ type: "faults", faults: [{ ...arp, text }] });
    for (const { name, state } of others) if (name === owner) state.setFaults([{ ...arp, text }]);
    hear();
    advance(bench, 20_000);
  };
  tell("arp_ignore is 0 on eth0");
  const { tellings } = bench;
  for (let i = 1; i < 5; i++) tell(`arp_ignore is 0 on ${i} interfaces`);
  assert.equal(bench.tellings, tellings);
  assert.match(said(bench) ?? "", /on eth0$/);
});

test("one session that carries the route is enough, on whichever node it is", () => {
  const { bench, others, hear } = amongOthers(first, routed, peer);
  for (const { state } of others) state.setDeliveries(new Map([["lan", noSession]]));
  hear();
  advance(bench, 40_000);
  assert.match(said(bench) ?? "", /^noSession/);
  others[1]?.state.setDeliveries(new Map([["lan", carried]]));
  hear();
  advance(bench, 10_000);
  assert.equal(said(bench), `announced: ${x} is announced by BGP`);
  others[1]?.state.setDeliveries(new Map([["lan", noSession]]));
  hear();
  bench.runner.dispatch({ type: "sessions", carried: new Map([["10.0.0.1:179", ["IPv4"]]]) });
  advance(bench, 60_000);
  assert.equal(said(bench), `announced: ${x} is announced by BGP`);
  assert.deepEqual(bench.gossip.deliveries(first, "lan"), { IPv4: "carried", IPv6: "notCarried" });
});

test("a session without a next hop for a family carries the routes that have one by the configuration", () => {
  const entry = (name: string, octet: number, more: string) =>
    `{name: ${name}, protocol: bgp, addresses: [192.0.2.0/28, "2001:db8:${octet}::/64"]${more}}`;
  const fixed = entry("fixed", 2, ', bgp-advertisements: [{next-hop-v6: "2001:db8::1"}]').replace("192.0.2.0/28, ", "");
  const { bench } = amongOthers(first, `${entry("lan", 1, "")}, ${fixed}`, peer);
  bench.runner.dispatch({ type: "sessions", carried: new Map([["10.0.0.1:179", ["IPv4", "IPv6 by next hop"]]]) });
  assert.deepEqual(bench.gossip.deliveries(first, "lan"), { IPv4: "carried", IPv6: "notCarried" });
  assert.equal(bench.gossip.deliveries(first, "fixed")?.IPv6, "carried");
});

test("a Service that lost its endpoints is announced by no node but by those that announced it and have lost the API", () => {
  for (const text of [lan, routed])
    for (const announces of [true, false]) {
      const { bench, others, hear } = amongOthers(first, text, text === routed ? peer : "");
      const [old] = others;
      old?.state.setDeliveries(new Map([["lan", announces ? carried : noSession]]));
      old?.state.setView("old");
      old?.state.setAnnounced(address(x), announces && text === lan);
      hear();
      bench.endpoints("default/web", {});
      advance(bench, 60_000);
      const but = announces ? ` that reaches the API, and may still be by ${old?.name}` : "";
      const says = `noReadyEndpoint: no endpoint is ready (the Service has none), so that ${x} is announced by no node${but}`;
      assert.equal((said(bench) ?? "").split(";")[0], says);
      old?.state.setView("current");
      hear();
      advance(bench, 60_000);
      assert.doesNotMatch(said(bench) ?? "", / may still be /);
    }
});

test("by BGP a node that has lost the API carries what it reports, and no Service that it may not know is said to be announced by it", () => {
  for (const policy of ["Local", "Cluster"] as const) {
    const { bench, others, hear } = amongOthers(first, routed, peer);
    const [one, other] = others;
    one?.state.setDeliveries(new Map([["lan", carried]]));
    other?.state.setDeliveries(new Map([["lan", noSession]]));
    hear();
    advance(bench, 10_000);
    assert.equal(said(bench), `announced: ${x} is announced by BGP`);
    one?.state.setView("behind");
    hear();
    bench.serve(
      "default/late",
      ["192.0.2.2"],
      { externalTrafficPolicy: policy },
      Object.fromEntries(nodes.map((node) => [node, true])),
    );
    advance(bench, 60_000);
    assert.equal(said(bench), `announced: ${x} is announced by BGP`, "nobody says otherwise");
    assert.equal(bench.told.get("default/late"), undefined);
    one?.state.setAnnounced(address("192.0.2.2"), true);
    hear();
    advance(bench, 10_000);
    assert.equal(bench.told.get("default/late"), "announced: 192.0.2.2 is announced by BGP");
    one?.state.setAnnounced(address("192.0.2.2"), false);
    other?.state.setDeliveries(new Map([["lan", carried]]));
    bench.serve(
      "default/later",
      ["192.0.2.3"],
      { externalTrafficPolicy: policy },
      Object.fromEntries(nodes.map((node) => [node, true])),
    );
    hear();
    advance(bench, 10_000);
    assert.equal(bench.told.get("default/later"), "announced: 192.0.2.3 is announced by BGP");
  }
});

test("a Service whose entries have no session is not announced, whatever the pool's others have", () => {
  const entryFor = (peer: string) => `{peers: [${peer}], service-selectors: [{match-labels: {for: ${peer}}}]}`;
  const text = `{name: lan, protocol: bgp, addresses: [192.0.2.0/28], bgp-advertisements: [${["in", "out"].map(entryFor).join()}]}`;
  const peers = ["in", "out"].map((name, index) => `{name: ${name}, my-asn: 1, peer-asn: 2, peer-address: 10.0.0.${index + 1}}`);
  const { bench, others, hear } = amongOthers(first, text, peers.join());
  for (const { state } of others) state.setDeliveries(new Map([["lan", noSession]]));
  hear();
  bench.serve("default/web", [x], { labels: { for: "in" } });
  bench.serve("default/other", ["192.0.2.2"], { labels: { for: "out" } });
  bench.runner.dispatch({ type: "sessions", carried: new Map([["10.0.0.1:179", ["IPv4"]]]) });
  advance(bench, 60_000);
  assert.equal(bench.gossip.deliveries(first, "lan")?.IPv4, "carried");
  assert.match(bench.told.get("default/web") ?? "", /^announced: /);
  assert.match(bench.told.get("default/other") ?? "", /^noSession: /);
  bench.serve("default/other", ["192.0.2.2"], { labels: { for: "in" } });
  advance(bench, 60_000);
  assert.match(bench.told.get("default/other") ?? "", /^announced: /);
});

test("nothing is said of sessions while a node does not report its own", () => {
  const { bench, others, hear } = amongOthers(first, routed, peer);
  others[0]?.state.setDeliveries(new Map([["lan", noSession]]));
  hear();
  advance(bench, 90_000);
  assert.equal(said(bench), undefined);
});

test("a rollout, and a failover, write an owner and no fault", () => {
  const { bench } = amongOthers(first, lan);
  advance(bench, 10_000);
  const lines = new Set<string | undefined>();
  for (let round = 0; round < 10; round++) {
    bench.endpoints("default/web", { node1: round % 2 === 1 });
    advance(bench, 20_000);
    lines.add(said(bench));
  }
  bench.membersChanged(nodes.filter((node) => node !== owner));
  advance(bench, 10_000);
  lines.add(said(bench));
  assert.deepEqual(
    [...lines].map((line) => line?.split(":")[0]),
    ["announced", "announced"],
  );
  assert.equal(bench.tellings, 2);
});

test("who tells of Services says every two minutes that it is there, and no other one does", () => {
  for (const node of nodes) {
    const { bench } = amongOthers(node, lan);
    advance(bench, 3_605_000);
    assert.equal(bench.beats, node === first ? 30 : 0, node);
  }
});

test("lines that another node wrote meanwhile are written anew, soon after it has joined again, and once a minute at most", () => {
  const { bench } = amongOthers(first, lan);
  advance(bench, 130_000);
  const { tellings, beats } = bench;
  bench.membersChanged(nodes.slice(0, 2));
  bench.membersChanged(nodes);
  advance(bench, 12_000);
  assert.equal(bench.beats, beats + 1, "a write, whose answer tells who wrote last");
  bench.told.clear();
  for (let i = 0; i < 50; i++) {
    bench.runner.dispatch({ type: "linesReplaced" });
    advance(bench, 1_000);
  }
  assert.match(said(bench) ?? "", /^announced/);
  assert.equal(bench.tellings, tellings + 1);
  advance(bench, 60_000);
  bench.runner.dispatch({ type: "linesReplaced" });
  advance(bench, 5_000);
  assert.equal(bench.tellings, tellings + 2);
  const other = amongOthers(nodes[1] ?? "", lan).bench;
  other.membersChanged(nodes);
  other.runner.dispatch({ type: "linesReplaced" });
  advance(other, 200_000);
  assert.deepEqual([other.tellings, other.beats], [0, 0], "who does not tell says nothing");
});

test("a node that has lost the API announces what it reports, whatever it should do since, and nothing else", () => {
  for (const announces of [true, false]) {
    const { bench, others, hear } = amongOthers(loser, lan);
    const old = others.find(({ name }) => name === owner);
    old?.state.setView("old");
    old?.state.setAnnounced(address(x), announces);
    hear();
    for (const node of nodes) if (announces || node !== owner) bench.setNode(node, { [excludeLabel]: "" });
    bench.settle();
    const found = outcomeOf(bench.state, "default/web");
    const { cause, message } = typeof found === "object" ? found.line : assert.fail(found);
    if (announces) assert.equal(`${cause}: ${message}`, `announced: ${x} is announced by ${owner}, which does not reach the API`);
    else assert.match(`${cause}: ${message}`, new RegExp(`^unsettled: ${owner} is to announce ${x}, does not reach the API`));
  }
});

test("who has lost members, and finds that another one writes lines, says of no Service that nobody announces it, as long as that may be", () => {
  const { bench } = amongOthers(first, lan);
  bench.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { [nodes[1] ?? ""]: true });
  bench.serve("default/empty", ["192.0.2.2"], {}, {});
  advance(bench, 130_000);
  assert.match(said(bench) ?? "", /^announced/);
  for (const node of nodes.slice(1))
    bench.runner.dispatch({ type: "member", change: "failed", node, incarnation: 1, life: undefined, macs: undefined });
  bench.membersChanged([first]);
  advance(bench, 12_000);
  bench.told.clear();
  for (let i = 0; i < 3; i++) {
    bench.runner.dispatch({ type: "linesReplaced" });
    advance(bench, 120_000);
    assert.equal(said(bench), undefined, "it may be behind a cut of the ring");
    assert.match(bench.told.get("default/empty") ?? "", /^noReadyEndpoint/, "the API says so to all");
  }
  advance(bench, 200_000);
  assert.match(said(bench) ?? "", /^noReadyEndpointOnActiveNode/, "the other one is gone");
});

test("nodes that an entry of layer2-advertisements selects may announce a Service out of sight, and any node by BGP", () => {
  const edge = "node-selectors: [{match-labels: {edge: here}}]";
  const near = edge.replace("here", "near");
  for (const [text, mayAnnounce] of [
    [lan.replace("}", `, ${near}, layer2-advertisements: [{${edge}}]}`), true],
    [lan.replace("}", `, ${edge}, layer2-advertisements: [{${near}}]}`), false],
    [lan.replace("}", `, ${near}}`), false],
    [lan.replace("layer2", "[layer2, bgp]").replace("}", `, ${near}}`), true],
  ] as const) {
    const { bench } = amongOthers(first, text, peer);
    const [, lost = ""] = nodes;
    bench.setNode(lost, { edge: "here" });
    bench.runner.dispatch({ type: "member", change: "failed", node: lost, incarnation: 1, life: undefined, macs: undefined });
    bench.membersChanged(nodes.filter((node) => node !== lost));
    bench.settle();
    assert.equal(mayBeOutOfSight(bench.state, "default/web"), mayAnnounce, text);
  }
});

test("who begins to tell long after it lost members hears first whether one of them tells behind a cut of the ring", () => {
  const day = 24 * 60 * 60_000;
  for (const lostForMs of [0, 60_000, day]) {
    const { bench } = amongOthers(first, lan);
    bench.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { [nodes[1] ?? ""]: true });
    bench.serve("default/empty", ["192.0.2.2"], {}, {});
    bench.runner.dispatch({ type: "apiLost", since: bench.clock.now() });
    advance(bench, 70_000);
    bench.told.clear();
    for (const node of nodes.slice(1))
      bench.runner.dispatch({ type: "member", change: "failed", node, incarnation: 1, life: undefined, macs: undefined });
    bench.membersChanged([first]);
    if (lostForMs === day) bench.clock.advanceBy(day);
    else advance(bench, lostForMs);
    bench.runner.dispatch({ type: "apiLost", since: Infinity });
    advance(bench, 60_000);
    assert.match(bench.told.get("default/empty") ?? "", /^noReadyEndpoint/, "the API says so to all");
    if (lostForMs === 0) assert.match(said(bench) ?? "", /^noReadyEndpointOnActiveNode/, "one that tells looks, too, at once");
    else if (lostForMs === day) assert.match(said(bench) ?? "", /^noReadyEndpointOnActiveNode/, "no cut lasts so long unseen");
    else assert.equal(said(bench), undefined, "one that has told for long says every two minutes that it is there");
    advance(bench, 150_000);
    assert.match(said(bench) ?? "", /^noReadyEndpointOnActiveNode/, "nobody else tells");
  }
});

test("lines of Services that nobody announces, and of those that nodes announce, are written anew together", () => {
  const { bench } = amongOthers(first, lan);
  bench.serve("default/other", ["192.0.2.2"], {}, {});
  advance(bench, 130_000);
  const lines = new Map(bench.told);
  assert.deepEqual([...lines.values()].map((line) => line.split(":")[0]).sort(), ["announced", "noReadyEndpoint"]);
  const { tellings } = bench;
  bench.runner.dispatch({ type: "linesReplaced" });
  for (let ms = 0; ms < 5_000; ms += 100) {
    bench.clock.advanceBy(100);
    bench.settle();
    assert.deepEqual(new Map([...bench.told].sort()), new Map([...lines].sort()));
  }
  assert.equal(bench.tellings, tellings + 1);
});

test("who begins to tell looks soon whether another one told as well, and who tells anew still knows for how long nobody announces a Service", () => {
  const { bench } = amongOthers(first, lan);
  bench.endpoints("default/web", {});
  advance(bench, 65_000);
  assert.match(said(bench) ?? "", /^noReadyEndpoint/);
  assert.equal(bench.beats, 1, "20 s after its first line");
  bench.told.clear();
  bench.runner.dispatch({ type: "linesReplaced" });
  advance(bench, 10_000);
  assert.match(said(bench) ?? "", /^noReadyEndpoint/, "at once");
});

test("the next speaker tells all anew when the first is gone or loses the API, and that one forgets what it wrote", () => {
  const second = amongOthers(nodes[1] ?? "", lan).bench;
  second.membersChanged(nodes.slice(1));
  advance(second, 10_000);
  assert.match(said(second) ?? "", /^announced/);
  const { bench } = amongOthers(first, lan);
  advance(bench, 10_000);
  bench.runner.dispatch({ type: "apiLost", since: bench.clock.now() });
  advance(bench, 10_000);
  assert.equal(bench.state.reporter.isHere, false);
  assert.equal(bench.state.reporter.written.size, 0);
  bench.runner.dispatch({ type: "apiLost", since: Infinity });
  advance(bench, 10_000);
  assert.equal(bench.tellings, 2);
});

test("600 of 2,000 Services that nobody announces are told of in few writes, and a churn of them in one each 5 s", slow, () => {
  const { bench } = amongOthers(first, "{name: lan, protocol: layer2, addresses: [10.0.0.0/16]}");
  bench.serve("default/web", []);
  const key = (i: number) => `default/s${i}`;
  for (let i = 0; i < 2_000; i++) bench.serve(key(i), [`10.0.${i >> 8}.${i & 255}`]);
  bench.settle();
  advance(bench, 10_000);
  assert.equal(bench.told.size, 2_000);
  bench.tellings = 0;
  for (let i = 0; i < 600; i++) bench.endpoints(key(i), {});
  advance(bench, 45_000);
  assert.equal(bench.tellings, 1);
  assert.equal(
    bench.told
      .values()
      .filter((line) => line.startsWith("noReadyEndpoint"))
      .toArray().length,
    600,
  );
  bench.tellings = 0;
  for (let second = 0; second < 60; second++) {
    for (let i = 0; i < 100; i++) bench.endpoints(key((second * 100 + i) % 2_000), { node1: second % 2 === 0 });
    advance(bench, 1_000);
  }
  assert.ok(bench.tellings <= 60 / 5 + 1, `${bench.tellings} writes`);
});

test("who tells of Services among thousands of members reports first on what it announces itself", () => {
  const { bench } = amongOthers(first, "{name: lan, protocol: layer2, addresses: [10.0.0.0/16]}");
  advance(bench, 10_000);
  bench.membersChanged([first, ...Array.from({ length: 5_000 }, (_, i) => `z${i}`)]);
  bench.settle();
  for (let i = 0; i < 40; i++) bench.serve(`default/s${i}`, [`10.0.0.${i}`]);
  const { agenda, reporter } = bench.state;
  while (agenda.addresses.size > 0) bench.proceed();
  assert.equal(agenda.services.size, 0);
  assert.ok(reporter.agenda.size > 0, "the owners of these are still to be elected");
  bench.settle();
  assert.equal(reporter.agenda.size, 0);
});

test("a Service gets its line by whichever configuration is in force", () => {
  const { bench } = amongOthers(first, lan);
  advance(bench, 10_000);
  bench.setConfig(pools(lan.replace("layer2", "none")));
  advance(bench, 10_000);
  assert.match(said(bench) ?? "", /^protocolNone: /);
});

test("of an address in kernels the reason is told that the nodes with endpoints have, and not that of the node that tells", () => {
  const pool = "{name: lan, protocol: interface, node-selectors: [{match-labels: {disk: ssd}}], addresses: [192.0.2.0/28]}";
  for (const [labels, says] of [
    [{}, /^noNodeSelected: 192\.0\.2\.1 of pool lan is announced by no node: the pool's node-selectors match none/],
    [{ disk: "ssd", ...excluded }, /^nodeExcluded: 192\.0\.2\.1 of pool lan is announced by no node: .*node2/],
  ] as const) {
    const { bench } = amongOthers("node1", pool);
    bench.setNode("node1", { disk: "ssd" });
    bench.setNode("node2", labels);
    bench.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { node2: true });
    bench.settle();
    bench.clock.advanceBy(60_000);
    assert.match(bench.told.get("default/web") ?? "", says);
  }
});

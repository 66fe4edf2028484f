import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import type { Pool } from "#pkg/config";
import { pool } from "#pkg/config/testing";
import { type Address, parseAddress, parsePrefix } from "#pkg/net";
import {
  elect,
  eligibility,
  excludeLabel,
  type Holder,
  isDrained,
  isElected,
  type KnownReachability,
  type Labels,
  networkTaint,
  outOfServiceTaint,
  place,
  placeNowhere,
  poolNodes,
  preferenceWeight,
  type ReportedAnnouncers,
} from "#pkg/placement";

function ip(text: string): Address {
  const address = parseAddress(text);
  assert.ok(address);
  return address;
}
const layer2 = pool("lan", []);
const nodes = ["node1", "node2", "node3"];
const ssd = { matchLabels: new Map([["disk", "ssd"]]), matchExpressions: [] };
const selective: Pool = { ...layer2, nodeSelectors: [ssd] };
const x = "192.0.2.1";
const y = "2001:db8::1";

const bySubnet: Pool = { ...layer2, l2Placement: { subnet: true, sticky: false } };
const nowhere: KnownReachability = { answers: false, hasKernelAccess: true, interfaces: new Map() };

const onNics: Pool = {
  ...bySubnet,
  protocols: ["interface"],
  kernel: { placement: "lan" } as NonNullable<Pool["kernel"]>,
};

/** The reachability of a node whose speaker may not change its kernel. */
function powerless(reachability: KnownReachability): KnownReachability {
  return typeof reachability === "string" ? reachability : { ...reachability, hasKernelAccess: false };
}

/** Can answer on an interface of this name, in these subnets. */
function at(name: string, ...subnets: string[]): KnownReachability {
  return {
    answers: true,
    hasKernelAccess: true,
    interfaces: new Map([[name, subnets.map((text) => parsePrefix(text) ?? assert.fail(text))]]),
  };
}

interface Given {
  readonly service?: string;
  readonly goesWith?: string;
  readonly local?: boolean;
  /** `node` is a ready endpoint on it, `!node` one that is not ready. */
  readonly isAllowed?: boolean;
  readonly endpoints?: string[];
}
/** The pool among active nodes with these labels. */
function on(
  pool: Pool = layer2,
  active = nodes,
  labels: Readonly<Record<string, Labels>> = {},
  reachability: Readonly<Record<string, KnownReachability>> = {},
  gone: readonly string[] = [],
  undelivering: readonly string[] = [],
) {
  return poolNodes(
    pool,
    active,
    (node) => eligibility(pool.nodeSelectors, labels[node], false, gone.includes(node) ? [outOfServiceTaint] : []),
    (node) => reachability[node] ?? "notReported",
    () => "current",
    () => undelivering,
    (node) => preferenceWeight(pool, labels[node]),
    (node) => isDrained(labels[node]),
  );
}
function holder({
  service = "default/web",
  goesWith = x,
  isAllowed = true,
  local = false,
  endpoints = ["node1"],
}: Given): Holder {
  return {
    service,
    goesWith: ip(goesWith),
    isAllowed,
    created: 0,
    backendKey: "",
    externalTrafficPolicy: local ? "Local" : "Cluster",
    endpoints: endpoints.map((text) => ({
      nodeName: text.replace(/^[!~]/, ""),
      ready: Number(!/^[!~]/.test(text)),
      draining: Number(text.startsWith("~")),
    })),
  };
}

test("an address of no pool may not be had, and one of a pool without protocol is for others to announce", () => {
  const of = (pool: string | undefined, given: Given = {}) => {
    const placed = placeNowhere(ip(x), [holder(given)], pool);
    assert.deepEqual([placed.owner, placed.candidates, placed.protocol, placed.pool], [undefined, [], undefined, pool]);
    const verdict = placed.verdicts.get("default/web");
    return verdict?.announced === false ? verdict.reason : "announced";
  };
  assert.equal(of(undefined), "ipNotAllowed");
  assert.equal(of("lan"), "protocolNone");
  assert.equal(of("lan", { isAllowed: false }), "ipNotAllowed");
});

const verdicts: {
  name: string;
  holders: Given[];
  pool?: Pool;
  active?: string[];
  labels?: Readonly<Record<string, Labels>>;
  reachability?: Readonly<Record<string, KnownReachability>>;
  gone?: string[]; // Nodes out of service.
  candidates: string[];
  reasons: (string | true)[];
}[] = [
  {
    name: "a Service whose first address is in another pool may not have this one",
    holders: [{ isAllowed: false }],
    candidates: [],
    reasons: ["ipNotAllowed"],
  },
  { name: "under Cluster every active speaker is a candidate", holders: [{}], candidates: nodes, reasons: [true] },
  {
    name: "endpoints that are not ready do not count",
    holders: [{ endpoints: ["!node1"] }],
    candidates: [],
    reasons: ["noReadyEndpoint"],
  },
  {
    name: "under Local, where no endpoint is ready on any node, those that drain count",
    holders: [{ local: true, endpoints: ["!node1", "~node2"] }],
    candidates: ["node2"],
    reasons: [true],
  },
  {
    name: "under Local, one that drains does not count while another is ready",
    holders: [{ local: true, endpoints: ["node1", "~node2"] }],
    candidates: ["node1"],
    reasons: [true],
  },
  { name: "no endpoint at all", holders: [{ endpoints: [] }], candidates: [], reasons: ["noReadyEndpoint"] },
  {
    name: "one ready endpoint among others is enough",
    holders: [{ endpoints: ["!node1", "node2"] }],
    candidates: nodes,
    reasons: [true],
  },
  { name: "nobody is active", holders: [{}], active: [], candidates: [], reasons: ["noActiveSpeaker"] },
  {
    name: "under Local only nodes with a ready endpoint",
    holders: [{ local: true, endpoints: ["node2", "!node3"] }],
    candidates: ["node2"],
    reasons: [true],
  },
  {
    name: "under Local an endpoint on a node without a speaker does not count",
    holders: [{ local: true, endpoints: ["node9"] }],
    candidates: [],
    reasons: ["noReadyEndpointOnActiveNode"],
  },
  {
    name: "only nodes that the pool selects",
    holders: [{}],
    pool: selective,
    labels: { node1: { disk: "hdd" }, node2: { disk: "ssd" }, node3: {} },
    candidates: ["node2"],
    reasons: [true],
  },
  { name: "the pool selects no active node", holders: [{}], pool: selective, candidates: [], reasons: ["noNodeSelected"] },
  {
    name: "under Local a node has to be selected and have an endpoint",
    holders: [{ local: true, endpoints: ["node1", "node2"] }],
    pool: selective,
    labels: { node2: { disk: "ssd" }, node3: { disk: "ssd" } },
    candidates: ["node2"],
    reasons: [true],
  },
  {
    name: "under Local no selected node has an endpoint",
    holders: [{ local: true, endpoints: ["node1"] }],
    pool: selective,
    labels: { node2: { disk: "ssd" } },
    candidates: [],
    reasons: ["noNodeSelected"],
  },
  {
    name: "excluded nodes are no candidates",
    holders: [{}],
    labels: { node1: { [excludeLabel]: "" }, node3: { [excludeLabel]: "false" } },
    candidates: ["node2"],
    reasons: [true],
  },
  {
    name: "every node that is selected is excluded",
    holders: [{}],
    pool: selective,
    labels: { node2: { disk: "ssd", [excludeLabel]: "true" } },
    candidates: [],
    reasons: ["nodeExcluded"],
  },
  {
    name: "a node out of service is no candidate",
    holders: [{}],
    gone: ["node2"],
    candidates: ["node1", "node3"],
    reasons: [true],
  },
  {
    name: "where all nodes are out of service no speaker is active",
    holders: [{}],
    gone: nodes,
    candidates: [],
    reasons: ["noActiveSpeaker"],
  },
  {
    name: "Local: the only node with an endpoint is out of service",
    holders: [{ local: true, endpoints: ["node1"] }],
    gone: ["node1"],
    candidates: [],
    reasons: ["noReadyEndpointOnActiveNode"],
  },
  {
    name: "an endpoint that is not ready is the reason before a node that is excluded",
    holders: [{ endpoints: ["!node1"] }],
    active: ["node1"],
    labels: { node1: { [excludeLabel]: "" } },
    candidates: [],
    reasons: ["noReadyEndpoint"],
  },
  {
    name: "a node that can answer nowhere is no candidate",
    holders: [{}],
    reachability: { node1: nowhere, node2: at("eth0") },
    candidates: ["node2", "node3"],
    reasons: [true],
  },
  {
    name: "only nodes with an interface of the pool, and those that never report",
    holders: [{}],
    pool: { ...layer2, interfaces: ["eth1", "bond*"] },
    reachability: { node1: at("eth0"), node2: at("bond7") },
    candidates: ["node2", "node3"],
    reasons: [true],
  },
  {
    name: "a node that has not reported yet may announce a pool for all interfaces",
    holders: [{}],
    reachability: { node1: "pending" },
    candidates: nodes,
    reasons: [true],
  },
  {
    name: "and none for some of them",
    holders: [{}],
    pool: { ...layer2, interfaces: ["*"] },
    reachability: { node1: "pending" },
    candidates: ["node2", "node3"],
    reasons: [true],
  },
  {
    name: "no node has an interface of the pool",
    holders: [{}],
    active: ["node1"],
    pool: { ...layer2, interfaces: ["eth1"] },
    reachability: { node1: at("eth0") },
    candidates: [],
    reasons: ["noInterface"],
  },
  {
    name: "under Local the node with the endpoint has no interface of the pool",
    holders: [{ local: true }],
    pool: { ...layer2, interfaces: ["eth1"] },
    reachability: { node1: at("eth0"), node2: at("eth1") },
    candidates: [],
    reasons: ["noInterface"],
  },
  {
    name: "placed by subnets, only nodes that have the address in one, and those that never report",
    holders: [{}],
    pool: bySubnet,
    active: [...nodes, "node4"],
    reachability: { node1: at("eth0", "192.0.2.0/24"), node2: at("eth0", "10.0.0.0/8", "2001:db8::/64"), node4: "pending" },
    candidates: ["node1", "node3"],
    reasons: [true],
  },
  {
    name: "placed by subnets, those of other interfaces than the pool's do not count",
    holders: [{}],
    pool: { ...bySubnet, interfaces: ["eth1"] },
    active: ["node1", "node2"],
    reachability: { node1: at("eth0", "192.0.2.0/24"), node2: at("eth1", "192.0.2.0/24") },
    candidates: ["node2"],
    reasons: [true],
  },
  {
    name: "no node has the address in a subnet",
    holders: [{}],
    pool: bySubnet,
    active: ["node1", "node2"],
    reachability: { node1: at("eth0", "198.51.100.0/24"), node2: at("eth0") },
    candidates: [],
    reasons: ["notInSubnet"],
  },
  {
    name: "on NICs, only nodes whose speakers may put it there, and those that never report",
    holders: [{}],
    pool: onNics,
    reachability: { node1: powerless(at("eth0", "192.0.2.0/24")), node2: at("eth0", "192.0.2.0/24") },
    candidates: ["node2", "node3"],
    reasons: [true],
  },
  {
    name: "on layer 2 that does not matter",
    holders: [{}],
    pool: bySubnet,
    active: ["node1"],
    reachability: { node1: powerless(at("eth0", "192.0.2.0/24")) },
    candidates: ["node1"],
    reasons: [true],
  },
  {
    name: "on NICs, the speaker of the node in the subnet may not put it there",
    holders: [{}],
    pool: onNics,
    active: ["node1", "node2"],
    reachability: { node1: powerless(at("eth0", "192.0.2.0/24")), node2: at("eth0", "198.51.100.0/24") },
    candidates: [],
    reasons: ["noKernelAccess"],
  },
  {
    name: "on NICs, no node is in the subnet, whether its speaker may put it there or not",
    holders: [{}],
    pool: onNics,
    active: ["node1", "node2"],
    reachability: { node1: powerless(at("eth0", "198.51.100.0/24")), node2: at("eth0") },
    candidates: [],
    reasons: ["notInSubnet"],
  },
  {
    name: "a Service without endpoints does not hinder the one it shares with",
    holders: [{}, { service: "default/idle", endpoints: [] }],
    candidates: nodes,
    reasons: [true, "noReadyEndpoint"],
  },
  {
    name: "Local and Cluster on one address go where Local has an endpoint",
    holders: [{}, { service: "default/local", local: true, endpoints: ["node3"] }],
    candidates: ["node3"],
    reasons: [true, true],
  },
];
for (const { name, holders, pool, active, labels, reachability, gone, candidates, reasons } of verdicts) {
  test(`place: ${name}`, () => {
    const placed = place(ip(x), holders.map(holder), on(pool, active, labels, reachability, gone));
    assert.deepEqual(placed.candidates, candidates);
    assert.equal(placed.owner, elect(candidates, ip(x)));
    assert.deepEqual(
      [...placed.verdicts.values()].map((verdict) => verdict.announced || verdict.reason),
      reasons,
    );
  });
}

test("place: where all nodes that could announce are excluded they are named", () => {
  const labels = { node1: { [excludeLabel]: "" }, node2: {}, node3: { [excludeLabel]: "" } };
  const local = holder({ local: true, endpoints: ["node1", "node3"] });
  const { verdicts } = place(ip(x), [local], on(layer2, nodes, labels));
  assert.deepEqual(verdicts.get("default/web"), { announced: false, reason: "nodeExcluded", nodes: ["node1", "node3"] });
});

test("place: where no node has the address in a subnet they are named with theirs", () => {
  const reachability = { node1: at("eth0", "198.51.100.0/24", "2001:db8::/64"), node2: at("eth1") };
  const { verdicts } = place(ip(x), [holder({})], on(bySubnet, ["node1", "node2"], {}, reachability));
  const verdict = verdicts.get("default/web");
  assert.ok(verdict?.announced === false && verdict.reason === "notInSubnet");
  assert.deepEqual(
    verdict.nodes.map(({ node, subnets }) => `${node}: ${subnets}`),
    ["node1: 198.51.100.0/24,2001:db8::/64", "node2: "],
  );
});

test("place: where an owner is chosen nobody is elected, and the next election does not start from it", () => {
  const chosen = place(ip(x), [holder({})], on(), undefined, (candidates) =>
    candidates.find((node) => node !== elect(nodes, ip(x))),
  );
  assert.notEqual(chosen.owner, elect(nodes, ip(x)));
  assert.equal(place(ip(x), [holder({})], on(), chosen).owner, elect(nodes, ip(x)));
  const open = place(ip(x), [holder({})], on(), undefined, () => undefined);
  assert.deepEqual([open.owner, open.candidates], [undefined, nodes]);
});

const rack = (name: string, weight: number) => ({
  weight,
  selector: { matchLabels: new Map([["rack", name]]), matchExpressions: [] },
});
const preferring: Pool = { ...layer2, preferredNodes: [{ weight: 60, selector: ssd }, rack("a", 50), rack("b", 100)] };

const preferences: { name: string; labels: Readonly<Record<string, Labels>>; holders?: Given[]; contenders: string[] }[] = [
  { name: "the highest sum", labels: { node1: { disk: "ssd", rack: "a" }, node2: { rack: "b" } }, contenders: ["node1"] },
  { name: "several with the same sum", labels: { node2: { rack: "b" }, node3: { rack: "b" } }, contenders: ["node2", "node3"] },
  { name: "all of them where nothing matches any", labels: {}, contenders: nodes },
  {
    name: "the highest among those with an endpoint, under Local",
    labels: { node1: { rack: "b" }, node2: { rack: "a" } },
    holders: [{ local: true, endpoints: ["node2", "node3"] }],
    contenders: ["node2"],
  },
  {
    name: "the highest among those that are not excluded",
    labels: { node1: { rack: "b", [excludeLabel]: "" }, node2: { rack: "a" } },
    contenders: ["node2"],
  },
];
for (const { name, labels, holders = [{}], contenders } of preferences)
  test(`place: of the candidates the pool prefers ${name}`, () => {
    const placed = place(ip(x), holders.map(holder), on(preferring, nodes, labels));
    assert.deepEqual(placed.contenders, contenders);
    assert.equal(placed.owner, elect(contenders, ip(x)));
    assert.ok(contenders.every((node) => placed.candidates.includes(node)));
  });

test("place: an owner changes with the labels of nodes only as far as these are preferred, whatever the election before", () => {
  const labels = fc.record({ node1: nodeLabels, node2: nodeLabels, node3: nodeLabels });
  fc.assert(
    fc.property(labels, labels, (before, now) => {
      const earlier = place(ip(x), [holder({})], on(preferring, nodes, before));
      const afresh = place(ip(x), [holder({})], on(preferring, nodes, now));
      assert.deepEqual(place(ip(x), [holder({})], on(preferring, nodes, now), earlier), afresh);
    }),
  );
});
const nodeLabels = fc.constantFrom<Labels>({}, { disk: "ssd" }, { rack: "a" }, { rack: "b" }, { rack: "a", disk: "ssd" });

const eligibilities: {
  name: string;
  pool?: Pool;
  labels: Labels | undefined;
  ignored?: boolean;
  taints?: string[];
  want: string;
}[] = [
  { name: "a node of which nothing is known, without selectors", labels: undefined, want: "eligible" },
  { name: "a node of which nothing is known, with selectors", pool: selective, labels: undefined, want: "notSelected" },
  {
    name: "a node of which nothing is known, where the absence of a label is asked for",
    pool: {
      ...layer2,
      nodeSelectors: [
        { matchLabels: new Map(), matchExpressions: [{ key: "disk", operator: "DoesNotExist" as const, values: [] }] },
      ],
    },
    labels: undefined,
    want: "notSelected",
  },
  {
    name: "any of several selectors is enough",
    pool: { ...layer2, nodeSelectors: [{ matchLabels: new Map([["rack", "a"]]), matchExpressions: [] }, ssd] },
    labels: { disk: "ssd" },
    want: "eligible",
  },
  { name: "an excluded node that is not selected", pool: selective, labels: { [excludeLabel]: "" }, want: "notSelected" },
  { name: "an excluded node", labels: { [excludeLabel]: "" }, want: "excluded" },
  { name: "an excluded node, where that is ignored", labels: { [excludeLabel]: "" }, ignored: true, want: "eligible" },
  { name: "a node whose network is unavailable", labels: {}, taints: ["a", networkTaint], want: "excluded" },
  { name: "the same, where exclusion is ignored", labels: {}, taints: [networkTaint], ignored: true, want: "eligible" },
  { name: "a node out of service", labels: {}, taints: ["a", outOfServiceTaint], want: "outOfService" },
  { name: "a node out of service that has no labels yet", labels: undefined, taints: [outOfServiceTaint], want: "outOfService" },
  { name: "a node with other taints", labels: {}, taints: ["node.kubernetes.io/unschedulable"], want: "eligible" },
];
for (const { name, pool, labels, ignored, taints, want } of eligibilities)
  test(`eligibility: ${name}`, () =>
    assert.equal(eligibility((pool ?? layer2).nodeSelectors, labels, ignored ?? false, taints), want));

test("place: Services that can share no node go to one of them, and the other has a reason", () => {
  const a = holder({ service: "default/a", local: true, endpoints: ["node1"] });
  const b = holder({ service: "default/b", local: true, endpoints: ["node2"] });
  const placed = place(ip(x), [a, b], on());
  assert.deepEqual(placed.candidates, ["node1", "node2"]);
  const losers = [...placed.verdicts.values()].filter((verdict) => !verdict.announced);
  assert.deepEqual(losers, [{ announced: false, reason: "noReadyEndpointOnOwner" }]);
});

test("place: an address of a dual-stack Service follows its first one", () => {
  const dual = holder({ goesWith: y });
  assert.equal(place(ip(x), [dual], on()).owner, elect(nodes, ip(y)));
});

test("place: of Services that share an address and differ in their first one the oldest is followed", () => {
  const dual = holder({ service: "default/dual", goesWith: y });
  const single = holder({ service: "default/single" });
  const electedBy = (...holders: Holder[]) => place(ip(x), holders, on()).electionAddress.toString();
  assert.equal(electedBy({ ...dual, created: 1 }, { ...single, created: 2 }), y);
  assert.equal(electedBy({ ...dual, created: 2 }, { ...single, created: 1 }), x);
  assert.equal(electedBy({ ...dual, created: 1, isAllowed: false }, { ...single, created: 2 }), x);
});

test("place: both addresses of a dual-stack Service are announced, by the same node", () => {
  const dual = holder({ goesWith: x });
  const placed = [ip(x), ip(y)].map((address) => place(address, [dual], on()));
  assert.deepEqual(
    placed.map(({ owner, verdicts }) => [owner, verdicts.get("default/web")]),
    Array(2).fill([elect(nodes, ip(x)), { announced: true }]),
  );
});

// Computed with coreutils: printf 'node1#192.0.2.1' | sha256sum, for each node.
test("elect: the smallest SHA-256 of node#address wins", () => {
  const digests = nodes.map((node) => [createHash("sha256").update(`${node}#192.0.2.1`).digest("hex"), node] as const).sort();
  assert.equal(digests[0]?.[0].slice(0, 8), "42a37b7a");
  assert.equal(elect(nodes, ip(x)), "node3");
});

test("elect: the order and number of mentions of candidates make no difference, and a loser's leaving moves nothing", () => {
  const names = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(names, fc.nat(), (candidates, pick) => {
      const owner = elect(candidates, ip(x));
      for (const node of candidates) assert.equal(isElected(node, candidates, ip(x)), node === owner);
      assert.equal(elect([...candidates, ...candidates].reverse(), ip(x)), owner);
      const leaver = candidates[pick % candidates.length];
      const rest = candidates.filter((node) => node !== leaver);
      if (leaver !== owner) assert.equal(elect(rest, ip(x)), owner);
    }),
  );
  assert.equal(elect([], ip(x)), undefined);
  assert.equal(isElected("node1", [], ip(x)), false);
});

test("elect: an earlier election changes no answer, whatever it was", () => {
  const names = fc.array(fc.constantFrom("a", "b", "c", "d", "e"), { maxLength: 8 });
  const addresses = fc.constantFrom(...["192.0.2.1", "192.0.2.2", "192.0.2.3", y].map(ip));
  fc.assert(
    fc.property(names, addresses, names, addresses, (candidates, electionAddress, now, address) => {
      const before = { contenders: candidates, electionAddress, owner: elect(candidates, electionAddress) };
      assert.equal(elect(now, address, before), elect(now, address));
    }),
  );
});

const all = ["node1", "node2", "node3", "node4"];
const some = fc.subarray(all);

/** Where each of the nodes places the address of a Local Service. Nodes that see changes in the API tell the others what these do not see. */
function placedBy(blind: readonly string[], endpoints: readonly string[], more: Omit<ReportedAnnouncers, "node">) {
  const among = poolNodes(
    layer2,
    all,
    () => "eligible",
    () => "notReported",
    (node) => (blind.includes(node) ? "behind" : "current"),
    () => [],
    () => 0,
    () => false,
  );
  const by = (node: string, told: readonly string[], seen: readonly string[]) =>
    place(ip(x), [holder({ local: true, endpoints: [...seen] })], among, undefined, undefined, { node, ...more, told });
  const [first] = all.filter((node) => !blind.includes(node));
  const { owner = "" } = first === undefined ? {} : by(first, [], endpoints);
  const told = blind.includes(owner) ? [owner] : [];
  return (node: string, seen = endpoints) => (blind.includes(node) ? by(node, told, seen) : by(node, [], endpoints)).owner;
}

test("property: where no node with endpoints has a current view, one node announces, and that is one that has and can deliver", () => {
  fc.assert(
    fc.property(fc.subarray(all, { minLength: 1 }), some, some, some, (endpoints, those, unable, others) => {
      const blind = all.filter((node) => endpoints.includes(node) || others.includes(node));
      const announcers = those.filter((node) => blind.includes(node));
      const before = placedBy(blind, endpoints, { announcers, undelivering: unable });
      // One that cannot deliver goes on until another one announces.
      const announcing = all.filter((node) => before(node) === node);
      const owner = placedBy(blind, endpoints, { announcers: announcing, undelivering: unable });
      const owners = new Set(all.map((node) => owner(node)));
      assert.equal(owners.size, 1, `${[...owners]}`);
      if (blind.length === all.length) return;
      const [one = ""] = owners;
      assert.ok(endpoints.includes(one), `${one} has an endpoint`);
      const able = announcers.filter((node) => endpoints.includes(node) && !unable.includes(node));
      if (able.length > 0) assert.ok(able.includes(one), `${one} of ${able}`);
    }),
  );
});

test("property: what nodes without a current view saw last changes nothing where others tell them what there is", () => {
  fc.assert(
    fc.property(
      fc.subarray(all, { minLength: 1, maxLength: 3 }),
      some,
      fc.subarray(all, { minLength: 1 }),
      (endpoints, announcers, seen) => {
        const owner = placedBy(endpoints, endpoints, {
          announcers: announcers.filter((node) => endpoints.includes(node)),
          undelivering: [],
        });
        const owners = new Set(all.map((node) => owner(node, seen)));
        assert.equal(owners.size, 1, `${[...owners]}`);
      },
    ),
  );
});

test("property: where no node sees changes in the API, the node that announces goes on, whatever each of them saw last", () => {
  const seen = fc.subarray(all, { minLength: 1 });
  fc.assert(
    fc.property(fc.constantFrom(...all), fc.tuple(seen, seen, seen, seen), (announcer, each) => {
      const owner = placedBy(all, all, { announcers: [announcer], undelivering: [] });
      for (const [index, node] of all.entries()) assert.equal(owner(node, each[index]), announcer);
    }),
  );
});

test("property: where no node sees changes in the API, an address never goes without a node, and comes to one, also from nodes that cannot deliver", () => {
  const seen = fc.subarray(all, { minLength: 1 });
  const announcing = fc.subarray(all, { minLength: 1 });
  fc.assert(
    fc.property(announcing, some, fc.tuple(seen, seen, seen, seen), (first, unable, each) => {
      let announcers: readonly string[] = first;
      for (let round = 0; round < 3; round++) {
        const owner = placedBy(all, all, { announcers, undelivering: unable });
        announcers = all.filter((node, index) => owner(node, each[index]) === node);
        assert.ok(announcers.length > 0, `round ${round}`);
      }
      assert.equal(announcers.length, 1, `${announcers}`);
      const isAbleThere = first.some((node) => !unable.includes(node));
      const seesItself = all.some((node, index) => !unable.includes(node) && each[index]?.join() === node);
      if (isAbleThere || seesItself) assert.ok(!unable.includes(announcers[0] ?? ""), `${announcers} cannot deliver`);
    }),
  );
});

test("property: beside nodes that know nothing of views, and elect among all, one node announces", () => {
  fc.assert(
    fc.property(some, some, some, (endpoints, behind, others) => {
      const electing = others.filter((node) => !behind.includes(node));
      const among = poolNodes(
        layer2,
        all,
        () => "eligible",
        () => "notReported",
        (node) => (electing.includes(node) ? "none" : behind.includes(node) ? "behind" : "current"),
        () => [],
        () => 0,
        () => false,
      );
      const holders = [holder({ local: true, endpoints: [...endpoints] })];
      const owner = (node: string) =>
        electing.includes(node)
          ? elect(endpoints, ip(x))
          : place(ip(x), holders, among, undefined, undefined, { node, announcers: [], undelivering: [] }).owner;
      const announcing = all.filter((node) => owner(node) === node);
      assert.equal(announcing.length, Math.min(endpoints.length, 1), `${announcing}`);
    }),
  );
});

test("place: what a preferred node that knows nothing of views leaves to one that does not know the Service, a node takes that is preferred less", () => {
  const preferred = ["node1", "node2"];
  const left = elect(preferred, ip(x));
  const [leaving] = preferred.filter((node) => node !== left);
  const among = poolNodes(
    layer2,
    all,
    () => "eligible",
    () => "notReported",
    (node) => (node === leaving ? "none" : node === left ? "behind" : "current"),
    () => [],
    () => 0,
    () => false,
  );
  const weights = new Map(preferred.map((node) => [node, 100]));
  const placed = (...endpoints: string[]) => place(ip(x), [holder({ local: true, endpoints })], { ...among, weights }).owner;
  assert.equal(placed(...preferred, "node3"), "node3");
  assert.equal(placed(...preferred), left, "nobody else may have it");
});

test("property: of nodes that announce an address one that sees changes in the API keeps it", () => {
  fc.assert(
    fc.property(some, fc.subarray(all, { minLength: 1 }), (behind, announcers) => {
      const current = announcers.filter((node) => !behind.includes(node));
      if (current.length === 0) return;
      const owner = placedBy(behind, all, { announcers, undelivering: [] });
      for (const node of announcers) assert.ok(!behind.includes(owner(node) ?? ""), `${node} leaves it to ${owner(node)}`);
    }),
  );
});

test("place: a node without an endpoint that heeds nothing of what others tell keeps what it announces", () => {
  const reported = { announcers: ["node2"], undelivering: [] };
  for (const [unheeding, want] of [
    [[], "node1"],
    [["node2"], "node2"],
  ] as const)
    assert.equal(placedBy(["node1", "node2"], ["node1"], { ...reported, unheeding })("node3"), want);
});

test("an address of Local Services without a node in common leaves a node that cannot deliver, which is the only one of one of them", () => {
  const holders = [
    holder({ service: "default/a", local: true, endpoints: ["node1"] }),
    holder({ service: "default/b", local: true, endpoints: ["node2"] }),
  ];
  for (const [unable, owner] of [
    ["node1", "node2"],
    ["node2", "node1"],
  ] as const) {
    const reported = { node: "node3", announcers: [] };
    const ofFamily = place(ip(x), holders, on(layer2, nodes, {}, {}, [], [unable]), undefined, undefined, {
      ...reported,
      undelivering: [],
    });
    const ofAddress = place(ip(x), holders, on(), undefined, undefined, { ...reported, undelivering: [unable] });
    for (const placed of [ofFamily, ofAddress]) {
      assert.deepEqual([placed.owner, placed.candidates], [owner, [owner]]);
      const [here, other] = owner === "node1" ? ["default/a", "default/b"] : ["default/b", "default/a"];
      assert.deepEqual(placed.verdicts.get(here), { announced: true });
      assert.deepEqual(placed.verdicts.get(other), { announced: false, reason: "noReadyEndpointOnOwner" });
    }
  }
});

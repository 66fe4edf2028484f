import { both, configure, type DemoCluster, demoConfiguration, type Scene } from "#e2e/demo-cluster";
import { type Router, startRouter } from "#e2e/routers";
import { expose, type Mend } from "./cluster-faults.ts";

const nodeAsn = 65001;
const routerAsn = 65010;
const routerAddress = "172.30.0.241";

/** BIRD, which has node1 as a neighbor that may send one prefix, node2 with a password, and node3 by IPv4, whose routes it filters. */
export async function startFaultRouter({ lab, lan, nodes }: DemoCluster): Promise<Router> {
  const host = await lab.host("router", { forwarding: true });
  await host.attach(lan, { addresses: [`${routerAddress}/24`, "fd00:30::241/64"] });
  const [plain, secret, filtered] = nodes.map(({ addresses: [address] }) => ({ address, asn: nodeAsn, passive: true }));
  if (plain === undefined || secret === undefined || filtered === undefined)
    throw new Error("Cannot start a router: 3 nodes are needed");
  const neighbors = [
    { ...plain, maxPrefixes: 1 },
    { ...secret, password: "right" },
    { ...filtered, accepts: false },
  ];
  return startRouter("bird", { lab, host }, { asn: routerAsn, routerId: routerAddress, neighbors });
}

interface Side {
  readonly node: string;
  readonly mine?: number;
  readonly theirs?: number;
  readonly address?: string;
  /** The peer is a router that is found by its router advertisements. */
  readonly interface?: string;
  readonly more?: string;
}

/** One node has the router as its peer, and each of these Services is in a pool of protocol bgp. */
const peering =
  (
    { node, mine = nodeAsn, theirs = routerAsn, address = routerAddress, interface: link, more = "" }: Side,
    services: readonly string[] = ["routed"],
  ) =>
  async (cluster: DemoCluster): Promise<Mend> => {
    const selects = `node-selectors: [{match-labels: {kubernetes.io/hostname: ${node}}}]`;
    const router = link === undefined ? `peer-address: "${address}"` : `interface: ${link}`;
    const mend = await configure(
      cluster,
      `peers: [{my-asn: ${mine}, peer-asn: ${theirs}, ${router}, ${selects}${more}}]
bfd-profiles: [{name: fast}]
${demoConfiguration}- {name: routed, protocol: bgp, auto-assign: false, addresses: [198.51.100.0/24, "2001:db8::/120"]}
`,
    );
    const deletions: Mend[] = [];
    for (const service of services) deletions.push(await expose(cluster, service, "routed"));
    return both(...deletions, mend);
  };

const noRoute = "Service routed has an address, and the router has no route to it.";

/** Faults between a node and the router of `startFaultRouter`. */
export const routerFaults: Readonly<Record<string, Scene>> = {
  "peer-asn": {
    symptom: noRoute,
    plant: peering({ node: "node1", theirs: routerAsn + 1 }),
    find: "explain svc/routed",
    causes: ["noSession", "notificationSent"],
    cause: /its AS number is 65010/,
    remedy: /peer-asn: 65010/,
  },
  "my-asn": {
    symptom: noRoute,
    plant: peering({ node: "node1", mine: nodeAsn + 1 }),
    find: "explain svc/routed",
    causes: ["noSession", "notificationReceived"],
    cause: /it has another AS number for this node than my-asn/,
    remedy: /my-asn/,
  },
  "password-here-only": {
    symptom: noRoute,
    plant: peering({ node: "node1", more: ", password: right" }),
    find: "explain svc/routed",
    causes: ["noSession", "connectTimeout"],
    cause: /a password is configured, which may not be the peer's/,
    remedy: /password/,
  },
  "wrong-password": {
    symptom: noRoute,
    plant: peering({ node: "node2", more: ", password: wrong" }),
    find: "explain svc/routed",
    causes: ["noSession", "connectTimeout"],
    cause: /a password is configured, which may not be the peer's/,
    remedy: /password/,
  },
  "no-neighbor": {
    symptom: noRoute,
    plant: peering({ node: "node3", address: "fd00:30::241" }),
    find: "explain svc/routed",
    causes: ["noSession", "connectionRefused", "sessionRefused"],
    cause: /neighbor/,
    remedy: /neighbor on the router|ingotctl router-config/,
  },
  "silent-router": {
    symptom: noRoute,
    plant: peering({ node: "node3", interface: "eth0" }),
    find: "explain svc/routed",
    causes: ["noSession", "waitsForRouter"],
    cause: /no router advertisement was heard on eth0/,
    remedy: /have the router send router advertisements there, as FRR does for neighbor eth0 interface/,
  },
  "too-many-prefixes": {
    symptom: "The router loses all routes to node1 when Service more is made.",
    plant: peering({ node: "node1" }, ["routed", "more"]),
    find: "explain svc/routed",
    causes: ["noSession", "prefixLimit"],
    cause: /Maximum Number of Prefixes Reached/,
    remedy: /raise the router's limit of prefixes for this neighbor/,
  },
  "prefix-limit-near": {
    symptom: "Nothing yet; the router ends the session when one more Service comes.",
    plant: peering({ node: "node3", more: ", maximum-prefix: 1" }),
    find: `explain peer/${routerAddress}`,
    causes: ["prefixLimitNear"],
    cause: /carries 1 of 1 IPv4 prefixes that the router takes \(maximum-prefix\)/,
    remedy: /raise the router's limit of prefixes for this neighbor, and maximum-prefix where it is set/,
  },
  "bfd-down": {
    symptom: "A router that fails is noticed after a minute, although BFD is configured.",
    plant: peering({ node: "node3", more: ", bfd-profile: fast" }),
    find: "explain svc/routed",
    causes: ["bfdUnknown"],
    cause: /BFD is not up/,
    remedy: /enable BFD for this node on the router, and let UDP 3784/,
  },
  "filtered-routes": {
    symptom: noRoute,
    plant: peering({ node: "node3" }),
    find: "explain svc/routed",
    causes: ["routeFiltered"],
    cause: /the router filters/,
    remedy: /filter on the router/,
  },
};

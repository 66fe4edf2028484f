import {
  type BgpAdvertisement,
  type Config,
  countUsable,
  formatCommunity,
  formatProtocols,
  hasOwners,
  type LabelSelector,
  type NamespaceSet,
  type Reservation,
} from "#pkg/config";
import { table } from "../cluster/output.ts";
import type { Screen } from "../io.ts";

/** The configuration in the form that `validate -o json` prints; without passwords. */
export function summarize(config: Config) {
  return {
    pools: config.pools.map((pool) => ({
      name: pool.name,
      protocol: formatProtocols(pool.protocols),
      cidrs: pool.ranges.flatMap((range) => range.toPrefixes().map(String)),
      autoAssign: pool.autoAssign,
      avoidBuggyIPs: pool.avoidBuggyIPs,
      ...jsonNamespaces(pool.fence),
      serviceSelectors: pool.fence.serviceSelectors.map(jsonSelector),
      priority: pool.priority ?? null,
      closed: pool.closed,
      sharing: pool.sharing,
      reserved: pool.reservations.map(jsonReservation),
      addresses: jsonNumber(countUsable(pool)),
      nodeSelectors: pool.nodeSelectors.map(jsonSelector),
      preferredNodes: pool.preferredNodes.map(({ weight, selector }) => ({ weight, ...jsonSelector(selector) })),
      interfaces: pool.interfaces,
      l2Placement: pool.l2Placement,
      conflictProbe: pool.conflictProbe,
      advertisements: pool.advertisements.map(jsonAdvertisement),
    })),
    quotas: config.quotas.map(({ pools, together, ipv4 = null, ipv6 = null, services = null, ...namespaces }) => ({
      ...jsonNamespaces(namespaces),
      pools,
      together,
      ipv4,
      ipv6,
      services,
    })),
    peers: config.peers.map(({ password, ...peer }) => ({
      ...peer,
      name: peer.name ?? null,
      interface: peer.interface ?? null,
      sourceAddress: peer.sourceAddress ?? null,
      sourceInterface: peer.sourceInterface ?? null,
      routerId: peer.routerId ?? null,
      passwordSecret: peer.passwordSecret ?? null,
      bfdProfile: peer.bfdProfile ?? null,
      ttl: peer.ttl ?? null,
      ttlSecurityHops: peer.ttlSecurityHops ?? null,
      nodeSelectors: peer.nodeSelectors.map(jsonSelector),
    })),
  };
}

function jsonNamespaces({ namespaces, namespaceSelectors }: NamespaceSet) {
  return { namespaces, namespaceSelectors: namespaceSelectors.map(jsonSelector) };
}

function jsonReservation({ ranges, holder }: Reservation) {
  return {
    addresses: ranges.map(String),
    service: holder.type === "service" ? holder.service : null,
    namespace: holder.type === "namespace" ? holder.namespace : null,
  };
}

function jsonAdvertisement(advertisement: BgpAdvertisement) {
  return {
    ...advertisement,
    localPref: advertisement.localPref ?? null,
    communities: advertisement.communities.map(formatCommunity),
    med: advertisement.med ?? null,
    nodeSelectors: advertisement.nodeSelectors.map(jsonSelector),
    nextHop: advertisement.nextHop ?? null,
    nextHopV6: advertisement.nextHopV6 ?? null,
  };
}

/** JSON readers keep whole numbers exact up to 2^53 - 1 only. */
function jsonNumber(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value);
}

function jsonSelector({ matchLabels, matchExpressions }: LabelSelector) {
  return { matchLabels: Object.fromEntries(matchLabels), matchExpressions };
}

/** Pools and peers as tables, which are left out if empty. */
export function summaryText(config: Config, screen: Screen): string {
  const pools = config.pools.map((pool) => [
    pool.name,
    formatProtocols(pool.protocols),
    String(countUsable(pool)),
    pool.autoAssign ? "yes" : "no",
    ...(hasOwners(pool) ? [nodes(pool.nodeSelectors), pool.interfaces.join(", ") || "all"] : ["-", "-"]),
    pool.ranges.map(String).join(", "),
  ]);
  const peers = config.peers.map((peer) => [
    peer.name ?? "-",
    peer.address.toString(),
    String(peer.port),
    `${peer.myAsn} -> ${peer.peerAsn}`,
    `${peer.holdTimeSeconds}s`,
    nodes(peer.nodeSelectors),
    peer.bfdProfile ?? "-",
  ]);
  const tables = [
    { heading: ["POOL", "PROTOCOL", "ADDRESSES", "AUTO-ASSIGN", "NODES", "INTERFACES", "RANGES"], rows: pools },
    { heading: ["NAME", "PEER", "PORT", "ASN", "HOLD-TIME", "NODES", "BFD"], rows: peers },
  ];
  return tables.map(({ heading, rows }) => (rows.length === 0 ? "" : `\n${table(heading, rows, screen)}`)).join("");
}

function nodes(selectors: readonly LabelSelector[]): string {
  return selectors.length === 0 ? "all" : "selected";
}

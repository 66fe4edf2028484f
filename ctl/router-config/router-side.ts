import { type BfdProfile, type Config, describeRouter, matchesSelector, mayAsk, type Peer } from "#pkg/config";
import { type Address, type Family, isLinkLocal, Prefix, parseAddress } from "#pkg/net";
import { fields, list, text } from "#pkg/untrusted";
import type { RawObject } from "../cluster/api.ts";

/** A node as the configuration of a router needs it. */
export interface ClusterNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly Address[];
}

/** Routes of exactly this length in `prefix`, which is not longer. */
export interface AllowedRoutes {
  readonly prefix: Prefix;
  readonly length: number;
}

/** The sessions of one peer of the cluster, as its router sees them. */
export interface RouterSide {
  /** For names in the router's configuration: small letters, digits and dashes. Unique. */
  readonly label: string;
  readonly address: Address;
  readonly port: number;
  readonly asn: number;
  readonly nodeAsn: number;
  readonly nodes: readonly { readonly name: string; readonly address: Address }[];
  /** How many paths an address may have, of all nodes together. */
  readonly paths: number;
  /** The nodes offer several paths to an address in one session (ADD-PATH, RFC 7911). */
  readonly hasAddPath: boolean;
  /** Families of the routes. */
  readonly families: readonly Family[];
  /** The routes that the nodes may announce. */
  readonly routes: readonly AllowedRoutes[];
  readonly hasPassword: boolean;
  /** Intervals in milliseconds. */
  readonly bfd: Pick<BfdProfile, "receiveIntervalMs" | "transmitIntervalMs" | "detectMultiplier"> | undefined;
  /** TTL of eBGP over other routers; undefined for nodes on the router's link, and for iBGP, which takes any way. */
  readonly multihop: number | undefined;
  /** Packets from farther away are dropped (RFC 5082). */
  readonly ttlSecurityHops: number | undefined;
}

/** `losses`: parts that the router's configuration leaves out, as sentences. */
export interface RouterSides {
  readonly sides: readonly RouterSide[];
  readonly losses: readonly string[];
  /** The nodes are those with central speakers, which may move. */
  readonly isCentral: boolean;
}

export interface RouterSideOptions {
  /** The AS number of routers whose peers say `external`. */
  readonly asn: number | undefined;
  /** The name or address of the only peer. */
  readonly wanted: string | undefined;
  /** The nodes with central speakers, where these have the sessions of all nodes. */
  readonly centralOn?: readonly string[];
}

// Central speakers choose as many nodes for each address.
const maxCentralNextHops = 64;

/**
 * The routers' side of the peers with this name or address, or of all. @throws {RangeError} where there is no such peer
 */
export function routerSides(
  { peers, pools, bfdProfiles }: Pick<Config, "peers" | "pools" | "bfdProfiles">,
  nodes: readonly ClusterNode[],
  { asn, wanted, centralOn = [] }: RouterSideOptions,
): RouterSides {
  const isCentral = centralOn.length > 0;
  const isWanted = (peer: Peer): boolean => wanted === undefined || wanted === peer.name || wanted === describeRouter(peer);
  if (!peers.some(isWanted)) throw new RangeError(whyNone(wanted, peers));
  const sides: RouterSide[] = [];
  const losses: string[] = [];
  for (const [index, peer] of peers.entries()) {
    if (!isWanted(peer)) continue;
    const what = `peer ${peer.name ?? describeRouter(peer)}`;
    const routerAsn = peer.peerAsn === "external" ? asn : peer.peerAsn;
    const selected = selectedBy(peer, nodes);
    // Of central speakers, `node-selectors` choose the nodes to which the router is led.
    const found = neighborsOf(peer, isCentral ? nodes.filter(({ name }) => centralOn.includes(name)) : selected);
    const isUnlabeled = peer.nodeSelectors.length > 0 && nodes.every(({ labels }) => Object.keys(labels).length === 0);
    const why = whyNot(peer, routerAsn, found.length, isUnlabeled);
    if (why !== undefined || routerAsn === undefined || peer.address === undefined) {
      losses.push(`${what}: ${why}`);
      continue;
    }
    if (peer.sourceInterface !== undefined)
      losses.push(`${what}: the nodes' addresses on ${peer.sourceInterface} are not known here; those of their Nodes are used`);
    if (peer.role !== undefined) losses.push(`${what}: the router's role, ${otherRole[peer.role]} (RFC 9234)`);
    sides.push({
      label: labelOf(peer.name, index),
      address: peer.address,
      port: peer.port,
      asn: routerAsn,
      nodeAsn: peer.myAsn,
      nodes: found,
      paths: Math.max(
        isCentral ? found.length * Math.min(Math.max(selected.length, 1), maxCentralNextHops) : found.length,
        slotsFor(peer, pools),
      ),
      hasAddPath: peer.addPath,
      families: peer.families,
      routes: allowedRoutes(peer, pools),
      hasPassword: peer.password !== undefined || peer.passwordSecret !== undefined,
      bfd: peer.bfdProfile === undefined ? undefined : bfdProfiles.get(peer.bfdProfile),
      multihop: peer.ebgpMultihop && routerAsn !== peer.myAsn ? (peer.ttl ?? 255) : undefined,
      ttlSecurityHops: peer.ttlSecurityHops,
    });
  }
  return { sides, losses, isCentral };
}

function whyNone(wanted: string | undefined, peers: readonly Peer[]): string {
  if (peers.length === 0) return "the configuration has no peers";
  return `there is no peer ${JSON.stringify(wanted)}; there are ${peers.map((peer) => peer.name ?? describeRouter(peer)).join(", ")}`;
}

function whyNot(peer: Peer, asn: number | undefined, neighbors: number, isUnlabeled: boolean): string | undefined {
  if (peer.fromNode !== undefined) return "each node has its own values, from labels and annotations of its Node object";
  if (peer.discovery?.by === "gateway")
    return "each node finds its gateway itself; with --peer and a configuration that has the gateway's address, it is written";
  if (peer.discovery !== undefined) return unnumbered;
  if (peer.address !== undefined && isLinkLocal(peer.address))
    return "the nodes' link-local addresses are not known here: configure it as unnumbered";
  if (peer.disabled) return "it is disabled";
  if (asn === undefined) return "it says peer-asn: external; give the router's AS number with --asn";
  if (neighbors === 0 && isUnlabeled)
    return "the labels of its node-selectors are not known of addresses in --nodes: give those of its nodes, and leave the selectors out";
  if (neighbors === 0) return `no node that its node-selectors match has an ${peer.address?.family} address`;
  return undefined;
}

const unnumbered =
  'the router\'s interfaces to the nodes are not known here; the page on BGP has the lines for each of them, under "Unnumbered"';

function selectedBy({ nodeSelectors }: Peer, nodes: readonly ClusterNode[]): readonly ClusterNode[] {
  return nodes.filter(
    ({ labels }) => nodeSelectors.length === 0 || nodeSelectors.some((selector) => matchesSelector(selector, labels)),
  );
}

/** Nodes with the address from which each of them connects. */
function neighborsOf({ address, sourceAddress }: Peer, nodes: readonly ClusterNode[]): RouterSide["nodes"] {
  return nodes.flatMap(({ name, addresses }) => {
    const own = sourceAddress ?? addresses.find(({ family }) => family === address?.family);
    return own === undefined ? [] : [{ name, address: own }];
  });
}

/** The router's role, by that of the nodes (RFC 9234, section 4.2). */
const otherRole: Readonly<Record<NonNullable<Peer["role"]>, NonNullable<Peer["role"]>>> = {
  provider: "customer",
  customer: "provider",
  "rs-server": "rs-client",
  "rs-client": "rs-server",
  peer: "peer",
};

/** How many next-hop slots an address may have at the router, which without ADD-PATH gets one from each node. */
function slotsFor({ addPath }: Peer, pools: Config["pools"]): number {
  return addPath ? Math.max(0, ...pools.flatMap(({ nextHopSlots }) => nextHopSlots.map(({ size }) => Number(size)))) : 0;
}

function allowedRoutes(peer: Peer, pools: Config["pools"]): AllowedRoutes[] {
  const found = new Map<string, AllowedRoutes>(); // prefix and length -> routes
  for (const { ranges, advertisements } of pools) {
    for (const { peers, aggregationLength, aggregationLengthV6, ...entry } of advertisements) {
      const isOwn = entry.keepMoreSpecifics || mayAsk(entry);
      if (peers.length > 0 && !(peer.name !== undefined && peers.includes(peer.name))) continue;
      for (const prefix of ranges.flatMap((range) => range.toPrefixes())) {
        const { family } = prefix.address;
        const lengths = [family === "IPv4" ? aggregationLength : aggregationLengthV6, ...(isOwn ? [prefix.address.bits] : [])];
        if (!peer.families.includes(family)) continue;
        for (const length of lengths) {
          const within = length < prefix.length ? new Prefix(prefix.address, length) : prefix; // The aggregate is wider.
          found.set(`${within} ${length}`, { prefix: within, length });
        }
      }
    }
  }
  return [...found.values()];
}

/** Routers take few signs in names. A name with others loses them and gets a number behind two dashes, which no plain name has. */
function labelOf(name: string | undefined, index: number): string {
  const plain = (name ?? "")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "")
    .slice(0, 24);
  return plain === name ? `ingot-${plain}` : `ingot-${plain || "peer"}--${index + 1}`;
}

/** Reads addresses with commas between, as nodes without names. @throws {RangeError} with a text that is no address */
export function nodesFromText(text: string): ClusterNode[] {
  return text.split(",").map((each, index) => {
    const address = parseAddress(each.trim());
    if (address === undefined) throw new RangeError(`--nodes: ${JSON.stringify(each)} is no address`);
    return { name: `node-${index + 1}`, labels: {}, addresses: [address] };
  });
}

/** The nodes of the API server, by name, with their internal addresses. */
export function nodesFromObjects(objects: readonly unknown[]): ClusterNode[] {
  const nodes = (objects as readonly RawObject[]).map(({ metadata, status }) => ({
    name: metadata?.name ?? "",
    labels: metadata?.labels ?? {},
    addresses: list(fields(status).addresses)
      .map(fields)
      .flatMap(({ type, address }) => (type === "InternalIP" ? (parseAddress(text(address)) ?? []) : [])),
  }));
  return nodes.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** In place of a password, which stays out of terminals and tickets. */
export const passwordHere = "PASSWORD";

export function routesOf({ routes }: RouterSide, family: Family): readonly AllowedRoutes[] {
  return routes.filter(({ prefix }) => prefix.address.family === family);
}

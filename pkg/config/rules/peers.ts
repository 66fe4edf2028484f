import type { BfdProfile, LabelSelector, Peer } from "../config.ts";
import { limits } from "../limits.ts";
import { Names, type Place } from "../problems.ts";
import type { RawBfdProfile, RawList, RawPeer } from "../shape/raw.ts";
import { readNodeValues, withStandIns } from "./from-node.ts";
import { describeRouter, readPeer } from "./peer.ts";
import { canBeSelectedByBoth } from "./selectors.ts";

/** Reads `peers`. Empty text in an optional field is as if the field were absent. */
export function readPeers(raw: RawList<RawPeer> | undefined, places: Place, profiles: ReadonlyMap<string, BfdProfile>): Peer[] {
  const peers: Peer[] = [];
  const names = new Names();
  const seen = new Map<string, number>(); // all that a peer says -> index
  const byEnds = new Map<string, { peer: Peer; index: number }[]>(); // both ends of the session, without ports -> peers
  const budget = { comparisons: limits.comparisons };
  let ofAllNodes = 0;
  for (const [fields, at, index] of places.each(raw)) {
    if (fields.name !== undefined) names.add(fields.name, at);
    const peer = readEntry(fields, at, profiles);
    if (peer === undefined) continue;
    peers.push(peer);
    const text = identity(peer);
    const same = seen.get(text);
    if (same !== undefined) at.error(`repeats peers[${same}]`);
    seen.set(text, index);
    if (peer.disabled) continue;
    if (peer.nodeSelectors.length === 0 && ++ofAllNodes === limits.peersOfNode + 1)
      at.error(`more than ${limits.peersOfNode} peers are for all nodes, and no node has sessions with so many`);
    const router =
      peer.address === undefined
        ? `${describeRouter(peer)} ${JSON.stringify(peer.discovery)}`
        : `${peer.address}%${peer.interface ?? ""}`;
    const ends = `${peer.sourceAddress ?? peer.sourceInterface ?? ""} ${router}`;
    const others = byEnds.get(ends) ?? [];
    const isOnNodeOf = (one: Peer) => canBeSelectedByBoth(one.nodeSelectors, peer.nodeSelectors, budget);
    const other = others.find((one) => one.peer.port === peer.port && isOnNodeOf(one.peer));
    if (other !== undefined && same === undefined)
      at.warn(`has the same ${describeRouter(peer)} as peers[${other.index}]: a node that both select has that session alone`);
    const first = peer.passive && other === undefined ? others.find((one) => isOnNodeOf(one.peer)) : undefined;
    if (first !== undefined)
      at.in("passive").warn(
        `a node that peers[${first.index}] selects too takes connections from ${describeRouter(peer)} for that one alone: this peer has no session there`,
      );
    others.push({ peer, index });
    byEnds.set(ends, others);
  }
  return peers;
}

/** The names that advertisements may refer to; also of peers that are otherwise wrong. */
export function peerNames(raw: RawList<RawPeer>): ReadonlySet<string> {
  return new Set(raw.flatMap((fields) => fields?.name ?? []));
}

/** An entry, of which some values may be each node's own. */
function readEntry(fields: RawPeer, at: Place, profiles: ReadonlyMap<string, BfdProfile>): Peer | undefined {
  const values = readNodeValues(fields, at);
  if (values === undefined) return readPeer(fields, at, profiles);
  const peer = readPeer(withStandIns(fields, values), at, profiles);
  if (peer === undefined) return undefined;
  return {
    ...peer,
    fromNode: { values, fields },
    ...(values.has("peer-address") && { address: undefined, interface: undefined }),
    ...(values.has("my-asn") && { myAsn: 0 }),
    ...(values.has("peer-asn") && { peerAsn: 0 }),
  };
}

/** Equal for peers that differ only in the name, or in the order in which their selectors list labels. */
function identity(peer: Peer): string {
  const selector = ({ matchLabels, matchExpressions }: LabelSelector) => [
    [...matchLabels].sort(([a], [b]) => (a < b ? -1 : 1)),
    matchExpressions.map((expression) => JSON.stringify(expression)).sort(),
  ];
  const fromNode = [...(peer.fromNode?.values ?? [])].sort();
  return JSON.stringify({ ...peer, name: "", fromNode, nodeSelectors: peer.nodeSelectors.map(selector) });
}

/** Reads `bfd-profiles`: name -> profile. */
export function readBfdProfiles(raw: RawList<RawBfdProfile> | undefined, places: Place): ReadonlyMap<string, BfdProfile> {
  const profiles = new Map<string, BfdProfile>();
  const names = new Names();
  for (const [fields, at] of places.each(raw)) {
    const { name } = fields;
    if (name === undefined) continue;
    names.add(name, at);
    profiles.set(name, {
      name,
      receiveIntervalMs: fields["receive-interval"] ?? 300,
      hasReceiveInterval: fields["receive-interval"] !== undefined,
      transmitIntervalMs: fields["transmit-interval"] ?? 300,
      detectMultiplier: fields["detect-multiplier"] ?? 3,
      echoIntervalMs: fields["echo-interval"] ?? 50,
      echoMode: fields["echo-mode"] ?? false,
      passiveMode: fields["passive-mode"] ?? false,
      minimumTtl: fields["minimum-ttl"] ?? 254,
    });
  }
  return profiles;
}

import { quote } from "#pkg/text";
import type { BfdProfile, LabelSelector, Peer } from "../config.ts";
import { limits } from "../limits.ts";
import type { Path, Problems } from "../problems.ts";
import type { RawBfdProfile, RawList, RawPeer } from "../shape/raw.ts";
import { readNodeValues, withStandIns } from "./from-node.ts";
import { describeRouter, readPeer } from "./peer.ts";
import { canBeSelectedByBoth } from "./selectors.ts";

/** Reads `peers`. Empty text in an optional field is as if the field were absent. */
export function readPeers(raw: RawList<RawPeer>, profiles: ReadonlyMap<string, BfdProfile>, problems: Problems): Peer[] {
  const peers: Peer[] = [];
  const names = new Map<string, number>(); // name -> index
  const seen = new Map<string, number>(); // all that a peer says -> index
  const byEnds = new Map<string, { peer: Peer; index: number }[]>(); // both ends of the session -> peers
  const budget = { comparisons: limits.comparisons };
  let ofAllNodes = 0;
  for (const [index, fields] of raw.entries()) {
    if (fields === undefined) continue;
    const path = ["peers", index];
    if (fields.name !== undefined) {
      const same = names.get(fields.name);
      if (same !== undefined) problems.error([...path, "name"], `${quote(fields.name)} is already the name of peers[${same}]`);
      names.set(fields.name, index);
    }
    const peer = readEntry(fields, path, profiles, problems);
    if (peer === undefined) continue;
    peers.push(peer);
    const text = identity(peer);
    const same = seen.get(text);
    if (same !== undefined) problems.error(path, `repeats peers[${same}]`);
    seen.set(text, index);
    if (peer.disabled) continue;
    if (peer.nodeSelectors.length === 0 && ++ofAllNodes === limits.peersOfNode + 1)
      problems.error(path, `more than ${limits.peersOfNode} peers are for all nodes, and no node has sessions with so many`);
    const router =
      peer.address === undefined
        ? `${describeRouter(peer)} ${JSON.stringify(peer.discovery)}`
        : `${peer.address}%${peer.interface ?? ""}`;
    const ends = `${peer.sourceAddress ?? peer.sourceInterface ?? ""} ${router} ${peer.port}`;
    const others = byEnds.get(ends) ?? [];
    const other = others.find((one) => canBeSelectedByBoth(one.peer.nodeSelectors, peer.nodeSelectors, budget));
    if (other !== undefined && same === undefined)
      problems.warn(
        path,
        `has the same ${describeRouter(peer)} as peers[${other.index}]: a node that both select has that session alone`,
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
function readEntry(fields: RawPeer, path: Path, profiles: ReadonlyMap<string, BfdProfile>, problems: Problems): Peer | undefined {
  const values = readNodeValues(fields, path, problems);
  if (values === undefined) return readPeer(fields, path, profiles, problems);
  const peer = readPeer(withStandIns(fields, values), path, profiles, problems);
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
export function readBfdProfiles(raw: RawList<RawBfdProfile>, problems: Problems): ReadonlyMap<string, BfdProfile> {
  const profiles = new Map<string, BfdProfile>();
  const places = new Map<string, number>(); // name -> index
  for (const [index, fields] of raw.entries()) {
    if (fields?.name === undefined) continue;
    const { name } = fields;
    const same = places.get(name);
    if (same !== undefined)
      problems.error(["bfd-profiles", index, "name"], `${quote(name)} is already the name of bfd-profiles[${same}]`);
    else places.set(name, index);
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

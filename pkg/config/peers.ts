import { type Address, parseAddress } from "#pkg/net";
import type { BfdProfile, LabelSelector, Peer } from "./config.ts";
import { nearestName } from "./nearest-name.ts";
import { type Path, quote } from "./problem.ts";
import type { RawList, RawPeer } from "./raw.ts";
import type { Report } from "./report.ts";
import { readSelectors } from "./selectors.ts";
import { readSessionTimes } from "./session-times.ts";

/** Reads `peers`. Empty text in an optional field is as if the field were absent. */
export function readPeers(raw: RawList<RawPeer>, profiles: ReadonlyMap<string, BfdProfile>, report: Report): Peer[] {
  const peers: Peer[] = [];
  const seen = new Map<string, number>(); // all that a peer says -> index
  const everywhere = new Map<string, number>(); // both ends of a session that every node opens -> index
  for (const [index, fields] of raw.entries()) {
    if (fields === undefined) continue;
    const path = ["peers", index];
    const peer = readPeer(fields, path, profiles, report);
    if (peer === undefined) continue;
    peers.push(peer);
    const text = identity(peer);
    const same = seen.get(text);
    if (same !== undefined) report.error(path, `repeats peers[${same}]`);
    seen.set(text, index);
    if (peer.nodeSelectors.length > 0) continue;
    const ends = `${peer.sourceAddress ?? ""} ${peer.address} ${peer.port}`;
    const other = everywhere.get(ends);
    if (other !== undefined && same === undefined)
      report.warn(
        path,
        `every node opens this session and that of peers[${other}] to the same ${peer.address}; the router will keep only one`,
      );
    everywhere.set(ends, index);
  }
  return peers;
}

/** @returns undefined, with the reason reported, when what identifies the peer is missing */
function readPeer(fields: RawPeer, path: Path, profiles: ReadonlyMap<string, BfdProfile>, report: Report): Peer | undefined {
  const myAsn = fields["my-asn"];
  const peerAsn = fields["peer-asn"];
  const address = readAddress(fields["peer-address"], [...path, "peer-address"], report);
  const sourceAddress = readAddress(fields["source-address"] || undefined, [...path, "source-address"], report);
  const routerId = readRouterId(fields["router-id"] || undefined, [...path, "router-id"], report);
  const ebgpMultihop = fields["ebgp-multihop"] ?? false;
  if (ebgpMultihop && myAsn !== undefined && myAsn === peerAsn)
    report.error([...path, "ebgp-multihop"], `only for eBGP, but my-asn and peer-asn are both ${myAsn}`);
  if (address !== undefined && sourceAddress !== undefined && address.family !== sourceAddress.family)
    report.warn(
      [...path, "source-address"],
      `${sourceAddress} cannot reach the ${address.family} peer ${address}: the session will not come up`,
    );
  const password = readPassword(fields.password || undefined, [...path, "password"], report);
  const bfdProfile = readProfileName(fields["bfd-profile"] || undefined, [...path, "bfd-profile"], profiles, report);
  const times = readSessionTimes(fields, path, report);
  const nodeSelectors = readSelectors(fields["node-selectors"] ?? [], [...path, "node-selectors"], report);
  if (myAsn === undefined || peerAsn === undefined || address === undefined) return undefined;
  const port = fields["peer-port"] || 179;
  return { myAsn, peerAsn, address, sourceAddress, port, ...times, routerId, nodeSelectors, password, bfdProfile, ebgpMultihop };
}

function readAddress(text: string | undefined, path: Path, report: Report): Address | undefined {
  if (text === undefined) return undefined;
  const address = parseAddress(text);
  if (address === undefined) report.error(path, `must be an IP address, but is ${quote(text)}`);
  return address;
}

function readRouterId(text: string | undefined, path: Path, report: Report): Address | undefined {
  if (text === undefined) return undefined;
  const address = parseAddress(text);
  if (address?.family !== "IPv4") report.error(path, `must be an IPv4 address, but is ${quote(text)}`);
  else if (address.value === 0n) report.warn(path, "no router takes the identifier 0 (RFC 6286): the session will not come up");
  return address;
}

const passwordOctets = 80; // TCP_MD5SIG_MAXKEYLEN of Linux.

function readPassword(text: string | undefined, path: Path, report: Report): string | undefined {
  const octets = text === undefined ? 0 : new TextEncoder().encode(text).length;
  if (octets > passwordOctets) report.error(path, `must be at most ${passwordOctets} octets, but is ${octets}`);
  return text;
}

function readProfileName(
  name: string | undefined,
  path: Path,
  profiles: ReadonlyMap<string, BfdProfile>,
  report: Report,
): string | undefined {
  if (name === undefined || profiles.has(name)) return name;
  const near = nearestName(name, [...profiles.keys()]);
  report.error(
    path,
    `no entry of bfd-profiles is named ${quote(name)}${near === undefined ? "" : `; did you mean ${quote(near)}?`}`,
  );
  return undefined;
}

/** Equal for peers that are the same in every respect, whatever the order in which their selectors list labels. */
function identity(peer: Peer): string {
  const selector = ({ matchLabels, matchExpressions }: LabelSelector) => [
    [...matchLabels].sort(([a], [b]) => (a < b ? -1 : 1)),
    matchExpressions.map((expression) => JSON.stringify(expression)).sort(),
  ];
  return JSON.stringify({ ...peer, nodeSelectors: peer.nodeSelectors.map(selector) });
}

import { type Address, parseAddress } from "#pkg/net";
import { canBeSelectedByBoth } from "./can-meet.ts";
import type { BfdProfile, LabelSelector, Peer } from "./config.ts";
import { limits } from "./limits.ts";
import { noSuchName } from "./nearest-name.ts";
import { readPassword } from "./peer-password.ts";
import { readPeerPath } from "./peer-path.ts";
import { type Path, quote } from "./problem.ts";
import type { RawList, RawPeer } from "./raw.ts";
import type { Report } from "./report.ts";
import { readSelectors } from "./selectors.ts";
import { readSessionTimes } from "./session-times.ts";

/** Reads `peers`. Empty text in an optional field is as if the field were absent. */
export function readPeers(raw: RawList<RawPeer>, profiles: ReadonlyMap<string, BfdProfile>, report: Report): Peer[] {
  const peers: Peer[] = [];
  const names = new Map<string, number>(); // name -> index
  const seen = new Map<string, number>(); // all that a peer says -> index
  const byEnds = new Map<string, { peer: Peer; index: number }[]>(); // both ends of the session -> peers
  const budget = { comparisons: limits.comparisons };
  for (const [index, fields] of raw.entries()) {
    if (fields === undefined) continue;
    const path = ["peers", index];
    if (fields.name !== undefined) {
      const same = names.get(fields.name);
      if (same !== undefined) report.error([...path, "name"], `${quote(fields.name)} is already the name of peers[${same}]`);
      names.set(fields.name, index);
    }
    const peer = readPeer(fields, path, profiles, report);
    if (peer === undefined) continue;
    peers.push(peer);
    const text = identity(peer);
    const same = seen.get(text);
    if (same !== undefined) report.error(path, `repeats peers[${same}]`);
    seen.set(text, index);
    if (peer.disabled) continue;
    const ends = `${peer.sourceAddress ?? ""} ${peer.address}%${peer.interface ?? ""} ${peer.port}`;
    const others = byEnds.get(ends) ?? [];
    const other = others.find((one) => canBeSelectedByBoth(one.peer.nodeSelectors, peer.nodeSelectors, budget));
    if (other !== undefined && same === undefined)
      report.warn(path, `has the same ${peer.address} as peers[${other.index}]: a node that both select has that session alone`);
    others.push({ peer, index });
    byEnds.set(ends, others);
  }
  return peers;
}

/** The names that advertisements may refer to; also of peers that are otherwise wrong. */
export function peerNames(raw: RawList<RawPeer>): ReadonlySet<string> {
  return new Set(raw.flatMap((fields) => fields?.name ?? []));
}

/** @returns undefined, with the reason reported, when what identifies the peer is missing */
function readPeer(fields: RawPeer, path: Path, profiles: ReadonlyMap<string, BfdProfile>, report: Report): Peer | undefined {
  const myAsn = fields["my-asn"];
  const peerAsn = fields["peer-asn"];
  const { address, ...way } = readPeerPath(fields, path, report);
  const rest = {
    name: fields.name,
    port: fields["peer-port"] || 179,
    ...way,
    ...readSessionTimes(fields, path, report),
    routerId: readRouterId(fields["router-id"] || undefined, [...path, "router-id"], report),
    nodeSelectors: readSelectors(fields["node-selectors"] ?? [], [...path, "node-selectors"], report),
    ...readPassword(fields, path, report),
    ...readBfd(fields, path, profiles, report),
    passive: fields.passive ?? false,
    disabled: fields.disabled ?? false,
    drainWhenCordoned: fields["drain-when-cordoned"] ?? false,
  };
  if (rest.passive)
    report.warn(
      [...path, "passive"],
      "the router has to connect to the speakers, which listen only when started with --bgp-port",
    );
  return myAsn === undefined || peerAsn === undefined || address === undefined ? undefined : { myAsn, peerAsn, address, ...rest };
}

function readRouterId(text: string | undefined, path: Path, report: Report): Address | undefined {
  if (text === undefined) return undefined;
  const address = parseAddress(text);
  if (address?.family !== "IPv4") report.error(path, `must be an IPv4 address, but is ${quote(text)}`);
  else if (address.value === 0n) report.warn(path, "no router takes the identifier 0 (RFC 6286): the session will not come up");
  return address;
}

function readBfd(
  fields: RawPeer,
  path: Path,
  profiles: ReadonlyMap<string, BfdProfile>,
  report: Report,
): Pick<Peer, "bfdProfile" | "bfdStrict"> {
  const name = fields["bfd-profile"] || undefined;
  const bfdStrict = fields["bfd-strict"] ?? false;
  if (bfdStrict && name === undefined)
    report.error([...path, "bfd-strict"], "needs a bfd-profile, without which there is no BFD");
  if (name === undefined || profiles.has(name)) return { bfdProfile: name, bfdStrict };
  report.error([...path, "bfd-profile"], noSuchName("bfd-profiles", name, [...profiles.keys()]));
  return { bfdProfile: undefined, bfdStrict };
}

/** Equal for peers that are the same in every respect but the name, whatever the order in which their selectors list labels. */
function identity(peer: Peer): string {
  const selector = ({ matchLabels, matchExpressions }: LabelSelector) => [
    [...matchLabels].sort(([a], [b]) => (a < b ? -1 : 1)),
    matchExpressions.map((expression) => JSON.stringify(expression)).sort(),
  ];
  return JSON.stringify({ ...peer, name: "", nodeSelectors: peer.nodeSelectors.map(selector) });
}

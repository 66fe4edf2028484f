import { type Address, type Family, families, parseAddress } from "#pkg/net";
import { quote } from "#pkg/text";
import type { BfdProfile, LabelSelector, Peer } from "../config.ts";
import { limits } from "../limits.ts";
import { noSuchName, type Path, type Problems, placesOf } from "../problems.ts";
import type { RawBfdProfile, RawList, RawPeer } from "../shape/raw.ts";
import { readPeerPath } from "./peer-path.ts";
import { readSecretKey } from "./secret-key.ts";
import { canBeSelectedByBoth, readSelectors } from "./selectors.ts";
import { readSessionTimes } from "./session-times.ts";

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
    const peer = readPeer(fields, path, profiles, problems);
    if (peer === undefined) continue;
    peers.push(peer);
    const text = identity(peer);
    const same = seen.get(text);
    if (same !== undefined) problems.error(path, `repeats peers[${same}]`);
    seen.set(text, index);
    if (peer.disabled) continue;
    if (peer.nodeSelectors.length === 0 && ++ofAllNodes === limits.peersOfNode + 1)
      problems.error(path, `more than ${limits.peersOfNode} peers are for all nodes, and no node has sessions with so many`);
    const router = peer.address === undefined ? JSON.stringify(peer.discovery) : `${peer.address}%${peer.interface ?? ""}`;
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

/** @returns undefined, with the reason reported, when what identifies the peer is missing */
function readPeer(fields: RawPeer, path: Path, profiles: ReadonlyMap<string, BfdProfile>, problems: Problems): Peer | undefined {
  const myAsn = fields["my-asn"];
  const peerAsn = fields["peer-asn"] === "internal" ? myAsn : fields["peer-asn"];
  const way = readPeerPath(fields, path, problems);
  const rest = {
    name: fields.name,
    port: fields["peer-port"] || 179,
    ...way,
    families: readFamilies(fields.families ?? [], [...path, "families"], problems),
    ...readSessionTimes(fields, path, problems),
    routerId: readRouterId(fields["router-id"] || undefined, [...path, "router-id"], problems),
    nodeSelectors: readSelectors(fields["node-selectors"] ?? [], [...path, "node-selectors"], problems),
    ...readPassword(fields, path, problems),
    ...readBfd(fields, path, profiles, problems),
    passive: fields.passive ?? false,
    disabled: fields.disabled ?? false,
    drainWhenCordoned: fields["drain-when-cordoned"] ?? false,
    addPath: fields["add-path"] ?? false,
    gracefulRestartNotification: fields["graceful-restart-notification"] ?? false,
    ...readRole(fields, peerAsn, path, problems),
  };
  if (rest.passive)
    problems.warn(
      [...path, "passive"],
      "the router has to connect to the speakers, which listen only when started with --bgp-port",
    );
  const isWhole = myAsn !== undefined && peerAsn !== undefined && (way.address ?? way.discovery) !== undefined;
  return isWhole ? { myAsn, peerAsn, ...rest } : undefined;
}

/** The router's address, or how it is found, in a few words. */
export function describeRouter({ address, discovery }: Pick<Peer, "address" | "discovery">): string {
  if (address !== undefined || discovery === undefined) return `${address}`;
  const { by, interfaces } = discovery;
  const on = interfaces.length === 0 ? "" : ` on ${interfaces.join(", ")}`;
  if (by === "advertisements") return `router${on}`;
  const [only, ...others] = discovery.families;
  return `${others.length > 0 ? "gateway" : only === "IPv4" ? "gateway-v4" : "gateway-v6"}${on}`;
}

/** Roles are of eBGP alone (RFC 9234, section 4). */
function readRole(
  { role, "role-strict": roleStrict = false, "my-asn": myAsn }: RawPeer,
  peerAsn: number | "external" | undefined,
  path: Path,
  problems: Problems,
): Pick<Peer, "role" | "roleStrict"> {
  if (role !== undefined && peerAsn === myAsn && myAsn !== undefined)
    problems.error([...path, "role"], "is for routers of another AS, and peer-asn is my-asn (RFC 9234)");
  if (roleStrict && role === undefined) problems.error([...path, "role-strict"], "needs a role of this side");
  return { role, roleStrict };
}

/** In one order, so that peers which differ in it are the same. */
function readFamilies(raw: RawList<"ipv4" | "ipv6">, path: Path, problems: Problems): readonly Family[] {
  const listed = placesOf(raw, path, problems);
  const named = families.filter((family) => listed.has(family === "IPv4" ? "ipv4" : "ipv6"));
  return named.length === 0 ? families : named;
}

function readRouterId(text: string | undefined, path: Path, problems: Problems): Address | undefined {
  if (text === undefined) return undefined;
  const address = parseAddress(text);
  if (address?.family !== "IPv4") problems.error(path, `must be an IPv4 address, but is ${quote(text)}`);
  else if (address.value === 0n) problems.warn(path, "no router takes the identifier 0 (RFC 6286): the session will not come up");
  return address;
}

function readBfd(
  fields: RawPeer,
  path: Path,
  profiles: ReadonlyMap<string, BfdProfile>,
  problems: Problems,
): Pick<Peer, "bfdProfile" | "bfdStrict"> {
  const name = fields["bfd-profile"] || undefined;
  const bfdStrict = fields["bfd-strict"] ?? false;
  if (bfdStrict && name === undefined)
    problems.error([...path, "bfd-strict"], "needs a bfd-profile, without which there is no BFD");
  if (name === undefined || profiles.has(name)) return { bfdProfile: name, bfdStrict };
  problems.error([...path, "bfd-profile"], () => noSuchName("bfd-profiles", name, profiles.keys()));
  return { bfdProfile: undefined, bfdStrict };
}

/** Equal for peers that differ only in the name, or in the order in which their selectors list labels. */
function identity(peer: Peer): string {
  const selector = ({ matchLabels, matchExpressions }: LabelSelector) => [
    [...matchLabels].sort(([a], [b]) => (a < b ? -1 : 1)),
    matchExpressions.map((expression) => JSON.stringify(expression)).sort(),
  ];
  return JSON.stringify({ ...peer, name: "", nodeSelectors: peer.nodeSelectors.map(selector) });
}

const passwordOctets = 80; // TCP_MD5SIG_MAXKEYLEN of Linux.

/** Reads `password` and `password-secret` of a peer. */
export function readPassword(fields: RawPeer, path: Path, problems: Problems): Pick<Peer, "password" | "passwordSecret"> {
  const password = fields.password || undefined;
  const octets = password === undefined ? 0 : new TextEncoder().encode(password).length;
  if (octets > passwordOctets)
    problems.error([...path, "password"], `must be at most ${passwordOctets} octets, but is ${octets}`);
  const secret = fields["password-secret"];
  const secretPath = [...path, "password-secret"];
  if (secret !== undefined && password !== undefined)
    problems.errorAtKey(secretPath, "not together with password: which of both would it be?");
  return { password, passwordSecret: secret && readSecretKey(secret, "password", secretPath, problems) };
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

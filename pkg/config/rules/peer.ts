import { type Address, type Family, families, parseAddress } from "#pkg/net";
import { quote } from "#pkg/text";
import type { BfdProfile, Peer } from "../config.ts";
import { noSuchName, type Place, placesOf } from "../problems.ts";
import type { RawList, RawPeer } from "../shape/raw.ts";
import { readPeerPath } from "./peer-path.ts";
import { readSecretKey } from "./secret-key.ts";
import { readSelectors } from "./selectors.ts";
import { readSessionTimes } from "./session-times.ts";

/** @returns undefined, with the reason reported, when what identifies the peer is missing */
export function readPeer(
  fields: RawPeer,
  at: Place,
  profiles: Pick<ReadonlyMap<string, BfdProfile>, "has" | "keys">,
): Peer | undefined {
  for (const field of ["my-asn", "peer-asn"] as const) if (!(field in fields)) at.in(field).error("required, but missing");
  const myAsn = fields["my-asn"];
  const peerAsn = fields["peer-asn"] === "internal" ? myAsn : fields["peer-asn"];
  const way = readPeerPath(fields, at);
  const rest = {
    name: fields.name,
    port: fields["peer-port"] || 179,
    ...way,
    families: readFamilies(fields.families ?? [], at.in("families")),
    ...readSessionTimes(fields, at),
    routerId: readRouterId(fields["router-id"] || undefined, at.in("router-id")),
    nodeSelectors: readSelectors(fields["node-selectors"] ?? [], at.in("node-selectors")),
    ...readPassword(fields, at),
    ...readBfd(fields, at, profiles),
    passive: fields.passive ?? false,
    disabled: fields.disabled ?? false,
    drainWhenCordoned: fields["drain-when-cordoned"] ?? false,
    maximumPrefix: fields["maximum-prefix"],
    addPath: fields["add-path"] ?? false,
    gracefulRestartNotification: fields["graceful-restart-notification"] ?? false,
    ...readRole(fields, peerAsn, at),
    fromNode: undefined,
  };
  if (rest.passive)
    at.in("passive").warn("the router has to connect to the speakers, which listen only when started with --bgp-port");
  const isWhole = myAsn !== undefined && peerAsn !== undefined && (way.address ?? way.discovery) !== undefined;
  return isWhole ? { myAsn, peerAsn, ...rest } : undefined;
}

/** The router's address, or how it is found, in a few words. */
export function describeRouter({ address, discovery, fromNode }: Pick<Peer, "address" | "discovery" | "fromNode">): string {
  const ofNode = fromNode?.values.get("peer-address");
  if (address === undefined && ofNode !== undefined) return `router by ${ofNode.kind} ${ofNode.name}`;
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
  at: Place,
): Pick<Peer, "role" | "roleStrict"> {
  if (role !== undefined && peerAsn === myAsn && myAsn !== undefined)
    at.in("role").error("is for routers of another AS, and peer-asn is my-asn (RFC 9234)");
  if (roleStrict && role === undefined) at.in("role-strict").error("needs a role of this side");
  return { role, roleStrict };
}

/** In one order, so that peers which differ in it are the same. */
function readFamilies(raw: RawList<"ipv4" | "ipv6">, at: Place): readonly Family[] {
  const listed = placesOf(raw, at);
  const named = families.filter((family) => listed.has(family === "IPv4" ? "ipv4" : "ipv6"));
  return named.length === 0 ? families : named;
}

function readRouterId(text: string | undefined, at: Place): Address | undefined {
  if (text === undefined) return undefined;
  const address = parseAddress(text);
  if (address?.family !== "IPv4") at.error(`must be an IPv4 address, but is ${quote(text)}`);
  else if (address.value === 0n) at.warn("no router takes the identifier 0 (RFC 6286): the session will not come up");
  return address;
}

function readBfd(
  fields: RawPeer,
  at: Place,
  profiles: Pick<ReadonlyMap<string, BfdProfile>, "has" | "keys">,
): Pick<Peer, "bfdProfile" | "bfdStrict"> {
  const name = fields["bfd-profile"] || undefined;
  const bfdStrict = fields["bfd-strict"] ?? false;
  if (bfdStrict && name === undefined) at.in("bfd-strict").error("needs a bfd-profile, without which there is no BFD");
  if (name === undefined || profiles.has(name)) return { bfdProfile: name, bfdStrict };
  at.in("bfd-profile").error(() => noSuchName("bfd-profiles", name, profiles.keys()));
  return { bfdProfile: undefined, bfdStrict };
}

const passwordOctets = 80; // TCP_MD5SIG_MAXKEYLEN of Linux.

/** Reads `password` and `password-secret` of a peer. */
export function readPassword(fields: RawPeer, at: Place): Pick<Peer, "password" | "passwordSecret"> {
  const password = fields.password || undefined;
  const octets = password === undefined ? 0 : new TextEncoder().encode(password).length;
  if (octets > passwordOctets) at.in("password").error(`must be at most ${passwordOctets} octets, but is ${octets}`);
  const secret = fields["password-secret"];
  const secretPath = at.in("password-secret");
  if (secret !== undefined && password !== undefined)
    secretPath.errorAtKey("not together with password: which of both would it be?");
  return { password, passwordSecret: secret && readSecretKey(secret, "password", secretPath) };
}

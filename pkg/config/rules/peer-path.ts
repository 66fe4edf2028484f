import { type Address, type Family, families, isLinkLocal, parseAddress } from "#pkg/net";
import { quote } from "#pkg/text";
import type { Peer, RouterDiscovery } from "../config.ts";
import { type Place, placesOf } from "../problems.ts";
import type { RawPeer } from "../shape/raw.ts";
import { isInterfaceName, notAnInterface, readInterfaceNames } from "./interfaces.ts";

type PeerPath = Pick<
  Peer,
  "address" | "discovery" | "interface" | "sourceAddress" | "sourceInterface" | "ebgpMultihop" | "ttl" | "ttlSecurityHops"
>;

/** Reads how a peer is reached: addresses, interface, and how far away it is. */
export function readPeerPath(fields: RawPeer, at: Place): PeerPath {
  const discovery = readDiscovery(fields, at);
  if (discovery !== undefined)
    return {
      address: undefined,
      discovery,
      interface: undefined,
      sourceAddress: undefined,
      sourceInterface: undefined,
      ...readDistance(fields, at),
    };
  const address = readPeerAddress(fields["peer-address"], at.in("peer-address"));
  const sourceAddress = readAddress(fields["source-address"] || undefined, at.in("source-address"));
  if (address !== undefined && sourceAddress !== undefined && address.family !== sourceAddress.family)
    at.in("source-address").warn(
      `${sourceAddress} cannot reach the ${address.family} peer ${address}: the session will not come up`,
    );
  const device = readInterface(fields, address, at);
  return {
    address,
    discovery: undefined,
    sourceAddress,
    sourceInterface: readSourceInterface(fields, device, at),
    interface: device,
    ...readDistance(fields, at),
  };
}

/** @param other what is allowed besides, in words */
export function readAddress(text: string | undefined, at: Place, other = ""): Address | undefined {
  if (text === undefined) return undefined;
  const address = parseAddress(text);
  if (address === undefined) at.error(`must be ${other}an IP address, but is ${quote(text)}`);
  return address;
}

function readPeerAddress(text: string | undefined, at: Place): Address | undefined {
  const [beforeZone, zone, ...more] = text?.split("%") ?? [];
  if (zone === undefined || more.length > 0 || parseAddress(beforeZone ?? "") === undefined)
    return readAddress(text, at, '"gateway", "gateway-v4", "gateway-v6", or ');
  const advice = `write ${quote(`${beforeZone}`)}, and the interface in the field "interface"`;
  at.error(`must be an IP address without a zone, but is ${quote(`${text}`)}; ${advice}`);
  return undefined;
}

/** Words in the place of an address -> families of the default routes whose next hops are meant. */
const gateways = new Map<string, readonly Family[]>([
  ["gateway", families],
  ["gateway-v4", ["IPv4"]],
  ["gateway-v6", ["IPv6"]],
]);

/** @returns undefined where the peer has an address, or should have */
function readDiscovery(fields: RawPeer, at: Place): RouterDiscovery | undefined {
  const here = at.in("interface");
  const ofGateway = gateways.get(fields["peer-address"] ?? "");
  if (ofGateway === undefined && (fields["peer-address"] || !fields.interface)) {
    if (fields["peer-address"] === undefined)
      at.in("peer-address").error("required, but missing: an address, or an interface on which to find the router");
    return undefined;
  }
  for (const field of ["source-address", "source-interface"] as const)
    if (fields[field])
      at.in(field).errorAtKey(
        "not where the node finds the router itself: the session comes from the interface that leads to it",
      );
  if (fields["ebgp-multihop"])
    at.in("ebgp-multihop").errorAtKey("not where the node finds the router itself: the router is on the link of its interface");
  const raw = typeof fields.interface === "string" ? [fields.interface].filter((name) => name !== "") : fields.interface;
  const names = [...placesOf(raw, here).keys()];
  const interfaces = readInterfaceNames(names, here);
  if (ofGateway === undefined) return { by: "advertisements", interfaces };
  return { by: "gateway", families: ofGateway, interfaces, hasBoth: ofGateway.length > 1 && !fields.families?.length };
}

function readInterface(fields: RawPeer, address: Address | undefined, at: Place): string | undefined {
  const here = at.in("interface");
  const [name, ...others] = typeof fields.interface === "string" ? [fields.interface || undefined] : (fields.interface ?? []);
  if (others.length > 0) here.error("must be one interface: the router of a peer-address is behind one");
  if (name !== undefined && !isInterfaceName(name)) here.error(notAnInterface(name));
  if (address === undefined) return name;
  if (name === undefined && isLinkLocal(address))
    here.error(`required, but missing: the link-local ${address} may be behind any interface`);
  if (name !== undefined && !isLinkLocal(address))
    here.errorAtKey(`only for a link-local peer-address, but that is ${address}, which routing finds`);
  return name;
}

/** @param device behind which the peer is, where it is link-local */
function readSourceInterface(fields: RawPeer, device: string | undefined, at: Place): string | undefined {
  const name = fields["source-interface"] || undefined;
  const here = at.in("source-interface");
  if (name === undefined) return undefined;
  if (!isInterfaceName(name)) here.error(notAnInterface(name));
  if (fields["source-address"]) here.errorAtKey("not together with source-address: which of both would it be?");
  if (device !== undefined && device !== name)
    here.error(`must be ${quote(device)}, the interface of the link-local peer-address, but is ${quote(name)}`);
  return name;
}

function readDistance(fields: RawPeer, at: Place): Pick<Peer, "ebgpMultihop" | "ttl" | "ttlSecurityHops"> {
  const ebgpMultihop = fields["ebgp-multihop"] ?? false;
  const ttl = fields["ebgp-multihop-ttl"];
  const ttlSecurityHops = fields["ttl-security"];
  const asn = fields["my-asn"];
  const peerAsn = fields["peer-asn"];
  if (ebgpMultihop && asn !== undefined && asn === peerAsn)
    at.in("ebgp-multihop").error(`only for eBGP, but my-asn and peer-asn are both ${asn}`);
  if (ebgpMultihop && peerAsn === "internal") at.in("ebgp-multihop").error("only for eBGP, but peer-asn is internal");
  if (ttl !== undefined && !ebgpMultihop) at.in("ebgp-multihop-ttl").errorAtKey(`needs "ebgp-multihop: true"`);
  if (ttlSecurityHops !== undefined && ebgpMultihop)
    at.in("ttl-security").errorAtKey("not together with ebgp-multihop: it says itself how far away the router may be");
  return { ebgpMultihop, ttl, ttlSecurityHops };
}

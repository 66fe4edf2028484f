import { Address, formatMac, macBytes, macLength, parseMac } from "#pkg/net";

/** An interface of a node, by which others of the LAN send to the node itself. */
export interface Link {
  readonly mac: string;
  /** The node's addresses, without those of Services, with link-local ones. */
  readonly addresses: readonly Address[];
}

export const linksKey = "n";
const version = 1;
const maxLinks = 8; // As many as members publish MAC addresses of.
const maxAddresses = 4; // The last link has one less: with four of IPv6 each, all together are an octet more than an entry.

/** For each of the first eight: its MAC address, how many addresses follow (four at most), and of each its length and octets. */
export function encodeLinks(links: readonly Link[]): Uint8Array {
  const each = links.slice(0, maxLinks).flatMap(({ mac, addresses }, index) => {
    const some = addresses.slice(0, index < maxLinks - 1 ? maxAddresses : maxAddresses - 1).map((address) => address.toBytes());
    return [...macBytes(parseMac(mac) ?? 0), some.length, ...some.flatMap((octets) => [octets.length, ...octets])];
  });
  return Uint8Array.from([version, ...each]);
}

/** Undefined for a value of something else. */
export function decodeLinks(value: Uint8Array): readonly Link[] | undefined {
  if (value[0] !== version) return undefined;
  const links: Link[] = [];
  for (let at = 1; at < value.length; ) {
    const mac = value.subarray(at, at + macLength);
    const count = value[at + macLength];
    if (count === undefined || count > maxAddresses || links.length === maxLinks) return undefined;
    at += macLength + 1;
    const addresses: Address[] = [];
    for (let i = 0; i < count; i++) {
      const length = value[at] ?? 0;
      const octets = value.subarray(at + 1, at + 1 + length);
      if ((length !== 4 && length !== 16) || octets.length < length) return undefined;
      addresses.push(Address.fromBytes(octets));
      at += 1 + length;
    }
    links.push({ mac: formatMac(mac), addresses });
  }
  return links;
}

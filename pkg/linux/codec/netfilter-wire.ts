import type { Family } from "#pkg/net";
import { decodeAttributes, encodeAttribute, encodeMessage, fixed, NetlinkError } from "./netlink-wire.ts";

/** Parts of the kernel's packet filter that have messages of their own. */
export const Subsystem = { conntrack: 1, tables: 10 } as const;
/** Families as the packet filter numbers them (NFPROTO_*). */
export const filterFamily: Readonly<Record<Family | "none", number>> = { none: 0, IPv4: 2, IPv6: 10 };
export const headLength = 4; // struct nfgenmsg
const nested = 0x8000; // NLA_F_NESTED

/** A message of netfilter: its type is the subsystem and a number there; `resource` is in network order. */
export function encodeFilterMessage(
  {
    type,
    flags,
    sequence,
    family,
    resource = 0,
  }: { type: number; flags: number; sequence: number; family: number; resource?: number },
  ...parts: readonly Uint8Array[]
): Uint8Array {
  return encodeMessage(type, flags, sequence, Uint8Array.of(family, 0, resource >> 8, resource & 0xff), ...parts);
}

export function nest(type: number, ...values: readonly Uint8Array[]): Uint8Array {
  return values.length === 0 ? encodeAttribute(type | nested) : encodeAttribute(type | nested, ...values);
}

/** Text that ends with a zero octet, as an attribute. */
export function textAttribute(type: number, value: string): Uint8Array {
  return encodeAttribute(type, new TextEncoder().encode(`${value}\0`));
}

/** A number of 32 bits in network order, as an attribute. */
export function numberAttribute(type: number, value: number): Uint8Array {
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setUint32(0, value);
  return encodeAttribute(type, octets);
}

/** A number of 64 bits in network order, as an attribute. */
export function longAttribute(type: number, value: bigint): Uint8Array {
  const octets = new Uint8Array(8);
  new DataView(octets.buffer).setBigUint64(0, value);
  return encodeAttribute(type, octets);
}

/** The attributes of a message after its head. @throws {NetlinkError} where it is cut short */
export function filterAttributes(body: Uint8Array): Map<number, Uint8Array> {
  fixed(body, headLength, "netfilter message");
  return decodeAttributes(body.subarray(headLength));
}

/** @throws {NetlinkError} for a value of another width */
export function long(bytes: Uint8Array, what: string): bigint {
  if (bytes.length !== 8) throw new NetlinkError(`Cannot decode ${what}: ${bytes.length} octets, needs 8`);
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
}

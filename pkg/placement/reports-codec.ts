import { Address, type Family, Prefix } from "#pkg/net";

/** That a node takes part in placement, and what holds for all of it. */
export interface Head {
  /** See `Reach`. */
  readonly answers: boolean;
  /** How much the node has to doubt its own view of the others; see `Reports.setDoubt`. 0 to 65535. */
  readonly doubt: number;
  /** The node's in the ring when it said this. 0 to 2^32 - 1. */
  readonly incarnation: number;
}

export const headKey = "h";
const version = 1; // The first octet of a head, to which later ones may add, and of an interface.
const headOctets = 8; // version, answers, doubt in two, incarnation in four
const mostSubnets = 32; // Of one interface. As many as fit into a notice.

export function encodeHead({ answers, doubt, incarnation }: Head): Uint8Array {
  const head = Buffer.alloc(headOctets);
  head.writeUInt8(version, 0);
  head.writeUInt8(answers ? 1 : 0, 1);
  head.writeUInt16BE(doubt, 2);
  head.writeUInt32BE(incarnation, 4);
  return head;
}

/** Undefined for what is none. */
export function decodeHead(value: Uint8Array): Head | undefined {
  if (value.length < headOctets) return undefined;
  const head = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (head.readUInt8(0) < version) return undefined;
  return { answers: (head.readUInt8(1) & 1) === 1, doubt: head.readUInt16BE(2), incarnation: head.readUInt32BE(4) };
}

/** The key under which a node says something of an interface. */
export function interfaceKey(name: string): string {
  return `i${Buffer.from(name, "utf8").toString("latin1")}`;
}

/** The interface's name; undefined for a key of something else. */
export function interfaceOf(key: string): string | undefined {
  return key.length > 1 && key[0] === "i" ? Buffer.from(key.slice(1), "latin1").toString("utf8") : undefined;
}

/** Subnets of an interface: for each its family (4 or 6), its length in bits, and as many octets as have those bits. The first 32. */
export function encodeSubnets(subnets: readonly Prefix[]): Uint8Array {
  const each = subnets.slice(0, mostSubnets).flatMap(({ family, address, length }) => {
    return [family === "IPv4" ? 4 : 6, length, ...address.toBytes().subarray(0, Math.ceil(length / 8))];
  });
  return Uint8Array.from([version, ...each]);
}

/** Undefined for what is none. */
export function decodeSubnets(value: Uint8Array): Prefix[] | undefined {
  if (value[0] !== version) return undefined;
  const subnets: Prefix[] = [];
  for (let at = 1; at < value.length; ) {
    const [family, length] = value.subarray(at);
    const size = family === 4 ? 4 : 16;
    const end = at + 2 + Math.ceil((length ?? 0) / 8);
    if ((family !== 4 && family !== 6) || length === undefined || length > size * 8 || end > value.length) return undefined;
    const octets = new Uint8Array(size);
    octets.set(value.subarray(at + 2, end));
    subnets.push(new Prefix(addressOf(family === 4 ? "IPv4" : "IPv6", octets), length));
    at = end;
  }
  return subnets;
}

/** Other than `Address.fromBytes` it leaves an IPv4-mapped address in its family. @param octets as many as the family has */
export function addressOf(family: Family, octets: Uint8Array): Address {
  return new Address(family, BigInt(`0x${Buffer.from(octets).toString("hex")}`));
}

import type { Family } from "#pkg/net";
import {
  accept,
  addIndex,
  andWith,
  endIfAnyOfEach,
  endIfOneOf,
  type Instruction,
  jump,
  jumpIfEqual,
  jumpIfNotBelow,
  jumpIfSet,
  loadHalfWord,
  loadHalfWordIndexed,
  loadHeaderLength,
  loadNumber,
  loadOctet,
  loadStoredIndex,
  loadWord,
  multiplyBy,
  orWithIndex,
  program,
  Room,
  shiftRight,
  store,
  toIndex,
} from "./classic-bpf.ts";
import { headerLength, MessageType } from "./netlink-wire.ts";

const etherTypeOffset = 12;
const etherHeaderLength = 14;
const nextHeaderOffset = 20;
const icmpTypeOffset = 54;
const etherTypeIpv6 = 0x86dd;
const protocolIcmpv6 = 58;
const protocolUdp = 17;
const protocolTcp = 6;
const etherTypeIpv4 = 0x0800;
const fragmentOffsetMask = 0x1fff;
const keepAll = 0xffff_ffff;
// Offsets at which a load takes special values instead of octets of the packet (linux/filter.h).
const networkHeader = 0xfff0_0000; // SKF_NET_OFF: from here on the octets of the IP header.
const chance = 0xffff_f038; // SKF_AD_OFF + SKF_AD_RANDOM: 32 bits.
const arrivedOn = 0xffff_f008; // SKF_AD_OFF + SKF_AD_IFINDEX: index of the interface by which the kernel takes the packet.
const udpHeaderLength = 8;
const sourceOffset = { 4: networkHeader + 12, 16: networkHeader + 8 } as const; // By the length of an address.
const version6 = 0x6000; // The first half word of an IPv6 header, at least; that of an IPv4 header is below.
const highHalf = 0xffff_0000;

/**
 * `filter` for a packet socket of one interface: it drops the frames of the VLANs that are interfaces of their own. The kernel takes their tags
 * off, and hands them to the sockets of the interface below as well.
 */
export function ofInterface(index: number, filter: Uint8Array): Uint8Array {
  const others = program([
    [loadWord, 0, 0, arrivedOn],
    [jumpIfEqual, 1, 0, index],
    [accept, 0, 0, 0],
  ]);
  return new Uint8Array([...others, ...filter]);
}

/**
 * A classic BPF program that keeps the first `keep` octets of the Ethernet frames of one EtherType and drops every other frame: an
 * array of `struct sock_filter` (linux/filter.h).
 */
export function etherTypeFilter(etherType: number, keep: number): Uint8Array {
  return program([
    [loadHalfWord, 0, 0, etherTypeOffset],
    [jumpIfEqual, 0, 1, etherType],
    [accept, 0, 0, keep],
    [accept, 0, 0, 0],
  ]);
}

/**
 * Like `etherTypeFilter`, for the ICMPv6 messages of some types that directly follow the IPv6 header. Messages with an extension header,
 * also fragments, are dropped.
 */
export function icmpv6Filter(types: readonly number[], keep: number): Uint8Array {
  const last = types.length - 1;
  const matches = types.map((type, i): Instruction => [jumpIfEqual, last - i, i === last ? 1 : 0, type]);
  return program([
    [loadHalfWord, 0, 0, etherTypeOffset],
    [jumpIfEqual, 0, 4 + types.length, etherTypeIpv6],
    [loadOctet, 0, 0, nextHeaderOffset],
    [jumpIfEqual, 0, 2 + types.length, protocolIcmpv6],
    [loadOctet, 0, 0, icmpTypeOffset],
    ...matches,
    [accept, 0, 0, keep],
    [accept, 0, 0, 0],
  ]);
}

/**
 * Keeps the UDP datagrams to one port, of packets without their Ethernet header, and drops all else, also later fragments and packets with
 * an IPv6 extension header.
 */
export function udpPortFilter(family: Family, port: number, keep: number): Uint8Array {
  return program([...skipUnlessToPort(family, 0, protocolUdp, port), [accept, 0, 0, keep], [accept, 0, 0, 0]]);
}

/** Keeps the Ethernet frames with TCP segments to one port, under the conditions of `udpPortFilter`, and drops all else. */
export function tcpPortFilter(family: Family, port: number, keep: number): Uint8Array {
  const matches = skipUnlessToPort(family, etherHeaderLength, protocolTcp, port);
  return program([
    [loadHalfWord, 0, 0, etherTypeOffset],
    [jumpIfEqual, 0, matches.length + 1, family === "IPv4" ? etherTypeIpv4 : etherTypeIpv6],
    ...matches,
    [accept, 0, 0, keep],
    [accept, 0, 0, 0],
  ]);
}

/** Jumps over the instruction that follows where a packet, whose IP header begins at `start`, is not one of `protocol` to `port`. */
function skipUnlessToPort(family: Family, start: number, protocol: number, port: number): Instruction[] {
  if (family === "IPv6")
    return [
      [loadOctet, 0, 0, start + 6],
      [jumpIfEqual, 0, 3, protocol],
      [loadHalfWord, 0, 0, start + 42],
      [jumpIfEqual, 0, 1, port],
    ];
  return [
    [loadOctet, 0, 0, start + 9],
    [jumpIfEqual, 0, 6, protocol],
    [loadHalfWord, 0, 0, start + 6],
    [jumpIfSet, 4, 0, fragmentOffsetMask],
    [loadHeaderLength, 0, 0, start],
    [loadHalfWordIndexed, 0, 0, start + 2],
    [jumpIfEqual, 0, 1, port],
  ];
}

/**
 * Keeps the rtnetlink messages about routes of these protocols (RTPROT_*), of which there is at least one, and all that are not about
 * routes. A datagram that the kernel sends to a group has one message.
 */
export function routeProtocolFilter(protocols: readonly number[]): Uint8Array {
  const last = protocols.length - 1;
  const matches = protocols.map((protocol, i): Instruction => [jumpIfEqual, last - i, i === last ? 1 : 0, protocol]);
  return program([
    [loadHalfWord, 0, 0, 4], // The type, of which a filter takes the lower octet for the higher one.
    [jumpIfEqual, 1, 0, MessageType.newRoute << 8],
    [jumpIfEqual, 0, 1 + matches.length, MessageType.deleteRoute << 8],
    [loadOctet, 0, 0, headerLength + 5],
    ...matches,
    [accept, 0, 0, keepAll],
    [accept, 0, 0, 0],
  ]);
}

/** Datagrams of a UDP socket that always reach the process, and the share of the rest. */
export interface DatagramSample {
  /** Kept: whose payload has one of `values`, 32 bits in network order, at `offset`. Where this is set, what is too short for it is dropped. */
  readonly words?: { readonly offset: number; readonly values: readonly number[] } | undefined;
  /** Kept: whose IP source ends with these 32 bits; all of an IPv4 address. */
  readonly sources: readonly number[];
  /** One of this many other datagrams is kept, by chance. */
  readonly oneIn: number;
}

/**
 * For a UDP socket, whose filters see packets from the UDP header on. With more than some thousand words and sources it keeps a share of other
 * datagrams: with 5,000 a seventh, or a quarter where the kernel has little room.
 * @param optionMemory octets that the kernel has for it: see `withinRoom`
 */
export function datagramSampleFilter({ words, sources, oneIn }: DatagramSample, optionMemory: number): Uint8Array {
  const [ifWord = [], ifSource = []] = endIfAnyOfEach([words?.values ?? [], sources], keepAll, new Room(optionMemory, 20));
  const ofPayload: Instruction[] = words === undefined ? [] : [[loadWord, 0, 0, udpHeaderLength + words.offset], ...ifWord];
  return program([
    ...ofPayload,
    [loadHalfWord, 0, 0, networkHeader],
    [jumpIfNotBelow, 2, 0, version6],
    [loadWord, 0, 0, sourceOffset[4]],
    [jump, 0, 0, 1],
    [loadWord, 0, 0, sourceOffset[16] + 12],
    ...ifSource,
    [loadWord, 0, 0, chance],
    [jumpIfNotBelow, 1, 0, Math.floor(0xffff_ffff / oneIn)],
    [accept, 0, 0, keepAll],
    [accept, 0, 0, 0],
  ]);
}

/** Sources whose connections are refused; addresses of 4 or 16 bytes in network order. */
export interface RefusedConnections {
  readonly sources: readonly Uint8Array[];
  /** Where this is set, all but these are refused too. */
  readonly allBut?: readonly Uint8Array[] | undefined;
}

/** How many words of chance `refusalProgram` needs. */
export const refusalKeys = 18;
const taken = 0;
const refused = 1;

/**
 * Decides on each packet that opens a TCP connection: 0, or 1 where it is refused. IPv6 addresses take as much room as IPv4 ones, because
 * the program compares digests of them. `keys` are to be drawn for each filter: a host that does not know them cannot choose an address
 * with the digest of another. By chance two addresses have the same digest in one of 2^32 cases. With more than some hundred in `allBut`
 * it takes a share of the others, too, as `datagramSampleFilter` does.
 * @param refusal at most 300 sources @param optionMemory octets that the kernel has for it: see `withinRoom`
 */
export function refusalProgram({ sources, allBut }: RefusedConnections, keys: Uint32Array, optionMemory: number): Uint8Array {
  const values = (addresses: readonly Uint8Array[], length: 4 | 16) =>
    addresses.filter((address) => address.length === length).map((address) => comparable(address, keys));
  const [refusedIpv4, refusedIpv6] = [endIfOneOf(values(sources, 4), refused), endIfOneOf(values(sources, 16), refused)];
  const digest = loadDigest(keys);
  const room = new Room(optionMemory, 20);
  room.take([...refusedIpv4, ...refusedIpv6, ...digest]);
  const members = allBut ?? [];
  const [takenIpv4 = [], takenIpv6 = []] = endIfAnyOfEach([values(members, 4), values(members, 16)], taken, room);
  const otherwise: Instruction = [accept, 0, 0, allBut === undefined ? taken : refused];
  const ofIpv4: Instruction[] = [[loadWord, 0, 0, sourceOffset[4]], ...refusedIpv4, ...takenIpv4, otherwise];
  return program([
    [loadHalfWord, 0, 0, networkHeader],
    [jumpIfNotBelow, 0, 1, version6],
    [jump, 0, 0, ofIpv4.length],
    ...ofIpv4,
    ...digest,
    ...refusedIpv6,
    ...takenIpv6,
    otherwise,
  ]);
}

/** Decides on each packet that opens a TCP connection: 1 where it comes from this port, else 0. Packets with IP options have no port here. */
export function sourcePortProgram(port: number): Uint8Array {
  return program([
    [loadHalfWord, 0, 0, networkHeader],
    [jumpIfNotBelow, 2, 0, version6],
    [loadHalfWord, 0, 0, networkHeader + 20],
    [jump, 0, 0, 1],
    [loadHalfWord, 0, 0, networkHeader + 40],
    [jumpIfEqual, 0, 1, port],
    [accept, 0, 0, refused],
    [accept, 0, 0, taken],
  ]);
}

/** The value that a program compares: all of an IPv4 address, the digest of an IPv6 one. */
function comparable(address: Uint8Array, keys: Uint32Array): number {
  const view = new DataView(address.buffer, address.byteOffset, address.length);
  if (address.length === 4) return view.getUint32(0);
  const [high, low] = halvesOf(keys).map(({ addend, factors }) =>
    factors.reduce((sum, factor, index) => (sum + Math.imul(factor, view.getUint16(2 * index))) | 0, addend),
  );
  return (((high ?? 0) & highHalf) | ((low ?? 0) >>> 16)) >>> 0;
}

/** Loads the digest of an IPv6 source. */
function loadDigest(keys: Uint32Array): Instruction[] {
  const [high = [], low = []] = halvesOf(keys).map(({ addend, factors }): Instruction[] => [
    [loadNumber, 0, 0, addend],
    [toIndex, 0, 0, 0],
    ...factors.flatMap((factor, index): Instruction[] => [
      [loadHalfWord, 0, 0, sourceOffset[16] + 2 * index],
      [multiplyBy, 0, 0, factor],
      [addIndex, 0, 0, 0],
      [toIndex, 0, 0, 0],
    ]),
  ]);
  return [
    ...high,
    [andWith, 0, 0, highHalf],
    [store, 0, 0, 0],
    ...low,
    [shiftRight, 0, 0, 16],
    [loadStoredIndex, 0, 0, 0],
    [orWithIndex, 0, 0, 0],
  ];
}

/**
 * Addend and factors of each half of a digest. A half is the upper half of the sum of an address's 16-bit words, each by a factor of its
 * own, modulo 2^32; two addresses have the same in one of 2^16 choices of the factors (multilinear hashing).
 */
function halvesOf(keys: Uint32Array): { readonly addend: number; readonly factors: readonly number[] }[] {
  return [keys.subarray(0, refusalKeys / 2), keys.subarray(refusalKeys / 2)].map(([addend = 0, ...factors]) => ({
    addend,
    factors,
  }));
}

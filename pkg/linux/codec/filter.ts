const loadHalfWord = 0x28; // BPF_LD | BPF_H | BPF_ABS
const loadOctet = 0x30; // BPF_LD | BPF_B | BPF_ABS
const loadHalfWordIndexed = 0x48; // BPF_LD | BPF_H | BPF_IND
const loadHeaderLength = 0xb1; // BPF_LDX | BPF_B | BPF_MSH: the length of an IPv4 header into the index.
const jumpIfSet = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const jumpIfEqual = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const accept = 0x06; // BPF_RET | BPF_K: how many octets to keep, 0 for none.
const etherTypeOffset = 12;
const nextHeaderOffset = 20;
const icmpTypeOffset = 54;
const etherTypeIpv6 = 0x86dd;
const protocolIcmpv6 = 58;
const protocolUdp = 17;
const fragmentOffsetMask = 0x1fff;

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
 * Like `etherTypeFilter`, for the ICMPv6 messages of some types that directly follow the IPv6 header. Whatever has an extension
 * header, also a fragment, is dropped.
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
 * Keeps the UDP datagrams to one port, of packets without their Ethernet header, and drops all else: what is not the first fragment, and
 * what has an IPv6 extension header.
 */
export function udpPortFilter(family: "IPv4" | "IPv6", port: number, keep: number): Uint8Array {
  if (family === "IPv6")
    return program([
      [loadOctet, 0, 0, 6],
      [jumpIfEqual, 0, 3, protocolUdp],
      [loadHalfWord, 0, 0, 42],
      [jumpIfEqual, 0, 1, port],
      [accept, 0, 0, keep],
      [accept, 0, 0, 0],
    ]);
  return program([
    [loadOctet, 0, 0, 9],
    [jumpIfEqual, 0, 6, protocolUdp],
    [loadHalfWord, 0, 0, 6],
    [jumpIfSet, 4, 0, fragmentOffsetMask],
    [loadHeaderLength, 0, 0, 0],
    [loadHalfWordIndexed, 0, 0, 2],
    [jumpIfEqual, 0, 1, port],
    [accept, 0, 0, keep],
    [accept, 0, 0, 0],
  ]);
}

type Instruction = readonly [code: number, jumpIfTrue: number, jumpIfFalse: number, value: number];

function program(instructions: readonly Instruction[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * instructions.length));
  for (const [index, [code, jumpIfTrue, jumpIfFalse, value]] of instructions.entries()) {
    view.setUint16(8 * index, code, true);
    view.setUint8(8 * index + 2, jumpIfTrue);
    view.setUint8(8 * index + 3, jumpIfFalse);
    view.setUint32(8 * index + 4, value, true);
  }
  return new Uint8Array(view.buffer);
}

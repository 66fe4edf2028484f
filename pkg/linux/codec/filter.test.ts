import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { slow } from "#pkg/clock/testing";
import {
  etherTypeFilter,
  icmpv6Filter,
  ofInterface,
  refusalKeys,
  refusalProgram,
  routeProtocolFilter,
  tcpPortFilter,
  udpPortFilter,
} from "./filter.ts";

test("etherTypeFilter compiles to what libpcap compiles", () => {
  // `tcpdump -dd -s 128 arp` prints { 0x28, 0, 0, 0xc }, { 0x15, 0, 1, 0x806 }, { 0x6, 0, 0, 0x80 }, { 0x6, 0, 0, 0 }.
  const want = ["280000000c000000", "1500000106080000", "0600000080000000", "0600000000000000"].join("");
  assert.equal(Buffer.from(etherTypeFilter(0x0806, 128)).toString("hex"), want);
});

test("ofInterface drops what the kernel takes for another interface, and leaves the rest to the filter", () => {
  // `tcpdump -ddd -y LINUX_SLL2 'ifindex 7'` asks the frame; the kernel's own answer is at SKF_AD_OFF + SKF_AD_IFINDEX, -4096 + 8.
  const want = ["2000000008f0ffff", "1500010007000000", "0600000000000000"].join("");
  const filter = Buffer.from(etherTypeFilter(0x0806, 128)).toString("hex");
  assert.equal(Buffer.from(ofInterface(7, etherTypeFilter(0x0806, 128))).toString("hex"), want + filter);
});

test("icmpv6Filter compiles to what libpcap compiles", () => {
  // `tcpdump -ddd -y EN10MB -s 1514 'ether proto 0x86dd and ether[20] = 58 and (ether[54] = 135 or ether[54] = 136)'`, without the count.
  const want = `
40 0 0 12
21 0 6 34525
48 0 0 20
21 0 4 58
48 0 0 54
21 1 0 135
21 0 1 136
6 0 0 1514
6 0 0 0
`;
  const instructions = Buffer.from(icmpv6Filter([135, 136], 1514));
  const lines = Array.from({ length: instructions.length / 8 }, (_, i) => {
    const at = instructions.subarray(8 * i);
    return `${at.readUInt16LE(0)} ${at[2]} ${at[3]} ${at.readUInt32LE(4)}`;
  });
  assert.deepEqual(lines, want.trim().split("\n"));
});

test("udpPortFilter compiles to what libpcap compiles", () => {
  // `tcpdump -ddd -y RAW -s 64 'ip[9] = 17 and ip[6:2] & 0x1fff = 0 and udp dst port 3785'`, and 'ip6[6] = 17 and ip6[42:2] = 3785',
  // without the checks of the IP version, which a socket of one EtherType needs not.
  const decode = (filter: Uint8Array) => {
    const instructions = Buffer.from(filter);
    return Array.from({ length: instructions.length / 8 }, (_, i) => {
      const at = instructions.subarray(8 * i);
      return `${at.readUInt16LE(0)} ${at[2]} ${at[3]} ${at.readUInt32LE(4)}`;
    });
  };
  assert.deepEqual(decode(udpPortFilter("IPv4", 3785, 64)), [
    ...["48 0 0 9", "21 0 6 17", "40 0 0 6", "69 4 0 8191", "177 0 0 0", "72 0 0 2", "21 0 1 3785", "6 0 0 64", "6 0 0 0"],
  ]);
  assert.deepEqual(decode(udpPortFilter("IPv6", 3785, 64)), [
    ...["48 0 0 6", "21 0 3 17", "40 0 0 42", "21 0 1 3785", "6 0 0 64", "6 0 0 0"],
  ]);
});

test("tcpPortFilter compiles to what libpcap compiles", () => {
  // `tcpdump -ddd -y EN10MB -s 74 'ether proto 0x800 and ip[9] = 6 and ip[6:2] & 0x1fff = 0 and tcp dst port 61000'`, and
  // 'ether proto 0x86dd and ip6[6] = 6 and ip6[42:2] = 61000', each check once.
  const decode = (filter: Uint8Array) => {
    const instructions = Buffer.from(filter);
    return Array.from({ length: instructions.length / 8 }, (_, i) => {
      const at = instructions.subarray(8 * i);
      return `${at.readUInt16LE(0)} ${at[2]} ${at[3]} ${at.readUInt32LE(4)}`;
    });
  };
  assert.deepEqual(decode(tcpPortFilter("IPv4", 61_000, 74)), [
    ...["40 0 0 12", "21 0 8 2048", "48 0 0 23", "21 0 6 6", "40 0 0 20", "69 4 0 8191", "177 0 0 14", "72 0 0 16"],
    ...["21 0 1 61000", "6 0 0 74", "6 0 0 0"],
  ]);
  assert.deepEqual(decode(tcpPortFilter("IPv6", 61_000, 74)), [
    ...["40 0 0 12", "21 0 5 34525", "48 0 0 20", "21 0 3 6", "40 0 0 56", "21 0 1 61000", "6 0 0 74", "6 0 0 0"],
  ]);
});

test("routeProtocolFilter keeps messages about routes of its protocols, and all that are about something else", () => {
  const instructions = Buffer.from(routeProtocolFilter([248, 250]));
  const decoded = Array.from({ length: instructions.length / 8 }, (_, i) => {
    const at = instructions.subarray(8 * i);
    return `${at.readUInt16LE(0)} ${at[2]} ${at[3]} ${at.readUInt32LE(4)}`;
  });
  // RTM_NEWROUTE and RTM_DELROUTE as a big-endian machine would read them; the protocol is the sixth octet of struct rtmsg.
  assert.deepEqual(decoded, [
    ...["40 0 0 4", "21 1 0 6144", "21 0 3 6400", "48 0 0 21", "21 1 0 248", "21 0 1 250", "6 0 0 4294967295", "6 0 0 0"],
  ]);
});

/** Runs a program that chooses by the IP header, as the kernel does, except for instructions that no such program uses. */
function run(filter: Uint8Array, packet: Uint8Array): number {
  const program = new DataView(filter.buffer, filter.byteOffset, filter.byteLength);
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const memory = new Uint32Array(16);
  let [a, x] = [0, 0];
  for (let at = 0; ; at++) {
    const [code, ifTrue, ifFalse] = [program.getUint16(8 * at, true), program.getUint8(8 * at + 2), program.getUint8(8 * at + 3)];
    const k = program.getUint32(8 * at + 4, true);
    const offset = k - 0xfff0_0000;
    const branch = (condition: boolean) => (condition ? ifTrue : ifFalse);
    if (code === 0x06) return k;
    else if (code === 0x00) a = k;
    else if (code === 0x20) a = view.getUint32(offset);
    else if (code === 0x28) a = view.getUint16(offset);
    else if (code === 0x54) a = (a & k) >>> 0;
    else if (code === 0x4c) a = (a | x) >>> 0;
    else if (code === 0x0c) a = (a + x) >>> 0;
    else if (code === 0x24) a = Math.imul(a, k) >>> 0;
    else if (code === 0x74) a >>>= k;
    else if (code === 0x7c) a >>>= x;
    else if (code === 0x60) a = memory[k] ?? 0;
    else if (code === 0x45) at += branch((a & k) !== 0);
    else if (code === 0x07) x = a;
    else if (code === 0x02) memory[k] = a;
    else if (code === 0x61) x = memory[k] ?? 0;
    else if (code === 0x05) at += k;
    else if (code === 0x15) at += branch(a === k);
    else if (code === 0x35) at += branch(a >= k);
    else assert.fail(`instruction ${code}`);
  }
}

/** Whether what a source opens is taken. */
function isTaken(filter: Uint8Array, source: Uint8Array): boolean {
  const packet = new Uint8Array(source.length === 4 ? 20 : 40);
  packet[0] = source.length === 4 ? 0x45 : 0x60;
  packet.set(source, source.length === 4 ? 12 : 8);
  return run(filter, packet) === 0;
}

const keys = fc.uint32Array({ minLength: refusalKeys, maxLength: refusalKeys });
const anyAddress = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  // Many that differ little.
  fc
    .tuple(fc.nat(15), fc.nat(255))
    .map(([at, octet]) => Uint8Array.from({ length: 16 }, (_, index) => (index === at ? octet : 32))),
);

test("property: refusalProgram takes what an address opens that is not refused, and nothing else", () => {
  const isOf = (list: readonly Uint8Array[], one: Uint8Array) => list.some((each) => Buffer.compare(each, one) === 0);
  fc.assert(
    fc.property(
      fc.array(anyAddress, { maxLength: 600 }),
      fc.option(fc.array(anyAddress, { maxLength: 600 }), { nil: undefined }),
      anyAddress,
      keys,
      (sources, allBut, other, words) => {
        // Factors that somebody else chose make no digest; here they are chance, but for small ones that fast-check likes.
        const random = Uint32Array.from(words, (word, index) => Math.imul(word ^ 0x9e37_79b9, 0x85eb_ca6b + 2 * index) | 1);
        const filter = refusalProgram({ sources, allBut }, random, 131_072);
        for (const source of [...sources.slice(0, 5), ...(allBut ?? []).slice(0, 5), other]) {
          const want = !isOf(sources, source) && (allBut === undefined || isOf(allBut, source));
          assert.equal(isTaken(filter, source), want, Buffer.from(source).toString("hex"));
        }
      },
    ),
  );
});

test("refusalProgram takes all of 5,000 members, and a share of others", slow, () => {
  const words = Uint32Array.from({ length: refusalKeys }, (_, index) => Math.imul(index + 1, 0x9e37_79b1));
  for (const length of [4, 16]) {
    const address = (index: number) => {
      const bytes = new Uint8Array(length);
      bytes.set([32, 1, index >> 8, index & 255]);
      return bytes;
    };
    const members = Array.from({ length: 5_000 }, (_, index) => address(index));
    const others = Array.from({ length: 1_000 }, (_, index) => address(20_000 + index));
    const refusing = others.slice(0, 256);
    for (const [optionMemory, count, most] of [
      [20_480, 700, 0],
      [20_480, 5_000, 550],
      [131_072, 3_400, 0],
      [131_072, 5_000, 250],
    ] as const) {
      const filter = refusalProgram({ sources: refusing, allBut: members.slice(0, count) }, words, optionMemory);
      assert.ok(filter.length <= 8 * 4096);
      assert.ok(members.slice(0, count).every((member) => isTaken(filter, member)));
      assert.ok(!refusing.some((other) => isTaken(filter, other)));
      const share = others.filter((other) => isTaken(filter, other)).length;
      assert.ok(share <= most, `${share} of 1,000 others, where the kernel has ${optionMemory} octets`);
    }
  }
});

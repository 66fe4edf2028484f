import assert from "node:assert/strict";
import { test } from "node:test";
import { etherTypeFilter, icmpv6Filter, routeProtocolFilter, tcpPortFilter, udpPortFilter } from "./filter.ts";

test("etherTypeFilter compiles to what libpcap compiles", () => {
  // `tcpdump -dd -s 128 arp` prints { 0x28, 0, 0, 0xc }, { 0x15, 0, 1, 0x806 }, { 0x6, 0, 0, 0x80 }, { 0x6, 0, 0, 0 }.
  const want = ["280000000c000000", "1500000106080000", "0600000080000000", "0600000000000000"].join("");
  assert.equal(Buffer.from(etherTypeFilter(0x0806, 128)).toString("hex"), want);
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

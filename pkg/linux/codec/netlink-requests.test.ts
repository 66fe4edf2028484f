import assert from "node:assert/strict";
import { test } from "node:test";
import { address, prefix } from "#pkg/net/testing";
import { type DumpRequest, encodeDump, encodeRequest, type KernelRequest } from "./netlink-requests.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const sequence = "02010000 00000000";
const marked = { protocol: 248, validSeconds: Infinity, hasHostScope: false, noPrefixRoute: false };

// By linux/netlink.h, rtnetlink.h, if_addr.h and if_link.h; `rtnetlink.test.ts` has the kernel judge.
const requests: { name: string; request: KernelRequest; want: string }[] = [
  {
    name: "ip addr add 192.0.2.1/32 dev IFINDEX-3 proto 248",
    request: {
      type: "setAddress",
      replaces: false,
      interfaceIndex: 3,
      address: address("192.0.2.1"),
      prefixLength: 32,
      ...marked,
    },
    want: `4c000000 1400 0506 ${sequence} 02200000 03000000 0800 0200 c0000201 0800 0100 c0000201
      1400 0600 ffffffff ffffffff 00000000 00000000 0800 0800 00000000 0500 0b00 f8000000`,
  },
  {
    name: "ip addr add 192.0.2.1/32 dev IFINDEX-3 scope host proto 248",
    request: {
      type: "setAddress",
      replaces: false,
      interfaceIndex: 3,
      address: address("192.0.2.1"),
      prefixLength: 32,
      ...marked,
      hasHostScope: true,
    },
    want: `4c000000 1400 0506 ${sequence} 022000fe 03000000 0800 0200 c0000201 0800 0100 c0000201
      1400 0600 ffffffff ffffffff 00000000 00000000 0800 0800 00000000 0500 0b00 f8000000`,
  },
  {
    name: "ip addr replace 2001:db8::1/64 dev IFINDEX-3 valid_lft 300 preferred_lft 0 noprefixroute nodad proto 248",
    request: {
      type: "setAddress",
      replaces: true,
      interfaceIndex: 3,
      address: address("2001:db8::1"),
      prefixLength: 64,
      ...marked,
      validSeconds: 300,
      noPrefixRoute: true,
    },
    want: `64000000 1400 0505 ${sequence} 0a400000 03000000
      1400 0200 20010db8000000000000000000000001 1400 0100 20010db8000000000000000000000001
      1400 0600 00000000 2c010000 00000000 00000000 0800 0800 02020000 0500 0b00 f8000000`,
  },
  {
    name: "ip addr del 192.0.2.1/32 dev IFINDEX-3",
    request: { type: "deleteAddress", interfaceIndex: 3, address: address("192.0.2.1"), prefixLength: 32 },
    want: `28000000 1500 0500 ${sequence} 02200000 03000000 0800 0200 c0000201 0800 0100 c0000201`,
  },
  {
    name: "ip route add 192.0.2.1/32 dev IFINDEX-3 table 198 proto 248",
    request: { type: "addRoute", prefix: prefix("192.0.2.1/32"), interfaceIndex: 3, table: 198, protocol: 248 },
    want: `34000000 1800 0506 ${sequence} 02200000 c6f8fd01 00000000 0800 0100 c0000201 0800 0400 03000000 0800 0f00 c6000000`,
  },
  {
    name: "ip -6 route del 2001:db8::/64 dev IFINDEX-3 table 70000 proto 248",
    request: { type: "deleteRoute", prefix: prefix("2001:db8::/64"), interfaceIndex: 3, table: 70_000, protocol: 248 },
    want: `40000000 1900 0500 ${sequence} 0a400000 00f80001 00000000 1400 0100 20010db8000000000000000000000000
      0800 0400 03000000 0800 0f00 70110100`,
  },
  {
    name: "ip link add x up type dummy",
    request: { type: "createInterface", name: "x", kind: "dummy" },
    want: `38000000 1000 0506 ${sequence} 0000000000000000 81000000 81000000 0600 0300 78000000 0e00 1200 0a00 0100 64756d6d79000000`,
  },
  {
    name: "ip link set IFINDEX-3 up",
    request: { type: "setInterfaceUp", interfaceIndex: 3 },
    want: `20000000 1000 0500 ${sequence} 00000000 03000000 01000000 01000000`,
  },
  {
    name: "promote_secondaries, which has no command",
    request: { type: "promoteSecondaries", interfaceIndex: 3 },
    want: `34000000 1300 0500 ${sequence} 00000000 03000000 00000000 00000000 1400 1a00 1000 0200 0c00 0100 0800 1400 01000000`,
  },
];
for (const { name, request, want } of requests)
  test(`a request like ${name}`, () => assert.equal(hex(encodeRequest(request, 0x0102)), want.replaceAll(/\s/g, "")));

const dumps: { name: string; dump: DumpRequest; want: string }[] = [
  {
    name: "interfaces, without their statistics",
    dump: { type: "interfaces" },
    want: `28000000 1200 0103 ${sequence} ${"00".repeat(16)} 0800 1d00 08000000`,
  },
  { name: "addresses", dump: { type: "addresses" }, want: `18000000 1600 0103 ${sequence} ${"00".repeat(8)}` },
  {
    name: "routes of one table and protocol",
    dump: { type: "routes", family: "IPv6", table: 198, protocol: 248 },
    want: `24000000 1a00 0103 ${sequence} 0a000000 c6f80000 00000000 0800 0f00 c6000000`,
  },
];
for (const { name, dump, want } of dumps)
  test(`a dump of ${name}`, () => assert.equal(hex(encodeDump(dump, 0x0102)), want.replaceAll(/\s/g, "")));

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeIpv4Routes, decodeIpv6Routes, FactsError, type Route } from "./route-codec.ts";

// Written by Linux 6.18, without the blanks at the ends of lines.
const ipv4 = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0200000A	0003	0	0	100	00000000	0	0	0
eth0	0000000A	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth0	0107A8C0	00000000	0005	0	0	0	FFFFFFFF	0	0	0
eth0	000014AC	00000000	0001	0	0	-1	0000FFFF	0	0	0
*	000011AC	00000000	0201	0	0	0	0000FFFF	0	0	0
`;
const ipv6 = `fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
fd000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001     eth0
`;

function text({ prefix, interface: name, gateway, metric }: Route): string {
  return `${prefix}${gateway ? " via" : ""} dev ${name} metric ${metric}`;
}

test("decodeIpv4Routes: routes with their masks, without those that reject", () => {
  assert.deepEqual(decodeIpv4Routes(ipv4).map(text), [
    "0.0.0.0/0 via dev eth0 metric 100",
    "10.0.0.0/24 dev eth0 metric 0",
    "192.168.7.1/32 dev eth0 metric 0",
    "172.20.0.0/16 dev eth0 metric 4294967295",
  ]);
});

test("decodeIpv6Routes: routes, without those that reject or lead to the machine itself", () => {
  assert.deepEqual(decodeIpv6Routes(ipv6).map(text), ["fd00::/64 dev eth0 metric 256", "::/0 via dev eth0 metric 1024"]);
});

test("no text has no routes", () => {
  assert.deepEqual([...decodeIpv4Routes(""), ...decodeIpv6Routes("")], []);
});

const refused = [
  { name: "an IPv4 line cut short", decode: () => decodeIpv4Routes("heading\neth0	00000000	0200000A	0003") },
  { name: "an IPv4 mask with a hole", decode: () => decodeIpv4Routes(ipv4.replace("00FFFFFF", "00FF00FF")) },
  { name: "an IPv4 metric that is no number", decode: () => decodeIpv4Routes(ipv4.replace("100", "x")) },
  { name: "an IPv6 line cut short", decode: () => decodeIpv6Routes(ipv6.slice(0, 60)) },
  { name: "an IPv6 length above 128", decode: () => decodeIpv6Routes(ipv6.replace(" 40 ", " 81 ")) },
  { name: "an IPv6 address that is none", decode: () => decodeIpv6Routes(ipv6.replace("fd0000", "gd0000")) },
];
for (const { name, decode } of refused) {
  test(`${name} is refused`, () => {
    assert.throws(decode, FactsError);
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Family } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { settings } from "../testing/settings.ts";
import { type Interfaces, type OwnAddress, routerIdOf, socketEnd, socketEndNow, sourceAmong } from "./transport.ts";

function info(cidr: string): OwnAddress {
  const [text = "", length] = cidr.split("/");
  return { address: address(text), prefixLength: Number(length), flags: text.includes(":") ? 0x80 : 0x01 }; // Static, or a secondary one.
}

const interfaces: Interfaces = new Map([
  ["lo", ["127.0.0.1/8", "203.0.113.1/32", "::1/128"].map(info)],
  ["eth0", ["192.0.2.1/24", "192.0.2.7/24", "2001:db8::1/64", "fe80::1/64"].map(info)],
  ["eth1", ["fe80::1/64", "198.51.100.1/24"].map(info)],
  ["tun0", ["169.254.10.2/30"].map(info)],
  ["eth2", ["169.254.20.2/30", "198.51.100.9/24"].map(info)],
]);

interface Case {
  readonly name: string;
  readonly local: string;
  readonly peer: string;
  readonly on?: string;
  readonly interface: string | undefined;
  readonly addresses: Readonly<Record<string, string>>;
  readonly linkLocal?: string;
}

const cases: readonly Case[] = [
  {
    name: "IPv4 on the link has the first IPv6 address, and the link-local one",
    local: "192.0.2.1",
    peer: "192.0.2.254",
    interface: "eth0",
    addresses: { IPv4: "192.0.2.1", IPv6: "2001:db8::1" },
    linkLocal: "fe80::1",
  },
  {
    name: "this end is its own next hop, not the first address of the interface",
    local: "192.0.2.7",
    peer: "192.0.2.254",
    interface: "eth0",
    addresses: { IPv4: "192.0.2.7", IPv6: "2001:db8::1" },
    linkLocal: "fe80::1",
  },
  {
    name: "a peer behind a router has no use for a link-local address",
    local: "2001:db8::1",
    peer: "2001:db8:1::1",
    interface: "eth0",
    addresses: { IPv6: "2001:db8::1", IPv4: "192.0.2.1" },
  },
  {
    name: "a link-local session has the addresses of its interface",
    local: "fe80::1",
    peer: "fe80::2",
    on: "eth1",
    interface: "eth1",
    addresses: { IPv4: "198.51.100.1" },
    linkLocal: "fe80::1",
  },
  {
    name: "a session between IPv4 addresses of one link has this end as its next hop, where there is no other",
    local: "169.254.10.2",
    peer: "169.254.10.1",
    interface: "tun0",
    addresses: { IPv4: "169.254.10.2" },
  },
  {
    name: "beside an address of use elsewhere that is the next hop",
    local: "169.254.20.2",
    peer: "169.254.20.1",
    interface: "eth2",
    addresses: { IPv4: "198.51.100.9" },
  },
  {
    name: "an address of the loopback interface is alone: 127.0.0.1 and ::1 lead nowhere else",
    local: "203.0.113.1",
    peer: "203.0.113.2",
    interface: "lo",
    addresses: { IPv4: "203.0.113.1" },
  },
  {
    name: "an address that no interface has any more is still this end",
    local: "192.0.2.99",
    peer: "192.0.2.254",
    interface: undefined,
    addresses: { IPv4: "192.0.2.99" },
  },
];

for (const { name, local, peer, on, interface: wanted, addresses, linkLocal } of cases)
  test(name, () => {
    const end = socketEnd(address(local), address(peer), interfaces, on);
    const found = Object.fromEntries([...end.addresses].map(([family, each]) => [family, `${each}`]));
    assert.deepEqual([end.interface, found, end.linkLocal && `${end.linkLocal}`], [wanted, addresses, linkLocal]);
  });

function idOf(addresses: readonly string[], routerId?: string): string {
  const parsed = addresses.map(address);
  const [own = address("::1")] = parsed;
  const end = { address: own, interface: "eth0", addresses: new Map<Family, typeof own>(), linkLocal: undefined };
  for (const each of parsed) end.addresses.set(each.family, each);
  return `${routerIdOf(settings({ routerId: routerId === undefined ? undefined : address(routerId) }), end, "node-1")}`;
}

test("the router identifier is the configured one, this side's IPv4 address, or made from the node's name", () => {
  assert.equal(idOf(["192.0.2.1"], "10.0.0.1"), "10.0.0.1");
  assert.equal(idOf(["192.0.2.1"]), "192.0.2.1");
  assert.equal(idOf(["2001:db8::1", "192.0.2.7"]), "192.0.2.7");
  assert.equal(idOf(["2001:db8::1"]), "95.28.242.19");
  assert.equal(idOf(["169.254.10.2"]), "95.28.242.19", "other nodes may have that address on links of their own");
});

test("an end has the addresses that its interface has by now, keeps those that it still has, and is left alone without its own", () => {
  const peer = address("192.0.2.254");
  const end = socketEnd(address("192.0.2.1"), peer, interfaces);
  const now = (...cidrs: string[]) => {
    const { addresses, linkLocal } = socketEndNow(end, peer, new Map([...interfaces, ["eth0", cidrs.map(info)]]));
    return [...[...addresses.values()].map(String).sort(), `link-local ${linkLocal}`].join(", ");
  };
  assert.equal(now("192.0.2.1/24", "2001:db8::9/64", "fe80::9/64"), "192.0.2.1, 2001:db8::9, link-local fe80::9");
  const both = now("192.0.2.1/24", "2001:db8::0/64", "2001:db8::1/64", "fe80::0/64", "fe80::1/64");
  assert.equal(both, "192.0.2.1, 2001:db8::1, link-local fe80::1");
  assert.equal(now("192.0.2.1/24"), "192.0.2.1, link-local undefined");
  assert.equal(now("2001:db8::9/64"), "192.0.2.1, 2001:db8::1, link-local fe80::1");
});

const flags = { static: 0x80, slaac: 0, temporary: 0x01, failed: 0x88, deprecated: 0xa0, tentative: 0xc0 };
const fitness: readonly {
  readonly name: string;
  readonly has: readonly [cidr: string, flags?: number][];
  readonly nextHop: string | undefined;
}[] = [
  {
    name: "of several the lowest, whatever the order",
    has: [["2001:db8::a/64"], ["2001:db8::9/64"], ["2001:db8::10/64"]],
    nextHop: "2001:db8::9",
  },
  {
    name: "a static one before one of SLAAC",
    has: [
      ["2001:db8::1/64", flags.slaac],
      ["2001:db8::2/64", flags.static],
    ],
    nextHop: "2001:db8::2",
  },
  { name: "one of SLAAC where there is no other", has: [["2001:db8::1/64", flags.slaac]], nextHop: "2001:db8::1" },
  {
    name: "one of a subnet before one that is alone, as a Service's",
    has: [
      ["2001:db8::1/128", flags.static],
      ["2001:db8::2/64", flags.slaac],
    ],
    nextHop: "2001:db8::2",
  },
  {
    name: "one that is alone where there is no other, as of DHCPv6",
    has: [["2001:db8::1/128", flags.slaac]],
    nextHop: "2001:db8::1",
  },
  ...(["temporary", "failed", "deprecated", "tentative"] as const).map((which) => ({
    name: `no ${which} one`,
    has: [["2001:db8::1/64", flags[which]] as [string, number]],
    nextHop: undefined,
  })),
];
for (const { name, has, nextHop } of fitness)
  test(`an IPv6 next hop is ${name}`, () => {
    const eth0 = [info("192.0.2.1/24"), ...has.map(([cidr, flags = 0x80]) => ({ ...info(cidr), flags }))];
    const [own, peer] = [address("192.0.2.1"), address("192.0.2.254")];
    const end = socketEnd(own, peer, new Map([["eth0", eth0]]));
    assert.equal(end.addresses.get("IPv6")?.toString(), nextHop);
    const had = {
      ...end,
      addresses: new Map([...end.addresses, ...has.map(([cidr]) => ["IPv6", address(cidr.split("/")[0] ?? "")] as const)]),
    };
    assert.equal(socketEndNow(had, peer, new Map([["eth0", eth0]])).addresses.has("IPv6"), nextHop !== undefined);
  });

const steadier: readonly {
  readonly name: string;
  readonly source: string;
  readonly has: readonly [cidr: string, flags: number][];
  readonly wanted?: string;
}[] = [
  {
    name: "a static one",
    source: "2001:db8::1",
    has: [
      ["2001:db8::1/64", flags.static],
      ["2001:db8::2/64", flags.static],
    ],
  },
  { name: "one of SLAAC alone", source: "2001:db8::1", has: [["2001:db8::1/64", flags.slaac]] },
  {
    name: "one of SLAAC beside a Service's",
    source: "2001:db8::1",
    has: [
      ["2001:db8::1/64", flags.slaac],
      ["2001:db8::2/128", flags.deprecated],
    ],
  },
  {
    name: "one of SLAAC beside a static one",
    source: "2001:db8::1",
    has: [
      ["2001:db8::1/64", flags.slaac],
      ["2001:db8::2/64", flags.static],
    ],
    wanted: "2001:db8::2",
  },
  {
    name: "a temporary one beside a static one",
    source: "2001:db8::1",
    has: [
      ["2001:db8::1/64", flags.temporary],
      ["2001:db8::2/64", flags.static],
    ],
    wanted: "2001:db8::2",
  },
  {
    name: "a link-local one",
    source: "fe80::1",
    has: [
      ["fe80::1/64", flags.slaac],
      ["2001:db8::2/64", flags.static],
    ],
  },
];
for (const { name, source, has, wanted } of steadier)
  test(`the source of a session is ${name}: ${wanted ?? "no"} steadier one`, () => {
    const eth0 = has.map(([cidr, flags]) => ({ ...info(cidr), flags }));
    assert.equal(socketEnd(address(source), address("2001:db8::fe"), new Map([["eth0", eth0]])).steadier?.toString(), wanted);
  });

test("an IPv4 next hop is the primary address, and no Service's", () => {
  const eth0 = ["2001:db8::1/64", "192.0.2.9/32", "192.0.2.7/24", "192.0.2.1/24"].map(info);
  assert.equal(
    socketEnd(address("2001:db8::1"), address("2001:db8::fe"), new Map([["eth0", eth0]]))
      .addresses.get("IPv4")
      ?.toString(),
    "192.0.2.7",
  );
});

interface Source {
  readonly name: string;
  readonly has: readonly [cidr: string, flags?: number][];
  readonly peer?: string;
  readonly current?: string;
  readonly source: string | undefined;
}
const sources: readonly Source[] = [
  { name: "of the peer's family", has: [["2001:db8::1/64"], ["192.0.2.7/24"]], source: "192.0.2.7" },
  { name: "no other family's", has: [["2001:db8::1/64"]], source: undefined },
  { name: "the primary one of IPv4", has: [["192.0.2.7/24"], ["192.0.2.1/24"]], source: "192.0.2.7" },
  { name: "no Service's beside another one", has: [["192.0.2.1/32"], ["192.0.2.7/24"]], source: "192.0.2.7" },
  { name: "no link-local one", has: [["169.254.1.1/16"]], source: undefined },
  { name: "no loopback one", has: [["127.0.0.1/8"], ["198.51.100.1/32"]], source: "198.51.100.1" },
  { name: "the lowest of IPv6", has: [["2001:db8::a/64"], ["2001:db8::9/64"]], peer: "2001:db8::fe", source: "2001:db8::9" },
  {
    name: "a static one of IPv6",
    has: [["2001:db8::1/64", flags.slaac], ["2001:db8::2/64"]],
    peer: "2001:db8::fe",
    source: "2001:db8::2",
  },
  ...(["temporary", "failed", "deprecated", "tentative"] as const).map((which) => ({
    name: `no ${which} one`,
    has: [["2001:db8::1/64", flags[which]] as [string, number]],
    peer: "2001:db8::fe",
    source: undefined,
  })),
  {
    name: "the present one, though a lower one is there",
    has: [["2001:db8::1/64"], ["2001:db8::2/64"]],
    peer: "2001:db8::fe",
    current: "2001:db8::2",
    source: "2001:db8::2",
  },
  {
    name: "another one, where the present one is deprecated",
    has: [["2001:db8::1/64"], ["2001:db8::2/64", flags.deprecated]],
    peer: "2001:db8::fe",
    current: "2001:db8::2",
    source: "2001:db8::1",
  },
  {
    name: "the present one, where it is deprecated and there is no other",
    has: [["2001:db8::2/64", flags.deprecated]],
    peer: "2001:db8::fe",
    current: "2001:db8::2",
    source: "2001:db8::2",
  },
  { name: "another one, where the present one is gone", has: [["192.0.2.7/24"]], current: "192.0.2.1", source: "192.0.2.7" },
  {
    name: "link-local for a link-local peer",
    has: [["2001:db8::1/64"], ["fe80::1/64"]],
    peer: "fe80::fe",
    source: "fe80::1",
  },
];
for (const { name, has, peer = "192.0.2.254", current, source } of sources)
  test(`the source from an interface is ${name}`, () => {
    const infos = has.map(([cidr, flags = 0x80]) => ({ ...info(cidr), flags }));
    const found = sourceAmong(infos, address(peer), current === undefined ? undefined : address(current));
    assert.equal(found?.toString(), source);
  });

import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkInterface } from "#pkg/linux";
import { address } from "#pkg/net/testing";
import { canReachHosts, eligibility, interfaceState, reachedSubnets } from "./interface-state.ts";

const ethernet: NetworkInterface = {
  index: 2,
  name: "eth0",
  hardwareType: 1,
  hardwareAddress: "02:00:00:00:00:01",
  up: true,
  broadcast: true,
  loopback: false,
  noArp: false,
  running: true,
  master: undefined,
  kind: undefined,
  masterKind: undefined,
};

const cases: { name: string; link: Partial<NetworkInterface>; want: ReturnType<typeof eligibility> }[] = [
  { name: "an Ethernet interface", link: {}, want: "eligible" },
  { name: "one without a carrier, which may come at any moment", link: { running: false }, want: "eligible" },
  { name: "one in a VRF, which speaks for itself", link: { master: 9, masterKind: "vrf" }, want: "eligible" },
  { name: "the loopback interface", link: { loopback: true, hardwareType: 772, broadcast: false }, want: "loopback" },
  { name: "a tunnel", link: { hardwareType: 65534, hardwareAddress: "", broadcast: false, noArp: true }, want: "notEthernet" },
  { name: "InfiniBand", link: { hardwareType: 32, hardwareAddress: Array(20).fill("00").join(":") }, want: "notEthernet" },
  { name: "Ethernet without a MAC address", link: { hardwareAddress: "" }, want: "notEthernet" },
  { name: "VRRP's for IPv4 (RFC 9568)", link: { kind: "macvlan", hardwareAddress: "00:00:5e:00:01:33" }, want: "virtualRouter" },
  { name: "VRRP's for IPv6", link: { kind: "macvlan", hardwareAddress: "00:00:5e:00:02:01" }, want: "virtualRouter" },
  { name: "a macvlan with a MAC address of its own", link: { kind: "macvlan" }, want: "eligible" },
  { name: "one with ARP off", link: { noArp: true }, want: "noArp" },
  { name: "one without broadcast", link: { broadcast: false }, want: "noBroadcast" },
  { name: "a port of a bridge", link: { master: 9, masterKind: "bridge" }, want: "enslaved" },
  { name: "a member of a bond", link: { master: 9, masterKind: "bond" }, want: "enslaved" },
  { name: "one with a master of an unknown kind", link: { master: 9 }, want: "enslaved" },
  { name: "one that is down", link: { up: false, running: false }, want: "down" },
  {
    name: "a port of a bridge that is down: what lasts comes first",
    link: { up: false, master: 9, masterKind: "bridge" },
    want: "enslaved",
  },
];
for (const { name, link, want } of cases)
  test(`eligibility of ${name}: ${want}`, () => {
    assert.equal(eligibility({ ...ethernet, ...link }), want);
  });

const addressed: { name: string; kind: string | undefined; addresses: string[]; want: boolean }[] = [
  { name: "a network card without an address", kind: undefined, addresses: [], want: true },
  { name: "a VLAN without an address", kind: "vlan", addresses: [], want: true },
  {
    name: "a veth that is a node's only interface, with an address in a subnet",
    kind: "veth",
    addresses: ["192.0.2.1/24"],
    want: true,
  },
  { name: "a veth with an IPv6 subnet", kind: "veth", addresses: ["fe80::1/64", "2001:db8::1/64"], want: true },
  { name: "a veth to a Pod", kind: "veth", addresses: ["fe80::ecee:eeff:feee:eeee/64"], want: false },
  { name: "Cilium's netkit to a Pod", kind: "netkit", addresses: ["fe80::ecee:eeff:feee:eeee/64"], want: false },
  { name: "a veth to a Pod with a gateway address of its own", kind: "veth", addresses: ["169.254.1.1/32"], want: false },
];
for (const { name, kind, addresses, want } of addressed)
  test(`hosts ${want ? "can" : "cannot"} be behind ${name}`, () => {
    const parsed = addresses.map((text) => {
      const [first = "", length] = text.split("/");
      const traits = { flags: 0, protocol: undefined, validSeconds: Infinity };
      return { interfaceIndex: 2, address: address(first), prefixLength: Number(length), ...traits };
    });
    assert.equal(canReachHosts({ ...ethernet, kind, addresses: parsed }), want);
  });

const reached: { name: string; link?: Partial<NetworkInterface>; addresses: [string, number][]; want: string[] }[] = [
  {
    name: "one with addresses of both families",
    addresses: [
      ["192.0.2.1/24", 0x80],
      ["2001:db8::1/64", 0x80],
      ["fe80::1/64", 0x80],
    ],
    want: ["192.0.2.0/24", "2001:db8::/64"],
  },
  { name: "one whose IPv4 address is of DHCP", addresses: [["192.0.2.1/24", 0]], want: ["192.0.2.0/24"] },
  { name: "one whose IPv6 address is of a router advertisement", addresses: [["2001:db8::1/64", 0]], want: [] },
  {
    name: "one that has Services' addresses",
    addresses: [
      ["192.0.2.100/32", 0x80],
      ["2001:db8::64/128", 0xa0],
    ],
    want: [],
  },
  { name: "one without a carrier", link: { running: false }, addresses: [["192.0.2.1/24", 0x80]], want: [] },
  { name: "a port of a bridge", link: { master: 9, masterKind: "bridge" }, addresses: [["192.0.2.1/24", 0x80]], want: [] },
];
for (const { name, link, addresses, want } of reached)
  test(`subnets that are reached by ${name}: ${want.join(" and ") || "none"}`, () => {
    const parsed = addresses.map(([text, flags]) => {
      const [first = "", length] = text.split("/");
      return {
        interfaceIndex: 2,
        address: address(first),
        prefixLength: Number(length),
        flags,
        protocol: undefined,
        validSeconds: Infinity,
      };
    });
    assert.deepEqual([...reachedSubnets({ ...ethernet, ...link, generation: 1, ipv6Generation: 0, addresses: parsed })], want);
  });

test("of the addresses of an interface those are told that nothing new is to be sent from", () => {
  const flags = {
    "192.0.2.1": 0x81,
    "2001:db8::1": 0x80,
    "2001:db8::2": 0,
    "2001:db8::3": 0xa0,
    "2001:db8::4": 0xc0,
    "2001:db8::5": 1,
  };
  const addresses = Object.entries(flags).map(([text, flags]) => {
    return { interfaceIndex: 2, address: address(text), prefixLength: 24, flags, protocol: undefined, validSeconds: Infinity };
  });
  const { unfit } = interfaceState({ ...ethernet, generation: 1, ipv6Generation: 0, addresses }, "answering");
  assert.deepEqual(unfit, ["2001:db8::3/24", "2001:db8::4/24", "2001:db8::5/24"]);
});

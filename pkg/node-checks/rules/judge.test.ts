import assert from "node:assert/strict";
import { test } from "node:test";
import { AddressRange, parseRange } from "#pkg/net";
import { address, prefix } from "#pkg/net/testing";
import type { Facts, Interface, Settings } from "./facts.ts";
import { describe } from "./findings.ts";
import { judge } from "./judge.ts";
import type { Route } from "./route-codec.ts";

const well: Settings = { rpFilter: 0, arpIgnore: 0, arpAnnounce: 0, disableIpv6: 0 };

/** An eligible interface. */
function link(name: string, addresses: readonly string[], settings: Partial<Settings> = {}): Interface {
  const all = addresses.map((text) => ({ address: address(text.split("/")[0] ?? ""), prefix: prefix(text) }));
  return { name, eligible: true, addresses: all, settings: { ...well, ...settings } };
}

/** One that the LAN does not see. */
function hidden(name: string, addresses: readonly string[] = []): Interface {
  return { ...link(name, addresses), eligible: false, settings: undefined };
}

/** `PREFIX dev NAME`, with `via` where there is a gateway and `metric N` where it is not 0. */
function route(text: string): Route {
  const [to, rest] = [text.split(" ")[0] ?? "", text];
  const metric = Number(/metric (\d+)/.exec(rest)?.[1] ?? 0);
  return { prefix: prefix(to), interface: /dev (\S+)/.exec(rest)?.[1] ?? "", gateway: rest.includes("via"), metric };
}

function pool(name: string, ...ranges: string[]) {
  const parsed = ranges.map(parseRange).map((range) => {
    assert.ok(range instanceof AddressRange);
    return range;
  });
  return { name, ranges: parsed, interfaces: [] };
}

function announced(pool: string, ...addresses: string[]) {
  return addresses.map((text) => ({ address: address(text), pool }));
}

const ordinary: Facts = {
  node: "node1",
  interfaces: [link("eth0", ["10.0.0.1/24", "fd00::1/64"]), hidden("lo", ["127.0.0.1/8", "::1/128"])],
  routes: ["0.0.0.0/0 via dev eth0", "10.0.0.0/24 dev eth0", "fd00::/64 dev eth0"].map(route),
  podNetworks: [prefix("10.244.1.0/24"), prefix("fd00:244:1::/64")],
  pools: [pool("default", "10.0.0.200-10.0.0.250", "fd00::200-fd00::2ff")],
  announced: announced("default", "10.0.0.200", "fd00::200"),
  notForwarded: {},
  notForwarding: undefined,
  kernel: { pools: [], placed: new Set(), interfaces: [], kubeProxy: undefined, flannelAddresses: [] },
  isRealTimeRefused: false,
  cpuLimit: undefined,
};
const limitedTo = (...interfaces: string[]) => ({ pools: ordinary.pools.map((one) => ({ ...one, interfaces })) });
const twoNetworks = ["0.0.0.0/0 via dev eth0", "10.0.0.0/24 dev eth0", "10.1.0.0/24 dev eth1"].map(route);
const poolOnSecond = { pools: [pool("second", "10.1.0.200-10.1.0.250")], announced: [] };
const twoLinks = (rpFilter: number) => [link("eth0", ["10.0.0.1/24"], { rpFilter }), link("eth1", ["10.1.0.1/24"], { rpFilter })];
const strict = { arpIgnore: 1, arpAnnounce: 2 };
const ipv6Off = { disableIpv6: 1 };

const cases: readonly { name: string; facts: Partial<Facts>; want: readonly string[] }[] = [
  { name: "nothing is wrong with an ordinary node", facts: {}, want: [] },
  {
    name: "a pool has addresses that a Pod may have, whatever its protocol",
    facts: {
      pools: [...ordinary.pools, pool("wide", "10.244.0.250-10.244.1.3")],
      kernel: { ...ordinary.kernel, pools: [{ ...pool("own", "fd00:244:1::1-fd00:244:1::f"), kernel: undefined }] },
    },
    want: [
      "pool wide has addresses of 10.244.1.0/24, the network of the Pods on node1: a Pod may have one of them, too; take these addresses out of the pool; kubectl get nodes -o custom-columns=NAME:.metadata.name,PODS:.spec.podCIDRs shows the networks of all Pods",
      "pool own has addresses of fd00:244:1::/64, the network of the Pods on node1: a Pod may have one of them, too; take these addresses out of the pool; kubectl get nodes -o custom-columns=NAME:.metadata.name,PODS:.spec.podCIDRs shows the networks of all Pods",
    ],
  },
  { name: "the next network is no network of its Pods", facts: { pools: [pool("next", "10.244.2.0-10.244.2.9")] }, want: [] },
  {
    name: "threads that could be real-time are not",
    facts: { isRealTimeRefused: true },
    want: [
      "the kernel gives threads of the speaker no real time, although it has the capability SYS_NICE: on a busy node ARP, BFD and the ring may be late, at nice -20; start the node's kernel with rt_group_sched=0 (Linux 6.16 or later), or use one without CONFIG_RT_GROUP_SCHED; else leave the node time to spare, and no BFD below 300 ms",
    ],
  },
  { name: "nothing is known yet", facts: { interfaces: [], routes: [], pools: [], announced: [] }, want: [] },

  {
    name: "a strict filter on the only interface",
    facts: { interfaces: [link("eth0", ["10.0.0.1/24", "fd00::1/64"], { rpFilter: 1 })] },
    want: [],
  },
  {
    name: "a strict filter where clients beyond the subnet are answered by another interface",
    facts: { ...poolOnSecond, interfaces: twoLinks(1), routes: twoNetworks },
    want: [
      "rp_filter is strict on eth1, and replies to clients beyond 10.1.0.0/24 leave by eth0: what these clients send to eth1 is " +
        "dropped; sysctl -w net.ipv4.conf.eth1.rp_filter=2",
    ],
  },
  { name: "the same with a loose filter", facts: { ...poolOnSecond, interfaces: twoLinks(2), routes: twoNetworks }, want: [] },
  { name: "the same without a filter", facts: { ...poolOnSecond, interfaces: twoLinks(0), routes: twoNetworks }, want: [] },
  {
    name: "a strict filter on two interfaces, the pool on that with the default route",
    facts: { interfaces: [...twoLinks(1), link("eth2", ["fd00::1/64"])], routes: twoNetworks },
    want: [],
  },
  {
    name: "the default route with the lowest metric counts",
    facts: {
      ...poolOnSecond,
      interfaces: twoLinks(1),
      routes: [...["0.0.0.0/0 via dev eth0 metric 200", "0.0.0.0/0 via dev eth1 metric 100"].map(route), ...twoNetworks.slice(1)],
    },
    want: [],
  },
  {
    name: "a strict filter without a default route: nobody beyond the subnet gets an answer anyhow",
    facts: { ...poolOnSecond, interfaces: twoLinks(1), routes: twoNetworks.slice(1) },
    want: [],
  },
  {
    name: "two interfaces in one subnet: the kernel answers by the first",
    facts: {
      interfaces: [link("eth0", ["10.0.0.1/24", "fd00::1/64"], { rpFilter: 1 }), link("eth1", ["10.0.0.2/24"], { rpFilter: 1 })],
      routes: [...ordinary.routes, route("10.0.0.0/24 dev eth1")],
    },
    want: [
      "rp_filter is strict on eth1, and replies to clients inside 10.0.0.0/24 leave by eth0: what these clients send to eth1 is " +
        "dropped; sysctl -w net.ipv4.conf.eth1.rp_filter=2",
    ],
  },
  {
    name: "a strict filter in a VRF, whose routes are elsewhere",
    facts: { ...poolOnSecond, interfaces: twoLinks(1), routes: twoNetworks.slice(0, 2) },
    want: [],
  },
  {
    name: "the name of a VLAN is written for sysctl",
    facts: {
      ...poolOnSecond,
      interfaces: [link("eth0", ["10.0.0.1/24"]), link("eth0.7", ["10.1.0.1/24"], { rpFilter: 1 })],
      routes: [...twoNetworks.slice(0, 2), route("10.1.0.0/24 dev eth0.7")],
    },
    want: [
      "rp_filter is strict on eth0.7, and replies to clients beyond 10.1.0.0/24 leave by eth0: what these clients send to eth0.7 is " +
        "dropped; sysctl -w net.ipv4.conf.eth0/7.rp_filter=2",
    ],
  },

  {
    name: "kube-proxy in mode IPVS without strict ARP",
    facts: { interfaces: [...ordinary.interfaces, link("eth1", ["10.9.0.1/24"]), hidden("kube-ipvs0")] },
    want: [
      "kube-ipvs0 holds addresses of Services, and arp_ignore is 0 on eth0, 0 on eth1: the kernel answers ARP for these whichever " +
        "node announces them; sysctl -w net.ipv4.conf.all.arp_ignore=1 (strictARP: true in kube-proxy's configuration)",
      "kube-ipvs0 holds addresses of Services, and arp_announce is 0 on eth0, 0 on eth1: the kernel sends ARP requests in their name, " +
        "and hosts then take this node for the one that announces them; " +
        "sysctl -w net.ipv4.conf.all.arp_announce=2 (strictARP: true in kube-proxy's configuration)",
    ],
  },
  {
    name: "kube-router without strict ARP",
    facts: { interfaces: [link("eth0", ["10.0.0.1/24"], { ...strict, arpIgnore: 0 }), hidden("kube-dummy-if")] },
    want: [
      "kube-dummy-if holds addresses of Services, and arp_ignore is 0 on eth0: the kernel answers ARP for these whichever node " +
        "announces them; sysctl -w net.ipv4.conf.all.arp_ignore=1",
    ],
  },
  {
    name: "kube-proxy in mode IPVS with strict ARP",
    facts: { interfaces: [link("eth0", ["10.0.0.1/24", "fd00::1/64"], strict), hidden("kube-ipvs0")] },
    want: [],
  },
  {
    name: "an arp_ignore that is above strict ARP but does not ignore has to be lowered on the interface as well",
    facts: { interfaces: [link("eth0", ["10.0.0.1/24", "fd00::1/64"], { ...strict, arpIgnore: 3 }), hidden("kube-ipvs0")] },
    want: [
      "kube-ipvs0 holds addresses of Services, and arp_ignore is 3 on eth0: the kernel answers ARP for these whichever node announces " +
        "them; sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.eth0.arp_ignore=1 (strictARP: true in kube-proxy's configuration)",
    ],
  },
  {
    name: "an interface without an IPv4 address, as the host's end of a Pod's link, needs no strict ARP",
    facts: {
      interfaces: [
        link("eth0", ["10.0.0.1/24", "fd00::1/64"], strict),
        { ...link("cali1", []), settings: undefined },
        hidden("kube-ipvs0"),
      ],
    },
    want: [],
  },
  {
    name: "kube-proxy in mode IPVS where no pool has IPv4 addresses",
    facts: {
      interfaces: [...ordinary.interfaces, hidden("kube-ipvs0")],
      pools: [pool("six", "fd00::200-fd00::2ff")],
      announced: announced("six", "fd00::200"),
    },
    want: [],
  },
  {
    name: "an address of a pool on lo, with an arp_ignore that lets the kernel answer for it",
    facts: {
      interfaces: [
        link("eth0", ["10.0.0.1/24", "fd00::1/64"], { arpAnnounce: 2 }),
        hidden("lo", ["127.0.0.1/8", "10.0.0.201/32"]),
      ],
    },
    want: [
      "lo holds addresses of Services, and arp_ignore is 0 on eth0: the kernel answers ARP for these whichever node announces them; " +
        "sysctl -w net.ipv4.conf.all.arp_ignore=1",
    ],
  },
  {
    name: "an address of a pool on lo with strict ARP, and an IPv6 one without",
    facts: {
      interfaces: [link("eth0", ["10.0.0.1/24", "fd00::1/64"], strict), hidden("lo", ["10.0.0.201/32", "fd00::201/128"])],
    },
    want: [],
  },

  {
    name: "addresses of a pool on an interface that the LAN sees, strict ARP or not",
    facts: { interfaces: [link("eth0", ["10.0.0.1/24", "10.0.0.250/32", "fd00::1/64", "fd00::2ff/64"], strict)] },
    want: [
      "10.0.0.250 of pool default is bound to eth0: the kernel answers for it whichever node announces it; " +
        "ip addr del 10.0.0.250/32 dev eth0, or take the address out of the pool",
      "fd00::2ff of pool default is bound to eth0: the kernel answers for it whichever node announces it; " +
        "ip addr del fd00::2ff/64 dev eth0, or take the address out of the pool",
    ],
  },

  {
    name: "families that are not forwarded although they have to be",
    facts: { notForwarded: { IPv4: "default/web", IPv6: "default/six" } },
    want: [
      "net.ipv4.ip_forward is 0, and Services that are announced from here have endpoints on other nodes: packets for them " +
        "are dropped; sysctl -w net.ipv4.ip_forward=1",
      "net.ipv6.conf.all.forwarding is 0, and Services that are announced from here have endpoints on other nodes: packets " +
        "for them are dropped; sysctl -w net.ipv6.conf.all.forwarding=1, with accept_ra=2 on an interface that has its routes from router " +
        "advertisements",
    ],
  },

  {
    name: "the NIC by which clients come is the one whose packets are not forwarded",
    facts: { notForwarded: { IPv4: "default/web" }, notForwarding: "eth0.7" },
    want: [
      "net.ipv4.conf.eth0/7.forwarding is 0, and Services that are announced from here have endpoints on other nodes: packets for them " +
        "are dropped; sysctl -w net.ipv4.conf.eth0/7.forwarding=1",
    ],
  },

  {
    name: "IPv6 is off on the interface with a pool's subnet and on that with the default route, and on one that no client comes by",
    facts: {
      interfaces: [
        link("eth0", ["10.0.0.1/24"], ipv6Off),
        link("eth1", ["10.1.0.1/24"], ipv6Off),
        link("cni0", ["10.244.0.1/24"], ipv6Off),
      ],
      routes: ["0.0.0.0/0 via dev eth1", "10.0.0.0/24 dev eth0", "10.1.0.0/24 dev eth1", "10.244.0.0/24 dev cni0"].map(route),
      announced: announced("default", "10.0.0.200"),
    },
    want: [
      "IPv6 is off on eth0, and pool default has IPv6 addresses: packets for them are dropped; sysctl -w net.ipv6.conf.eth0.disable_ipv6=0",
      "IPv6 is off on eth1, and pool default has IPv6 addresses: packets for them are dropped; sysctl -w net.ipv6.conf.eth1.disable_ipv6=0",
    ],
  },
  {
    name: "IPv6 is off where no pool has IPv6 addresses",
    facts: {
      interfaces: [link("eth0", ["10.0.0.1/24"], ipv6Off)],
      pools: [pool("four", "10.0.0.200-10.0.0.250")],
      announced: [],
    },
    want: [],
  },
  {
    name: "IPv6 is off on an interface while the pool's subnet is on another",
    facts: { interfaces: [link("eth0", ["10.0.0.1/24"], ipv6Off), link("eth1", ["fd00::1/64"])] },
    want: [],
  },

  {
    name: "announced addresses that are in no subnet of an eligible interface, by pool, the first of them named",
    facts: {
      interfaces: [...ordinary.interfaces, hidden("down0", ["10.7.0.1/24"])],
      announced: [
        ...announced("default", "10.0.0.200"),
        ...announced("far", "10.7.0.6", "10.7.0.5", "10.7.0.4", "10.7.0.3", "10.7.0.2", "10.7.0.9", "10.7.0.8"),
        ...announced("six", "fd01::1"),
      ],
    },
    want: [
      "addresses 10.7.0.2, 10.7.0.3, 10.7.0.4, 10.7.0.5, 10.7.0.6, and 2 more of pool far lie in no subnet of node1 (10.0.0.0/24): hosts ask by ARP and NDP for addresses of their own subnet alone; use addresses of a subnet of the node, give the node an address in theirs, or add a route on the router",
      "address fd01::1 of pool six lies in no subnet of node1 (fd00::/64): hosts ask by ARP and NDP for addresses of their own subnet alone; use addresses of a subnet of the node, give the node an address in theirs, or add a route on the router",
    ],
  },
  {
    name: "a route without a gateway gives a subnet too; its own address, a gateway's network, groups and links do not",
    facts: {
      interfaces: [link("eth0", ["10.0.0.1/32", "fd00::1/128", "fe80::1/64"])],
      routes: [
        "10.0.0.0/24 dev eth0",
        "10.8.0.0/16 via dev eth0",
        "fd00::/64 dev eth0",
        "ff00::/8 dev eth0",
        "fe80::/64 dev eth0",
      ].map(route),
      announced: announced("default", "10.0.0.200", "fd00::200", "fe80::2", "10.8.0.1"),
    },
    want: [
      "addresses 10.8.0.1, fe80::2 of pool default lie in no subnet of node1 (10.0.0.0/24, fd00::/64): hosts ask by ARP and NDP for addresses of their own subnet alone; use addresses of a subnet of the node, give the node an address in theirs, or add a route on the router",
    ],
  },
  {
    name: "a node without any subnet",
    facts: { interfaces: [hidden("lo")], routes: [], announced: announced("default", "10.0.0.200") },
    want: [
      "address 10.0.0.200 of pool default lies in no subnet of node1 (it has none): hosts ask by ARP and NDP for addresses of their own subnet alone; use addresses of a subnet of the node, give the node an address in theirs, or add a route on the router",
    ],
  },
  {
    name: "a pool for interfaces that the node does not have",
    facts: {
      ...limitedTo("eth7", "bond*"),
      interfaces: [...ordinary.interfaces, link("eth1", ["10.1.0.1/24"]), hidden("bond0")],
    },
    want: [
      "the interfaces of pool default (eth7, bond*) match none of node1 that can announce (eth0, eth1): its addresses are not announced; correct the pool's interfaces, or select other nodes with its node-selectors",
    ],
  },
  {
    name: "the same, while none of its addresses is announced from here",
    facts: { ...limitedTo("eth7"), announced: [] },
    want: [],
  },
  { name: "a pool for interfaces of which the node has one", facts: limitedTo("eth7", "eth?"), want: [] },
  {
    name: "an address in a subnet of another interface than its pool is for",
    facts: { ...limitedTo("eth1"), interfaces: [...ordinary.interfaces, link("eth1", ["10.1.0.1/24"])] },
    want: [
      "addresses 10.0.0.200, fd00::200 of pool default lie in no subnet of node1 (10.1.0.0/24): hosts ask by ARP and NDP for addresses of their own subnet alone; use addresses of a subnet of the node, give the node an address in theirs, or add a route on the router",
    ],
  },
];
for (const { name, facts, want } of cases) {
  test(`judge: ${name}`, () => {
    assert.deepEqual(judge({ ...ordinary, ...facts }).map(describe), want);
  });
}

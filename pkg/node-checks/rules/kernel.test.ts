import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "#pkg/config";
import { address, prefix } from "#pkg/net/testing";
import type { Facts, Interface, KeptInterface, KernelFacts } from "./facts.ts";
import { describe } from "./findings.ts";
import { judge } from "./judge.ts";
import type { Route } from "./route-codec.ts";

const well = { rpFilter: 0, arpIgnore: 0, arpAnnounce: 0, disableIpv6: 0 };

function link(name: string, own: string, settings: Partial<typeof well> = {}): Interface {
  const addresses = [{ address: address(own.split("/")[0] ?? ""), prefix: prefix(own) }];
  return { name, eligible: true, addresses, settings: { ...well, ...settings } };
}

const lb0: KeptInterface = {
  name: "kube-lb0",
  isDummy: true,
  hasSubnets: false,
  restored: 0,
  promoteSecondaries: 0,
  disableIpv6: 0,
  manager: undefined,
};
const hidden: Interface = { name: "kube-lb0", eligible: false, addresses: [], settings: undefined };
const ipvs: Interface = { ...hidden, name: "kube-ipvs0" };

function route(to: string, device: string, gateway = false): Route {
  return { prefix: prefix(to), interface: device, gateway, metric: 0 };
}

function poolsOf(fields: string): KernelFacts["pools"] {
  const { config } = parseConfig(`address-pools: [{name: routed, protocol: interface, ${fields}}]`);
  assert.ok(config);
  return config.pools;
}

const own = "addresses: [198.51.100.0/24, '2001:db8:5::/120']";
const near = "addresses: [10.0.0.200-10.0.0.250]";
const eth0 = link("eth0", "10.0.0.1/24");
const routes = [route("0.0.0.0/0", "eth0", true), route("10.0.0.0/24", "eth0"), route("10.1.0.0/24", "eth1")];

interface Case {
  readonly name: string;
  readonly interfaces?: readonly Interface[];
  readonly routes?: readonly Route[];
  readonly kept?: Partial<KeptInterface>;
  readonly pools?: string;
  readonly kubeProxy?: KernelFacts["kubeProxy"];
  readonly flannel?: readonly string[];
  readonly placed?: readonly string[];
  readonly want: readonly string[];
}

const nodePorts = (where: string) =>
  `addresses of pool routed are on kube-lb0, and kube-proxy serves NodePorts at ${where}: NodePorts of other Services can be reached at the pool's addresses; kubectl -n kube-system edit configmap kube-proxy: nodePortAddresses: [primary]; or carrier: route for the pool`;
const strictEth1 =
  "rp_filter is strict on eth1, and replies to clients beyond 10.1.0.0/24 leave by eth0: what these clients send to eth1 is dropped; sysctl -w net.ipv4.conf.eth1.rp_filter=2";
const answered = (holder: string, setting: string, value: number, trouble: string, next: string) =>
  `${holder} holds addresses of Services, and ${setting} is ${value} on eth0: ${trouble}; sysctl -w ${next}`;
const answers = "the kernel answers ARP for these whichever node announces them";
const asks = "the kernel sends ARP requests in their name, and hosts then take this node for the one that announces them";

const cases: readonly Case[] = [
  { name: "an ordinary node", want: [] },
  {
    name: "kube-proxy serves NodePorts everywhere",
    kubeProxy: { mode: "iptables", nodePortAddresses: [] },
    want: [nodePorts("all addresses of the node")],
  },
  {
    name: "or where the pool is",
    kubeProxy: { mode: "nftables", nodePortAddresses: ["0.0.0.0/0", "x"] },
    want: [nodePorts("0.0.0.0/0, x")],
  },
  { name: "or at the node's own address alone", kubeProxy: { mode: "iptables", nodePortAddresses: ["primary"] }, want: [] },
  { name: "or in another network", kubeProxy: { mode: "", nodePortAddresses: ["10.0.0.0/8"] }, want: [] },
  { name: "which is what mode nftables does unasked", kubeProxy: { mode: "nftables", nodePortAddresses: [] }, want: [] },
  {
    name: "routes are no addresses of the node",
    pools: `carrier: route, ${own}`,
    kubeProxy: { mode: "iptables", nodePortAddresses: [] },
    want: [],
  },
  {
    name: "nor are addresses on a NIC on the dummy",
    pools: `placement: lan, ${own}`,
    kubeProxy: { mode: "iptables", nodePortAddresses: [] },
    want: [],
  },
  {
    name: "systemd-networkd manages the dummy",
    kept: { manager: "systemd-networkd" },
    want: [
      "systemd-networkd manages kube-lb0: each time it starts, or configures this interface, it removes addresses and routes that its own configuration does not have, those of Services among them; give kube-lb0 a .network file of its own in /etc/systemd/network that has Unmanaged=yes under [Link], then networkctl reload",
    ],
  },
  {
    name: "NetworkManager manages the dummy",
    kept: { manager: "NetworkManager" },
    want: [
      "NetworkManager manages kube-lb0: each time it starts, or configures this interface, it removes addresses and routes that its own configuration does not have, those of Services among them; set unmanaged-devices=interface-name:kube-lb0 under [keyfile] in a file of /etc/NetworkManager/conf.d, then nmcli general reload",
    ],
  },
  {
    name: "a NIC that is managed, as nearly all are",
    kept: { name: "eth0", isDummy: false, manager: "systemd-networkd" },
    want: [],
  },
  {
    name: "and where something was removed",
    kept: { name: "eth0", isDummy: false, manager: "systemd-networkd", restored: 1 },
    want: [
      "systemd-networkd manages eth0: each time it starts, or configures this interface, it removes addresses and routes that its own configuration does not have, those of Services among them; set KeepConfiguration=yes under [Network] in the .network file of eth0, and ManageForeignRoutes=no in networkd.conf",
    ],
  },
  {
    name: "subnets on an interface that drops them with their first address",
    kept: { hasSubnets: true },
    want: [
      "promote_secondaries is 0 on kube-lb0: when the first address of a subnet goes, the kernel removes the subnet's other addresses with it, and they are missing until they are put back; sysctl -w net.ipv4.conf.kube-lb0.promote_secondaries=1",
    ],
  },
  { name: "or does not", kept: { hasSubnets: true, promoteSecondaries: 1 }, want: [] },
  { name: "or of which that is not known", kept: { hasSubnets: true, promoteSecondaries: undefined }, want: [] },
  {
    name: "IPv6 is off on the dummy",
    kept: { disableIpv6: 1 },
    want: [
      "IPv6 is off on kube-lb0, and pool routed has IPv6 addresses: packets for them are dropped; sysctl -w net.ipv6.conf.kube-lb0.disable_ipv6=0",
    ],
  },
  { name: "and the pool has none", pools: near, interfaces: [link("eth0", "10.9.0.1/24")], kept: { disableIpv6: 1 }, want: [] },
  {
    name: "a strict filter towards routers, with the default route elsewhere",
    interfaces: [eth0, link("eth1", "10.1.0.1/24", { rpFilter: 1 })],
    routes: [...routes, route("172.16.0.0/12", "eth1", true)],
    want: [strictEth1],
  },
  { name: "a strict filter towards storage", interfaces: [eth0, link("eth1", "10.1.0.1/24", { rpFilter: 1 })], want: [] },
  { name: "a strict filter with the default route", interfaces: [link("eth0", "10.0.0.1/24", { rpFilter: 1 })], want: [] },
  {
    name: "addresses of the nodes' own subnet",
    pools: near,
    interfaces: [eth0, hidden, ipvs],
    want: [
      answered(
        "kube-ipvs0",
        "arp_ignore",
        0,
        answers,
        "net.ipv4.conf.all.arp_ignore=1 (strictARP: true in kube-proxy's configuration)",
      ),
      answered(
        "kube-ipvs0",
        "arp_announce",
        0,
        asks,
        "net.ipv4.conf.all.arp_announce=2 (strictARP: true in kube-proxy's configuration)",
      ),
      answered("kube-lb0", "arp_ignore", 0, answers, "net.ipv4.conf.all.arp_ignore=1"),
      answered("kube-lb0", "arp_announce", 0, asks, "net.ipv4.conf.all.arp_announce=2"),
    ],
  },
  { name: "the same as routes", pools: `carrier: route, ${near}`, interfaces: [eth0, hidden], want: [] },
  { name: "flannel has the node's own addresses", flannel: ["10.0.0.1", "fd00::1"], want: [] },
  {
    name: "flannel has one of a pool",
    flannel: ["198.51.100.3", "2001:db8:5::3"],
    want: ["198.51.100.3", "2001:db8:5::3"].map(
      (taken) =>
        `flannel takes ${taken} of pool routed for this node's own address: other nodes send packets for its Pods there, wherever the address is; name the node's own address by flannel's option public-ip or the annotation flannel.alpha.coreos.com/public-ip-overwrite, and start flannel again on the node`,
    ),
  },
  {
    name: "the same where ARP is strict",
    pools: near,
    interfaces: [link("eth0", "10.0.0.1/24", { arpIgnore: 1, arpAnnounce: 2 }), hidden],
    want: [],
  },
  {
    name: "an address of the node's own is one of the pool's",
    pools: near,
    interfaces: [link("eth0", "10.0.0.205/24", { arpIgnore: 1, arpAnnounce: 2 }), hidden],
    want: [
      "10.0.0.205 of pool routed is bound to eth0: the kernel answers for it whichever node announces it; " +
        "ip addr del 10.0.0.205/24 dev eth0, or take the address out of the pool",
    ],
  },
  {
    name: "an address of the pool is on a NIC because the speaker has put it there",
    pools: near,
    interfaces: [link("eth0", "10.0.0.205/32", { arpIgnore: 1, arpAnnounce: 2 }), hidden],
    placed: ["10.0.0.205"],
    want: [],
  },
];

for (const {
  name,
  interfaces = [eth0, hidden],
  kept = {},
  pools = own,
  kubeProxy,
  flannel = [],
  placed = [],
  want,
  ...given
} of cases)
  test(`pools of protocol interface: ${name}`, () => {
    const facts: Facts = {
      node: "node1",
      interfaces,
      routes: given.routes ?? routes,
      podNetworks: [],
      pools: [],
      announced: [],
      notForwarded: {},
      notForwarding: undefined,
      kernel: {
        pools: poolsOf(pools),
        placed: new Set(placed),
        interfaces: [{ ...lb0, ...kept }],
        kubeProxy,
        flannelAddresses: flannel.map(address),
      },
      isRealTimeRefused: false,
      cpuLimit: undefined,
    };
    assert.deepEqual(judge(facts).map(describe), want);
  });

import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import { parseConfig } from "#pkg/config";
import type { InterfaceState } from "#pkg/layer2";
import type { Fields, Log } from "#pkg/log";
import { silentLog } from "#pkg/log/testing";
import { NodeChecks } from "./node-checks.ts";
import type { Announced, Kept } from "./rules/facts.ts";
import { describe } from "./rules/findings.ts";
import type { KubeProxyConfiguration } from "./rules/node-files.ts";
import { FactsError } from "./rules/route-codec.ts";

const eth0: InterfaceState = {
  index: 2,
  name: "eth0",
  mac: "02:00:00:00:00:01",
  status: "answering",
  running: true,
  addresses: ["10.0.0.1/24", "::ffff:10.0.0.9/128"], // No LAN knows the second one.
};
// It counts by its name, even where it is a link that would answer.
const ipvs: InterfaceState = { ...eth0, index: 3, name: "kube-ipvs0", addresses: ["10.0.0.200/32"] };
const conf = "sys/net/ipv4/conf";

/** Looks at this many Services and finds this one, or none. */
function* search(service: string | undefined, services: number): Generator<undefined, string | undefined> {
  for (let looked = 0; looked < services; looked++) yield;
  return service;
}

/** A node with one interface and a pool, in the middle of whose files a test writes. */
class Node {
  readonly clock = new SimulatedClock();
  readonly lines: string[] = [];
  readonly files = new Map<string, string | Error>([
    ...["all", "eth0"].flatMap((where) =>
      ["rp_filter", "arp_ignore", "arp_announce"].map((setting) => [`${conf}/${where}/${setting}`, "0\n"] as const),
    ),
    ["sys/net/ipv4/ip_forward", "1\n"],
    ["net/route", "Iface\tDestination\n"],
  ]);
  interfaces: readonly InterfaceState[] = [eth0];
  asked = 0;
  kept: readonly Kept[] = [];
  flannelAddresses: readonly string[] = [];
  mayBeRealTime = true;
  kubeProxy: KubeProxyConfiguration | undefined;
  readonly run = new Map<string, string>();
  readonly cgroup = new Map<string, string>();
  readonly checks: NodeChecks;
  announced: readonly (Announced | undefined)[] = [];
  services = 1;

  constructor(addresses = "10.0.0.200-10.0.0.250", protocol = "layer2") {
    const { config } = parseConfig(`address-pools:
- {name: default, protocol: ${protocol}, addresses: [${addresses}]}
- {name: routed, protocol: interface, addresses: [198.51.100.0/24]}`);
    const write =
      (level: string) =>
      (message: string, { event, check, interface: name, error }: Fields = {}): void => {
        this.lines.push([level, event ?? message, check, name, error].filter((part) => part !== undefined).join(" "));
      };
    const log: Log = { ...silentLog, warn: write("warn"), info: write("info"), error: write("error") };
    this.checks = new NodeChecks({
      node: "node1",
      log,
      clock: this.clock,
      interfaces: () => this.interfaces,
      pools: () => config?.pools ?? [],
      announced: () => this.announced,
      forwarded: () => {
        this.asked++;
        return search("default/web", this.services);
      },
      kept: () => this.kept,
      flannelAddresses: () => this.flannelAddresses,
      podCIDRs: () => [],
      placed: () => [],
      askKubeProxy: async () => this.kubeProxy,
      readRun: (path) => this.run.get(path),
      readCgroup: (path) => this.cgroup.get(path),
      mayBeRealTime: () => this.mayBeRealTime,
      read: (path) => {
        const text = this.files.get(path);
        if (text instanceof Error) throw text;
        return text;
      },
    });
  }

  /** Lines logged since. */
  take(): string[] {
    return this.lines.splice(0);
  }
}

test("a finding is logged once when it comes and once when it goes", () => {
  const node = new Node();
  node.interfaces = [eth0, ipvs];
  node.checks.start();
  assert.equal(node.checks.findings.length, 0);
  node.clock.advanceBy(1_000);
  assert.deepEqual(node.take(), ["warn nodeWarning strictArp", "warn nodeWarning strictArp"]);
  assert.equal(node.checks.findings.length, 2);
  node.clock.advanceBy(120_000);
  assert.deepEqual(node.take(), []);
  node.files.set(`${conf}/all/arp_ignore`, "1\n");
  node.clock.advanceBy(60_000);
  assert.deepEqual(node.take(), ["info nodeWarningResolved strictArp"]);
  assert.deepEqual(
    node.checks.findings.map((finding) => finding.check === "strictArp" && finding.setting),
    ["arp_announce"],
  );
});

test("real time that is refused is found where the process has the capability for it, and comes and goes", () => {
  const node = new Node();
  node.mayBeRealTime = false;
  node.checks.start();
  const checks = (after: number) => {
    node.clock.advanceBy(after);
    return node.checks.findings.map(({ check }) => check);
  };
  assert.deepEqual(checks(1_000), []); // Nothing says that it has.
  node.files
    .set("self/uid_map", "         0          0 4294967295\n")
    .set("self/status", "CapPrm:\t0000000000802000\nCapEff:\t0000000000002000\n");
  assert.deepEqual(checks(60_000), []);
  node.files.set("self/status", "CapPrm:\t0000000000802000\nCapEff:\t0000000000802000\n");
  assert.deepEqual(checks(60_000), ["realTimeRefused"]);
  node.files.set("self/uid_map", "         0       1000          1\n");
  assert.deepEqual(checks(60_000), []);
  node.files.set("self/uid_map", "         0          0 4294967295\n");
  assert.deepEqual(checks(60_000), ["realTimeRefused"]);
  node.mayBeRealTime = true;
  assert.deepEqual(checks(60_000), []);
});

test("a CPU limit of less than one processor is found, and comes and goes", () => {
  const node = new Node();
  node.checks.start();
  const found = (quota: string) => {
    node.cgroup.set("cpu.max", quota);
    node.clock.advanceBy(60_000);
    return node.checks.findings.map((finding) => finding.check === "cpuLimited" && finding.processors);
  };
  assert.deepEqual(found("10000 100000\n"), [0.1]);
  assert.deepEqual(found("100000 100000\n"), []);
  assert.deepEqual(found("99900 100000\n"), [0.999]);
  assert.deepEqual(found("max 100000\n"), []);
});

test("the larger value of an interface and of all is in effect", () => {
  const node = new Node();
  node.interfaces = [eth0, ipvs];
  node.files.set(`${conf}/all/arp_ignore`, "1\n").set(`${conf}/eth0/arp_announce`, "2\n");
  node.checks.start();
  node.clock.advanceBy(1_000);
  assert.deepEqual(node.checks.findings, []);
});

test("a change is looked at once it has settled, and changes do not put it off", () => {
  const node = new Node();
  node.checks.changed();
  assert.deepEqual(node.clock.pending(), [], "nothing before the start");
  node.checks.start();
  node.clock.advanceBy(1_000);
  node.interfaces = [{ ...eth0, addresses: [...eth0.addresses, "10.0.0.201/32"] }];
  node.checks.changed();
  node.clock.advanceBy(600);
  node.checks.changed();
  assert.deepEqual(node.take(), []);
  node.clock.advanceBy(400);
  assert.deepEqual(node.take(), ["warn nodeWarning addressBound eth0"]);
  assert.equal(node.clock.pending().length, 1);
});

for (const setting of ["sys/net/ipv4/ip_forward", "sys/net/ipv6/conf/all/forwarding", "net/route"])
  test(`where ${setting} may not be read it is said once, and the speaker goes on`, () => {
    const node = new Node();
    node.files.set(setting, new FactsError("Cannot read"));
    node.checks.start();
    node.clock.advanceBy(120_000);
    assert.deepEqual(node.take(), ["error cannot read the settings of this node, retrying FactsError: Cannot read"]);
  });

test("Services are asked for only in a family that the kernel does not forward", () => {
  const node = new Node();
  node.checks.start();
  node.clock.advanceBy(1_000);
  assert.equal(node.asked, 0, "IPv4 is forwarded, and without IPv6 there is nothing to forward");
  node.files.set("sys/net/ipv4/ip_forward", "0\n");
  node.clock.advanceBy(60_000);
  assert.equal(node.asked, 1);
  assert.deepEqual(node.take(), ["warn nodeWarning forwardingOff"]);
});

test("an interface that goes while it is looked at has no findings", () => {
  const node = new Node();
  node.interfaces = [{ ...eth0, name: "eth1" }, ipvs];
  node.checks.start();
  node.clock.advanceBy(1_000);
  assert.deepEqual(node.checks.findings, []);
});

test("what cannot be read is logged once, leaves the findings, and is tried again", () => {
  const node = new Node();
  node.interfaces = [eth0, ipvs];
  node.checks.start();
  node.clock.advanceBy(1_000);
  node.take();
  node.files.set(`${conf}/all/arp_ignore`, new FactsError("Cannot read"));
  node.clock.advanceBy(120_000);
  assert.deepEqual(node.take(), ["error cannot read the settings of this node, retrying FactsError: Cannot read"]);
  assert.equal(node.checks.findings.length, 2);
  node.files.set(`${conf}/all/arp_ignore`, "1\n");
  node.clock.advanceBy(60_000);
  assert.deepEqual(node.take(), ["info nodeWarningResolved strictArp"]);
});

test("nothing happens after the end", () => {
  const node = new Node();
  node.checks.start();
  node.checks[Symbol.dispose]();
  assert.deepEqual(node.clock.pending(), []);
  node.checks.changed();
  assert.deepEqual(node.clock.pending(), []);
});

test("this machine's own /proc can be read", () => {
  const node = new Node();
  const { clock } = node;
  const errors: string[] = [];
  const log: Log = { ...silentLog, error: (message, { error } = {}) => errors.push(`${message}: ${error}`) };
  const lo: InterfaceState = { ...eth0, name: "lo", addresses: ["127.0.0.1/8"] };
  const options = {
    node: "node1",
    log,
    clock,
    interfaces: () => [lo, ipvs],
    announced: () => [],
    forwarded: () => search(undefined, 1),
    kept: () => [],
    flannelAddresses: () => [],
    podCIDRs: () => [],
    placed: () => [],
  };
  const { config } = parseConfig("address-pools: [{name: own, protocol: layer2, addresses: [127.0.0.1-127.0.0.9]}]");
  using checks = new NodeChecks({ ...options, pools: () => config?.pools ?? [] });
  checks.start();
  clock.advanceBy(1_000);
  assert.deepEqual(errors, []);
  assert.ok(checks.findings.some(({ check }) => check === "addressBound"));
});

test("where addresses of protocol interface are kept, kube-proxy is asked, and those who manage the interface are looked for", async () => {
  const node = new Node();
  node.interfaces = [eth0, { ...eth0, index: 7, name: "kube-lb0", status: "noArp", addresses: [] }];
  node.kept = [{ name: "kube-lb0", isDummy: true, hasSubnets: true, restored: 0 }];
  node.kubeProxy = { mode: "", nodePortAddresses: [] };
  node.run.set("systemd/netif/links/7", "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/all.network\n");
  node.files.set(`${conf}/kube-lb0/promote_secondaries`, "0\n").set(`${conf}/all/promote_secondaries`, "0\n");
  node.files.set("sys/net/ipv6/conf/kube-lb0/disable_ipv6", "0\n");
  node.checks.start();
  node.clock.advanceBy(1_000);
  const interfaceManaged = "warn nodeWarning interfaceManaged kube-lb0";
  assert.deepEqual(node.take(), [interfaceManaged, "warn nodeWarning promoteSecondaries kube-lb0"]);
  await new Promise(setImmediate);
  assert.deepEqual(node.take(), ["warn nodeWarning nodePorts kube-lb0"]);
  node.run.set("systemd/netif/links/7", "ADMIN_STATE=unmanaged\n").set("NetworkManager/devices/7", "[device]\nmanaged=true\n");
  node.files.set(`${conf}/all/promote_secondaries`, "1\n");
  node.kubeProxy = undefined;
  node.clock.advanceBy(60_000);
  await new Promise(setImmediate);
  assert.deepEqual(node.take(), [
    "info nodeWarningResolved promoteSecondaries kube-lb0",
    "info nodeWarningResolved nodePorts kube-lb0",
  ]);
  assert.match(node.checks.findings.map(describe).join(), /^NetworkManager manages kube-lb0/);
  node.flannelAddresses = ["198.51.100.7", "no address"];
  node.clock.advanceBy(60_000);
  assert.deepEqual(node.take(), ["warn nodeWarning flannelAddress"]);
});

test("10,000 addresses and as many Services are looked at 1,000 in a turn, and a later look begins anew", () => {
  const node = new Node();
  using checks = node.checks;
  node.files.set("sys/net/ipv4/ip_forward", "0\n");
  node.announced = Array.from({ length: 10_000 }, () => undefined);
  node.services = 10_000;
  checks.start();
  node.clock.advanceToNext();
  const began = node.clock.now();
  let turns = 1;
  for (; checks.findings.length === 0 && turns < 100; turns++) node.clock.advanceToNext();
  assert.equal(turns, 21);
  assert.equal(node.clock.now(), began);
  assert.ok(
    checks.findings.some(({ check }) => check === "forwardingOff"),
    `${checks.findings.map(({ check }) => check)}`,
  );
});

test("the LAN is faulty where each NIC that leads there is without IPv6, or does not forward, although the kernel does", () => {
  const six = "'2001:db8::1-2001:db8::9'";
  const dual = `10.0.0.200-10.0.0.250, ${six}`;
  const faults = (pool: string, interfaces: readonly InterfaceState[], files: Readonly<Record<string, number>>) => {
    const node = new Node(pool);
    using checks = node.checks;
    node.interfaces = interfaces;
    for (const name of ["eth1", "cni0"])
      for (const setting of ["rp_filter", "arp_ignore", "arp_announce"]) node.files.set(`${conf}/${name}/${setting}`, "0\n");
    for (const { name } of interfaces) node.files.set(`sys/net/ipv6/conf/${name}/disable_ipv6`, "0\n");
    for (const [file, value] of Object.entries(files)) node.files.set(`sys/net/${file}`, `${value}\n`);
    const { withoutIpv6, notForwarding } = checks.lanFaults();
    return [withoutIpv6 === undefined ? "" : `no IPv6 on ${withoutIpv6}`, notForwarding ?? ""].filter((one) => one !== "").join();
  };
  const pods = { ...eth0, index: 4, name: "cni0", addresses: ["10.244.1.1/24", "fd00:244::1/64"] };
  const storage = { ...eth0, index: 5, name: "eth1", addresses: ["10.9.0.1/24"] };
  const second = { ...eth0, index: 5, name: "eth1", addresses: ["10.0.0.2/24", "2001:db8::ffff/64"] };
  const off = "ipv6/conf/eth0/disable_ipv6";
  const forwards = "ipv4/conf/eth0/forwarding";
  assert.equal(faults(dual, [eth0, pods], { [off]: 1 }), "no IPv6 on eth0");
  assert.equal(faults(dual, [eth0], {}), "");
  assert.equal(faults("10.0.0.200-10.0.0.250", [eth0], { [off]: 1 }), "", "nobody asks for IPv6");
  assert.equal(faults(dual, [eth0, storage], { "ipv6/conf/eth1/disable_ipv6": 1 }), "", "of a network without clients");
  assert.equal(faults(dual, [eth0, second], { [off]: 1 }), "", "IPv6 comes by another NIC");
  assert.equal(faults(dual, [eth0, pods], { [forwards]: 0 }), "eth0");
  assert.equal(faults(dual, [eth0, pods], { [forwards]: 0, "ipv4/ip_forward": 0 }), "", "the setting for all says so");
  assert.equal(faults(dual, [eth0, second], { [forwards]: 0 }), "", "another NIC forwards");
  assert.equal(faults(dual, [eth0, storage], { "ipv4/conf/eth1/forwarding": 0 }), "", "of a network without clients");
});

test("the LAN is faulty where its NIC does not forward, also for pools that have their addresses on that NIC", () => {
  for (const [protocol, want] of [
    ["interface, placement: lan", "eth0"],
    ["interface, placement: auto", "eth0"],
    ["interface", undefined],
  ] as const) {
    const node = new Node("10.0.0.200-10.0.0.250", protocol);
    using checks = node.checks;
    node.files.set(`${conf}/eth0/forwarding`, "0\n");
    assert.equal(checks.lanFaults().notForwarding, want, protocol);
  }
});

test("a link that is too small for IPv6 has no setting for it, and is without", () => {
  const node = new Node("10.0.0.200-10.0.0.250, '2001:db8::1-2001:db8::9'");
  using checks = node.checks;
  assert.equal(checks.lanFaults().withoutIpv6, "eth0");
});

test("a kernel that does not let its routes be read has no such faults", () => {
  const node = new Node();
  using checks = node.checks;
  node.files.set(`${conf}/eth0/forwarding`, "0\n");
  assert.equal(checks.lanFaults().notForwarding, "eth0");
  node.files.set("net/route", new FactsError("Cannot read"));
  assert.equal(checks.lanFaults().notForwarding, undefined);
});

test("the Services that suffer are looked for where the LAN's NIC alone does not forward", () => {
  const node = new Node();
  node.files.set(`${conf}/eth0/forwarding`, "0\n");
  node.checks.start();
  node.clock.advanceBy(1_000);
  assert.deepEqual(node.take(), ["warn nodeWarning forwardingOff eth0"]);
});

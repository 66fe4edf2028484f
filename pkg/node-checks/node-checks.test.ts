import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock";
import { parseConfig } from "#pkg/config";
import type { InterfaceState } from "#pkg/layer2";
import { type Fields, type Log, silentLog } from "#pkg/log";
import { NodeChecks } from "./node-checks.ts";
import { FactsError } from "./rules/route-codec.ts";

const eth0: InterfaceState = {
  index: 2,
  name: "eth0",
  mac: "02:00:00:00:00:01",
  status: "answering",
  running: true,
  addresses: ["10.0.0.1/24", "::ffff:10.0.0.9/128"], // The second is none that a LAN knows.
};
// It counts by its name, even where it is a link that would answer.
const ipvs: InterfaceState = { ...eth0, index: 3, name: "kube-ipvs0", addresses: ["10.0.0.200/32"] };
const conf = "sys/net/ipv4/conf";

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
  readonly checks: NodeChecks;

  constructor() {
    const { config } = parseConfig("address-pools: [{name: default, protocol: layer2, addresses: [10.0.0.200-10.0.0.250]}]");
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
      announced: () => [],
      forwarded: () => {
        this.asked++;
        return "default/web";
      },
      read: (path) => {
        const text = this.files.get(path);
        if (text instanceof Error) throw text;
        return text;
      },
    });
  }

  /** What was logged since. */
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
  const options = { node: "node1", log, clock, interfaces: () => [lo, ipvs], announced: () => [], forwarded: () => undefined };
  const { config } = parseConfig("address-pools: [{name: own, protocol: layer2, addresses: [127.0.0.1-127.0.0.9]}]");
  using checks = new NodeChecks({ ...options, pools: () => config?.pools ?? [] });
  checks.start();
  clock.advanceBy(1_000);
  assert.deepEqual(errors, []);
  assert.ok(checks.findings.some(({ check }) => check === "addressBound"));
});

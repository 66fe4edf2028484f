import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { Alarm, type Clock, type Millis } from "#pkg/clock";
import { hasOwners, type Pool } from "#pkg/config";
import type { InterfaceState } from "#pkg/layer2";
import { mayBeRealTime } from "#pkg/linux";
import type { Log } from "#pkg/log";
import { type Address, type Family, families, type Prefix, parseAddress, parsePrefix, serviceHolders } from "#pkg/net";
import { cpuLimit } from "./cpu-limit.ts";
import { askKubeProxy } from "./kube-proxy.ts";
import type { Announced, Facts, Interface, InterfaceAddress, Kept, KeptInterface, Manager, Settings } from "./rules/facts.ts";
import { describe, type Finding, identity } from "./rules/findings.ts";
import { ipv6Disabled, judge } from "./rules/judge.ts";
import { lanInterfaces, poolIn } from "./rules/lookups.ts";
import { isManagedByNetworkd, isManagedByNetworkManager, type KubeProxyConfiguration } from "./rules/node-files.ts";
import { decodeIpv4Routes, decodeIpv6Routes, FactsError, type Route } from "./rules/route-codec.ts";

const settleMs: Millis = 1_000; // A setup in several steps is looked at when it is done.
const recheckMs: Millis = 60_000; // Settings of the kernel change without a word.
// Addresses or Services in a turn: a node may have 10,000 of each.
const lookedAtAtOnce = 1_000;

export interface NodeChecksOptions {
  /** This node's name. */
  readonly node: string;
  readonly interfaces: () => readonly InterfaceState[];
  /** All of the configuration in force. */
  readonly pools: () => readonly Pool[];
  /** Addresses that this node announces by layer 2; undefined for each other address that was looked at. */
  readonly announced: () => Iterable<Announced | undefined>;
  /** Looks at one Service after another for one that is announced from here under an address of the family and has ready endpoints on other nodes. */
  readonly forwarded: (family: Family) => Iterator<undefined, string | undefined>;
  /** The interfaces on which addresses of protocol interface are kept. */
  readonly kept: () => readonly Kept[];
  /** Addresses of protocol interface that are on an interface because they are kept there. */
  readonly placed: () => Iterable<Address>;
  /** Addresses that flannel takes for the node's own. */
  readonly flannelAddresses: () => readonly string[];
  /** Networks of its Pods. */
  readonly podCIDRs: () => readonly string[];
  readonly log: Log;
  readonly clock: Clock;
  /** The machine's /proc when unset. */
  readonly read?: ReadFile;
  /** The same of /run. */
  readonly readRun?: ReadFile;
  /** The same of /sys/fs/cgroup. */
  readonly readCgroup?: ReadFile;
  /** Asked where something is kept; that of this node when unset. */
  readonly askKubeProxy?: () => Promise<KubeProxyConfiguration | undefined>;
  /** Whether threads may be real-time; as the kernel has it when unset. */
  readonly mayBeRealTime?: () => boolean;
}

/** See `NodeChecks.lanFaults`. */
export interface LanFaults {
  /** A NIC to clients of IPv6 pools that has no IPv6. */
  readonly withoutIpv6: string | undefined;
  /** A NIC whose IPv4 packets are not passed on, while the kernel forwards. */
  readonly notForwarding: string | undefined;
}

const noLanFaults: LanFaults = { withoutIpv6: undefined, notForwarding: undefined };

const capabilityNice = 1n << 23n; // CAP_SYS_NICE

type Announcements = Pick<Facts, "announced" | "notForwarded" | "notForwarding">;

/** Keeps the findings about this node, and logs each when it comes and when it goes. */
export class NodeChecks implements Disposable {
  readonly #options: NodeChecksOptions;
  readonly #read: ReadFile;
  readonly #readRun: ReadFile;
  readonly #readCgroup: ReadFile;
  readonly #ask: () => Promise<KubeProxyConfiguration | undefined>;
  #kubeProxy: KubeProxyConfiguration | undefined;
  #isStopped = false;
  #findings = new Map<string, Finding>(); // identity -> finding
  readonly #next: Alarm;
  #failure: string | undefined;
  #portion: Disposable | undefined; // The next of the announcements, while they are looked at.

  constructor(options: NodeChecksOptions) {
    this.#options = options;
    this.#next = new Alarm(options.clock, "node checks", () => this.#check());
    this.#read = options.read ?? readUnder("/proc");
    this.#readRun = options.readRun ?? readUnder("/run");
    this.#readCgroup = options.readCgroup ?? readUnder("/sys/fs/cgroup");
    this.#ask = options.askKubeProxy ?? (() => askKubeProxy());
  }

  /** Findings of the last look, in the order of `checkNames`. */
  get findings(): readonly Finding[] {
    return [...this.#findings.values()];
  }

  /**
   * Looks whether settings of NICs have the kernel drop what comes from the LAN of pools whose addresses have owners, as the findings say; also whether a link
   * is too small for IPv6. A node without IPv6 on a NIC can have no IPv6 address there: that is looked at for layer 2 alone. It reads two settings of each
   * NIC at most while both are as they should be. None where the kernel does not let that be read.
   */
  lanFaults(): LanFaults {
    try {
      return this.#lanFaults();
    } catch (error) {
      if (!(error instanceof FactsError)) throw error;
      return noLanFaults; // The log has the reason, by the look of each minute.
    }
  }

  #lanFaults(): LanFaults {
    const read = this.#read;
    const owned = this.#options.pools().filter(hasOwners);
    if (owned.length === 0) return noLanFaults;
    const pools = this.#layer2Pools();
    const forwards = readNumber(read, forwardingSetting.IPv4) !== 0;
    const interfaces = this.#options.interfaces();
    // A bridge of containers is often without IPv6, which says nothing where the LAN has it.
    const mayBeOff = poolIn({ pools }, "IPv6") !== undefined && !interfaces.some((one) => hasIpv6Of(pools, one));
    const off = new Set<string>();
    const notForwarding = new Set<string>();
    for (const { name, addresses } of interfaces) {
      if (addresses.every((text) => text.includes(":"))) continue;
      if (mayBeOff && disableIpv6(read, name) !== 0) off.add(name);
      if (forwards && readNumber(read, `sys/net/ipv4/conf/${name}/forwarding`) === 0) notForwarding.add(name);
    }
    if (off.size + notForwarding.size === 0) return noLanFaults;
    const withIpv6 = (one: Interface) => one.settings && { ...one.settings, disableIpv6: off.has(one.name) ? 1 : 0 };
    const collected = interfaces.map((one) => collectInterface(read, one)).map((one) => ({ ...one, settings: withIpv6(one) }));
    const facts = { pools, routes: collectRoutes(read), interfaces: collected };
    const lan = lanInterfaces({ ...facts, pools: owned });
    return {
      withoutIpv6: ipv6Disabled(facts)[0]?.interface,
      notForwarding: lan.every(({ name }) => notForwarding.has(name)) ? lan[0]?.name : undefined,
    };
  }

  start(): void {
    this.#next.set(this.#options.clock.now() + settleMs);
  }

  /** Interfaces, configuration or announcements may be different: looks soon. Does nothing before `start`. */
  changed(): void {
    if (this.#next.at < Infinity) this.#next.setNoLater(this.#options.clock.now() + settleMs);
  }

  [Symbol.dispose](): void {
    this.#isStopped = true;
    this.#next[Symbol.dispose]();
    this.#portion?.[Symbol.dispose]();
  }

  #check(): void {
    this.#next.set(this.#options.clock.now() + recheckMs);
    this.#portion?.[Symbol.dispose]();
    this.#continue(this.#announcements());
  }

  /** Looks at some more of the announcements, and at all else after the last of them. */
  #continue(announcements: Iterator<undefined, Announcements>): void {
    const { clock } = this.#options;
    this.#portion = undefined;
    let facts: Facts;
    try {
      const { done, value } = announcements.next();
      if (!done) {
        this.#portion = clock.schedule("node checks", clock.now(), () => this.#continue(announcements));
        return;
      }
      facts = this.#collect(value);
    } catch (error) {
      if (!(error instanceof FactsError)) throw error;
      const { message } = error;
      if (message !== this.#failure)
        this.#options.log.error("cannot read the settings of this node, retrying", { op: "nodeChecks", error });
      this.#failure = message;
      return; // The last findings stay.
    }
    this.#failure = undefined;
    this.#report(judge(facts));
    if (facts.kernel.interfaces.length > 0) void this.#askKubeProxy(facts);
  }

  /** Its answer belongs to the facts just collected. */
  async #askKubeProxy(facts: Facts): Promise<void> {
    const kubeProxy = await this.#ask();
    if (this.#isStopped || isDeepStrictEqual(kubeProxy, this.#kubeProxy)) return;
    this.#kubeProxy = kubeProxy;
    this.#report(judge({ ...facts, kernel: { ...facts.kernel, kubeProxy } }));
  }

  #report(found: readonly Finding[]): void {
    const { log } = this.#options;
    const before = this.#findings;
    this.#findings = new Map(found.map((finding) => [identity(finding), finding]));
    for (const [key, finding] of this.#findings)
      if (!before.has(key)) log.warn("this node is not set up for the addresses it announces", fields("nodeWarning", finding));
    for (const [key, finding] of before)
      if (!this.#findings.has(key)) log.info("warning about this node is resolved", fields("nodeWarningResolved", finding));
  }

  /** Announced addresses; changes in the meantime cause one more look. */
  *#announcements(): Generator<undefined, Announcements> {
    const announced: Announced[] = [];
    let looked = 0;
    for (const one of this.#options.announced()) {
      if (one !== undefined) announced.push(one);
      if (++looked % lookedAtAtOnce === 0) yield;
    }
    const notForwarded: Partial<Record<Family, string>> = {};
    const { notForwarding } = this.#lanFaults();
    for (const family of families) {
      // The list of Services is asked last: it takes the longest, and nearly every node forwards.
      const isOff = readNumber(this.#read, forwardingSetting[family]) === 0;
      if (!isOff && (family === "IPv6" || notForwarding === undefined)) continue;
      const search = this.#options.forwarded(family);
      let found = search.next();
      for (; !found.done; found = search.next()) if (++looked % lookedAtAtOnce === 0) yield;
      if (found.value !== undefined) notForwarded[family] = found.value;
    }
    return { announced, notForwarded, notForwarding };
  }

  /** Without waiting, so that all of it is of one moment: these files are written by the kernel as they are read. */
  #collect(announcements: Announcements): Facts {
    const { node, interfaces, pools } = this.#options;
    return {
      node,
      interfaces: interfaces().map((one) => collectInterface(this.#read, one)),
      routes: collectRoutes(this.#read),
      podNetworks: this.#options.podCIDRs().flatMap((text) => parsePrefix(text) ?? []),
      pools: this.#layer2Pools(),
      kernel: {
        pools: pools().filter(({ protocols }) => protocols.includes("interface")),
        placed: new Set([...this.#options.placed()].map(String)),
        interfaces: this.#options.kept().map((one) => this.#collectKept(one)),
        kubeProxy: this.#kubeProxy,
        flannelAddresses: this.#options.flannelAddresses().flatMap((text) => parseAddress(text) ?? []),
      },
      isRealTimeRefused: this.#isRealTimeRefused(),
      cpuLimit: cpuLimit(this.#read("self/cgroup") ?? "", this.#readCgroup),
      ...announcements,
    };
  }

  #layer2Pools(): readonly Pool[] {
    return this.#options.pools().filter(({ protocols }) => protocols.includes("layer2"));
  }

  /** In a user namespace of its own a process has the capability only there, which gives it no real time. */
  #isRealTimeRefused(): boolean {
    const [, capabilities = "0"] = /^CapEff:\s*([0-9a-f]+)$/m.exec(this.#read("self/status") ?? "") ?? [];
    const isOwnNamespace = !/^\s*0\s+0\s+4294967295$/m.test(this.#read("self/uid_map") ?? "");
    if (isOwnNamespace || (BigInt(`0x${capabilities}`) & capabilityNice) === 0n) return false;
    return !(this.#options.mayBeRealTime ?? mayBeRealTime)();
  }

  #collectKept(kept: Kept): KeptInterface {
    const { name } = kept;
    return {
      ...kept,
      promoteSecondaries: effective(this.#read, name, "promote_secondaries"),
      disableIpv6: disableIpv6(this.#read, name) ?? 0,
      manager: this.#managerOf(name),
    };
  }

  /** Undefined for a node on which neither runs, and where the Pod does not see their folders. */
  #managerOf(name: string): Manager | undefined {
    const index = this.#options.interfaces().find((one) => one.name === name)?.index;
    if (index === undefined) return undefined;
    if (isManagedByNetworkd(this.#readRun(`systemd/netif/links/${index}`) ?? "")) return "systemd-networkd";
    if (isManagedByNetworkManager(this.#readRun(`NetworkManager/devices/${index}`) ?? "")) return "NetworkManager";
    return undefined;
  }
}

const forwardingSetting: Readonly<Record<Family, string>> = {
  IPv4: "sys/net/ipv4/ip_forward",
  IPv6: "sys/net/ipv6/conf/all/forwarding",
};

function fields(event: string, finding: Finding) {
  return {
    event,
    check: finding.check,
    ...("interface" in finding && { interface: finding.interface }),
    warning: describe(finding),
  };
}

/** /proc shows a process its own network namespace: in the host's network the host's, read-only in a container. */
function readUnder(folder: string): ReadFile {
  return (path) => {
    try {
      return readFileSync(`${folder}/${path}`, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw new FactsError(`Cannot read ${folder}/${path}`, { cause: error });
    }
  };
}

/** The text of a file of /proc or /run, given by its path there; undefined if the file does not exist. */
export type ReadFile = (path: string) => string | undefined;

/** The facts about an interface; without settings when it has just gone. */
export function collectInterface(read: ReadFile, { name, status, addresses }: InterfaceState): Interface {
  if (serviceHolders.includes(name)) return { name, eligible: false, addresses: [], settings: undefined };
  const eligible = answers(status);
  const parsed = addresses.flatMap(interfaceAddresses);
  const wanted = eligible && parsed.some(({ address }) => address.family === "IPv4");
  return { name, eligible, addresses: parsed, settings: wanted ? collectSettings(read, name) : undefined };
}

function answers(status: InterfaceState["status"]): boolean {
  return status === "answering" || status === "failing";
}

/** Whether it is in an IPv6 subnet that has addresses of a pool. */
function hasIpv6Of(pools: readonly Pool[], { status, addresses }: InterfaceState): boolean {
  const prefixes = addresses.filter((text) => text.includes(":")).flatMap((text) => parsePrefix(text) ?? []);
  const isOf = (prefix: Prefix) => prefix.length < prefix.address.bits && poolIn({ pools }, prefix) !== undefined;
  return answers(status) && prefixes.some(isOf);
}

/** The main tables of both families. */
export function collectRoutes(read: ReadFile): Route[] {
  return [...decodeIpv4Routes(read("net/route") ?? ""), ...decodeIpv6Routes(read("net/ipv6_route") ?? "")];
}

function collectSettings(read: ReadFile, name: string): Settings | undefined {
  const ofIpv4 = ["rp_filter", "arp_ignore", "arp_announce"].map((setting) => effective(read, name, setting));
  const [rpFilter, arpIgnore, arpAnnounce] = ofIpv4;
  if (rpFilter === undefined || arpIgnore === undefined || arpAnnounce === undefined) return undefined;
  return { rpFilter, arpIgnore, arpAnnounce, disableIpv6: disableIpv6(read, name) ?? 0 };
}

/** Undefined on a kernel without IPv6, and on a link too small for it. */
function disableIpv6(read: ReadFile, name: string): number | undefined {
  return readNumber(read, `sys/net/ipv6/conf/${name}/disable_ipv6`);
}

/** An IPv4 setting of an interface as it counts: the greater of its own and that for all. */
function effective(read: ReadFile, name: string, setting: string): number | undefined {
  const [own, all] = [name, "all"].map((where) => readNumber(read, `sys/net/ipv4/conf/${where}/${setting}`));
  return own === undefined || all === undefined ? undefined : Math.max(own, all);
}

/** @returns undefined if there is no such file */
export function readNumber(read: ReadFile, path: string): number | undefined {
  const text = read(path);
  return text === undefined ? undefined : Number(text);
}

/** None for an IPv4-mapped IPv6 address, which is of no use on a LAN. */
function interfaceAddresses(text: string): InterfaceAddress[] {
  const address = parseAddress(text.split("/")[0] ?? "");
  const prefix = parsePrefix(text);
  return address === undefined || prefix === undefined ? [] : [{ address, prefix }];
}

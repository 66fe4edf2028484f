import { readFileSync } from "node:fs";
import type { Clock, Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import type { InterfaceState } from "#pkg/layer2";
import type { Log } from "#pkg/log";
import { type Family, families, parseAddress, parsePrefix } from "#pkg/net";
import type { Announced, Facts, Interface, InterfaceAddress, Settings } from "./rules/facts.ts";
import { describe, type Finding, identity, kubeProxyIpvs } from "./rules/findings.ts";
import { judge } from "./rules/judge.ts";
import { decodeIpv4Routes, decodeIpv6Routes, FactsError, type Route } from "./rules/route-codec.ts";

const settleMs: Millis = 1_000; // What is being set up in several steps is looked at when it is done.
const recheckMs: Millis = 60_000; // Settings of the kernel change without a word.

export interface NodeChecksOptions {
  /** This node's name. */
  readonly node: string;
  readonly interfaces: () => readonly InterfaceState[];
  /** All of the configuration in force. */
  readonly pools: () => readonly Pool[];
  /** What this node announces by layer 2. */
  readonly announced: () => Iterable<Announced>;
  /** A Service that is announced from here under an address of the family and has ready endpoints on other nodes; any, if there is one. */
  readonly forwarded: (family: Family) => string | undefined;
  readonly log: Log;
  readonly clock: Clock;
  /** The machine's /proc when unset. */
  readonly read?: ReadProc;
}

/** Keeps the findings about this node, and logs each when it comes and when it goes. */
export class NodeChecks implements Disposable {
  readonly #options: NodeChecksOptions;
  readonly #read: ReadProc;
  #findings = new Map<string, Finding>(); // identity -> finding
  #next: { readonly at: Millis; readonly timer: Disposable } | undefined;
  #failure: string | undefined;

  constructor(options: NodeChecksOptions) {
    this.#options = options;
    this.#read = options.read ?? readProc;
  }

  /** What was found when it was last looked, in the order of `checkNames`. */
  get findings(): readonly Finding[] {
    return [...this.#findings.values()];
  }

  start(): void {
    this.#checkAt(this.#options.clock.now() + settleMs);
  }

  /** Interfaces, configuration or announcements may be different: looks soon. Does nothing before `start`. */
  changed(): void {
    if (this.#next !== undefined) this.#checkAt(Math.min(this.#next.at, this.#options.clock.now() + settleMs));
  }

  [Symbol.dispose](): void {
    this.#next?.timer[Symbol.dispose]();
    this.#next = undefined;
  }

  #checkAt(at: Millis): void {
    if (this.#next?.at === at) return;
    this.#next?.timer[Symbol.dispose]();
    this.#next = { at, timer: this.#options.clock.schedule("node checks", at, () => this.#check()) };
  }

  #check(): void {
    this.#checkAt(this.#options.clock.now() + recheckMs);
    let facts: Facts;
    try {
      facts = this.#collect();
    } catch (error) {
      if (!(error instanceof FactsError)) throw error;
      const { message } = error;
      if (message !== this.#failure)
        this.#options.log.error("cannot read the settings of this node, retrying", { op: "nodeChecks", error });
      this.#failure = message;
      return; // What was found last stays.
    }
    this.#failure = undefined;
    this.#report(judge(facts));
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

  /** Without waiting, so that all of it is of one moment: these files are written by the kernel as they are read. */
  #collect(): Facts {
    const { node, interfaces, pools, announced } = this.#options;
    return {
      node,
      interfaces: interfaces().map((one) => collectInterface(this.#read, one)),
      routes: collectRoutes(this.#read),
      pools: pools().filter(({ protocol }) => protocol === "layer2"),
      announced: [...announced()],
      notForwarded: Object.fromEntries(families.flatMap((family) => this.#notForwarded(family))),
    };
  }

  #notForwarded(family: Family): [Family, string][] {
    // Which Services there are is asked last: it takes the longest, and nearly every node forwards.
    if (readNumber(this.#read, forwardingSetting[family]) !== 0) return [];
    const service = this.#options.forwarded(family);
    return service === undefined ? [] : [[family, service]];
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
function readProc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new FactsError(`Cannot read /proc/${path}`, { cause: error });
  }
}

/** The text of a file of /proc, given by its path there; undefined if there is none. */
export type ReadProc = (path: string) => string | undefined;

/** What is known of an interface; without settings when it has just gone. */
export function collectInterface(read: ReadProc, { name, status, addresses }: InterfaceState): Interface {
  if (name === kubeProxyIpvs) return { name, eligible: false, addresses: [], settings: undefined };
  const eligible = status === "answering" || status === "failing";
  const parsed = addresses.flatMap(interfaceAddresses);
  const wanted = eligible && parsed.some(({ address }) => address.family === "IPv4");
  return { name, eligible, addresses: parsed, settings: wanted ? collectSettings(read, name) : undefined };
}

/** The main tables of both families. */
export function collectRoutes(read: ReadProc): Route[] {
  return [...decodeIpv4Routes(read("net/route") ?? ""), ...decodeIpv6Routes(read("net/ipv6_route") ?? "")];
}

function collectSettings(read: ReadProc, name: string): Settings | undefined {
  const effective = (setting: string): number | undefined => {
    const [own, all] = [name, "all"].map((where) => readNumber(read, `sys/net/ipv4/conf/${where}/${setting}`));
    return own === undefined || all === undefined ? undefined : Math.max(own, all);
  };
  const [rpFilter, arpIgnore, arpAnnounce] = ["rp_filter", "arp_ignore", "arp_announce"].map(effective);
  if (rpFilter === undefined || arpIgnore === undefined || arpAnnounce === undefined) return undefined;
  // A kernel without IPv6, or a link too small for it, has no such setting.
  return { rpFilter, arpIgnore, arpAnnounce, disableIpv6: readNumber(read, `sys/net/ipv6/conf/${name}/disable_ipv6`) ?? 0 };
}

/** @returns undefined if there is no such file */
export function readNumber(read: ReadProc, path: string): number | undefined {
  const text = read(path);
  return text === undefined ? undefined : Number(text);
}

/** None for an IPv4-mapped IPv6 address, which is of no use on a LAN. */
function interfaceAddresses(text: string): InterfaceAddress[] {
  const address = parseAddress(text.split("/")[0] ?? "");
  const prefix = parsePrefix(text);
  return address === undefined || prefix === undefined ? [] : [{ address, prefix }];
}

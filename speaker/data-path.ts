import { readFileSync } from "node:fs";
import { Alarm, type Millis } from "#pkg/clock";
import { canReachHosts } from "#pkg/layer2";
import { NetlinkError, type NetlinkMessage, Rtnetlink, SystemCallError } from "#pkg/linux";
import type { Log } from "#pkg/log";
import { type Family, families, isLinkLocal, type Prefix, parsePrefix } from "#pkg/net";
import type { LanFaults } from "#pkg/node-checks";
import { ConnectionTester, type ConnectionTesterOptions } from "./connection-tester.ts";
import type { HealthAnswer, PathFault, SpeakerView } from "./core/index.ts";
import { HealthClient, type HealthClientOptions, type HealthStatus } from "./health-client.ts";

export interface DataPathOptions extends ConnectionTesterOptions, HealthClientOptions {
  readonly view: Pick<SpeakerView, "nextConnectionTest" | "nextHealthPorts" | "podCIDRs">;
  readonly log: Log;
  readonly lanFaults: () => LanFaults;
}

const everyMs: Millis = 1_000;
// A port that drops what comes to it keeps nobody from beginning.
const firstLookMs: Millis = 1_000;
// A minute of silence counts, and a request costs more than all else here.
const healthEveryTurns = 5;
/** Of kube-proxy, kube-router and Cilium's agent. */
const healthPorts = [10256, 20244, 9879];
const forwarding: Readonly<Record<Family, string>> = {
  IPv4: "/proc/sys/net/ipv4/ip_forward",
  IPv6: "/proc/sys/net/ipv6/conf/all/forwarding",
};
const enoughUsed = 0.9;

/** Looks once a second whether this node's kernel brings packets to Pods, and has connections tried. It tells the core of each change. */
export class DataPath implements Disposable {
  readonly #options: DataPathOptions;
  readonly #alarm: Alarm;
  readonly #tester: ConnectionTester;
  readonly #health: HealthClient;
  readonly #looked = Promise.withResolvers<void>();
  readonly #patience: Alarm;
  #told: string | undefined;
  #conntrack: Conntrack | undefined;
  #kernel: Rtnetlink | undefined;
  #hasPods = false;
  #isDisposed = false;
  #isAsking = false;
  #turns = 0;
  #scan = 0; // The Service whose port is asked next.
  /** Which of them are there. */
  readonly #healthy = new Map<number, boolean>(); // port that was healthy -> whether it is

  constructor(options: DataPathOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, "data path", () => this.#turn());
    this.#patience = new Alarm(options.clock, "first look", this.#looked.resolve);
    this.#tester = new ConnectionTester(options);
    this.#health = new HealthClient(options);
  }

  tryFirst(effect: Parameters<ConnectionTester["tryFirst"]>[0]): void {
    void this.#tester.tryFirst(effect);
  }

  /** To be called when the node's Pod networks are known, and its Services. */
  start(): void {
    const { clock } = this.#options;
    this.#tester.start();
    this.#alarm.set(clock.now());
    this.#patience.set(clock.now() + firstLookMs);
  }

  /**
   * Once the core has been told of the first look, and of the first answers of kube-proxy; a second after the start at most. A speaker that announces
   * before takes for a moment what its node cannot serve.
   */
  get looked(): Promise<void> {
    return this.#looked.promise;
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#alarm[Symbol.dispose]();
    this.#patience[Symbol.dispose]();
    this.#tester[Symbol.dispose]();
    this.#kernel?.[Symbol.dispose]();
    this.#kernel = undefined;
  }

  #turn(): void {
    this.#alarm.set(this.#options.clock.now() + everyMs);
    if (this.#told !== undefined) this.#look();
    if (!this.#isAsking) void this.#ask();
  }

  /** Answers may take longer than a second. The next look does not wait for them: a fault may be over by then. */
  async #ask(): Promise<void> {
    this.#isAsking = true;
    const health = this.#turns++ % healthEveryTurns === 0 ? this.#askHealth() : undefined;
    await Promise.all([health, this.#askServices()]);
    if (!this.#isDisposed) this.#looked.resolve();
    this.#isAsking = false;
  }

  #look(): void {
    const before = this.#conntrack;
    this.#conntrack = readConntrack(before, (path) => readFileSync(path, "utf8"));
    const lan = this.#options.lanFaults();
    const faults = { IPv4: this.#faultsOf("IPv4", lan), IPv6: this.#faultsOf("IPv6", lan) };
    // They are looked for while that matters, until some are found.
    const isRouteMissing = families.some((one) => faults[one].includes("noPodRoute") && this.#podNetworks(one).length > 0);
    this.#hasPods = isRouteMissing && (this.#hasPods || this.#findPods());
    const nics = { IPv4: lan.notForwarding, IPv6: lan.withoutIpv6 };
    const told = `${families.map((family) => `${faults[family].join()} ${nics[family]}`).join(" ")} ${this.#hasPods}`;
    if (told === this.#told) return;
    this.#told = told;
    this.#options.emit({ type: "dataPath", faults, nics, hasPods: this.#hasPods });
  }

  #faultsOf(family: Family, lan: LanFaults): readonly PathFault[] {
    const faults: PathFault[] = [];
    const isOff = read(forwarding[family]) === "0" || (family === "IPv4" && lan.notForwarding !== undefined);
    if (isOff) faults.push("forwardingOff");
    if (this.#conntrack?.isFull === true) faults.push("conntrackFull");
    if (!this.#hasPodRoute(family)) faults.push("noPodRoute");
    if (family === "IPv6" && lan.withoutIpv6 !== undefined) faults.push("ipv6Off");
    if (this.#healthy.size === 0 || this.#healthy.values().some((isHealthy) => !isHealthy)) faults.push("proxySilent");
    return faults;
  }

  async #askHealth(): Promise<void> {
    const isAny = this.#healthy.values().some((isHealthy) => isHealthy); // The others' ports need not be looked for.
    const kindOf = (port: number) => (isAny && !this.#healthy.has(port) ? undefined : `${port}`);
    const answers = await Promise.all(
      healthPorts.map(async (port) => [port, await this.#health.ask(port, kindOf(port))] as const),
    );
    for (const [port, answer] of answers)
      if (answer === 200 || (answer !== "untried" && this.#healthy.has(port))) this.#healthy.set(port, answer === 200);
    if (this.#told === undefined && !this.#isDisposed) this.#look();
  }

  /** kube-proxy's answers for some Services. */
  async #askServices(): Promise<void> {
    const { view, emit, clock } = this.#options;
    const { ports, scan, isQuiet } = view.nextHealthPorts(this.#scan, clock.now());
    this.#scan = scan;
    const answers = new Map<string, HealthAnswer>();
    const asked = ports.map(async ({ key, port }) => {
      answers.set(key, answersByStatus.get(await this.#health.ask(port, "Services")) ?? "silent");
    });
    await Promise.all(asked);
    const isSame = isQuiet && answers.values().every((answer) => answer !== "serves none");
    if (!this.#isDisposed && !isSame) emit({ type: "healthPorts", answers });
  }

  /** Whether the kernel has a route to each network of this node's Pods; false also where these are not known. */
  #hasPodRoute(of: Family): boolean {
    const networks = this.#podNetworks(of);
    if (networks.length === 0) return false;
    try {
      this.#kernel ??= new Rtnetlink();
      const kernel = this.#kernel;
      return networks.every((network) => kernel.hasRouteTo(network));
    } catch (error) {
      if (!(error instanceof SystemCallError) && !(error instanceof NetlinkError)) throw error;
      this.#options.log.debug("the kernel does not say where the route to Pods leads", { op: "dataPath", error });
      return true; // A kernel without memory for an answer says nothing of its routes.
    }
  }

  #podNetworks(of: Family): readonly Prefix[] {
    return this.#options.view.podCIDRs.flatMap((text) => parsePrefix(text) ?? []).filter(({ family }) => family === of);
  }

  /** Whether the node has interfaces to Pods. */
  #findPods(): boolean {
    try {
      this.#kernel ??= new Rtnetlink();
      const messages = [{ type: "interfaces" }, { type: "addresses" }] as const;
      return leadsToPods(
        messages.flatMap((what) => this.#kernel?.dump(what).messages ?? []),
        families.flatMap((family) => this.#podNetworks(family)),
      );
    } catch (error) {
      if (!(error instanceof SystemCallError) && !(error instanceof NetlinkError)) throw error;
      return false;
    }
  }
}

/** Whether an interface leads to a Pod: see `canReachHosts`. Other programs, such as docker, have bridges of their own. @param networks of Pods */
export function leadsToPods(messages: readonly NetlinkMessage[], networks: readonly Prefix[]): boolean {
  const all = messages.flatMap((message) => (message.type === "interfaceSet" ? message.networkInterface : []));
  const addresses = messages.flatMap((message) => (message.type === "addressSet" ? message.address : []));
  const byInterface = Map.groupBy(addresses, ({ interfaceIndex }) => interfaceIndex);
  const isOfOthers = (bridge = 0) => {
    const own = (byInterface.get(bridge) ?? []).filter(({ address }) => !isLinkLocal(address));
    return own.length > 0 && !own.some(({ address }) => networks.some((network) => network.contains(address)));
  };
  return all.some(
    ({ kind, index, master }) => !canReachHosts({ kind, addresses: byInterface.get(index) ?? [] }) && !isOfOthers(master),
  );
}

/** kube-proxy's answers for a Service. */
const answersByStatus: ReadonlyMap<HealthStatus, HealthAnswer> = new Map([
  [200, "serves"],
  [503, "serves none"],
]);

export interface Conntrack {
  readonly dropped: number;
  readonly isFull: boolean;
}

/**
 * The kernel's table of connections: full from when it drops packets while nine tenths of it are in use, until less of it is. An entry that was
 * never answered makes room for another one: a full table alone drops nothing. Undefined where the kernel has no such table.
 */
export function readConntrack(before: Conntrack | undefined, readFile: (path: string) => string): Conntrack | undefined {
  try {
    const max = Number(readFile("/proc/sys/net/netfilter/nf_conntrack_max"));
    const [header = "", ...processors] = readFile("/proc/net/stat/nf_conntrack").trim().split("\n");
    const rows = processors.map((line) => line.trim().split(/\s+/));
    const columns = header.trim().split(/\s+/);
    const dropAt = columns.indexOf("drop");
    const entries = Number.parseInt(rows[0]?.[columns.indexOf("entries")] ?? "", 16);
    const dropped = rows.reduce((sum, row) => sum + (Number.parseInt(row[dropAt] ?? "", 16) || 0), 0);
    const isUsed = max > 0 && entries >= enoughUsed * max; // 0: it has no limit.
    const drops = before !== undefined && dropped > before.dropped;
    return { dropped, isFull: isUsed && (drops || before?.isFull === true) };
  } catch {
    return undefined;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

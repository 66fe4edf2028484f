import { readFileSync } from "node:fs";
import { get } from "node:http";
import { connect } from "node:net";
import { setImmediate } from "node:timers/promises";
import { Alarm, type Clock, type Millis } from "#pkg/clock";
import { Rtnetlink, SystemCallError } from "#pkg/linux";
import type { Log } from "#pkg/log";
import { type Family, families, parseAddress, parsePrefix } from "#pkg/net";
import type { LanFaults } from "#pkg/node-checks";
import type { ConnectionResult, ConnectionTest, HealthAnswer, PathFault, SpeakerEvent, SpeakerView } from "./core/index.ts";

export interface DataPathOptions {
  readonly view: Pick<SpeakerView, "isClusterSynced" | "nextConnectionTest" | "nextHealthPorts" | "podCIDRs">;
  readonly emit: (event: SpeakerEvent) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly lanFaults: () => LanFaults;
  /** The API's Service, as each container is told. */
  readonly api: { readonly host: string; readonly port: number } | undefined;
  /** Tests have their own. */
  readonly tryToConnect?: typeof tryConnection;
}

const everyMs: Millis = 1_000;
// Until the node's Pod networks are known. The first look is before the speaker announces.
const waitMs: Millis = 50;
// A SYN is answered by kernels, within some milliseconds; a second one would leave after 1 s.
export const connectMs: Millis = 600;
// By then most have been answered.
const soonMs: Millis = 250;
// After so much more this process stood still, and an answer may wait in the socket.
const lateMs: Millis = 300;
const healthMs: Millis = 900;
/** Connections beyond one each second, until as many seconds had none. */
const maxAhead = 3;
// A minute of silence counts, and a request costs more than all else here.
const healthEveryTurns = 5;
/** Of kube-proxy, kube-router and Cilium's agent. */
const healthPorts = [10256, 20244, 9879];
const forwarding: Readonly<Record<Family, string>> = {
  IPv4: "/proc/sys/net/ipv4/ip_forward",
  IPv6: "/proc/sys/net/ipv6/conf/all/forwarding",
};
const enoughUsed = 0.9;

/** Looks once a second whether this node's kernel brings packets to Pods, and tries one connection. It tells the core of each change. */
export class DataPath implements Disposable {
  readonly #options: DataPathOptions;
  readonly #alarm: Alarm;
  #told: string | undefined;
  #conntrack: Conntrack | undefined;
  #kernel: Rtnetlink | undefined;
  #hasPods = false;
  #isDisposed = false;
  #isAsking = false;
  #turns = 0;
  #ahead = 0;
  #scan = 0; // The Service whose port is asked next.
  /** Which of them are there. */
  readonly #healthy = new Map<number, boolean>(); // port that was healthy -> whether it is

  constructor(options: DataPathOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, "data path", () => this.#turn());
  }

  start(): void {
    this.#alarm.set(this.#options.clock.now());
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#alarm[Symbol.dispose]();
    this.#kernel?.[Symbol.dispose]();
    this.#kernel = undefined;
  }

  #turn(): void {
    const { clock, view } = this.#options;
    const { isClusterSynced } = view;
    this.#alarm.set(clock.now() + (isClusterSynced ? everyMs : waitMs));
    if (!isClusterSynced) return;
    if (this.#told !== undefined) this.#look();
    if (!this.#isAsking) void this.#ask();
  }

  /** Answers may take longer than a second. The next look does not wait for them: a fault may be over by then. */
  async #ask(): Promise<void> {
    this.#isAsking = true;
    const health = this.#turns++ % healthEveryTurns === 0 ? this.#askHealth() : undefined;
    await Promise.all([health, this.#connect(), this.#askServices()]);
    this.#isAsking = false;
  }

  #look(): void {
    const before = this.#conntrack;
    this.#conntrack = readConntrack(before, (path) => readFileSync(path, "utf8"));
    const lan = this.#options.lanFaults();
    const faults = { IPv4: this.#faultsOf("IPv4", lan), IPv6: this.#faultsOf("IPv6", lan) };
    if (!this.#hasPods && families.some((family) => faults[family].includes("noPodRoute"))) this.#hasPods = this.#findPods();
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
    const answers = await Promise.all(healthPorts.map(async (port) => [port, await healthOf(port)] as const));
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
      answers.set(key, answersByStatus.get(await healthOf(port)) ?? "silent");
    });
    await Promise.all(asked);
    const isSame = isQuiet && answers.values().every((answer) => answer !== "serves none");
    if (!this.#isDisposed && !isSame) emit({ type: "healthPorts", answers });
  }

  /** Whether the kernel has a route to each network of this node's Pods; false also where these are not known. */
  #hasPodRoute(of: Family): boolean {
    const networks = this.#options.view.podCIDRs.flatMap((text) => parsePrefix(text) ?? []).filter(({ family }) => family === of);
    if (networks.length === 0) return false;
    try {
      this.#kernel ??= new Rtnetlink();
      const kernel = this.#kernel;
      return networks.every((network) => kernel.hasRouteTo(network));
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#options.log.debug("the kernel does not say where the route to Pods leads", { op: "dataPath", error });
      return true; // A kernel without memory for an answer says nothing of its routes.
    }
  }

  /** Whether the node has interfaces to Pods. A node that is a container has one that looks alike. */
  #findPods(): boolean {
    try {
      this.#kernel ??= new Rtnetlink();
      const { messages } = this.#kernel.dump({ type: "interfaces" });
      return messages.some((message) => message.type === "interfaceSet" && message.networkInterface.kind === "veth");
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      return false;
    }
  }

  /**
   * Where a connection is not answered, the next one follows at once, and is left out later: it may decide, or is to a Service that is known in the
   * stead of one that is not.
   */
  async #connect(): Promise<void> {
    const { view, clock } = this.#options;
    let test = view.nextConnectionTest(clock.now());
    if (this.#ahead > 0 && test?.isSuspect === false) {
      this.#ahead--;
      return;
    }
    while (test !== undefined) {
      const isSilent = (await this.#try(test)) === "silent";
      if (!isSilent || this.#isDisposed || this.#ahead >= maxAhead) return;
      const { isFresh } = test;
      test = view.nextConnectionTest(clock.now());
      if (!isFresh && test?.isSuspect !== true) return;
      this.#ahead++;
    }
  }

  /** Silence that cannot decide is told soon, and taken back where the answer comes later: the next attempt, which may decide, does not wait for it. */
  async #try(test: ConnectionTest): Promise<ConnectionResult> {
    const { api, clock, tryToConnect = tryConnection } = this.#options;
    const ofService = typeof test.to === "object" ? { host: test.to.address, port: test.to.port } : undefined;
    const to = test.to === "api" ? api : ofService;
    const family = (to && parseAddress(to.host)?.family) ?? test.family;
    const tell = (result: ConnectionResult) => {
      if (!this.#isDisposed) this.#options.emit({ type: "connected", test: { ...test, family }, result });
      return result;
    };
    if (to === undefined) return tell("untried");
    const outcome = tryToConnect(to.host, to.port, clock);
    if (test.isSuspect || test.isFresh) return tell(await outcome);
    const waited = Promise.withResolvers<undefined>();
    using _ = clock.schedule("connection", clock.now() + soonMs, () => waited.resolve(undefined));
    const first = await Promise.race([outcome, waited.promise]);
    if (first !== undefined) return tell(first);
    void outcome.then((result) => result === "answered" && tell(result));
    return tell("silent");
  }
}

/** Connects by the node's own kernel, and closes at once. */
async function tryConnection(host: string, port: number, clock: Clock): Promise<ConnectionResult> {
  const begun = clock.now();
  const socket = connect({ host, port });
  const outcome = new Promise<ConnectionResult>((resolve) => {
    socket.once("connect", () => resolve("answered"));
    socket.once("error", ({ code }: NodeJS.ErrnoException) => resolve(resultOf(code)));
  });
  const waited = new Promise<"waited">((resolve) => setTimeout(resolve, connectMs, "waited"));
  const first = await Promise.race([outcome, waited]);
  try {
    if (first !== "waited") return first;
    await setImmediate(); // Answers that came meanwhile are read now.
    const last = await Promise.race([outcome, setImmediate("silent" as const)]);
    return last === "silent" && clock.now() > begun + connectMs + lateMs ? "untried" : last;
  } finally {
    socket.destroy();
  }
}

// This process or its node lacks something, or forbids it: of the way to Pods that says nothing.
const ownErrors: ReadonlySet<string | undefined> = new Set([
  "EACCES",
  "EADDRNOTAVAIL",
  "EAGAIN",
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "EPERM",
]);

/** The result of an attempt to connect that ended with an error. A backend that refuses has been reached. */
export function resultOf(code: string | undefined): ConnectionResult {
  if (code === "ECONNREFUSED" || code === "ECONNRESET") return "answered";
  return ownErrors.has(code) ? "untried" : "silent";
}

/** kube-proxy's answers for a Service. */
const answersByStatus: ReadonlyMap<number | string | undefined, HealthAnswer> = new Map([
  [200, "serves"],
  [503, "serves none"],
]);

/** The status; undefined without an answer; `untried` where this process lacks something to ask. */
function healthOf(port: number): Promise<number | "untried" | undefined> {
  return new Promise((resolve) => {
    const request = get(`http://127.0.0.1:${port}/healthz`, { agent: false, timeout: healthMs }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.once("timeout", () => request.destroy(new Error(`Port ${port} does not answer`)));
    request.once("error", ({ code }: NodeJS.ErrnoException) => resolve(ownErrors.has(code) ? "untried" : undefined));
  });
}

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
    const isUsed = entries >= enoughUsed * max;
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

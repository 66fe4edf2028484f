import { readFileSync } from "node:fs";
import { get } from "node:http";
import { connect } from "node:net";
import { setImmediate } from "node:timers/promises";
import { Alarm, type Clock, type Millis } from "#pkg/clock";
import { Rtnetlink, SystemCallError } from "#pkg/linux";
import type { Log } from "#pkg/log";
import { Address, parsePrefix } from "#pkg/net";
import type { ConnectionResult, PathFault, SpeakerEvent, SpeakerView } from "./core/index.ts";

export interface DataPathOptions {
  readonly view: Pick<SpeakerView, "nextConnectionTest" | "podCIDRs">;
  readonly emit: (event: SpeakerEvent) => void;
  readonly clock: Clock;
  readonly log: Log;
  /** The API's Service, as each container is told. */
  readonly api: { readonly host: string; readonly port: number } | undefined;
}

const everyMs: Millis = 1_000;
// A SYN is answered by kernels, within some milliseconds; a second one would leave after 1 s.
const connectMs: Millis = 600;
// After so much more this process stood still, and an answer may wait in the socket.
const lateMs: Millis = 300;
const healthMs: Millis = 900;
// A minute of silence counts, and a request costs more than all else here.
const healthEveryTurns = 5;
const proxyHealth = "http://127.0.0.1:10256/healthz";
const enoughUsed = 0.9;

/** Looks once a second whether this node's kernel brings packets to Pods, and tries one connection. It tells the core of each change. */
export class DataPath implements Disposable {
  readonly #options: DataPathOptions;
  readonly #alarm: Alarm;
  #told: string | undefined;
  #conntrack: Conntrack | undefined;
  #kernel: Rtnetlink | undefined;
  #isDisposed = false;
  #turns = 0;
  #isHealthy = false;

  constructor(options: DataPathOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, "data path", () => void this.#turn());
  }

  start(): void {
    this.#alarm.set(this.#options.clock.now() + everyMs);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#alarm[Symbol.dispose]();
    this.#kernel?.[Symbol.dispose]();
    this.#kernel = undefined;
  }

  async #turn(): Promise<void> {
    const { clock } = this.#options;
    const next = clock.now() + everyMs;
    await Promise.all([this.#look(), this.#connect()]);
    if (!this.#isDisposed) this.#alarm.set(Math.max(next, clock.now()));
  }

  async #look(): Promise<void> {
    if (this.#turns++ % healthEveryTurns === 0) this.#isHealthy = await isProxyHealthy();
    if (this.#isDisposed) return;
    const before = this.#conntrack;
    this.#conntrack = readConntrack(before, (path) => readFileSync(path, "utf8"));
    const faults: PathFault[] = [];
    if (read("/proc/sys/net/ipv4/ip_forward") === "0") faults.push("forwardingOff");
    if (this.#conntrack?.isFull === true) faults.push("conntrackFull");
    if (!this.#hasPodRoute()) faults.push("noPodRoute");
    if (!this.#isHealthy) faults.push("proxySilent");
    const told = faults.join();
    if (told === this.#told) return;
    this.#told = told;
    this.#options.emit({ type: "dataPath", faults });
  }

  /** Whether the kernel has a route to each network of this node's Pods, and not just to a larger one; false also where these are not known. */
  #hasPodRoute(): boolean {
    const networks = this.#options.view.podCIDRs.flatMap((text) => parsePrefix(text) ?? []);
    if (networks.length === 0) return false;
    try {
      this.#kernel ??= new Rtnetlink();
      const kernel = this.#kernel;
      return networks.every(({ family, address, length }) => {
        const found = kernel.prefixTo(new Address(family, address.value + 1n));
        return found !== undefined && found.length >= length;
      });
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#options.log.debug("the kernel does not say where the route to Pods leads", { op: "dataPath", error });
      return true; // A kernel without memory for an answer says nothing of its routes.
    }
  }

  async #connect(): Promise<void> {
    const { view, emit, api, clock } = this.#options;
    const test = view.nextConnectionTest(clock.now());
    if (test === undefined) return;
    const to = test.service === undefined ? api : { host: test.service.address, port: test.service.port };
    const result = to === undefined ? "untried" : await tryConnection(to.host, to.port, clock);
    if (this.#isDisposed) return;
    emit({ type: "connected", test, result });
  }
}

/** Connects by the node's own kernel, and closes at once. */
async function tryConnection(host: string, port: number, clock: Clock): Promise<ConnectionResult> {
  const begun = clock.now();
  const socket = connect({ host, port });
  const outcome = new Promise<ConnectionResult>((resolve) => {
    socket.once("connect", () => resolve("answered"));
    socket.once("error", ({ code }: NodeJS.ErrnoException) => resolve(isAnswer(code) ? "answered" : "silent"));
  });
  const waited = new Promise<"waited">((resolve) => setTimeout(resolve, connectMs, "waited"));
  const first = await Promise.race([outcome, waited]);
  try {
    if (first !== "waited") return first;
    await setImmediate(); // What came meanwhile is read now.
    const last = await Promise.race([outcome, setImmediate("silent" as const)]);
    return last === "silent" && clock.now() > begun + connectMs + lateMs ? "untried" : last;
  } finally {
    socket.destroy();
  }
}

/** A backend that refuses has been reached. */
function isAnswer(code: string | undefined): boolean {
  return code === "ECONNREFUSED" || code === "ECONNRESET";
}

function isProxyHealthy(): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(proxyHealth, { agent: false, timeout: healthMs }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once("timeout", () => request.destroy(new Error("kube-proxy does not answer")));
    request.once("error", () => resolve(false));
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

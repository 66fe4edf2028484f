import { Worker } from "node:worker_threads";
import { Alarm, type Clock, type Millis, type Random, SystemClock, systemRandom, wallClock } from "#pkg/clock";
import { decodeEntries, type OwnEntry } from "#pkg/gossip";
import { withoutInterruption } from "#pkg/linux";
import type { Log } from "#pkg/log";
import { urlHost } from "#pkg/net";
import { calmDownSoon, Supervisor, withOwnCompiler, workerFile } from "#pkg/threads";
import type { MetadataFields } from "./codec/metadata.ts";
import { CounterMemory, type MemberlistCounters } from "./counters.ts";
import { incarnationAt } from "./first-incarnation.ts";
import type { MemberView } from "./member-view.ts";
import type { JoinResult } from "./memberlist.ts";
import type { PathVerdict } from "./ring/events.ts";
import { ownMetadata } from "./ring/node-record.ts";
import type { TimingName } from "./ring/timing.ts";
import type { Command, Report, RingEvent, RingWorker, WorkerStart } from "./thread-messages.ts";
import type { SocketAddress } from "./transport.ts";

export interface MemberlistThreadOptions {
  /** Unique in the ring: the Kubernetes node's name. */
  readonly name: string;
  /** IP address and port, of UDP and TCP; port 0 takes any. */
  readonly bind: SocketAddress;
  /** The first encrypts, all decrypt. */
  readonly keys: readonly Uint8Array[];
  readonly metadata: MetadataFields;
  /** `auto`: fast as long as all members keep up with that, else as HashiCorp's defaults for a local network. */
  readonly timing: TimingName | "auto";
  readonly log: Log;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Starts a thread; a worker of Node's when unset. */
  readonly spawn?: (start: WorkerStart) => RingWorker;
}

// Limits of the thread's own heap. The heap has a member for each node and its gossip: 2 MB in a ring of 100 with 10,000 addresses.
const resourceLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 };
const startRetryMs: Millis = 500;
// From when a member was met until all that it knows of are members here too.
const metMs: Millis = 500;

/**
 * One member of a ring in a thread of its own, with its gossip: it answers pings and push/pulls while this thread is busy. Its properties
 * show what the thread has reported so far. A new thread follows a thread that dies, and joins the members of the old one.
 */
export class MemberlistThread implements AsyncDisposable {
  readonly #options: MemberlistThreadOptions;
  readonly #clock: Clock;
  readonly #supervisor: Supervisor<RingWorker>;
  readonly #rejoin: Alarm;
  readonly #counters = CounterMemory.create();
  readonly #listeners = new Set<(event: RingEvent) => void>();
  readonly #requests = new Map<number, (report: Report | undefined) => void>(); // request -> who waits; undefined: the thread died
  readonly #members = new Map<string, MemberView>(); // name -> member
  readonly #lossy = new Set<string>();
  readonly #entries = new Map<string, Uint8Array>(); // Own ones, for a thread that starts again: key -> value
  #bind: SocketAddress;
  #metadata: MetadataFields;
  #keys: readonly Uint8Array[];
  #arePathsKept = false;
  #lastRequest = 0;
  #local: SocketAddress | undefined;
  #timing: TimingName;
  #problem: string | undefined = "it is not on the network yet";
  #disposed = false;
  /** The thread that runs now has loaded its code. */
  #isLoaded = false;
  /** It is to end, and has been told to if it has loaded. */
  #isEnding = false;

  constructor(options: MemberlistThreadOptions) {
    this.#options = options;
    this.#bind = options.bind;
    this.#metadata = options.metadata;
    this.#keys = options.keys;
    this.#timing = options.timing === "lan" ? "lan" : "fast";
    this.#clock = options.clock ?? new SystemClock();
    this.#supervisor = new Supervisor({
      spawn: () => this.#spawn(),
      title: "the thread of the speakers' ring",
      op: "memberlist",
      log: options.log,
      onDeath: () => {
        this.#problem = "its thread died and is being restarted";
        this.#abandonRequests();
      },
      clock: this.#clock,
      random: options.random ?? systemRandom,
    });
    this.#rejoin = new Alarm(this.#clock, "rejoin", () => void this.#startAgain());
  }

  /** Starts the thread, which loads its code beside this one and waits for `start`. */
  prepare(): void {
    if (this.#supervisor.thread === undefined) this.#supervisor.start();
  }

  /** Binds, and is a ring of one from then on. @throws {Error} that names address, port and protocol, when they cannot be had */
  async start(): Promise<void> {
    this.prepare();
    const error = await this.#start();
    if (error !== undefined) throw error === "died" ? new Error("Cannot start a member: its thread died") : error;
  }

  /** Whether it is on the network, or will be again once a thread that died has been replaced. */
  get running(): boolean {
    return this.#local !== undefined && !this.#disposed;
  }

  /** Why it is not on the network now; undefined where it is. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Where it is bound. @throws {Error} before it is */
  get local(): SocketAddress {
    if (this.#local === undefined) throw new Error("Cannot use a member: it is not on the network");
    return this.#local;
  }

  /** The address that it is bound to, or is to be. */
  get address(): string {
    return this.#bind.address;
  }

  /**
   * Binds to another address, where it was started or is going to be: the node has the one before no more. Another thread does that, and
   * joins the members that there were. The others take this node for dead for a moment.
   */
  move(address: string): void {
    if (this.#disposed || address === this.#bind.address) return;
    this.#bind = { ...this.#bind, address };
    if (this.#supervisor.thread === undefined) return;
    this.#supervisor.replace();
    this.#endThread();
  }

  /** All members that are alive or suspect, this one included until it leaves. */
  members(): MemberView[] {
    return [...this.#members.values()];
  }

  /** At which pace it looks for failures now. */
  get timing(): TimingName {
    return this.#timing;
  }

  /** Members, by name, that answer this one over TCP or by way of others alone: UDP between the two is lost. */
  get lossy(): readonly string[] {
    return [...this.#lossy].sort();
  }

  /** Counters from the last half second. */
  get counters(): MemberlistCounters {
    return this.#counters.read();
  }

  /** Calls `listener` for each event from now on, until what is returned is disposed. */
  onEvent(listener: (event: RingEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /**
   * Exchanges views with each of these addresses that is no member yet: `192.0.2.1`, `[2001:db8::1]:7946`; without a port, it is this
   * member's own. The result has the failures.
   */
  async join(addresses: readonly string[]): Promise<JoinResult> {
    const report = await this.#request((request) => ({ type: "join", request, addresses }));
    if (report?.type === "joined") return report.result;
    return { joined: 0, failures: addresses.map((address) => ({ address, reason: "the ring's thread died" })) };
  }

  /** Round-trip time of the last direct ping of each other member. */
  async roundTrips(): Promise<ReadonlyMap<string, Millis>> {
    const report = await this.#request((request) => ({ type: "roundTrips", request }));
    return report?.type === "roundTrips" ? report.times : new Map();
  }

  /** Replaces the metadata of this member. @throws {RangeError} when it is too long */
  setMetadata(fields: MetadataFields): void {
    ownMetadata(fields, true); // Throws where the ring would.
    this.#metadata = fields;
    this.#send({ type: "metadata", fields });
  }

  setEntries(entries: readonly OwnEntry[]): void {
    if (entries.length === 0) return;
    for (const { key, value } of entries)
      if (value.length === 0) this.#entries.delete(key);
      else this.#entries.set(key, value);
    this.#send({ type: "entries", entries });
  }

  /** Forgets the gossip of a node that is gone for good. */
  forget(node: string): void {
    this.#send({ type: "forget", node });
  }

  /** Exchanges all gossip with a member, some of whose may not have arrived here. */
  pull(node: string): void {
    this.#send({ type: "pull", node });
  }

  /** See `Memberlist`. */
  keepPaths(areKept: boolean): void {
    this.#arePathsKept = areKept;
    this.#send({ type: "keepPaths", areKept });
  }

  /** See `Memberlist`. */
  pathChanged(name: string, verdict: PathVerdict): void {
    this.#send({ type: "path", name, verdict });
  }

  /** Encrypts with the first of these from now on, and decrypts with all. */
  setKeys(keys: readonly Uint8Array[]): void {
    this.#keys = keys;
    this.#send({ type: "keys", keys });
  }

  /**
   * Broadcasts that this member leaves. It answers the others until it is disposed.
   * @returns whether that was sent often enough before `timeout` milliseconds were over
   */
  async leave(timeout: Millis): Promise<boolean> {
    const report = await this.#request((request) => ({ type: "leave", request, timeout }));
    return report?.type === "left" && report.done;
  }

  /** Stops without a message: the others find out by probing, unless it left. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#rejoin[Symbol.dispose]();
    const stopped = this.#supervisor.stop();
    this.#endThread();
    await stopped;
    this.#abandonRequests();
  }

  /** A thread that still loads goes on until it has: the process ends where a thread is terminated while koffi declares functions in it. */
  #endThread(): void {
    if (this.#isLoaded && !this.#isEnding) void this.#supervisor.thread?.terminate();
    this.#isEnding = true;
  }

  #spawn(): RingWorker {
    const { name, timing, spawn } = this.#options;
    const worker = (spawn ?? spawnWorker)({
      name,
      bind: this.#bind,
      keys: this.#keys,
      firstIncarnation: incarnationAt(wallClock()),
      metadata: this.#metadata,
      timing,
      entries: [...this.#entries].map(([key, value]) => ({ key, value })),
      counters: this.#counters.memory,
    });
    this.#isLoaded = false;
    this.#isEnding = false;
    worker.on("message", (report) => this.#take(report));
    if (this.#arePathsKept) worker.postMessage({ type: "keepPaths", areKept: true });
    this.#abandonRequests();
    this.#lossy.clear();
    if (this.#local !== undefined) {
      this.#problem ??= "its address has changed";
      this.#rejoin.set(this.#clock.now());
    }
    return worker;
  }

  /** @returns why it cannot be on the network; `died` where the thread did meanwhile */
  async #start(): Promise<Error | "died" | undefined> {
    const report = await this.#request((request) => ({ type: "start", request }));
    if (report?.type === "started") return undefined;
    if (report?.type !== "notStarted") return "died";
    const { message, cause } = report.error;
    this.#problem = cause instanceof Error ? `${message}: ${cause.message}` : message;
    return report.error;
  }

  /** Has a thread that follows another take part, or tries that again. */
  async #startAgain(): Promise<void> {
    const { problem } = this;
    const error = await this.#start();
    if (error === undefined) await this.#joinAgain();
    if (!(error instanceof Error) || this.#disposed) return;
    if (this.#problem !== problem)
      this.#options.log.error("cannot open the port of the speakers' ring, retrying", { op: "memberlist", error });
    this.#rejoin.set(this.#clock.now() + startRetryMs);
  }

  /** Members that are in the view of none that it meets have failed meanwhile; those that do not answer hold nothing up. */
  async #joinAgain(): Promise<void> {
    const { thread } = this.#supervisor;
    const others = this.members().filter(({ self }) => !self);
    const found = new Set<string>();
    const met = Promise.withResolvers<void>();
    using _joined = this.onEvent((event) => {
      if (event.type !== "member" || event.member.self) return;
      if (found.size === 0) this.#clock.schedule("rejoin", this.#clock.now() + metMs, met.resolve);
      found.add(event.member.name);
    });
    const joined = this.join(others.map(({ address, port }) => `${urlHost(address)}:${port}`));
    await Promise.race([joined, met.promise]);
    if (this.#supervisor.thread !== thread) return; // It died, too.
    for (const member of others)
      if (!found.has(member.name) && this.#members.delete(member.name)) this.#emit({ type: "member", change: "failed", member });
  }

  #send(command: Command): void {
    withoutInterruption(() => this.#supervisor.thread?.postMessage(command));
  }

  async #request(command: (request: number) => Command): Promise<Report | undefined> {
    if (this.#supervisor.thread === undefined) return undefined;
    const request = ++this.#lastRequest;
    const { promise, resolve } = Promise.withResolvers<Report | undefined>();
    this.#requests.set(request, resolve);
    this.#send(command(request));
    return await promise;
  }

  #abandonRequests(): void {
    for (const resolve of this.#requests.values()) resolve(undefined);
    this.#requests.clear();
  }

  #take(report: Report): void {
    switch (report.type) {
      case "loaded":
        this.#isLoaded = true;
        if (this.#isEnding) void this.#supervisor.thread?.terminate();
        break;
      case "member":
        if (report.change === "failed") calmDownSoon();
        this.#memberChanged(report.change, report.member);
        this.#emit(report);
        break;
      case "timing":
        this.#timing = report.timing;
        this.#emit(report);
        break;
      case "packets":
        if (report.areLost) this.#lossy.add(report.member);
        else this.#lossy.delete(report.member);
        break;
      case "gossip":
        this.#emit({ type: "gossip", entries: decodeEntries(report.payload) ?? [] });
        break;
      case "gossipExpired":
      case "watchPaths":
      case "pathDistrusted":
        this.#emit(report);
        break;
      case "log":
        this.#options.log[report.level](report.message, report.fields);
        break;
      case "started":
        this.#problem = undefined;
        this.#local = report.local;
        this.#timing = report.timing;
        for (const member of report.members) this.#take({ type: "member", change: "joined", member });
        this.#answer(report);
        break;
      case "notStarted":
      case "joined":
      case "left":
      case "roundTrips":
        this.#answer(report);
        break;
      default:
        report satisfies never;
    }
  }

  #answer(report: Extract<Report, { readonly request: number }>): void {
    this.#requests.get(report.request)?.(report);
    this.#requests.delete(report.request);
  }

  #memberChanged(change: Extract<RingEvent, { type: "member" }>["change"], member: MemberView): void {
    if (change === "left" || change === "failed") {
      this.#members.delete(member.name);
      this.#lossy.delete(member.name);
    } else this.#members.set(member.name, member);
  }

  #emit(event: RingEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}

function spawnWorker(start: WorkerStart): RingWorker {
  const file = workerFile(import.meta.url, "memberlist-worker.js");
  // Without flags of the process, of which the source map would take a megabyte.
  return withOwnCompiler(() => new Worker(file, { name: "memberlist", workerData: start, resourceLimits, execArgv: [] }));
}

import { fstatSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { setImmediate as nextTurn } from "node:timers/promises";
import { getSystemErrorName, isDeepStrictEqual } from "node:util";
import { Alarm, type Clock, type Millis, sleep } from "#pkg/clock";
import {
  decodeNetlink,
  EventFd,
  NetlinkError,
  NetlinkGroup,
  type NetlinkMessage,
  NetlinkSocket,
  PollSet,
  Rtnetlink,
  routeProtocolFilter,
  SystemCallError,
} from "#pkg/linux";
import type { Log } from "#pkg/log";
import { families } from "#pkg/net";
import { KernelReports } from "./kernel-reports.ts";
import { Listeners } from "./listeners.ts";
import { RecordFile } from "./record-file.ts";
import { type Item, itemKey } from "./state/items.ts";
import { compare, lostTrack, observe, type Scan } from "./state/observe.ts";
import { applyResult, nextDeadline, plan } from "./state/plan.ts";
import { problemsOf } from "./state/problems.ts";
import { complete, createKernelState, hasAddressMarks, type KernelEntry, type KernelState, want } from "./state/state.ts";

// The kernel's notifications of this many changes are about 100 KiB at most as it counts, for which listeners have room.
const maxRequests = 50;
const betweenLooks: Millis = 1;
const maxDatagrams = 500;
const receiveBuffer = 8 << 20; // Thousands of notifications come at once when an interface loses its addresses.
const pauseAfterError: Millis = 1_000;
const pauseAfterFailure: Millis = 5_000; // Others have been told that this node has nothing: not to and fro.
const betweenRoutesAndAddresses: Millis = 500; // For routing daemons to tell their neighbors.
const groups = Object.values(NetlinkGroup);
const capabilityNetAdmin = 12n;

export interface KernelKeeperOptions {
  /** This node's name: several speakers of a test share a machine, and each has a record of its own. */
  readonly node: string;
  /** Where the record is, which the next life of this speaker reads. */
  readonly folder?: string;
  /** Somebody takes away what is placed here; called seldom. */
  readonly onDisturbance: (message: string) => void;
  /** Called with the wanted and missing items whenever they change: owner -> why; `failure`: why nothing can be placed. */
  readonly onProblems: (problems: ReadonlyMap<string, string>, failure: string | undefined) => void;
  readonly log: Log;
  readonly clock: Clock;
}

/** Something that is wanted, as the kernel has it. */
export type ItemStatus = Pick<KernelEntry, "item" | "place" | "by" | "since" | "error" | "restored">;

/**
 * Keeps addresses and routes in this node's kernel (see the index). Nothing is opened before something is wanted, or an earlier life left
 * a record. All work is done in short turns of the main thread; a thread of libuv's pool waits for notifications.
 */
export class KernelKeeper implements AsyncDisposable {
  readonly #options: KernelKeeperOptions;
  readonly #state: KernelState;
  readonly #record: RecordFile;
  readonly #reports: KernelReports;
  readonly #listeners = new Listeners();
  #running: { readonly wake: EventFd; readonly ended: Promise<void> } | undefined;
  #failure: string | undefined;
  #isChecked = false;
  #isFailureTold = false;
  readonly #retry: Alarm;
  #problems: ReadonlyMap<string, string> = new Map();
  #pauseUntil: Millis = -Infinity;
  #isStopped = false;
  #isLeaving = false;
  #isPortionOfMany = false; // The last requests filled a whole turn.
  #isFailureLogged = false;

  constructor(options: KernelKeeperOptions) {
    this.#options = options;
    this.#state = createKernelState(hasAddressMarks(release()));
    this.#record = new RecordFile(options);
    this.#reports = new KernelReports(options);
    this.#retry = new Alarm(options.clock, "kernel", () => this.#tryAgain());
  }

  /** Why nothing can be placed; undefined when it can. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** How often something was put back that somebody had taken away. */
  get restored(): number {
    return this.#state.disturbance.total;
  }

  /** Finds out whether anything could be placed, before it is wanted: others may have it instead. */
  check(): void {
    if (this.#isChecked) return;
    this.#isChecked = true;
    if (!mayChange()) this.#fail("the process needs the capability NET_ADMIN");
  }

  /** From now on `owner` wants these alone. They are placed soon. */
  want(owner: string, items: readonly Item[]): void {
    if (this.#isLeaving || this.#isStopped || !want(this.#state, owner, items, this.#options.clock.now())) return;
    this.#begin();
  }

  /** The caller has named all wanted items: from now on, unwanted remains of an earlier life are removed. */
  complete(): void {
    if (this.#state.isComplete || this.#isStopped) return;
    complete(this.#state);
    if (this.#record.read(this.#state) || this.#running !== undefined) this.#begin();
  }

  /** All wanted items. */
  *status(): Iterable<ItemStatus> {
    yield* this.#state.entries.values();
  }

  /** The wanted items of one owner. */
  statusOf(owner: string): readonly ItemStatus[] {
    const { owners, entries } = this.#state;
    return (owners.get(owner) ?? []).flatMap((item) => entries.get(itemKey(item)) ?? []);
  }

  /** The interfaces that are made if absent, and their kinds; undefined for one that does not exist. */
  interfaces(): { readonly name: string; readonly kind: string | undefined; readonly error: string | undefined }[] {
    const { interfaces, indexes, links } = this.#state;
    const made = [...interfaces.uses].filter(([, { making }]) => making > 0);
    return made.map(([name]) => {
      const link = links.get(indexes.get(name) ?? 0);
      return { name, kind: link === undefined ? undefined : (link.kind ?? "hardware"), error: interfaces.error };
    });
  }

  /**
   * Removes what was placed, routes first, then addresses, when routing daemons had time to tell others; interfaces stay. Addresses of NICs stay
   * until this is disposed, when other nodes have taken them over. Where not all that is wanted was known yet, everything stays as it is, for
   * the next life. Nothing more can be wanted.
   */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    const { clock } = this.#options;
    const state = this.#state;
    this.#isLeaving = true;
    if (state.isComplete) {
      const hasRoutes = [...state.entries.values()].some(({ item, place }) => item.type === "route" && place === "placed");
      await this.#keepOnly(({ type }) => type === "address");
      if (hasRoutes) await sleep(clock, "routes are withdrawn", betweenRoutesAndAddresses);
      await this.#keepOnly((item) => item.type === "address" && item.isOnLan);
    }
    if (state.owners.size === 0 || !state.isComplete) await this[Symbol.asyncDispose]();
  }

  /** Leaves the kernel as it is, or as `stop` would have it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isLeaving && !this.#isStopped && this.#state.isComplete) await this.#keepOnly(() => false);
    this.#isStopped = true;
    this.#retry[Symbol.dispose]();
    this.#running?.wake.signal();
    await this.#running?.ended;
  }

  #begin(): void {
    if (this.#isStopped) return;
    if (this.#running !== undefined) {
      this.#running.wake.signal();
      return;
    }
    this.check();
    if (this.#failure !== undefined) {
      this.#logFailure(this.#failure);
      return;
    }
    this.#record.read(this.#state);
    try {
      const wake = EventFd.create();
      this.#running = { wake, ended: nextTurn().then(() => this.#run(wake)) };
    } catch (error) {
      this.#tryLater(error);
    }
  }

  /** Without descriptors or memory nothing can be read or changed, for the time being. */
  #tryLater(error: unknown): void {
    if (!(error instanceof SystemCallError)) throw error;
    this.#fail(error.message);
    this.#logFailure(error.message);
    this.#retry.set(this.#options.clock.now() + pauseAfterFailure);
  }

  #tryAgain(): void {
    this.#retry.set(Infinity);
    this.#failure = undefined;
    this.#begin();
  }

  #recovered(): void {
    if (!this.#isFailureTold) return;
    this.#isFailureTold = this.#isFailureLogged = false;
    this.#options.log.info("addresses can be put into this node's kernel again", { op: "kernel" });
    this.#problems = problemsOf(this.#state);
    this.#options.onProblems(this.#problems, undefined);
  }

  #fail(failure: string): void {
    this.#failure = failure;
    this.#isFailureTold = true;
    this.#options.onProblems(new Map(), failure);
  }

  #logFailure(failure: string): void {
    if (this.#isFailureLogged) return;
    this.#isFailureLogged = true;
    this.#options.log.error("addresses cannot be put into this node's kernel", { op: "kernel", error: failure });
  }

  #tellProblems(): void {
    const problems = problemsOf(this.#state);
    if (isDeepStrictEqual(problems, this.#problems)) return;
    this.#problems = problems;
    this.#options.onProblems(problems, undefined);
  }

  async #run(wake: EventFd): Promise<void> {
    const end = (): void => wake.signal();
    process.on("exit", end); // Node waits for the thread of libuv's pool.
    try {
      using requests = new Rtnetlink();
      while (!this.#isStopped) {
        const filter = routeProtocolFilter([...this.#state.marks]);
        const known = this.#state.marks.size;
        using changes = NetlinkSocket.open({ groups, filter, receiveBuffer });
        lostTrack(this.#state, this.#options.clock.now());
        const poll = new PollSet();
        poll.watch([wake.fd, changes.fd]);
        this.#recovered();
        while (!this.#isStopped && this.#state.marks.size === known) await this.#turn(requests, changes, wake, poll);
      }
    } catch (error) {
      this.#tryLater(error);
    } finally {
      process.off("exit", end);
      wake[Symbol.dispose]();
      this.#running = undefined;
    }
  }

  /** Reads the kernel's messages, does some of the due work, then waits for more. */
  async #turn(requests: Rtnetlink, changes: NetlinkSocket, wake: EventFd, poll: PollSet): Promise<void> {
    const { clock, log } = this.#options;
    const state = this.#state;
    wake.clear();
    let isBusy = this.#receive(changes);
    if (clock.now() >= this.#pauseUntil) {
      try {
        // Items known to be missing come first: with thousands of entries, reading everything takes time.
        if (state.scannedAt > -Infinity) isBusy = (await this.#perform(requests, changes)) || isBusy;
        if (clock.now() >= state.scanAt) {
          compare(state, this.#scan(requests), clock.now());
          this.#record.write(state); // Without what is gone, and where it could not be written before.
          isBusy = true;
        }
      } catch (error) {
        if (!(error instanceof SystemCallError) && !(error instanceof NetlinkError)) throw error;
        log.error("the kernel's addresses could not be read or changed, retrying", { op: "kernel", error });
        this.#pauseUntil = clock.now() + pauseAfterError;
        lostTrack(state, this.#pauseUntil);
      }
    }
    this.#reports.disturbed(this.#state);
    if (isBusy) return nextTurn();
    this.#tellProblems();
    await poll.waitAside(Math.max(nextDeadline(state), this.#pauseUntil) - clock.now());
  }

  /** @returns whether there may be more */
  #receive(changes: NetlinkSocket): boolean {
    const { clock, log } = this.#options;
    for (let i = 0; i < maxDatagrams; i++) {
      try {
        const datagram = changes.receive();
        if (datagram === undefined) return false;
        for (const message of decodeNetlink(datagram)) observe(this.#state, message, clock.now());
      } catch (error) {
        if (error instanceof SystemCallError && error.code === "ENOBUFS") lostTrack(this.#state, clock.now());
        else if (error instanceof NetlinkError)
          log.warn("a message about addresses could not be read", { op: "kernel", error: error.message });
        else throw error;
      }
    }
    return true;
  }

  #scan(requests: Rtnetlink): Scan {
    const { tables, marks } = this.#state;
    const routes = [...tables].flatMap((table) =>
      [...marks].flatMap((protocol) => families.map((family) => ({ type: "routes", family, table, protocol }) as const)),
    );
    const messages: NetlinkMessage[] = [];
    let isComplete = true;
    for (const request of [{ type: "interfaces" }, { type: "addresses" }, ...routes] as const) {
      const dump = requests.dump(request);
      isComplete &&= dump.complete;
      messages.push(...dump.messages);
    }
    return { messages, complete: isComplete };
  }

  /** @returns whether anything was asked for, so that there may be more to do */
  async #perform(requests: Rtnetlink, changes: NetlinkSocket): Promise<boolean> {
    const { clock } = this.#options;
    if (this.#isPortionOfMany) {
      const own = fstatSync(changes.fd).ino.toString();
      while (this.#listeners.areBehind(clock.now(), own)) await sleep(clock, "listeners", betweenLooks);
    }
    const planned = plan(this.#state, clock.now(), maxRequests);
    this.#isPortionOfMany = planned.length >= maxRequests;
    if (planned.length === 0) return false;
    this.#record.write(this.#state);
    const results = requests.perform(planned.map(({ request }) => request));
    for (const [index, one] of planned.entries()) applyResult(this.#state, one, errnoName(results[index] ?? 0), clock.now());
    this.#reports.refused(this.#state);
    return true;
  }

  async #keepOnly(stays: (item: Item) => boolean): Promise<void> {
    const { clock } = this.#options;
    if (this.#retry.at < Infinity) this.#tryAgain(); // There may be no later.
    for (const [owner, items] of [...this.#state.owners]) want(this.#state, owner, items.filter(stays), clock.now());
    await this.#settled();
  }

  async #settled(): Promise<void> {
    const { clock } = this.#options;
    const state = this.#state;
    const end = clock.now() + 3_000;
    while (this.#running !== undefined && (state.scannedAt === -Infinity || state.strays.size > 0) && clock.now() < end) {
      this.#running.wake.signal();
      await sleep(clock, "the kernel is cleared", 5);
    }
  }
}

/** Whether this process has the capability NET_ADMIN. */
function mayChange(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return ((BigInt(`0x${effective}`) >> capabilityNetAdmin) & 1n) === 1n;
}

function errnoName(errno: number): string | undefined {
  return errno === 0 ? undefined : getSystemErrorName(-errno);
}

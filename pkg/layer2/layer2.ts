import { isDeepStrictEqual } from "node:util";
import { Worker } from "node:worker_threads";
import { type Millis, SystemClock, systemRandom } from "#pkg/clock";
import { EventFd, PacketSocket, SystemCallError } from "#pkg/linux";
import type { Log } from "#pkg/log";
import { Address, formatMac, parseMac } from "#pkg/net";
import { Supervisor, workerFile } from "#pkg/threads";
import type { IgnoredReason } from "./answer.ts";
import { idleStates } from "./interface-state.ts";
import type { Announcement, Command, InterfaceState, Report, WireAddress, WorkerStart, WriteLog } from "./messages.ts";
import { type Row, Shared } from "./shared.ts";
import type { SightingKind } from "./sighting.ts";
import { Standby } from "./standby.ts";

/** Nothing can be announced from this process at all. */
export class Layer2Error extends Error {
  override readonly name = "Layer2Error";
}

export interface Layer2Options {
  readonly log: Log;
  /** Each address is announced again about every so often, after what was told when it came; 60 s when unset, never when 0. */
  readonly refreshMs?: Millis;
  /** Called with all interfaces whenever something about one of them changed. */
  readonly onInterfaces?: (interfaces: readonly InterfaceState[]) => void;
  /** Called when another machine sightings an address that is announced or listened for: some times a second at most for each. */
  readonly onSighting?: (sighting: AddressSighting) => void;
}

/** That another machine has an address, or would have it. MAC addresses are hexadecimal octets with colons between. */
export interface AddressSighting {
  readonly address: Address;
  readonly mac: string;
  readonly kind: SightingKind;
  /** The interface of this node that heard it, and its MAC address. */
  readonly interface: string;
  readonly ownMac: string;
}

/** All of them only grow, for as long as the process lives. */
export interface Layer2Counters {
  /** Every address that was announced since the start, also if it no longer is. */
  readonly addresses: readonly AddressCounters[];
  /** Frames that were not answered. */
  readonly ignored: Readonly<Record<IgnoredReason, number>>;
  /** Replies and announcements that could not be sent. */
  readonly sendFailures: number;
  /** Frames lost because they came faster than they could be read; read every 10 s. */
  readonly dropped: number;
}

export interface AddressCounters {
  readonly address: Address;
  readonly requestsReceived: number;
  readonly responsesSent: number;
  /** Frames: each announcement is, on each interface, two of ARP or one of NDP. */
  readonly gratuitousSent: number;
  /** Frames of other machines that said that the address is theirs, while it was announced or listened for. */
  readonly sightings: number;
}

/** Where an address is announced. */
export interface AnnounceOptions {
  /** The interfaces, now or later, whose names match (see `matchesInterface`); all of them when unset. */
  readonly interfaces?: readonly string[];
}

interface Entry {
  readonly address: Address;
  readonly row: Row;
  interfaces: readonly string[];
  state: "announced" | "silent" | "withdrawn";
}

/** Whom to ask, and how. */
export interface ProbeOptions {
  /** The MAC address of one machine; everyone when unset. */
  readonly to?: string;
  /**
   * The answer shall reach this node alone. Otherwise it is asked without an address, as one does who looks for duplicates, and what
   * is answered for IPv6 tells every host where the address is.
   */
  readonly fromOwnAddress?: boolean;
}

/**
 * Announces addresses on the interfaces of the node that can (see `eligibility`), on each or on some by name: answers requests for
 * them, and tells everyone at once when an address comes, or when an interface does, and again from time to time. A thread of its own
 * does it, so that nothing here delays an answer; one that dies is replaced and goes on with the same addresses. It begins with the
 * first address, or before when asked to; until then the interfaces are watched, and no more.
 */
export class Layer2 implements AsyncDisposable {
  readonly #log: Log;
  readonly #refreshMs: Millis;
  readonly #onInterfaces: (interfaces: readonly InterfaceState[]) => void;
  readonly #onSighting: (sighting: AddressSighting) => void;
  readonly #shared = Shared.create();
  readonly #entries = new Map<string, Entry>(); // address -> entry, for every address ever announced
  readonly #clock = new SystemClock();
  readonly #supervisor: Supervisor<Worker>;
  #wake: EventFd | undefined;
  #standby: Standby | undefined;
  #standbyEnded: Promise<void> | undefined;
  #phase: "new" | "watching" | "answering" | "disposed" = "new";
  readonly #answering = Promise.withResolvers<void>();
  #silent = false;
  #interfaces: readonly InterfaceState[] = [];

  constructor({ log, refreshMs = 60_000, onInterfaces = () => {}, onSighting = () => {} }: Layer2Options) {
    this.#log = log;
    this.#refreshMs = refreshMs;
    this.#onInterfaces = onInterfaces;
    this.#onSighting = onSighting;
    this.#supervisor = new Supervisor({
      spawn: () => this.#spawn(),
      onDeath: (cause, restartAfter) => this.#onDeath(cause, restartAfter),
      clock: this.#clock,
      random: systemRandom,
    });
  }

  /**
   * Resolves when the interfaces are known; none has to be able to answer. To be called once.
   * @throws {Layer2Error} when this process may not open packet sockets, or the interfaces cannot be watched
   */
  async start(): Promise<void> {
    try {
      PacketSocket.probe();
      this.#wake = EventFd.create();
      this.#standby = new Standby(this.#writeLog, this.#clock);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      const hint = error.code === "EPERM" ? "the process needs the capability NET_RAW" : "packet sockets are not available";
      throw new Layer2Error(`Cannot announce addresses on layer 2: ${hint}`, { cause: error });
    }
    process.on("exit", this.#stop);
    try {
      await this.#watch(this.#standby);
      if (this.#phase === "disposed") throw new Error("disposed before it was ready");
    } catch (cause) {
      await this[Symbol.asyncDispose]();
      throw new Layer2Error("Cannot announce addresses on layer 2: the interfaces cannot be watched", { cause });
    }
    this.#phase = "watching";
    if (this.#entries.size > 0) void this.begin();
  }

  /**
   * Starts the thread, unless it runs. The first address does so too, and is answered for when it is up, some 50 ms later: to be called
   * ahead where that is too late. Does nothing before `start` has succeeded. @returns when the thread answers, or the end has come
   */
  begin(): Promise<void> {
    if (this.#phase === "watching") {
      this.#phase = "answering";
      // The thread tells of all interfaces as soon as it has read them itself, so nothing is missed in between.
      this.#standby?.stop();
      this.#supervisor.start();
    }
    return this.#answering.promise;
  }

  /**
   * Answers for `address` from now on, on these interfaces alone, and tells everyone there; does nothing when that is so already. On
   * others, where it was announced before, it is answered for until the thread has read this.
   */
  announce(address: Address, { interfaces = [] }: AnnounceOptions = {}): void {
    this.#put(address, "announced", interfaces);
  }

  /** Answers nothing for `address`, from the return of this call on, but tells `onSighting` of others that sighting it. */
  listen(address: Address, { interfaces = [] }: AnnounceOptions = {}): void {
    this.#put(address, "silent", interfaces);
  }

  /** Neither answers for `address` nor listens any more, from the return of this call on. */
  withdraw(address: Address): void {
    const entry = this.#entries.get(address.toString());
    if (entry === undefined || entry.state === "withdrawn") return;
    entry.state = "withdrawn";
    this.#shared.setAnnounced(entry.row, false);
    this.#send({ type: "withdraw", announcement: announcement(entry) });
  }

  /** Tells everyone from the beginning of `address` or else of all that is announced: after others may have announced it too. */
  reannounce(address?: Address): void {
    const entries = address === undefined ? this.#entries.values() : [this.#entries.get(address.toString())];
    for (const entry of entries)
      if (entry?.state === "announced") this.#send({ type: "announce", announcement: announcement(entry) });
  }

  /** Tells everyone once where an address is that is announced, against one who says otherwise (RFC 5227, section 2.4). */
  defend(address: Address): void {
    this.#send({ type: "defend", address: wireAddress(address) });
  }

  /** Asks who has an address that is announced or listened for. Who does is told to `onSighting`. */
  probe(address: Address, { to, fromOwnAddress = false }: ProbeOptions = {}): void {
    const mac = to === undefined ? undefined : parseMac(to);
    this.#send({ type: "probe", address: wireAddress(address), ...(mac !== undefined && { to: mac }), fromOwnAddress });
  }

  /** Goes on answering, and tells nobody unasked any more: others take over, and what they tell is to stand. */
  stopAnnouncing(): void {
    this.#silent = true;
    this.#send({ type: "stopAnnouncing" });
  }

  counters(): Layer2Counters {
    const shared = this.#shared;
    return {
      addresses: [...this.#entries.values()].map(({ address, row }) => ({
        address,
        requestsReceived: shared.row(row, "requests"),
        responsesSent: shared.row(row, "responses"),
        gratuitousSent: shared.row(row, "gratuitous"),
        sightings: shared.row(row, "sightings"),
      })),
      ignored: shared.ignored(),
      sendFailures: shared.total("sendFailures"),
      dropped: shared.total("dropped"),
    };
  }

  /** As they were last seen; none before `start`. */
  interfaces(): readonly InterfaceState[] {
    return this.#interfaces;
  }

  /** Stops answering, and ends the thread. A `start` under way fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#phase = "disposed";
    this.#answering.resolve();
    this.#stop();
    await Promise.all([this.#standbyEnded, this.#supervisor.stop()]);
    process.off("exit", this.#stop);
    this.#wake?.[Symbol.dispose]();
    this.#wake = undefined;
  }

  /** Also run when the process exits: Node waits for its threads, and these would sleep on. */
  readonly #stop = (): void => {
    this.#standby?.stop();
    this.#shared.addTotal("stop");
    this.#wake?.signal();
  };

  /** Resolves when the interfaces are known. Goes on until the thread begins, which it does early should this fail later. */
  #watch(standby: Standby): Promise<void> {
    const known = Promise.withResolvers<void>();
    const watching = standby.run((links) => {
      this.#setInterfaces(idleStates(links));
      known.resolve();
    });
    const failed = (error: unknown): void => {
      known.reject(error);
      if (!(error instanceof SystemCallError)) throw error;
      if (this.#phase !== "watching") return;
      this.#log.error("interfaces cannot be watched, leaving it to the thread that answers", { op: "getInterfaces", error });
      void this.begin();
    };
    this.#standbyEnded = watching.then(known.resolve, failed);
    return known.promise;
  }

  readonly #writeLog: WriteLog = (level, message, fields) => this.#log[level](message, fields);

  #spawn(): Worker {
    if (this.#wake === undefined) throw new Error("Cannot start the layer 2 thread: it has no descriptor to wake it");
    const entries = [...this.#entries.values()].filter(({ state }) => state !== "withdrawn");
    const workerData: WorkerStart = {
      memory: this.#shared.memory,
      wake: this.#wake.fd,
      announced: entries.map(announcement),
      silent: this.#silent,
      refreshMs: this.#refreshMs,
    };
    const worker = new Worker(workerFile(import.meta.url, "layer2-worker.js"), { name: "layer2", workerData });
    worker.on("message", (report: Report) => this.#take(report));
    return worker;
  }

  #take(report: Report): void {
    switch (report.type) {
      case "interfaces":
        this.#answering.resolve();
        this.#setInterfaces(report.interfaces);
        break;
      case "sighting":
        this.#onSighting(publicSighting(report));
        break;
      case "log":
        this.#writeLog(report.level, report.message, report.fields);
        break;
      default:
        report satisfies never;
    }
  }

  #onDeath(cause: unknown, restartAfter: Millis): void {
    this.#log.error("the thread that answers on layer 2 died and is restarted", {
      op: "layer2",
      error: cause,
      restartAfterMs: restartAfter,
    });
    const error = "the thread that answers died and is being restarted";
    this.#setInterfaces(
      this.#interfaces.map((report) => (report.status === "answering" ? { ...report, status: "failing", error } : report)),
    );
  }

  #setInterfaces(interfaces: readonly InterfaceState[]): void {
    if (isDeepStrictEqual(interfaces, this.#interfaces)) return;
    this.#interfaces = interfaces;
    this.#onInterfaces(interfaces);
  }

  #put(address: Address, state: "announced" | "silent", interfaces: readonly string[]): void {
    const entry = this.#entry(address);
    if (entry.state === state && isDeepStrictEqual(entry.interfaces, interfaces)) return;
    entry.state = state;
    entry.interfaces = interfaces;
    this.#shared.setAnnounced(entry.row, state === "announced");
    if (this.#phase === "watching")
      void this.begin(); // Which takes this address along.
    else this.#send({ type: "announce", announcement: announcement(entry) });
  }

  #entry(address: Address): Entry {
    const key = address.toString();
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    const entry: Entry = { address, row: this.#shared.addRow(), interfaces: [], state: "withdrawn" };
    this.#entries.set(key, entry);
    return entry;
  }

  #send(command: Command): void {
    this.#supervisor.thread?.postMessage(command);
    this.#wake?.signal();
  }
}

function announcement({ address, row, interfaces, state }: Entry): Announcement {
  return { address: wireAddress(address), row, interfaces, silent: state === "silent" };
}

function wireAddress({ family, value }: Address): WireAddress {
  return family === "IPv4" ? Number(value) : value;
}

function publicSighting({
  sighting: { address, mac, kind },
  interface: name,
  own,
}: Extract<Report, { type: "sighting" }>): AddressSighting {
  const family = typeof address === "bigint" ? "IPv6" : "IPv4";
  return { address: new Address(family, BigInt(address)), mac: formatMac(mac), kind, interface: name, ownMac: formatMac(own) };
}

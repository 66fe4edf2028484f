import { type Clock, type Millis, SystemClock } from "#pkg/clock";
import { PacketSocket, SystemCallError } from "#pkg/linux";
import type { Log } from "#pkg/log";
import { Address, formatMac, parseMac } from "#pkg/net";
import { WorkerThread, workerFile } from "#pkg/threads";
import { type AddressCounters, AnnouncedAddresses, wireAddress } from "./announced-addresses.ts";
import { type InterfaceState, idleStates } from "./engine/interface-state.ts";
import { type IgnoredReason, ignoredReasons } from "./frames/answers.ts";
import type { SightingKind } from "./frames/sightings.ts";
import { Standby } from "./interface-watcher.ts";
import type { Command, StatusMessage, WorkerStart, WriteLog } from "./messages.ts";
import { SharedMemory } from "./shared-memory.ts";

/** Nothing can be announced from this process at all. */
export class Layer2Error extends Error {
  override readonly name = "Layer2Error";
  /** Why, without what was attempted. */
  readonly reason: string;

  constructor(reason: string, cause: unknown) {
    super(`Cannot announce addresses on layer 2: ${reason}`, { cause });
    this.reason = reason;
  }
}

export interface Layer2Options {
  readonly log: Log;
  /** Each address is announced again about this often, after its first announcements; 60 s when unset, never when 0. */
  readonly refreshMs?: Millis;
  /** Called with all interfaces whenever something about one of them changed, and at times where nothing did. */
  readonly onInterfaces?: (interfaces: readonly InterfaceState[]) => void;
  /** Called for frames of other hosts about an address that is announced or watched: a few per second at most for each. */
  readonly onSighting?: (sighting: AddressSighting) => void;
  readonly clock?: Clock;
}

/** Another host uses, announces or probes an address. MAC addresses are hexadecimal bytes with colons between. */
export interface AddressSighting {
  readonly address: Address;
  readonly mac: string;
  readonly kind: SightingKind;
  /** The interface of this node that received the frame, and its MAC address. */
  readonly interface: string;
  readonly ownMac: string;
}

/** Counts only grow while an address is known. */
export interface Layer2Counters {
  /** Frames that were not answered. */
  readonly ignored: Readonly<Record<IgnoredReason, number>>;
  /** Replies and announcements that could not be sent. */
  readonly sendFailures: number;
  /** Frames lost because they came faster than they could be read; read every 10 s. */
  readonly dropped: number;
}

/** Where an address is announced. */
export interface AnnounceOptions {
  /** The interfaces, now or later, whose names match (see `matchesInterface`); all of them when unset. */
  readonly interfaces?: readonly string[];
  /** Whether requests are answered, as they are when unset. Otherwise an interface has the address, and the kernel answers. */
  readonly answers?: boolean;
}

/** Where a probe goes, and from where. */
export interface ProbeOptions {
  /** The MAC address of one host; everyone when unset. */
  readonly to?: string;
  /**
   * The probe has a source address, so that the answer reaches this node alone. A probe without one is a duplicate address detection for
   * IPv6, whose answer goes to all hosts.
   */
  readonly fromOwnAddress?: boolean;
}

/**
 * Announces addresses on the interfaces of the node that can (see `eligibility`), on all or on some by name: answers requests for them, and
 * sends gratuitous announcements when an address or an interface comes, and again from time to time. A thread of its own does it, so that
 * nothing here delays an answer; one that dies is replaced and goes on with the same addresses. The thread starts with the first address,
 * or before when asked to; until then only the interfaces are watched.
 */
export class Layer2 implements AsyncDisposable {
  readonly #log: Log;
  readonly #refreshMs: Millis;
  readonly #onInterfaces: (interfaces: readonly InterfaceState[]) => void;
  readonly #onSighting: (sighting: AddressSighting) => void;
  readonly #shared = SharedMemory.create();
  readonly #addresses: AnnouncedAddresses;
  readonly #clock: Clock;
  readonly #thread: WorkerThread<WorkerStart, Command, StatusMessage>;
  #standby: Standby | undefined;
  #standbyEnded: Promise<void> | undefined;
  #phase: "new" | "watching" | "answering" | "disposed" = "new";
  readonly #answering = Promise.withResolvers<void>();
  #onlyAnswers = false;
  #keys: readonly Uint8Array[] = [];
  #isAlone = false;
  #interfaces: readonly InterfaceState[] = [];
  /** Why no interface can answer. */
  #refused: Layer2Error | undefined;

  constructor({
    log,
    refreshMs = 60_000,
    onInterfaces = () => {},
    onSighting = () => {},
    clock = new SystemClock(),
  }: Layer2Options) {
    this.#log = log;
    this.#refreshMs = refreshMs;
    this.#clock = clock;
    this.#addresses = new AnnouncedAddresses(this.#shared, clock);
    this.#onInterfaces = onInterfaces;
    this.#onSighting = onSighting;
    this.#thread = new WorkerThread({
      name: "layer2",
      file: workerFile(import.meta.url, "layer2-worker.js"),
      start: () => this.#threadStart(),
      onMessage: (message) => this.#receive(message),
      title: "the thread that answers on layer 2",
      op: "layer2",
      log,
      onDeath: () => this.#onDeath(),
    });
  }

  /**
   * Resolves when the interfaces are known; none has to be able to answer. To be called once.
   * @throws {Layer2Error} when this process may not open packet sockets, in which case the interfaces are watched until this is disposed,
   *   or when they cannot be watched
   */
  async start(): Promise<void> {
    try {
      this.#thread.open();
      this.#standby = new Standby(this.#writeLog, this.#clock);
      process.on("exit", this.#stopStandby);
      PacketSocket.probe();
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      const isForbidden = error.code === "EPERM";
      this.#refused = new Layer2Error(
        isForbidden ? "the process needs the capability NET_RAW" : `packet sockets are not available: ${error.message}`,
        error,
      );
      if (this.#standby === undefined) throw this.#refused;
    }
    try {
      await this.#watch(this.#standby);
      if (this.#phase === "disposed") throw new Error("disposed before it was ready");
    } catch (cause) {
      await this[Symbol.asyncDispose]();
      throw this.#refused ?? new Layer2Error(`the interfaces cannot be watched: ${(cause as Error).message}`, cause);
    }
    if (this.#refused !== undefined) throw this.#refused;
    this.#phase = "watching";
    if (this.#addresses.size > 0) void this.begin();
  }

  /**
   * Starts the thread, unless it runs. The first address does so too, and is answered for when it is up, some 50 ms later: call this
   * earlier where that is too late. Does nothing before `start` has succeeded. @returns when the thread answers, or this is disposed
   */
  begin(): Promise<void> {
    if (this.#phase === "watching") {
      this.#phase = "answering";
      // The thread posts all interfaces as soon as it has read them itself, so nothing is missed in between.
      this.#standby?.stop();
      this.#thread.start();
    }
    return this.#answering.promise;
  }

  /** @returns when the thread answers, if it was told to, or this is disposed */
  async settled(): Promise<void> {
    if (this.#phase === "answering") await this.#answering.promise;
  }

  /**
   * Answers for `address` from now on, on these interfaces alone, unless the kernel does, and announces it there; does nothing when that is so already. On other
   * interfaces, where it was announced before, it is answered for until the thread has read this.
   */
  announce(address: Address, { interfaces = [], answers = true }: AnnounceOptions = {}): void {
    this.#put(address, "announced", { interfaces, answers });
  }

  /** Does not answer for `address`, from the return of this call on, but reports sightings of it. */
  listen(address: Address, { interfaces = [] }: Pick<AnnounceOptions, "interfaces"> = {}): void {
    this.#put(address, "silent", { interfaces, answers: true });
  }

  /** Neither answers for `address` nor reports sightings of it, from the return of this call on. */
  withdraw(address: Address): void {
    const announcement = this.#addresses.withdraw(address);
    if (announcement !== undefined) this.#thread.send({ type: "withdraw", announcement });
  }

  /** Sends all announcements of `address`, or of all that is announced, again: other hosts may have announced it too. */
  reannounce(address?: Address): void {
    for (const announcement of this.#addresses.announced(address)) this.#thread.send({ type: "announce", announcement });
  }

  /** Sends one gratuitous announcement of an announced address, against a host that uses it too (RFC 5227, section 2.4). */
  defend(address: Address): void {
    this.#thread.send({ type: "defend", address: wireAddress(address) });
  }

  /** Probes an address that is announced or watched. Answers are reported as sightings. */
  probe(address: Address, { to, fromOwnAddress = false }: ProbeOptions = {}): void {
    const mac = to === undefined ? undefined : parseMac(to);
    this.#thread.send({ type: "probe", address: wireAddress(address), ...(mac !== undefined && { to: mac }), fromOwnAddress });
  }

  /**
   * Has the speaker with this MAC address prove that it announces the address. Its proof is reported as a sighting; without a key nobody is asked.
   */
  challenge(address: Address, to: string): void {
    const mac = parseMac(to);
    if (mac !== undefined) this.#thread.send({ type: "challenge", address: wireAddress(address), to: mac });
  }

  /** The keys of the speakers' ring: with the first this node proves what it announces, proofs by any of them are accepted. */
  setKeys(keys: readonly Uint8Array[]): void {
    this.#keys = keys;
    this.#thread.send({ type: "keys", keys });
  }

  /** Whether this speaker has lost all others and the API, which its proofs are to say. */
  setAlone(isAlone: boolean): void {
    this.#isAlone = isAlone;
    this.#thread.send({ type: "alone", isAlone });
  }

  /** Answers on, but sends no announcements any more: other speakers take over, and theirs are to stand. */
  stopAnnouncing(): void {
    this.#onlyAnswers = true;
    this.#thread.send({ type: "stopAnnouncing" });
  }

  counters(): Layer2Counters {
    const totals = this.#shared.totals.all();
    return {
      ignored: Object.fromEntries(ignoredReasons.map((reason) => [reason, totals[reason]])) as Record<IgnoredReason, number>,
      sendFailures: totals.sendFailures,
      dropped: totals.dropped,
    };
  }

  /**
   * Every address that is announced or watched, or was in the last five minutes; each once, as it is when it is its turn, however much
   * changes meanwhile.
   */
  addressCounters(): Iterable<AddressCounters> {
    return this.#addresses.counters();
  }

  /** Interfaces as last seen; empty before `start`. */
  interfaces(): readonly InterfaceState[] {
    return this.#interfaces;
  }

  /** Stops answering, and ends the thread. A `start` under way fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#phase = "disposed";
    this.#answering.resolve();
    this.#standby?.stop();
    await Promise.all([this.#standbyEnded, this.#thread[Symbol.asyncDispose]()]);
    process.off("exit", this.#stopStandby);
  }

  /** Also run when the process exits: Node waits for the thread of libuv's pool that the standby uses. */
  readonly #stopStandby = (): void => this.#standby?.stop();

  /** Resolves when the interfaces are known. Goes on until the thread begins, which it does early should this fail later. */
  #watch(standby: Standby): Promise<void> {
    const known = Promise.withResolvers<void>();
    const watching = standby.run((interfaces) => {
      this.#setInterfaces(idleStates(interfaces, this.#refused));
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

  #threadStart(): WorkerStart {
    return {
      memory: this.#shared.buffers,
      announced: this.#addresses.inUse(),
      onlyAnswers: this.#onlyAnswers,
      refreshMs: this.#refreshMs,
      keys: this.#keys,
      isAlone: this.#isAlone,
    };
  }

  #receive(message: StatusMessage): void {
    switch (message.type) {
      case "interfaces":
        this.#answering.resolve();
        this.#setInterfaces(this.#withChanged(message.indexes, message.changed));
        break;
      case "sighting":
        this.#onSighting(publicSighting(message));
        break;
      case "log":
        this.#writeLog(message.level, message.message, message.fields);
        break;
      default:
        message satisfies never;
    }
  }

  #onDeath(): void {
    const error = "the thread that answers died and is being restarted";
    this.#setInterfaces(this.#interfaces.map((one) => (one.status === "answering" ? { ...one, status: "failing", error } : one)));
  }

  #withChanged(indexes: readonly number[], changed: readonly InterfaceState[]): readonly InterfaceState[] {
    const known = new Map([...this.#interfaces, ...changed].map((one) => [one.index, one]));
    return indexes.flatMap((index) => known.get(index) ?? []);
  }

  /** Also where they are as before: a change may have been taken back, and who asked the kernel itself may have seen it. */
  #setInterfaces(interfaces: readonly InterfaceState[]): void {
    this.#interfaces = interfaces;
    this.#onInterfaces(interfaces);
  }

  #put(address: Address, state: "announced" | "silent", where: Required<AnnounceOptions>): void {
    const announcement = this.#addresses.put(address, state, where);
    if (announcement === undefined) return;
    if (this.#phase === "watching")
      void this.begin(); // The start announces this address too.
    else this.#thread.send({ type: "announce", announcement });
  }
}

function publicSighting({
  sighting: { address, mac, kind },
  interface: name,
  own,
}: Extract<StatusMessage, { type: "sighting" }>): AddressSighting {
  const family = typeof address === "bigint" ? "IPv6" : "IPv4";
  return { address: new Address(family, BigInt(address)), mac: formatMac(mac), kind, interface: name, ownMac: formatMac(own) };
}

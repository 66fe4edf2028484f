import type { Clock, Millis } from "#pkg/clock";
import {
  decodeNetlink,
  EventFd,
  InterfaceTable,
  type InterfaceTableEffect,
  NetlinkError,
  type NetlinkMessage,
  NetlinkSocket,
  PollSet,
  SystemCallError,
  type TrackedInterface,
} from "#pkg/linux";
import type { Fields } from "#pkg/log";
import type { WriteLog } from "./messages.ts";

const rescanEvery: Millis = 10_000;
const rescanAfterError: Millis = 100; // Longer each time: a kernel without memory has more to do than to list all again.
// So many readings in a row are interrupted where many Pods begin at once.
const patience = 3;
// Datagrams read at once. The rest waits for the next call, so that a storm of changes does not keep requests waiting.
const batch = 32;

/** Knows the interfaces of the namespace: from notifications at once, and from a full reading every 10 s in case one was lost. */
export class InterfaceWatcher implements Disposable {
  readonly #socket = NetlinkSocket.open();
  readonly #table = new InterfaceTable();
  readonly #log: WriteLog;
  #rescanAt: Millis = 0;
  #loaded = false;
  #failures = 0; // Since the last reading that succeeded, or that a change interrupted.
  #interruptions = 0; // Since the last reading that succeeded.
  #seen = -1;

  /** @throws {SystemCallError} */
  constructor(log: WriteLog) {
    this.#log = log;
  }

  get fd(): number {
    return this.#socket.fd;
  }

  /** When `work` is due although nothing arrived. */
  get nextAt(): Millis {
    return this.#rescanAt;
  }

  /** Reads what has arrived and starts a full reading when it is due. @returns the interfaces if they changed since they were last returned */
  work(now: Millis): readonly TrackedInterface[] | undefined {
    if (now >= this.#rescanAt) {
      this.#rescanAt = now + rescanEvery;
      this.#send(this.#table.startDump(), now);
    }
    for (let i = 0; i < batch && this.#receive(now); i++);
    if (!this.#loaded || this.#table.changes === this.#seen) return undefined;
    this.#seen = this.#table.changes;
    return this.#table.interfaces();
  }

  #receive(now: Millis): boolean {
    let datagram: Uint8Array | undefined;
    try {
      datagram = this.#socket.receive();
    } catch (error) {
      if (!(error instanceof SystemCallError && error.code === "ENOBUFS")) throw error;
      this.#rescanAfter(0, now); // Notifications were lost.
      return true;
    }
    if (datagram === undefined) return false;
    for (const message of this.#decode(datagram)) {
      const effect = this.#table.apply(message);
      if (effect !== undefined) this.#carryOut(effect, now);
    }
    return true;
  }

  #decode(datagram: Uint8Array): NetlinkMessage[] {
    try {
      return decodeNetlink(datagram);
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      this.#log("warn", "a message about interfaces could not be read", { op: "getInterfaces", error: error.message });
      return [];
    }
  }

  #carryOut(effect: InterfaceTableEffect, now: Millis): void {
    switch (effect.type) {
      case "send":
        this.#send(effect.request, now);
        break;
      case "loaded":
        this.#loaded = true;
        this.#failures = 0;
        if (effect.complete) this.#interruptions = 0;
        else this.#interrupted(now);
        break;
      case "failed":
        this.#failed({ errno: effect.errno }, now);
        break;
      default:
        effect satisfies never;
    }
  }

  #send(request: Uint8Array, now: Millis): void {
    try {
      this.#socket.send(request);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#failed({ error: error.message }, now);
    }
  }

  #failed(why: Fields, now: Millis): void {
    if (this.#failures === 0) this.#log("warn", "interfaces could not be read, retrying", { op: "getInterfaces", ...why });
    this.#rescanAfter(this.#failures++, now);
  }

  /** The table has what could be read, but an interface that was deleted unnoticed would stay. */
  #interrupted(now: Millis): void {
    if (this.#interruptions === patience)
      this.#log("warn", "interfaces change each time that they are read, retrying ever later", { op: "getInterfaces" });
    this.#rescanAfter(this.#interruptions++, now);
  }

  /** @param vain so many readings before this one were in vain, too */
  #rescanAfter(vain: number, now: Millis): void {
    this.#rescanAt = Math.min(this.#rescanAt, now + rescanAfterError * 2 ** vain);
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

/**
 * Knows the interfaces while there is nothing to answer for. It waits in a thread of libuv's pool: one that runs JavaScript, as answering
 * needs, would take 16 MB.
 */
export class Standby {
  readonly #clock: Clock;
  readonly #log: WriteLog;
  readonly #wake: EventFd;
  #stopped = false;

  /** @throws {SystemCallError} */
  constructor(log: WriteLog, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    this.#wake = EventFd.create();
  }

  /**
   * Calls `onInterfaces` with all interfaces once they were read, and when they changed, until it is stopped. To be called once.
   * @throws {SystemCallError} when they cannot be watched
   */
  async run(onInterfaces: (interfaces: readonly TrackedInterface[]) => void): Promise<void> {
    try {
      using watcher = new InterfaceWatcher(this.#log);
      const poll = new PollSet();
      poll.watch([this.#wake.fd, watcher.fd]);
      while (!this.#stopped) {
        const interfaces = watcher.work(this.#clock.now());
        if (interfaces !== undefined) onInterfaces(interfaces);
        else await poll.waitAside(watcher.nextAt - this.#clock.now());
      }
    } finally {
      this.#stopped = true;
      this.#wake[Symbol.dispose]();
    }
  }

  /** `onInterfaces` is not called any more, and `run` ends soon. Does nothing when it has ended. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#wake.signal();
  }
}

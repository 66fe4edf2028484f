import type { Address, Family } from "#pkg/net";
import { type ClosedConnection, decodeConntrack, encodeConntrackDeletions, encodeConntrackDump } from "./codec/conntrack.ts";
import { NetlinkError } from "./codec/netlink-wire.ts";
import {
  decodeFilter,
  encodeFilterBatch,
  encodeFilterQuery,
  type FilterChange,
  type FilterMessage,
  type FilterQuery,
  type FilterTable,
} from "./codec/nf-tables.ts";
import { SystemCallError } from "./libc.ts";
import { NetlinkSocket } from "./netlink-socket.ts";

// A change that another process makes meanwhile interrupts a dump. This many are tried at once; then its reader has to come back.
const maxDumps = 3;
const errnoNotFound = 2; // ENOENT
const errnoInterrupted = 4; // EINTR

/** By the address that its client connected to; `closed` where it is. */
export interface TrackedConnection {
  readonly to: Address;
  readonly closed: ClosedConnection | undefined;
}

/** Reads and changes tables of nf_tables, and lists tracked connections. Needs the capability NET_ADMIN. */
export class Netfilter implements Disposable {
  readonly #socket: NetlinkSocket;
  #sequence = 0;

  /** @throws {SystemCallError} */
  constructor() {
    this.#socket = NetlinkSocket.open({ protocol: "netfilter", groups: [], strict: true });
  }

  /**
   * Makes all of these changes, or none. @returns 0, or the positive errno of the first that the kernel refused
   * @throws {SystemCallError} @throws {NetlinkError} when the kernel's answers were lost: the result is unknown then
   */
  change(table: FilterTable, changes: readonly FilterChange[]): number {
    const first = this.#sequence + 1;
    this.#sequence += changes.length + 2;
    this.#socket.send(encodeFilterBatch(table, changes, first));
    const acknowledged = new Set<number>();
    let refusal = 0;
    for (const message of this.#receive()) {
      if (message.type !== "error" || message.sequence < first) continue;
      if (message.errno !== 0) refusal ||= message.errno;
      else acknowledged.add(message.sequence);
    }
    if (refusal === 0 && acknowledged.size < changes.length)
      throw new NetlinkError("Cannot tell what the kernel did: an acknowledgement is missing");
    return refusal;
  }

  /** @returns undefined where there is no such table, chain or set @throws {SystemCallError} */
  query(table: FilterTable, query: FilterQuery): FilterMessage[] | undefined {
    for (let i = 0; i < maxDumps; i++) {
      const sequence = ++this.#sequence;
      this.#socket.send(encodeFilterQuery(table, query, sequence));
      const answers = [...this.#receive()].filter((message) => message.sequence === sequence);
      const errno = answers.reduce((found, one) => found || (one.type === "error" || one.type === "done" ? one.errno : 0), 0);
      if (errno === errnoNotFound) return undefined;
      if (errno !== 0 && errno !== errnoInterrupted)
        throw new SystemCallError("netlink", errno, `read ${query.type} of a filter`);
      if (errno === 0 && !answers.some(({ interrupted }) => interrupted))
        return answers.filter(({ type }) => type !== "done" && type !== "error");
    }
    throw new SystemCallError("netlink", errnoInterrupted, `read ${query.type} of a filter`);
  }

  /**
   * TCP connections that are open, or closed and not forgotten yet, in the portions in which the kernel gives them; between two the caller
   * may do something else, but not ask for anything here. @throws {SystemCallError} @throws {NetlinkError} where the last is missing
   */
  *connections(family: Family): Iterable<readonly TrackedConnection[]> {
    const sequence = ++this.#sequence;
    this.#socket.send(encodeConntrackDump(family, sequence));
    for (const datagram of this.#socket.received()) {
      const portion: TrackedConnection[] = [];
      for (const message of decodeConntrack(datagram)) {
        if (message.sequence !== sequence) continue;
        if (message.type === "connection") portion.push(message);
        else if (message.errno === 0) return;
        else throw new SystemCallError("netlink", message.errno, "list connections");
      }
      yield portion;
    }
    throw new NetlinkError("Cannot list connections: the kernel's last answer is missing");
  }

  /** The kernel forgets these closed connections of a portion at once, also between portions. @throws {SystemCallError} */
  forget(family: Family, closed: readonly ClosedConnection[]): void {
    if (closed.length > 0) this.#socket.send(encodeConntrackDeletions(family, closed, 0));
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  /** The kernel's answers as they are there, or are made while they are read. */
  *#receive(): Iterable<FilterMessage> {
    for (const datagram of this.#socket.received()) yield* decodeFilter(datagram);
  }
}

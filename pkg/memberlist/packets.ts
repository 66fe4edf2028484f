import { Alarm, type Clock } from "#pkg/clock";
import type { KnownSources } from "#pkg/connections";
import type { MemberlistError } from "./codec/memberlist-error.ts";
import type { PacketMessage } from "./codec/messages.ts";
import { decodePacket } from "./codec/packet.ts";
import type { Wire } from "./codec/wire.ts";
import type { NetworkCounters } from "./counters.ts";
import { FloodFilter, reviewEvery } from "./flood-filter.ts";
import { PacketGuard } from "./packet-guard.ts";
import type { SocketAddress, Transport } from "./transport.ts";

export interface IncomingPacketsOptions {
  readonly wire: Wire;
  readonly clock: Clock;
  readonly counters: NetworkCounters;
  readonly onMessages: (from: SocketAddress, messages: readonly PacketMessage[]) => void;
  readonly onProblem: (from: SocketAddress, error: MemberlistError) => void;
  /** Called time and again while more arrives of hosts that are no members than is looked at. */
  readonly onFlood: () => void;
}

/** Packets that others sent: which of them are decoded, and while there are too many, which of them are read at all. */
export class IncomingPackets implements Disposable {
  readonly #options: IncomingPacketsOptions;
  readonly #guard: PacketGuard;
  readonly #flood: FloodFilter;
  readonly #review: Alarm;
  #transport: Transport | undefined;
  #dropped = 0; // By the transport, as it counts, when that was looked at last.

  constructor(options: IncomingPacketsOptions) {
    this.#options = options;
    this.#guard = new PacketGuard(options.wire);
    this.#flood = new FloodFilter(this.#guard.nonceAt);
    this.#review = new Alarm(options.clock, "memberlist flood", () => this.#reviewFlood());
  }

  /** @param transport source of the packets */
  start(transport: Transport): void {
    this.#transport = transport;
  }

  [Symbol.dispose](): void {
    this.#transport = undefined;
    this.#review[Symbol.dispose]();
  }

  /** See `PacketGuard`. */
  know(address: string): void {
    this.#guard.know(address);
  }

  /** Members, and nodes that may become members. */
  get known(): KnownSources {
    return this.#guard;
  }

  /** All members now. */
  setMembers(addresses: readonly string[]): void {
    this.#guard.setMembers(addresses);
    this.#flood.setMembers(addresses);
  }

  /** Something became of a member, or somebody became one. */
  memberChanged(address: string): void {
    this.#flood.changed(address);
    if (this.#flood.isOn) this.#filter();
  }

  receive(bytes: Uint8Array, from: SocketAddress): void {
    const { wire, clock, counters, onMessages, onProblem, onFlood } = this.#options;
    counters.packetsReceived++;
    counters.bytesReceived += bytes.length;
    if (!this.#guard.admits(bytes, from.address, clock.now())) {
      if (counters.packetsDropped++ % 1024 === 0) onFlood();
      this.#reject();
      if (this.#flood.passes(from.address)) this.#filter(); // It has used up its share.
      return;
    }
    if (this.#guard.isReplay(bytes)) {
      counters.packetsReplayed++;
      return;
    }
    const { messages, problems } = decodePacket(bytes, wire);
    if (messages.length > 0) {
      this.#guard.accept(bytes, from.address, clock.now());
      this.#flood.accept(bytes, from.address);
    } else this.#reject();
    for (const problem of problems) onProblem(from, problem);
    if (messages.length > 0) onMessages(from, messages);
  }

  #reject(): void {
    if (this.#transport === undefined || !this.#flood.reject(this.#options.clock.now())) return;
    this.#options.onFlood();
    this.#dropped = this.#transport.dropped();
    this.#filter();
  }

  #filter(): void {
    const now = this.#options.clock.now();
    this.#transport?.filter(this.#flood.sample(this.#guard.others, (address) => this.#guard.spares(address, now)));
    if (this.#flood.isOn) this.#review.setNoLater(now + reviewEvery);
  }

  #reviewFlood(): void {
    if (this.#transport === undefined) return;
    const counted = this.#transport.dropped();
    const dropped = (counted - this.#dropped) >>> 0;
    this.#dropped = counted;
    this.#options.counters.packetsDropped += dropped;
    this.#flood.review(this.#options.clock.now(), dropped);
    this.#filter();
  }
}

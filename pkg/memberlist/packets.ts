import { Alarm } from "#pkg/clock";
import type { KnownSources } from "#pkg/connections";
import { decodePacket } from "./codec/packet.ts";
import { FloodFilter, reviewEvery } from "./flood-filter.ts";
import { type MemberParts, refuse } from "./member-parts.ts";
import { PacketGuard } from "./packet-guard.ts";
import { endpoint, type SocketAddress, type Transport } from "./transport.ts";

/** Packets that others sent: which of them are decoded, and while there are too many, which of them are read at all. */
export class IncomingPackets implements Disposable {
  readonly #parts: MemberParts;
  readonly #guard: PacketGuard;
  readonly #flood: FloodFilter;
  readonly #review: Alarm;
  #transport: Transport | undefined;
  #dropped = 0; // By the transport, as it counts, when that was looked at last.

  constructor(parts: MemberParts) {
    this.#parts = parts;
    this.#guard = new PacketGuard();
    this.#flood = new FloodFilter();
    this.#review = new Alarm(parts.clock, "memberlist flood", () => this.#reviewFlood());
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

  /** How many addresses members have. */
  get members(): number {
    return this.#guard.members;
  }

  /** All members now. */
  setMembers(addresses: readonly string[]): void {
    this.#guard.setMembers(addresses);
    this.#flood.setMembers(addresses);
  }

  /** Something became of a member, or somebody became one. */
  memberChanged(address: string): void {
    this.#guard.addMember(address);
    this.#flood.changed(address);
    if (this.#flood.isOn) this.#filter();
  }

  receive(bytes: Uint8Array, from: SocketAddress): void {
    const { keyring, clock, counters, log, push } = this.#parts;
    counters.packetsReceived++;
    if (!this.#guard.admits(bytes, from.address, clock.now())) {
      if (counters.packetsDropped++ % 1024 === 0) log.flooded();
      this.#reject();
      if (this.#flood.passes(from.address)) this.#filter(); // It has used up its share.
      return;
    }
    if (this.#guard.isReplay(bytes)) {
      counters.packetsReplayed++;
      return;
    }
    const { messages, problems } = decodePacket(bytes, keyring);
    if (messages.length > 0) {
      this.#guard.accept(bytes, from.address, clock.now());
      this.#flood.accept(bytes, from.address);
    } else this.#reject();
    for (const problem of problems) refuse(this.#parts, from, "UDP", problem);
    if (messages.length > 0) push({ type: "packet", from: endpoint(from), messages });
  }

  #reject(): void {
    if (this.#transport === undefined || !this.#flood.reject(this.#parts.clock.now())) return;
    this.#parts.log.flooded();
    this.#dropped = this.#transport.dropped();
    this.#filter();
  }

  #filter(): void {
    const now = this.#parts.clock.now();
    this.#transport?.filter(this.#flood.sample(this.#guard.others, (address) => this.#guard.spares(address, now)));
    if (this.#flood.isOn) this.#review.setNoLater(now + reviewEvery);
  }

  #reviewFlood(): void {
    if (this.#transport === undefined) return;
    const counted = this.#transport.dropped();
    const dropped = (counted - this.#dropped) >>> 0;
    this.#dropped = counted;
    this.#parts.counters.packetsDropped += dropped;
    this.#flood.review(this.#parts.clock.now(), dropped);
    this.#filter();
  }
}

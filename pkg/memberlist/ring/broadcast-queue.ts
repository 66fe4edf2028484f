import { encodeMessage } from "../message-codec.ts";
import type { PacketMessage } from "../messages.ts";
import { broadcastOverhead } from "../packet-budget.ts";

/** What decides the order. */
interface Rank {
  readonly transmits: number;
  readonly length: number; // Octets when encoded.
  readonly id: number; // Increasing.
}

interface Entry extends Rank {
  readonly key: string;
  readonly message: PacketMessage;
}

/** What is to be passed on: at most one message about each node, and one on each topic of the user, each a limited number of times. */
export class BroadcastQueue {
  readonly #byKey = new Map<string, Entry>();
  readonly #order: Entry[] = []; // Sorted by `compare`.
  #nextId = 0;

  get size(): number {
    return this.#order.length;
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  /** Replaces what was queued under the same key. */
  add(key: string, message: PacketMessage): void {
    const replaced = this.#byKey.get(key);
    if (replaced !== undefined) this.#order.splice(this.#place(replaced), 1);
    this.#insert({ key, message, length: encodeMessage(message).length, id: this.#nextId++, transmits: 0 });
  }

  /**
   * Chooses messages for one packet: those sent least often first, of those the longest that fits, of those the newest. Each
   * counts as sent, and is dropped once it has been sent `limit` times.
   * @param budget octets, of which each message takes its length and 2
   */
  take(budget: number, limit: number): PacketMessage[] {
    const taken: Entry[] = [];
    for (let i = 0; i < this.#order.length; ) {
      let end = i;
      for (let next = this.#order[end]; next !== undefined && costOf(next) <= budget; next = this.#order[++end])
        budget -= costOf(next);
      taken.push(...this.#order.splice(i, end - i));
      const tooLong = this.#order[i];
      if (tooLong === undefined) break;
      i = this.#place({ transmits: tooLong.transmits, length: budget - broadcastOverhead, id: Infinity });
    }
    for (const entry of taken) {
      const transmits = entry.transmits + 1;
      if (transmits < limit) this.#insert({ ...entry, transmits });
      else this.#byKey.delete(entry.key);
    }
    return taken.map(({ message }) => message);
  }

  #insert(entry: Entry): void {
    this.#byKey.set(entry.key, entry);
    this.#order.splice(this.#place(entry), 0, entry);
  }

  /** Where an entry is, or would be. */
  #place(entry: Rank): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare(this.#order[middle] as Entry, entry) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function costOf({ length }: Rank): number {
  return length + broadcastOverhead;
}

function compare(a: Rank, b: Rank): number {
  return a.transmits - b.transmits || b.length - a.length || b.id - a.id;
}

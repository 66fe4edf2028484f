import { encodeMessage } from "../message-codec.ts";
import type { NodeName, PacketMessage } from "../messages.ts";
import { broadcastOverhead } from "../packet-budget.ts";

interface Entry {
  readonly key: NodeName;
  readonly message: PacketMessage;
  readonly length: number; // Octets when encoded.
  readonly id: number; // Increasing.
  transmits: number;
}

/** What is to be passed on: at most one message about each node, each a limited number of times. */
export class BroadcastQueue {
  readonly #byKey = new Map<NodeName, Entry>();
  readonly #order: Entry[] = []; // Sorted by `compare`.
  #nextId = 0;

  get size(): number {
    return this.#order.length;
  }

  has(key: NodeName): boolean {
    return this.#byKey.has(key);
  }

  /** Replaces what was queued about the same node. */
  add(key: NodeName, message: PacketMessage): void {
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
      const entry = this.#order[i];
      if (entry === undefined || entry.length + broadcastOverhead > budget) {
        i++; // It does not fit in what is left, and what is left only shrinks.
        continue;
      }
      budget -= entry.length + broadcastOverhead;
      taken.push(entry);
      this.#order.splice(i, 1);
    }
    for (const entry of taken) {
      entry.transmits++;
      if (entry.transmits < limit) this.#insert(entry);
      else this.#byKey.delete(entry.key);
    }
    return taken.map(({ message }) => message);
  }

  #insert(entry: Entry): void {
    this.#byKey.set(entry.key, entry);
    this.#order.splice(this.#place(entry), 0, entry);
  }

  /** Where an entry is, or would be. */
  #place(entry: Entry): number {
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

function compare(a: Entry, b: Entry): number {
  return a.transmits - b.transmits || b.length - a.length || b.id - a.id;
}

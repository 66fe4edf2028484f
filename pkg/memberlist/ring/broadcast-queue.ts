import { encodeMessage } from "../codec/message-codec.ts";
import type { PacketMessage, User } from "../codec/messages.ts";
import { broadcastOverhead } from "../codec/packet.ts";

/** Decides the order. */
interface Rank {
  /** How often it was sent; changes only while the entry is in no order. */
  transmits: number;
  readonly length: number; // Octets when encoded.
  readonly id: number; // Increasing.
}

interface QueuedMessage extends Rank {
  readonly key: string;
  readonly message: QueuedContent;
}

/** A user message is kept as text, one character for each octet: an array of octets takes some 450 octets more, and thousands may be queued. */
export type QueuedContent = Exclude<PacketMessage, User> | { readonly type: "user"; readonly text: string };

/**
 * Messages to pass on, each a limited number of times: the last message about each node, the last on each topic of the user, and the
 * last accusation of each accuser. Peers let one accusation replace another. Then some accusations get lost where many nodes accuse
 * together, and nodes that still lack one to be sure wait several times as long.
 */
export class BroadcastQueue {
  readonly #byKey = new Map<string, readonly QueuedMessage[]>();
  readonly #order: QueuedMessage[] = []; // Sorted by `compare`.
  #nextId = 0;

  get size(): number {
    return this.#order.length;
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  /** Replaces the message queued under the same key, but keeps other nodes' accusations of the same node. */
  add(key: string, message: QueuedContent): void {
    for (const entry of this.#byKey.get(key) ?? []) {
      if (accuseTogether(entry.message, message)) continue;
      this.#order.splice(this.#place(entry), 1);
      this.#forget(entry);
    }
    const length = message.type === "user" ? 1 + message.text.length : encodeMessage(message).length;
    const entry = { key, message, length, id: this.#nextId++, transmits: 0 };
    this.#byKey.set(key, [...(this.#byKey.get(key) ?? []), entry]);
    this.#insert(entry);
  }

  /**
   * Chooses messages for one packet: those sent least often first, of those the longest that fits, of those the newest. Each
   * counts as sent, and is dropped once it has been sent `limit` times.
   * @param budget bytes, of which each message takes its length and 2
   */
  take(budget: number, limit: number): PacketMessage[] {
    const taken: QueuedMessage[] = [];
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
      entry.transmits++;
      if (entry.transmits < limit) this.#insert(entry);
      else this.#forget(entry);
    }
    return taken.map(({ message }) => sent(message));
  }

  #forget(entry: QueuedMessage): void {
    const others = this.#byKey.get(entry.key)?.filter((other) => other !== entry) ?? [];
    if (others.length > 0) this.#byKey.set(entry.key, others);
    else this.#byKey.delete(entry.key);
  }

  #insert(entry: QueuedMessage): void {
    this.#order.splice(this.#place(entry), 0, entry);
  }

  /** Where an entry is, or would be. */
  #place(entry: Rank): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare(this.#order[middle] as QueuedMessage, entry) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The payload of a user message as it is queued. */
export function userText(payload: Uint8Array): string {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString("latin1");
}

function sent(content: QueuedContent): PacketMessage {
  return content.type === "user" ? { type: "user", payload: new Uint8Array(Buffer.from(content.text, "latin1")) } : content;
}

/** Whether two messages about one node are accusations of the same incarnation by different accusers. */
function accuseTogether(a: QueuedContent, b: QueuedContent): boolean {
  return a.type === "suspect" && b.type === "suspect" && a.incarnation === b.incarnation && a.from !== b.from;
}

function costOf({ length }: Rank): number {
  return length + broadcastOverhead;
}

function compare(a: Rank, b: Rank): number {
  return a.transmits - b.transmits || b.length - a.length || b.id - a.id;
}

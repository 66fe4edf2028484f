import type { Millis } from "#pkg/clock";
import { encodeMessage } from "../codec/message-codec.ts";
import type { Endpoint, NodeName, PacketMessage } from "../codec/messages.ts";
import { broadcastBudget, broadcastOverhead } from "../codec/wire.ts";
import { chooseRandom, randomIndex } from "./choice.ts";
import type { NodeRecord, Ring } from "./ring.ts";
import { retransmitLimit } from "./timing.ts";

/** What decides the order. */
interface Rank {
  /** How often it was sent; changes only while the entry is in no order. */
  transmits: number;
  readonly length: number; // Octets when encoded.
  readonly id: number; // Increasing.
}

interface Entry extends Rank {
  readonly key: string;
  readonly message: PacketMessage;
}

/**
 * What is to be passed on, each message a limited number of times: the last one about each node and on each topic of the user, and of
 * accusations that of each accuser. Peers let one accusation replace another; then some get lost where many accuse together, and
 * those who still lack one to be sure wait several times as long.
 */
export class BroadcastQueue {
  readonly #byKey = new Map<string, readonly Entry[]>();
  readonly #order: Entry[] = []; // Sorted by `compare`.
  #nextId = 0;

  get size(): number {
    return this.#order.length;
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  /** Replaces what was queued under the same key, but for what others accuse the same node of. */
  add(key: string, message: PacketMessage): void {
    for (const entry of this.#byKey.get(key) ?? []) {
      if (accuseTogether(entry.message, message)) continue;
      this.#order.splice(this.#place(entry), 1);
      this.#forget(entry);
    }
    const entry = { key, message, length: encodeMessage(message).length, id: this.#nextId++, transmits: 0 };
    this.#byKey.set(key, [...(this.#byKey.get(key) ?? []), entry]);
    this.#insert(entry);
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
      entry.transmits++;
      if (entry.transmits < limit) this.#insert(entry);
      else this.#forget(entry);
    }
    return taken.map(({ message }) => message);
  }

  #forget(entry: Entry): void {
    const others = this.#byKey.get(entry.key)?.filter((other) => other !== entry) ?? [];
    if (others.length > 0) this.#byKey.set(entry.key, others);
    else this.#byKey.delete(entry.key);
  }

  #insert(entry: Entry): void {
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

/** Whether two messages about one node are accusations of the same incarnation by different accusers. */
function accuseTogether(a: PacketMessage, b: PacketMessage): boolean {
  return a.type === "suspect" && b.type === "suspect" && a.incarnation === b.incarnation && a.from !== b.from;
}

function costOf({ length }: Rank): number {
  return length + broadcastOverhead;
}

function compare(a: Rank, b: Rank): number {
  return a.transmits - b.transmits || b.length - a.length || b.id - a.id;
}

/** Sends a message at once; what is to be passed on rides along as far as it fits. */
export function sendDirect(ring: Ring, to: Endpoint, message: PacketMessage): void {
  const others = ring.broadcasts.size === 0 ? [] : takeBroadcasts(ring, encodeMessage(message).length);
  ring.effects.push({ type: "send", to, messages: [message, ...others], checksum: false });
}

/** Sends to a node of which we know what it understands; nothing rides along. */
export function sendToNode(ring: Ring, record: NodeRecord, messages: readonly PacketMessage[]): void {
  const [, newest] = record.versions;
  ring.effects.push({ type: "send", to: record.endpoint, messages, checksum: newest >= 5 });
}

/** Octets of a user message: as many as fit into a packet beside the longest label and whatever encryption adds. */
export const maxUserOctets = 1000;

/** Queues what others shall hear; it replaces what is queued about the same node. */
export function broadcast(ring: Ring, message: PacketMessage & { readonly node: NodeName }, now: Millis): void {
  enqueue(ring, message.node, message, now);
}

/** Queues a user message; it replaces what is queued on the same topic. @throws {RangeError} for more than `maxUserOctets` */
export function broadcastUser(ring: Ring, topic: string, payload: Uint8Array, now: Millis): void {
  if (payload.length > maxUserOctets) throw new RangeError(`Cannot broadcast a user message: it has ${payload.length} octets`);
  enqueue(ring, `\u{100}${topic}`, { type: "user", payload }, now); // No node's name has such a character.
}

function enqueue(ring: Ring, key: string, message: PacketMessage, now: Millis): void {
  ring.broadcasts.add(key, message);
  // Idle rings need no gossip timer. By chance, so that nodes that hear of something together do not pass it on together.
  if (ring.gossipAt === Infinity) ring.gossipAt = now + randomIndex(ring.options.random, ring.timing.gossipInterval);
}

/** Passes on what is queued to a few random nodes, those recently dead among them, so that they can refute. */
export function gossip(ring: Ring, now: Millis): void {
  const { gossipNodes, gossipInterval, gossipToTheDead } = ring.timing;
  const eligible = (record: NodeRecord) =>
    record !== ring.self && record.status !== "left" && (record.status !== "dead" || now - record.since <= gossipToTheDead);
  for (const record of chooseRandom(ring.order, gossipNodes, eligible, ring.options.random)) {
    const messages = takeBroadcasts(ring, 0);
    if (messages.length === 0) break;
    sendToNode(ring, record, messages);
  }
  ring.gossipAt = ring.broadcasts.size === 0 ? Infinity : now + gossipInterval;
}

/** Never more than a packet may have: even the shortest take 31 of its 1400 octets each. */
function takeBroadcasts(ring: Ring, directLength: number): PacketMessage[] {
  const budget = broadcastBudget(ring.options.wire, directLength);
  const taken = ring.broadcasts.take(budget, retransmitLimit(ring.timing, ring.order.length));
  if (ring.leave === "announcing" && !ring.broadcasts.has(ring.self.node)) finishLeave(ring);
  return taken;
}

export function finishLeave(ring: Ring): void {
  ring.leave = "announced";
  ring.effects.push({ type: "leaveFinished" });
}

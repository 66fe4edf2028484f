import type { Millis } from "#pkg/clock";
import { ArpOperation, encodeArp } from "./arp.ts";
import { broadcastMac, type Mac } from "./mac.ts";

// Linux lets no announcement replace a neighbour entry that is less than a second old (locktime), so the first may be in vain.
const interval: Millis = 1100;
const duration: Millis = 5000;

/** The frames that make every host on the link use `mac` for `address`: some learn from requests only, and some from replies only. */
export function gratuitousFrames(mac: Mac, address: number): Uint8Array[] {
  return [ArpOperation.request, ArpOperation.reply].map((operation) =>
    encodeArp({
      destination: broadcastMac,
      source: mac,
      operation,
      senderMac: mac,
      senderAddress: address,
      targetMac: broadcastMac,
      targetAddress: address,
    }),
  );
}

interface Repeat<Item> {
  readonly item: Item;
  readonly at: Millis;
  readonly until: Millis;
}

/**
 * When to send which gratuitous announcement: at once, then every 1.1 s for 5 s. Items are taken in small batches, new ones first, so
 * that announcing ten thousand addresses does not keep anything else waiting. Pure: the owner says what time it is, which never goes back.
 */
export class GratuitousSchedule<Item> {
  readonly #fresh: Item[] = [];
  readonly #repeats: Repeat<Item>[] = []; // Soonest first, because each is added one interval after its last turn.

  /** The item's turn is now, and then four times more. */
  add(item: Item): void {
    this.#fresh.push(item);
  }

  /** When `take` next has something; Infinity when all is done. */
  nextAt(now: Millis): Millis {
    return this.#fresh.length > 0 ? now : (this.#repeats[0]?.at ?? Infinity);
  }

  /** Up to `most` items whose turn it is. Those for which `isCurrent` says no are dropped and have no more turns. */
  take(now: Millis, most: number, isCurrent: (item: Item) => boolean): Item[] {
    const due = this.#fresh.splice(0, most).map((item) => ({ item, until: now + duration }));
    let repeats = 0;
    for (const { item, at, until } of this.#repeats) {
      if (at > now || due.length >= most) break;
      due.push({ item, until });
      repeats++;
    }
    this.#repeats.splice(0, repeats);
    const current = due.filter(({ item }) => isCurrent(item));
    for (const { item, until } of current) if (now + interval <= until) this.#repeats.push({ item, at: now + interval, until });
    return current.map(({ item }) => item);
  }
}

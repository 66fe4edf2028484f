import type { Millis } from "#pkg/clock";
import { broadcastMac, type Mac } from "#pkg/net";
import { ArpOperation, encodeArp } from "./arp.ts";
import type { WireAddress } from "./messages.ts";
import { encodeNeighbor } from "./ndp-codec.ts";
import { unsolicited } from "./ndp-responder.ts";
import { Queue } from "./queue.ts";

// Linux lets no announcement replace a neighbour entry that is less than a second old (locktime), so the first may be in vain.
const interval: Millis = 1100;
const duration: Millis = 5000;

/** The frames that make every host on the link use `mac` for `address`. */
export function gratuitousFrames(mac: Mac, address: WireAddress): Uint8Array[] {
  if (typeof address === "bigint") return [encodeNeighbor(unsolicited(mac, address))];
  // Some learn from requests only, and some from replies only.
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
export class GratuitousSchedule<Item extends NonNullable<unknown>> {
  readonly #fresh = new Queue<Item>();
  readonly #repeats = new Queue<Repeat<Item>>(); // Soonest first, because each is added one interval after its last turn.

  /** The item's turn is now, and then four times more. */
  add(item: Item): void {
    this.#fresh.push(item);
  }

  /** When `take` next has something; Infinity when all is done. */
  nextAt(now: Millis): Millis {
    return this.#fresh.first !== undefined ? now : (this.#repeats.first?.at ?? Infinity);
  }

  /** Up to `most` items whose turn it is. Those for which `isCurrent` says no are dropped and have no more turns. */
  take(now: Millis, most: number, isCurrent: (item: Item) => boolean): Item[] {
    const items: Item[] = [];
    for (let i = 0; i < most; i++) {
      const due = this.#shift(now);
      if (due === undefined) break;
      if (!isCurrent(due.item)) continue;
      items.push(due.item);
      if (now + interval <= due.until) this.#repeats.push({ item: due.item, at: now + interval, until: due.until });
    }
    return items;
  }

  #shift(now: Millis): { item: Item; until: Millis } | undefined {
    const item = this.#fresh.shift();
    if (item !== undefined) return { item, until: now + duration };
    const repeat = this.#repeats.first;
    return repeat !== undefined && repeat.at <= now ? this.#repeats.shift() : undefined;
  }
}

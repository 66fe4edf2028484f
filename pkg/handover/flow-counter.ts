import { setImmediate as nextTurn } from "node:timers/promises";
import { Alarm, type Clock, type Millis } from "#pkg/clock";
import { Netfilter, NetlinkError, SystemCallError } from "#pkg/linux";
import type { Log } from "#pkg/log";
import { type Address, families } from "#pkg/net";

const usuallyEveryMs: Millis = 5_000;
// A process that begins is to say soon which connections of an earlier one its node has: the next rollout's step may need that.
const firstAfterMs: Millis = 250;
// Counting may take this share of the time: a node with a million connections counts them less often.
const restForEachMs = 50;
// A busy machine makes a count look long. A speaker that waits for the last connection to end has to hear of it nevertheless.
const maxRest = 10;
// Some milliseconds for who hears of them.
const maxToldAtOnce = 1_000;

export interface FlowCounterOptions {
  /** Called with the open connections to each of the addresses after each count, with thousands in several turns. */
  readonly onCounts: (counts: ReadonlyMap<string, number>) => void;
  /** 5 s when unset. */
  readonly everyMs?: Millis;
  readonly log: Log;
  readonly clock: Clock;
}

/**
 * Counts open TCP connections to addresses, as the kernel tracks them: in portions, while there is something to count. The kernel forgets
 * closed ones: within their two minutes a client may use the port again, by way of the next owner, and if the address came back then, the
 * kernel would take the new connection's packets for the old one's, and not hand them over.
 */
export class FlowCounter implements Disposable {
  readonly #options: FlowCounterOptions;
  readonly #addresses = new Map<string, Address>(); // text -> address
  readonly #alarm: Alarm;
  #counts: Map<string, number> | undefined; // address -> connections, of the count that goes on
  #hasCounted = false;
  #isFailing = false;
  #isStopped = false;

  constructor(options: FlowCounterOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, "open connections", () => void this.#count());
  }

  /** Counts connections to the address from now on, or no longer. */
  want(address: Address, isWanted: boolean): void {
    const key = address.toString();
    if (isWanted) this.#addresses.set(key, address);
    else this.#addresses.delete(key);
    this.#counts?.delete(key); // It was read before, or in part.
    const after = this.#hasCounted ? this.#everyMs : Math.min(this.#everyMs, firstAfterMs);
    if (this.#counts === undefined)
      this.#alarm.setNoLater(this.#addresses.size > 0 ? this.#options.clock.now() + after : Infinity);
  }

  [Symbol.dispose](): void {
    this.#isStopped = true;
    this.#alarm[Symbol.dispose]();
  }

  get #everyMs(): Millis {
    return this.#options.everyMs ?? usuallyEveryMs;
  }

  async #count(): Promise<void> {
    const { clock, log, onCounts } = this.#options;
    const counts = new Map([...this.#addresses.keys()].map((key) => [key, 0]));
    const begin = clock.now();
    this.#counts = counts;
    this.#hasCounted = true;
    try {
      using netfilter = new Netfilter();
      const wanted = families.filter((family) => this.#addresses.values().some((address) => address.family === family));
      for (const family of wanted)
        for (const portion of netfilter.connections(family)) {
          const ofAddresses = portion.filter(({ to }) => counts.has(to.toString()));
          for (const { to, closed } of ofAddresses)
            if (closed === undefined) counts.set(to.toString(), (counts.get(to.toString()) ?? 0) + 1);
          netfilter.forget(
            family,
            ofAddresses.flatMap(({ closed = [] }) => closed),
          );
          await nextTurn();
          if (this.#isStopped) return;
        }
      for (const portion of inPortions(counts)) {
        onCounts(portion);
        await nextTurn();
        if (this.#isStopped) return;
      }
      this.#isFailing = false;
    } catch (error) {
      if (!(error instanceof SystemCallError) && !(error instanceof NetlinkError)) throw error;
      if (!this.#isFailing) log.warn("open connections cannot be counted, retrying", { op: "handover", error: error.message });
      this.#isFailing = true;
    } finally {
      this.#counts = undefined;
    }
    const now = clock.now();
    if (this.#addresses.size > 0)
      this.#alarm.set(now + Math.min(maxRest * this.#everyMs, Math.max(this.#everyMs, restForEachMs * (now - begin))));
  }
}

/** Divides counts into those that are told in one turn. */
export function* inPortions(counts: ReadonlyMap<string, number>): Generator<ReadonlyMap<string, number>> {
  const entries = counts.entries();
  for (let from = 0; from < counts.size; from += maxToldAtOnce) yield new Map(entries.take(maxToldAtOnce));
}

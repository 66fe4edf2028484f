import { Alarm, type Clock, type Millis } from "#pkg/clock";
import type { Transport } from "./transport.ts";

/**
 * For so long connections are counted, and for so long at most somebody is refused. Not a second, after which TCP tries again: when all may
 * connect again there can be no room for a moment, and who had none once would meet with that each time.
 */
const windowMillis: Millis = 1100;
/** Of anybody, members too: they dial each other every some seconds, and in a probe while packets do not arrive. */
const maxOfSource = 50;
/** Of all sources together that are not known, so that many of them cost no more than ten. */
const maxOfStrangers = 500;
const maxRefused = 256;

export interface ConnectionGateOptions {
  readonly clock: Clock;
  /** Whether the source is a member, or may become one. */
  readonly isKnown: (address: string) => boolean;
  /** Addresses of members, and of those who may become one. */
  readonly known: () => readonly string[];
  /** Connections of this source are refused for a while, by itself or as one of many. */
  readonly onRefused: (address: string) => void;
}

/**
 * Has the kernel refuse those who connect too often: to accept a connection and close it again takes as long as to open it, so that a host
 * which opens thousands a second would have this member do nothing else. After a second they may connect again, and are counted anew.
 */
export class ConnectionGate implements Disposable {
  readonly #options: ConnectionGateOptions;
  readonly #counts = new Map<string, number>(); // address -> connections since `since`
  readonly #refused = new Set<string>(); // addresses
  readonly #reopening: Alarm;
  #strangers = 0; // Connections of sources that are not known, since `since`.
  #since: Millis = -Infinity;
  #transport: Pick<Transport, "refuse"> | undefined;

  constructor(options: ConnectionGateOptions) {
    this.#options = options;
    this.#reopening = new Alarm(options.clock, "memberlist connections", () => this.#reopen());
  }

  /** What they come from. */
  start(transport: Pick<Transport, "refuse">): void {
    this.#transport = transport;
  }

  [Symbol.dispose](): void {
    this.#transport = undefined;
    this.#reopening[Symbol.dispose]();
  }

  /** Counts a connection. @returns whether it may stay; the last ones before the kernel refuses them may not */
  admits(address: string): boolean {
    const { clock, isKnown, onRefused } = this.#options;
    const now = clock.now();
    if (!this.#refuses && now >= this.#since + windowMillis) this.#begin(now);
    const count = (this.#counts.get(address) ?? 0) + 1;
    this.#counts.set(address, count);
    if (count > maxOfSource) {
      if (count === maxOfSource + 1 && this.#refused.size < maxRefused) {
        this.#refused.add(address);
        onRefused(address);
        this.#refuse(now);
      }
      return false;
    }
    if (isKnown(address)) return true;
    if (++this.#strangers === maxOfStrangers + 1) {
      onRefused(address);
      this.#refuse(now);
    }
    return !this.#refusesStrangers;
  }

  get #refusesStrangers(): boolean {
    return this.#strangers > maxOfStrangers;
  }

  get #refuses(): boolean {
    return this.#refused.size > 0 || this.#refusesStrangers;
  }

  #refuse(now: Millis): void {
    const allBut = this.#refusesStrangers ? this.#options.known() : undefined;
    this.#transport?.refuse({ sources: [...this.#refused], allBut });
    this.#reopening.setNoLater(now + windowMillis);
  }

  #reopen(): void {
    this.#begin(this.#options.clock.now());
    this.#transport?.refuse(undefined);
  }

  #begin(now: Millis): void {
    this.#counts.clear();
    this.#refused.clear();
    this.#strangers = 0;
    this.#since = now;
  }
}

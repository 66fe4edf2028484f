import { Alarm, type Clock, type Millis } from "#pkg/clock";

/** Sources whose connections the kernel drops; their clients try again after a second, as TCP does. */
export interface RefusedSources {
  /** IP addresses. */
  readonly sources: readonly string[];
  /** Where this is set, those of all but these IP addresses are refused too. */
  readonly allBut: readonly string[] | undefined;
}

/** A source of connections that can refuse some. */
export interface Refuser {
  /** Has no connections of these arrive from now on, but for those that wait already; undefined: all may. It may let more in than that. */
  refuse(refusal: RefusedSources | undefined): void;
}

/**
 * Connections are counted for this time, and a source is refused for this time at most. It is not a second, after which TCP tries again:
 * when all may connect again there may be no room for a moment, and a client without room would meet that moment each time.
 */
const windowMillis: Millis = 1100;
const maxRefused = 256;

/** Sources that are to get in however many others connect. */
export interface KnownSources {
  has(address: string): boolean;
  readonly addresses: readonly string[];
}

export interface ConnectionGateOptions {
  readonly clock: Clock;
  /** How many connections anybody may open in a second, also who is known. It has to leave room for many behind one address. */
  readonly maxOfSource: number;
  /** How many all sources together that are not known, so that many of them cost no more than few. */
  readonly maxOfStrangers: number;
  readonly known: KnownSources;
  /** Connections of this source are refused for a while, by itself or as one of many. */
  readonly onRefused: (address: string) => void;
}

/**
 * Has the kernel refuse clients that connect too often: to accept a connection and close it again takes as long as to open it, so that a
 * host which opens thousands a second would keep this process from all other work. After a second they may connect again, and their counts
 * start from zero. A client that does not complete TCP's handshake, such as a host that forges its address, is not counted.
 */
export class ConnectionGate implements Disposable {
  readonly #options: ConnectionGateOptions;
  readonly #counts = new Map<string, number>(); // address -> connections since `since`
  readonly #refused = new Set<string>(); // addresses
  readonly #reopening: Alarm;
  #strangers = 0; // Connections of sources that are not known, since `since`.
  #since: Millis = -Infinity;
  #refuser: Refuser | undefined;

  constructor(options: ConnectionGateOptions) {
    this.#options = options;
    this.#reopening = new Alarm(options.clock, "refused connections", () => this.#reopen());
  }

  start(refuser: Refuser): void {
    this.#refuser = refuser;
  }

  [Symbol.dispose](): void {
    this.#refuser = undefined;
    this.#reopening[Symbol.dispose]();
  }

  /** Counts a connection. @returns whether it may stay; the last ones before the kernel refuses them may not */
  admits(address: string): boolean {
    const { clock, maxOfSource, maxOfStrangers, known, onRefused } = this.#options;
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
    if (known.has(address)) return true;
    if (++this.#strangers === maxOfStrangers + 1) {
      onRefused(address);
      this.#refuse(now);
    }
    return !this.#refusesStrangers;
  }

  get #refusesStrangers(): boolean {
    return this.#strangers > this.#options.maxOfStrangers;
  }

  get #refuses(): boolean {
    return this.#refused.size > 0 || this.#refusesStrangers;
  }

  #refuse(now: Millis): void {
    const allBut = this.#refusesStrangers ? this.#options.known.addresses : undefined;
    this.#refuser?.refuse({ sources: [...this.#refused], allBut });
    this.#reopening.setNoLater(now + windowMillis);
  }

  #reopen(): void {
    this.#begin(this.#options.clock.now());
    this.#refuser?.refuse(undefined);
  }

  #begin(now: Millis): void {
    this.#counts.clear();
    this.#refused.clear();
    this.#strangers = 0;
    this.#since = now;
  }
}

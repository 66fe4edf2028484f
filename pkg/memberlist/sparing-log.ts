import type { Clock, Millis } from "#pkg/clock";
import type { Fields, Log } from "#pkg/log";

const repeatAfter: Millis = 10 * 60_000;
// Addresses can be forged and are many: past this only the counters still tell of new ones, until older lines may be repeated.
const linesAtOnce = 256;

/**
 * Says a thing once, and again every 10 minutes while it goes on: a peer with another key sends several packets a second. At most
 * 256 different things in 10 minutes.
 */
export class SparingLog {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #said = new Map<string, { at: Millis; since: number }>(); // message and subject -> when it was said, how often it came since

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** @param subject what this is about: the same message about another one is another thing */
  warn(message: string, subject: string, fields: Fields): void {
    const now = this.#clock.now();
    const key = `${message} ${subject}`;
    const said = this.#said.get(key);
    if (said !== undefined && now < said.at + repeatAfter) {
      said.since++;
      return;
    }
    if (said === undefined && !this.#makeRoom(now)) return;
    this.#said.delete(key); // Inserted again below: the map stays in the order of `at`.
    this.#said.set(key, { at: now, since: 0 });
    this.#log.warn(message, said === undefined ? fields : { ...fields, more: said.since });
  }

  /** Forgets what may be said again. */
  #makeRoom(now: Millis): boolean {
    for (const [key, { at }] of this.#said) {
      if (now < at + repeatAfter) break;
      this.#said.delete(key);
    }
    return this.#said.size < linesAtOnce;
  }
}

import type { Clock, Millis } from "#pkg/clock";
import type { Log } from "#pkg/log";
import type { MemberlistError, MemberlistProblem } from "./memberlist-error.ts";

const repeatAfter: Millis = 10 * 60_000;
// Addresses can be forged and are many: past this only the counters still tell of new ones, until older lines may be repeated.
const linesAtOnce = 256;

const advice: Record<MemberlistProblem, string> = {
  label: "give all speakers of one cluster the same label, and none to those of another",
  plaintext: "give the sender the memberlist secret that this speaker has",
  encrypted: "give this speaker the memberlist secret that the sender has",
  wrongKey: "give both speakers the same memberlist secret; they read it when they start",
  unknownVersion: "look at what runs there: it speaks no protocol that is known here",
  checksum: "look for damage in the network between the two nodes",
  unsupported: "look at what runs there: it speaks no protocol that is known here",
  tooLarge: "look at what runs there: no speaker sends as much",
  malformed: "look at what runs there: it speaks no protocol that is known here",
};

/**
 * Says once what arrives from an address and cannot be understood, and again every 10 minutes while it goes on: a peer with
 * another key sends several packets a second. Holds at most 256 addresses and causes.
 */
export class ProblemLog {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #said = new Map<string, { at: Millis; since: number }>(); // address and reason -> when it was said, how often it came since

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  note(from: string, transport: "UDP" | "TCP", error: MemberlistError): void {
    const now = this.#clock.now();
    const key = `${from} ${error.reason}`;
    const said = this.#said.get(key);
    if (said !== undefined && now < said.at + repeatAfter) {
      said.since++;
      return;
    }
    if (said === undefined && !this.#makeRoom(now)) return;
    this.#said.delete(key); // Inserted again below: the map stays in the order of `at`.
    this.#said.set(key, { at: now, since: 0 });
    this.#log.warn("memberlist message refused", {
      op: "memberlist",
      peer: from,
      transport,
      reason: error.reason,
      error,
      advice: advice[error.reason],
      ...(said !== undefined && { more: said.since }),
    });
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

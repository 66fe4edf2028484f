import { type Allowance, type Millis, Tokens } from "#pkg/clock";
import { RecentMap } from "#pkg/collections";
import { fnv1a } from "#pkg/text";
import type { ObjectReference } from "./objects.ts";

/** Something that happened to an object. */
export interface Occurrence {
  readonly about: ObjectReference;
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
  readonly at: Millis;
  /** The same instant for people. */
  readonly date: Date;
}

/** An Event as it should now stand in the API: a new one where `count` is 1. */
export interface CorrelatedEvent extends Omit<Occurrence, "at" | "date">, Observed {
  readonly last: Date;
}

interface Observed {
  readonly name: string;
  readonly count: number;
  readonly first: Date;
}

interface Similar {
  readonly messages: Set<string>;
  last: Millis;
}

// The limits of client-go's EventCorrelator, so that an operator finds the events of this project as dense as any other's.
const maxRemembered = 4096;
const similarBeforeCombined = 10;
const similarWithinMs: Millis = 600_000;
const ofObject: Allowance = { burst: 25, everyMs: 300_000 };
// Two events of each of ten thousand Services at once. A Service that is deleted and made again is another object.
const ofNamespace: Allowance = { burst: 20_000, everyMs: 1_000 };

const maxName = 253;
const maxNames = 1_000_000; // Nanoseconds in a millisecond.

/**
 * Condenses occurrences as client-go's EventCorrelator does: the same one again raises the count of its Event; from the tenth
 * message on that is similar (same object, type and reason) within ten minutes of the last, all go into one Event; and each
 * object may have 25 writes at once, then one each five minutes. Beyond that each namespace may have 20,000 writes at once, then one a second.
 * Pure; memory is bounded.
 */
export class EventCorrelator {
  readonly #similar = new RecentMap<string, Similar>(maxRemembered); // object, type, reason -> messages seen
  readonly #observed = new RecentMap<string, Observed>(maxRemembered); // object, type, reason, message -> its Event
  readonly #ofObject = new RecentMap<string, Tokens>(maxRemembered); // object -> writes left
  readonly #ofNamespace = new RecentMap<string, Tokens>(maxRemembered); // namespace -> writes left
  #names: number;

  /** @param reporter other than that of any process that writes Events at the same time */
  constructor(reporter: string) {
    this.#names = fnv1a(reporter) % maxNames;
  }

  /** @returns what to write, or undefined when the object or its namespace has had its share */
  correlate(occurrence: Occurrence): CorrelatedEvent | undefined {
    const { about, type, reason, date } = occurrence;
    const object = join(about.apiVersion, about.kind, about.namespace, about.name, about.uid);
    const similar = join(object, type, reason);
    const combined = this.#isCombined(similar, occurrence);
    const message = combined ? `(combined from similar events): ${occurrence.message}` : occurrence.message;
    const identity = combined ? similar : join(similar, occurrence.message);
    const before = this.#observed.get(identity);
    const now = {
      name: before?.name ?? this.#newName(about, date),
      count: (before?.count ?? 0) + 1,
      first: before?.first ?? date,
    };
    this.#observed.set(identity, now);
    const mayWrite =
      takeOne(this.#ofObject, object, ofObject, occurrence.at) &&
      takeOne(this.#ofNamespace, about.namespace, ofNamespace, occurrence.at);
    return mayWrite ? { about, type, reason, message, last: date, ...now } : undefined;
  }

  #isCombined(key: string, { message, at }: Occurrence): boolean {
    const known = this.#similar.get(key);
    const similar = known !== undefined && at - known.last <= similarWithinMs ? known : { messages: new Set<string>(), last: at };
    similar.messages.add(message);
    similar.last = at;
    this.#similar.set(key, similar);
    if (similar.messages.size < similarBeforeCombined) return false;
    // Room for the next: the set never grows past the limit.
    for (const oldest of similar.messages) {
      similar.messages.delete(oldest);
      break;
    }
    return true;
  }

  /**
   * A name like client-go's: the object's name and the time in nanoseconds, here with a number in place of the part below a
   * millisecond, which begins elsewhere in each process: speakers write about one Service at once. Names of Events have 253 characters, as those
   * of nodes may.
   */
  #newName(about: ObjectReference, date: Date): string {
    this.#names = (this.#names + 1) % maxNames;
    const number = (BigInt(date.getTime()) * 1_000_000n + BigInt(this.#names)).toString(16);
    return `${about.name.slice(0, maxName - 1 - number.length).replace(/[-.]+$/, "")}.${number}`;
  }
}

function takeOne(all: RecentMap<string, Tokens>, key: string, allowance: Allowance, now: Millis): boolean {
  const left = all.get(key) ?? new Tokens(allowance, now);
  all.set(key, left);
  return left.take(now);
}

function join(...parts: string[]): string {
  return parts.join("\n");
}

import { type Cause, type State, states } from "./cause.ts";
import { type CauseOf, causes, type Kind } from "./causes.ts";

/** Something that was found, in words, and where: a Kubernetes object, the ring, the wire, the kernel. */
export interface Fact {
  readonly name: string;
  readonly value: string;
  readonly source: string;
}

export interface Verdict {
  readonly state: State;
  /** From the table of its kind. */
  readonly cause: string;
  /** One sentence, without its first capital and full stop. */
  readonly message: string;
  readonly evidence: readonly Fact[];
  /** The remedy; empty if nothing is to be done. */
  readonly next: string;
}

export interface VerdictDetails {
  /** The general meaning when unset. */
  readonly message?: string;
  /** The first one of the cause when unset. */
  readonly state?: State;
  readonly evidence?: readonly Fact[];
  /** Where it is known better than in general. */
  readonly next?: string;
}

/** A verdict with a cause of the table. */
export function verdict<K extends Kind>(kind: K, cause: CauseOf<K>, details: VerdictDetails = {}): Verdict {
  const row: Cause = (causes[kind] as Readonly<Record<CauseOf<K>, Cause>>)[cause];
  const { message = inGeneral(row), state = row.states[0], evidence = [], next = row.next } = details;
  return { state, cause, message, evidence, next };
}

function inGeneral({ means }: Cause): string {
  const text = means.replaceAll("`", "").replace(/\.$/, "");
  return /^[A-Z]{2}/.test(text) ? text : `${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}

const order = Object.keys(states) as State[];

/** The first of the worst verdicts. `NotOurs` counts only if all verdicts have it. */
export function worst<V extends Pick<Verdict, "state">>(verdicts: readonly [V, ...V[]]): V {
  const [first, ...rest] = verdicts.filter(({ state }) => state !== "NotOurs");
  return [first ?? verdicts[0], ...rest].reduce((one, other) =>
    order.indexOf(other.state) > order.indexOf(one.state) ? other : one,
  );
}

/** The verdicts on one address by each of its protocols: while one protocol announces it, it works, though not as it was asked for. */
export function byEach<V extends Pick<Verdict, "state">>(verdicts: readonly V[]): readonly V[] {
  if (!verdicts.some(({ state }) => state === "Announced" || state === "Degraded")) return verdicts;
  return verdicts.map((one) => (one.state === "Pending" ? { ...one, state: "Degraded" } : one));
}

/** A verdict, and since when it is the case: an instant, or as ISO 8601. */
export interface Dated<Instant> {
  readonly verdict: Verdict;
  readonly since: Instant;
}

/** Meaning and remedy, as one line of an event or a log. */
export function sentence({ message, next }: Pick<Verdict, "message" | "next">): string {
  return next === "" ? message : `${message}; ${next}`;
}

/**
 * The remedy as a command on this object: with its names in the place of NAMESPACE, NAME and NODE. Names that a shell could take for
 * anything else stay out: a process may send any.
 */
export function remedyFor({ next }: Pick<Verdict, "next">, kind: string, key: string): string {
  if (!/^[\w./-]+$/.test(key)) return next;
  if (kind === "node") return next.replaceAll(/\bNODE\b/g, key);
  const [namespace = "", name = ""] = key.split("/");
  if (kind !== "service" || name === "") return next;
  return next.replaceAll(/\b(?:NAMESPACE|NAME)\b/g, (word) => (word === "NAME" ? name : namespace));
}

/** Whether somebody has to do something, or to wait. */
export function isProblem({ state }: Pick<Verdict, "state">): boolean {
  return state === "Pending" || state === "Degraded";
}

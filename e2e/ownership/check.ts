import type { Millis } from "#pkg/clock";
import type { Sample } from "./sample.ts";

/** How long something may last that is not to be, from when the nodes that hear one another agree on who is there. */
export interface Bounds {
  /** Two that hear one another answer for an address. */
  readonly twoOwners: Millis;
  /** Nobody answers for one, and somebody could. */
  readonly noOwner: Millis;
  /** Nodes that hear one another name different owners, or one that does not answer. */
  readonly otherView: Millis;
}

/** Those of docs/reliability.md; an address that is to go to a node which has just lost the API waits for 7 s until others know that. */
export const documented: Bounds = { twoOwners: 6_000, noOwner: 8_000, otherView: 8_000 };

export interface Violation {
  readonly address: string;
  readonly kind: keyof Bounds;
  /** From when it was not to last. */
  readonly since: Millis;
  readonly found: Millis;
  /** Who is concerned, for people. */
  readonly what: string;
}

/** What a history has that breaks the promise; each once. */
export function check(history: Iterable<Sample>, bounds: Bounds = documented): Violation[] {
  const violations: Violation[] = [];
  const open = new Map<string, { since: Millis; isReported: boolean }>(); // address, kind and part of the cluster -> since when
  let last = Number.NEGATIVE_INFINITY;
  for (const sample of history) {
    if (sample.at < last) throw new RangeError(`Cannot check a history: ${sample.at} ms comes after ${last} ms`);
    last = sample.at;
    const seen = new Set<string>();
    for (const { address, kind, part, what } of wrongs(sample)) {
      const key = `${address} ${kind} ${part}`;
      seen.add(key);
      const since = open.get(key) ?? { since: sample.at, isReported: false };
      open.set(key, since);
      if (since.isReported || sample.at - since.since <= bounds[kind]) continue;
      since.isReported = true;
      violations.push({ address, kind, since: since.since, found: sample.at, what });
    }
    for (const key of open.keys()) if (!seen.has(key)) open.delete(key);
  }
  return violations;
}

interface Wrong extends Pick<Violation, "address" | "kind" | "what"> {
  /** The nodes that agree on one another. */
  readonly part: string;
}

/** What is not to last at this moment. */
function* wrongs(sample: Sample): Iterable<Wrong> {
  for (const nodes of agreeingParts(sample)) {
    const part = nodes.join();
    const isHere = (node: string) => nodes.includes(node);
    for (const [address, all] of sample.candidates) {
      const able = all.filter(isHere);
      const answering = (sample.answers.get(address) ?? []).filter(isHere);
      const wrong = (kind: Wrong["kind"], what: string): Wrong => ({ address, part, kind, what });
      if (answering.length > 1) yield wrong("twoOwners", `${answering.join(" and ")} answer`);
      if (able.length > 0 && answering.length === 0)
        yield wrong("noOwner", `nobody of ${part} answers, and ${able.join(" or ")} could`);
      const named = nodes.flatMap((node) => {
        const owner = sample.owners.get(node)?.get(address);
        return owner === undefined ? [] : [`${node} says ${owner}`];
      });
      const isRight = (each: string) => answering.some((node) => each.endsWith(` says ${node}`));
      if (answering.length === 1 && !named.every(isRight))
        yield wrong("otherView", `${named.join(", ")}; ${answering.join()} answers`);
    }
  }
}

/** Nodes that all hear one another, nobody else, and take exactly one another for members: nobody is to find out anything more. */
export function agreeingParts({ hears, members }: Pick<Sample, "hears" | "members">): string[][] {
  const parts = new Map<string, string[]>();
  for (const [node, others] of hears) {
    const part = [node, ...others].sort();
    parts.set(part.join(), part);
  }
  return [...parts.values()].filter((part) =>
    part.every((node) => {
      const heard = hears.get(node);
      const known = members.get(node);
      if (heard === undefined || [node, ...heard].sort().join() !== part.join()) return false;
      return known === undefined || known.toSorted().join() === part.join();
    }),
  );
}

import type { Millis } from "#pkg/clock";
import { LastingWrongs } from "./lasting.ts";
import type { Sample } from "./sample.ts";

/** How long a wrong may last, from when the nodes that hear one another agree on who is there. */
export interface Bounds {
  /** Two that hear one another answer for an address. */
  readonly twoOwners: Millis;
  /** Nobody answers for one, and somebody could. */
  readonly noOwner: Millis;
  /** Nodes that hear one another name different owners, or one that does not answer. */
  readonly otherView: Millis;
}

/** Bounds of docs/reliability.md. An address waits 7 s if its next owner has just lost the API, until the other nodes know that. */
export const documented: Bounds = { twoOwners: 6_000, noOwner: 8_000, otherView: 8_000 };

export interface Violation {
  readonly address: string;
  readonly kind: keyof Bounds;
  /** From when it was not to last. */
  readonly since: Millis;
  readonly found: Millis;
  /** The nodes and the address concerned, for people. */
  readonly what: string;
}

/** Violations of the promise in a history: see `OwnershipChecker`. */
export function check(history: Iterable<Sample>, bounds: Bounds = documented): Violation[] {
  const checker = new OwnershipChecker(bounds);
  return [...history].flatMap((sample) => checker.add(sample));
}

/**
 * Finds violations of the promise while a history goes on: each once, until it is over and forgotten. Wrong time is counted for each
 * address and node, or pair of nodes, also while others come and go.
 */
export class OwnershipChecker {
  readonly #bounds: Bounds;
  readonly #lasting = new LastingWrongs();
  readonly #reported = new Map<string, readonly string[]>(); // address and kind -> what was wrong for too long

  constructor(bounds: Bounds = documented) {
    this.#bounds = bounds;
  }

  /** Takes the next moment. @returns what has lasted too long since @throws {RangeError} where time goes back */
  add(sample: Sample): Violation[] {
    const wrongs = new Map([...wrongsOf(sample)].map((wrong) => [`${wrong.address} ${wrong.kind} ${wrong.who}`, wrong]));
    const tooLong = new Map<string, { violation: Violation; keys: string[] }>(); // address and kind -> all of these
    for (const [key, { since, lasted }] of this.#lasting.at(sample.at, wrongs.keys())) {
      const { address, kind, what } = wrongs.get(key) as Wrong;
      if (lasted <= this.#bounds[kind]) continue;
      const violation = { address, kind, since, found: sample.at, what };
      const same = tooLong.get(`${address} ${kind}`) ?? { violation, keys: [] };
      same.keys.push(key);
      tooLong.set(`${address} ${kind}`, same);
    }
    for (const [about, keys] of this.#reported) if (!keys.some((key) => this.#lasting.has(key))) this.#reported.delete(about);
    const fresh = [...tooLong].filter(([about]) => !this.#reported.has(about));
    for (const [about, { keys }] of tooLong) this.#reported.set(about, [...(this.#reported.get(about) ?? []), ...keys]);
    return fresh.map(([, { violation }]) => violation);
  }
}

interface Wrong extends Pick<Violation, "address" | "kind" | "what"> {
  /** The node that is concerned, or the pair of nodes. */
  readonly who: string;
}

/** Wrongs at this moment. */
function* wrongsOf(sample: Sample): Iterable<Wrong> {
  const addresses = new Set([...sample.answers.keys(), ...sample.candidates.keys()]);
  for (const nodes of agreeingParts(sample)) {
    const isHere = (node: string) => nodes.includes(node);
    for (const address of addresses) {
      const able = (sample.candidates.get(address) ?? []).filter(isHere);
      const answering = (sample.answers.get(address) ?? []).filter(isHere);
      const wrong = (kind: Wrong["kind"], who: string, what: string): Wrong => ({ address, kind, who, what });
      for (const [index, one] of answering.entries())
        for (const other of answering.slice(index + 1))
          yield wrong("twoOwners", `${one},${other}`, `${answering.join(" and ")} answer`);
      if (answering.length === 0)
        for (const node of able) yield wrong("noOwner", node, `nobody of ${nodes} answers, and ${able.join(" or ")} could`);
      const [owner, ...more] = answering;
      if (owner === undefined || more.length > 0) continue;
      const views = nodes.flatMap((node) => {
        const named = sample.owners.get(node)?.get(address);
        return named === undefined ? [] : [{ node, named }];
      });
      if (views.every(({ named }) => named === owner)) continue;
      const said = views.map(({ node, named }) => `${node} says ${named}`).join(", ");
      for (const { node, named } of views) if (named !== owner) yield wrong("otherView", node, `${said}; ${owner} answers`);
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

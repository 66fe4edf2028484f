import type { Random } from "#pkg/clock";
import type { Coverage } from "./coverage.ts";
import { execute } from "./execution.ts";
import { mutate } from "./mutations.ts";
import type { Target } from "./target.ts";

/** An input for which something is wrong. */
export interface FoundFault {
  readonly input: Uint8Array;
  readonly problem: string;
}

interface Kept {
  input: Uint8Array;
  readonly features: readonly number[];
  /** How often it has been the beginning of another one. */
  uses: number;
}

// After this many faults it looks for no others: one fault is mostly the same as the next.
const maxFindings = 5;
const maxRecent = 8;

/**
 * Looks for inputs that make a parser do what it has not done before, and begins with those to find more. With the same inputs to begin with and the
 * same chance, it always finds the same.
 */
export class Fuzzer {
  readonly findings: FoundFault[] = [];
  executions = 0;
  /** The largest cost of an input so far, as a part of its bound. */
  maxLoad = 0;
  readonly #target: Target;
  readonly #coverage: Coverage;
  readonly #random: Random;
  readonly #seen = new Set<number>(); // features
  readonly #kept: Kept[] = [];
  readonly #byFeatures = new Map<string, Kept>(); // features -> the shortest that has them

  constructor(target: Target, coverage: Coverage, random: Random) {
    this.#target = target;
    this.#coverage = coverage;
    this.#random = random;
    coverage.take();
    // The first run of any code also loads it.
    for (const input of target.seeds) execute(target, coverage, input);
  }

  /** Features seen so far. */
  get reached(): number {
    return this.#seen.size;
  }

  get isDone(): boolean {
    return this.findings.length >= maxFindings;
  }

  /** Kept inputs, in the order of their finding. */
  get inputs(): readonly Uint8Array[] {
    return this.#kept.map(({ input }) => input);
  }

  /** Tries an input. @returns whether it is kept, since it did something new */
  try(input: Uint8Array): boolean {
    this.executions++;
    const { features, load, problem } = execute(this.#target, this.#coverage, input);
    this.maxLoad = Math.max(this.maxLoad, load);
    if (problem !== undefined) {
      if (!this.findings.some((finding) => kindOf(finding.problem) === kindOf(problem))) this.findings.push({ input, problem });
      return false;
    }
    const before = this.#seen.size;
    for (const feature of features) this.#seen.add(feature);
    const key = features.join();
    const same = this.#byFeatures.get(key);
    if (same !== undefined && input.length < same.input.length) same.input = input.slice();
    if (this.#seen.size === before) return false;
    const kept: Kept = { input: input.slice(), features, uses: 0 };
    this.#kept.push(kept);
    this.#byFeatures.set(key, kept);
    return true;
  }

  /** Makes a new input, to be tried. */
  next(): Uint8Array {
    const { words, isText, maxLength, repair } = this.#target;
    const parent = this.#choose();
    parent.uses++;
    const random = this.#random;
    const material = { random, words, isText, maxLength, other: this.#any().input };
    const mutated = mutate(parent.input, material);
    return repair !== undefined && random() < 0.8 ? repair(mutated, random).subarray(0, maxLength) : mutated;
  }

  /** The fewest inputs that do all that has been seen, short ones rather than long ones. */
  smallest(): Uint8Array[] {
    const missing = new Set(this.#seen);
    const chosen: Kept[] = [];
    const gainOf = ({ features, input }: Kept) => features.filter((feature) => missing.has(feature)).length / (64 + input.length);
    const candidates = this.#kept.map((kept) => ({ kept, gain: gainOf(kept) })).sort((a, b) => a.gain - b.gain);
    while (missing.size > 0) {
      const best = candidates.pop();
      if (best === undefined) break;
      // The more is chosen, the less an input adds: the one that adds most is found by looking only at those that added most before.
      const gain = gainOf(best.kept);
      if (gain < (candidates.at(-1)?.gain ?? 0)) {
        const at = candidates.findLastIndex((other) => other.gain <= gain) + 1;
        candidates.splice(at, 0, { kept: best.kept, gain });
        continue;
      }
      chosen.push(best.kept);
      for (const feature of best.kept.features) missing.delete(feature);
    }
    return chosen.map(({ input }) => input);
  }

  #any(): Kept {
    return this.#kept[Math.floor(this.#random() * this.#kept.length)] ?? { input: new Uint8Array(), features: [], uses: 0 };
  }

  /** One of the last half of the time, else of four at random the one that has been used least. */
  #choose(): Kept {
    const recent = this.#kept.at(-1 - Math.floor(this.#random() * maxRecent));
    if (recent !== undefined && this.#random() < 0.5) return recent;
    return [this.#any(), this.#any(), this.#any(), this.#any()].reduce((least, other) =>
      other.uses < least.uses ? other : least,
    );
  }
}

/** The fault without numbers, and its place. */
function kindOf(problem: string): string {
  return problem.split("\n", 3).join("\n").replaceAll(/\d+/g, "0");
}

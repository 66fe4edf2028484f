import type { Sample } from "#e2e/ownership";
import type { Millis } from "#pkg/clock";
import { type Act, describeAct } from "./acts.ts";

/** An act as it was carried out. */
export interface Done {
  readonly act: Act;
  readonly from: Millis;
  /** Undefined before that. */
  undoneFrom: Millis | undefined;
  /** Doing or undoing it failed. */
  hasFailed: boolean;
  /** When it was undone; undefined while it lasts. */
  to: Millis | undefined;
}

/** Who answered for an address, for a time; nobody where there is no node. */
export interface Span {
  readonly from: Millis;
  readonly to: Millis;
  readonly nodes: readonly string[];
}

export interface Gap extends Pick<Span, "from" | "to"> {
  readonly address: string;
  /** What was under way then, or had ended shortly before; none: nobody knows. */
  readonly causes: readonly string[];
}

// What an act leaves behind may show so long after its end.
const aftermathMs: Millis = 5_000;

/** Who answered for each address when: address -> spans, one after the other. */
export function spansOf(samples: readonly Pick<Sample, "at" | "answers">[], end: Millis): Map<string, Span[]> {
  const spans = new Map<string, Span[]>();
  for (const [index, { at, answers }] of samples.entries()) {
    const to = samples[index + 1]?.at ?? end;
    for (const [address, nodes] of answers) {
      const known = spans.get(address) ?? [];
      spans.set(address, known);
      const last = known.at(-1);
      if (last !== undefined && last.to === at && last.nodes.join() === nodes.join()) known[known.length - 1] = { ...last, to };
      else known.push({ from: at, to, nodes });
    }
  }
  return spans;
}

/** When nobody answered, and what was done to the cluster then. */
export function gapsOf(spans: ReadonlyMap<string, readonly Span[]>, done: readonly Done[]): Gap[] {
  return [...spans].flatMap(([address, all]) =>
    all
      .filter(({ nodes }) => nodes.length === 0)
      .map(({ from, to }) => {
        const near = done.filter((one) => one.from <= to && (one.to ?? Infinity) + aftermathMs >= from);
        return { address, from, to, causes: near.map(({ act }) => describeAct(act)) };
      }),
  );
}

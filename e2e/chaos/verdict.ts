import { agreeingParts, check, type Sample } from "#e2e/ownership";
import type { Millis } from "#pkg/clock";
import { type Gap, longMs, seconds, tellGap } from "./chronicle.ts";
import type { BrokenFlow } from "./flow-client.ts";
import type { Looks } from "./observer.ts";

/** Observations of a run. */
export interface Evidence {
  readonly samples: readonly Sample[];
  readonly gaps: readonly Gap[];
  /** Seen by the observer, besides what samples show. */
  readonly faults: readonly string[];
  /** Connections that broke although they should have been kept. */
  readonly lostFlows: readonly BrokenFlow[];
  readonly looks: ReadonlyMap<string, Looks>; // what was looked at -> looks
  /** The part that did not settle at the end, if any. */
  readonly unsettled: string | undefined;
  readonly end: Millis;
}

export interface Judgement {
  /** "not judged": nothing was seen to be wrong, and too little was seen. */
  readonly result: "kept" | "broken" | "not judged";
  /** Broken promises, and parts that were not judged. */
  readonly reasons: readonly string[];
  /** How long nodes agreed on who is there while somebody asked who answers. */
  readonly judgedMs: Millis;
}

// Bounds are many times the second between two looks, so that a busy machine, which fails one look in five, hides nothing.
const minLookShare = 0.8;
// In the rest nodes are still finding out who is there: where that is most of the time, it is the ring that does not work. A short run
// may be one act.
const minJudgedShare = 0.5;
const longRunMs: Millis = 300_000;
// Somebody prints who answers at least once a second.
const maxSampleMs: Millis = 2_000;

/** Whether the promises were kept, and whether enough was seen to say so. */
export function judge({ samples, gaps, faults, lostFlows, looks, unsettled, end }: Evidence): Judgement {
  const broken = [
    ...check(samples).map(
      ({ kind, address, since, found, what }) =>
        `BROKEN ${kind}: ${address} from ${seconds(since)} to ${seconds(found)} s: ${what}`,
    ),
    ...gaps
      .filter(({ from, to, causes }) => causes.length === 0 && to - from >= longMs)
      .map((gap) => `BROKEN nobody answered, and nothing was done that explains it: ${tellGap(gap)}`),
    ...lostFlows.map(({ at, address, why }) => `BROKEN connection: one to ${address} at ${seconds(at)} s: ${why}`),
    ...faults.map((fault) => `BROKEN ${fault}`),
    ...(unsettled === undefined ? [] : [`Not settled: ${unsettled}`]),
  ];
  const judgedMs = judgedTime(samples, end);
  const unjudged = [...looks]
    .filter(([, { made, failed }]) => !(made - failed >= minLookShare * made && made > 0))
    .map(([what, { made, failed }]) => `NOT JUDGED: ${failed} of ${made} looks at ${what} failed`);
  if (!(judgedMs > 0) || (end >= longRunMs && judgedMs < minJudgedShare * end))
    unjudged.push(`NOT JUDGED: nodes agreed on who is there for ${seconds(judgedMs)} of ${seconds(end)} s`);
  const result = broken.length > 0 ? "broken" : unjudged.length > 0 ? "not judged" : "kept";
  return { result, reasons: [...broken, ...unjudged], judgedMs };
}

function judgedTime(samples: readonly Sample[], end: Millis): Millis {
  const lengths = samples.map((sample, index) => {
    const to = samples[index + 1]?.at ?? end;
    return agreeingParts(sample).length > 0 ? Math.min(maxSampleMs, Math.max(0, to - sample.at)) : 0;
  });
  return lengths.reduce((sum, length) => sum + length, 0);
}

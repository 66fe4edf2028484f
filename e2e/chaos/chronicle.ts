import type { Sample } from "#e2e/ownership";
import type { Millis } from "#pkg/clock";
import { counted } from "#pkg/text";
import { type Act, describeAct, type What } from "./acts.ts";
import type { BrokenFlow } from "./flow-client.ts";

/** An act as it was carried out. */
export interface Done {
  readonly act: Act;
  readonly from: Millis;
  /** When it was done; undefined before that. */
  inEffectFrom: Millis | undefined;
  /** When undoing began; undefined before that. */
  undoneFrom: Millis | undefined;
  /** Doing or undoing it failed. */
  hasFailed: boolean;
  /** When it was undone; undefined while it lasts. */
  to: Millis | undefined;
}

/** The nodes that answered for an address, for a time; nobody if the list is empty. */
export interface Span {
  readonly from: Millis;
  readonly to: Millis;
  readonly nodes: readonly string[];
}

export interface Gap extends Pick<Span, "from" | "to"> {
  readonly address: string;
  /** Possible causes that were under way when it began, or had ended shortly before; empty: nobody knows. */
  readonly causes: readonly string[];
}

// Effects of an act may show for this long after its end.
const aftermathMs: Millis = 5_000;

// An answer that an act holds up may be one to a question from before.
const answerMs: Millis = 1_000;

// They take nobody from the LAN or the ring, and no Pods. A node that answers needs neither controller, router, nor the time of day.
const harmless: ReadonlySet<What["type"]> = new Set([
  "deleteLease",
  "deleteState",
  "edit",
  "killController",
  "stopController",
  "stallController",
  "cutControllerApi",
  "fillControllerDisk",
  "setControllerClock",
  "setClock",
  "killRouter",
  "freezeRouter",
  "refusedConfiguration",
  "otherConfiguration",
  "moreServices",
  "fillPool",
  "rotateKey",
]);

// They move addresses between nodes that live, or nothing.
const keeping: ReadonlySet<What["type"]> = new Set(["stopSpeaker", "cutApi"]);
// A hand-over takes no longer.
const maxKeptMs: Millis = 600_000;

/** The times at which nodes answered for each address: address -> spans, one after the other. */
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

/** The times without an answer, and acts of that time that can be the cause. */
export function gapsOf(spans: ReadonlyMap<string, readonly Span[]>, done: readonly Done[]): Gap[] {
  return [...spans].flatMap(([address, all]) =>
    all
      .filter(({ nodes }) => nodes.length === 0)
      .map(({ from, to }) => ({ address, from, to, causes: causesAt(from, done).map(describeAct) })),
  );
}

/** Acts on the cluster that went on then, or had just ended. */
function causesAt(at: Millis, done: readonly Done[]): readonly Act[] {
  const near = done.filter(
    ({ act, from, to = Infinity }) => !harmless.has(act.type) && from <= at + answerMs && to + aftermathMs >= at,
  );
  return near.map(({ act }) => act);
}

/** The connections that broke although nothing was done that may break them. */
export function brokenInVain<Flow extends Pick<BrokenFlow, "at" | "lastedMs">>(
  broken: readonly Flow[],
  done: readonly Done[],
): Flow[] {
  return broken.filter(({ at, lastedMs }) => lastedMs < maxKeptMs && causesAt(at, done).every(({ type }) => keeping.has(type)));
}

/** How many connections broke, and which kinds of acts were under way; one counts for each of them. */
export function tellBroken(
  { opened, broken }: { readonly opened: number; readonly broken: readonly { readonly at: Millis }[] },
  done: readonly Done[],
): string[] {
  const kinds = broken.flatMap(({ at }) => {
    const types = new Set(causesAt(at, done).map(({ type }): string => type));
    return types.size === 0 ? ["nothing"] : [...types];
  });
  const byKind = [...Map.groupBy(kinds, (kind) => kind)].sort(([, a], [, b]) => b.length - a.length);
  return [
    `${broken.length} of ${counted(opened, "kept connection")} broke${broken.length === 0 ? "" : ", while this was done to the cluster or had just ended:"}`,
    ...byKind.map(([kind, times]) => `  ${times.length}: ${kind}`),
  ];
}

/** Another node answers in less, also on a busy machine. A bad cable causes many shorter times. */
export const longMs: Millis = 1_000;

/**
 * The long times by themselves, the longest first, and the number of times for each act that was under way; a time counts for each
 * of its acts.
 */
export function tellGaps(gaps: readonly Gap[]): string[] {
  if (gaps.length === 0) return ["Somebody answered for each address at any time."];
  const all = gaps.map((gap) => Object.assign({}, gap, { length: gap.to - gap.from })).sort((a, b) => b.length - a.length);
  const long = all.filter(({ length }) => length >= longMs);
  const byCause = Map.groupBy(
    all.flatMap((gap) => causesOf(gap).map((cause) => ({ cause, length: gap.length }))),
    ({ cause }) => cause,
  );
  const causes = [...byCause].map(([cause, those]) => ({
    cause,
    times: those.length,
    total: sum(those),
    longest: those[0]?.length ?? 0,
  }));
  return [
    `${counted(gaps.length, "time")} nobody answered for an address, for ${seconds(sum(all))} s in all; ${long.length} of these took ${seconds(longMs)} s or longer`,
    ...long.map((gap) => `  ${tellGap(gap)}`),
    "What was done to the cluster then, or had just ended:",
    ...causes
      .sort((a, b) => b.total - a.total)
      .map(
        ({ cause, times, total, longest }) =>
          `  ${counted(times, "time")}, ${seconds(total)} s in all, ${seconds(longest)} s at most: ${cause}`,
      ),
  ];
}

export function tellGap(gap: Gap): string {
  return `${gap.address} from ${seconds(gap.from)} s for ${seconds(gap.to - gap.from)} s: ${causesOf(gap).join(", ")}`;
}

function causesOf({ causes }: Gap): readonly string[] {
  return causes.length === 0 ? ["nothing"] : causes;
}

function sum(gaps: readonly { readonly length: Millis }[]): Millis {
  return gaps.reduce((total, { length }) => total + length, 0);
}

export function seconds(at: Millis): string {
  return (at / 1_000).toFixed(1);
}

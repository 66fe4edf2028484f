import { nearestName } from "#pkg/config";
import { age, list, maskControls } from "#pkg/text";
import { type BriefVerdict, causes, isProblem, states } from "#pkg/verdict";
import type { CommandInput, CommandResult } from "../cluster/cluster-command.ts";
import { table } from "../cluster/output.ts";
import { asFarAsKnown, type Unreachable } from "../cluster/processes.ts";
import { type Options, UsageError, type Values } from "../command.ts";

/** Options of the commands that list things with a verdict. */
export const listOptions = {
  state: { value: "STATE", help: "only with this state, or one of several with commas between them" },
  cause: { value: "CAUSE", help: "only with this cause, likewise" },
  "sort-by": { value: "COLUMN", help: "a column of the table, in place of the usual order" },
} as const satisfies Options;

export const poolOption = { pool: { value: "POOL", help: "only of this pool, likewise" } } as const satisfies Options;
export const nodeOption = { node: { value: "NODE", help: "only on this node, likewise" } } as const satisfies Options;

/** A column of the table of things `T`. */
export interface Column<T> {
  readonly heading: string;
  readonly cell: (one: T, now: Date) => string;
  /** Where the cells do not have the order of the things. */
  readonly key?: (one: T) => string | number;
  readonly isWide?: boolean;
}

/** The part of a verdict that each list shows besides its state. */
export const sinceAndCause: readonly Column<{ readonly verdict: BriefVerdict }>[] = [
  {
    heading: "SINCE",
    cell: ({ verdict }, now) => age(verdict.since, now),
    key: ({ verdict }) => -(Date.parse(verdict.since) || 0),
  },
  { heading: "CAUSE", cell: ({ verdict }) => verdict.cause },
];

interface Listing<T> {
  /** The field of the output for programs. */
  readonly kind: string;
  readonly all: readonly T[];
  readonly columns: readonly Column<T>[];
  /** How a person names it. */
  readonly isNamed: (one: T, name: string) => boolean;
  readonly verdicts: (one: T) => readonly BriefVerdict[];
  readonly pools?: (one: T) => readonly (string | null)[];
  readonly nodes?: (one: T) => readonly string[];
  /** The text where there is nothing. */
  readonly none: string;
  readonly unreachable: readonly Unreachable[];
}

type Filters = Values<typeof listOptions> &
  Values<typeof poolOption> &
  Values<typeof nodeOption> & { readonly problems?: boolean };

/** The things that were asked for by name and by option, in order. @throws {UsageError} for a column, state or cause that is not there */
export function listing<T>(
  { args, format, screen, now }: Pick<CommandInput, "args" | "format" | "screen" | "now">,
  { state, cause, pool, node, problems = false, "sort-by": sortBy }: Filters,
  { kind, all, columns, isNamed, verdicts, pools, nodes, none, unreachable }: Listing<T>,
): CommandResult {
  const said = all.flatMap(verdicts);
  for (const one of state?.split(",") ?? []) known("state", one, [...said.map((each) => each.state), ...Object.keys(states)]);
  for (const one of cause?.split(",") ?? []) known("cause", one, [...said.map((each) => each.cause), ...allCauses]);
  const isAmong = (wanted: string | undefined, found: readonly (string | null)[] = []) =>
    wanted === undefined ||
    wanted.split(",").some((one) => found.some((each) => each?.toLowerCase() === one.trim().toLowerCase()));
  const named = args.length === 0 ? all : all.filter((one) => args.some((name) => isNamed(one, name)));
  const chosen = named.filter(
    (one) =>
      verdicts(one).some((verdict) => isAmong(state, [verdict.state]) && isAmong(cause, [verdict.cause])) &&
      (!problems || verdicts(one).some(isProblem)) &&
      isAmong(pool, pools?.(one)) &&
      isAmong(node, nodes?.(one)),
  );
  const sorted = sortBy === undefined ? chosen : chosen.toSorted(orderBy(sortBy, columns, now));
  const shown = columns.filter(({ isWide = false }) => format === "wide" || !isWide);
  const rows = sorted.map((one) => shown.map(({ cell }) => cell(one, now)));
  const missing = args.filter((name) => !all.some((one) => isNamed(one, name)));
  const isFiltered = args.length > 0 || [state, cause, pool, node].some((option) => option !== undefined);
  const nothing = isFiltered && all.length > 0 ? "nothing has what is asked for" : none;
  return {
    value: { [kind]: sorted },
    text:
      sorted.length === 0
        ? `${maskControls(nothing)}\n`
        : table(
            shown.map(({ heading }) => heading),
            rows,
            screen,
          ),
    unreachable,
    isMissing: missing.length > 0,
    ...(missing.length > 0 && { note: `there is no ${list(missing)} among the ${kind}${asFarAsKnown(unreachable)}` }),
  };
}

const allCauses = Object.values(causes).flatMap((each) => Object.keys(each));

/** A misspelt state would look like good news: nothing has it. @throws {UsageError} for an unknown name */
function known(what: string, given: string, names: readonly string[]): void {
  const name = given.trim();
  if (names.some((one) => one.toLowerCase() === name.toLowerCase())) return;
  const alike = names.filter((one) => one.charAt(0).toLowerCase() === name.charAt(0).toLowerCase());
  const near = nearestName(name, [...new Set(alike)]);
  const hint = near === undefined ? "" : `, did you mean ${JSON.stringify(near)}?`;
  throw new UsageError(`there is no ${what} ${JSON.stringify(name)}${hint || ";"} docs/verdicts.md lists them`);
}

function orderBy<T>(sortBy: string, columns: readonly Column<T>[], now: Date): (one: T, other: T) => number {
  const column = columns.find(({ heading }) => heading.toLowerCase() === sortBy.toLowerCase());
  if (column === undefined)
    throw new UsageError(
      `--sort-by is one of ${columns.map(({ heading }) => heading).join(", ")}, not ${JSON.stringify(sortBy)}`,
    );
  const { cell, key = (one: T) => cell(one, now) } = column;
  return (one, other) => {
    const [a, b] = [key(one), key(other)];
    return typeof a === "number" && typeof b === "number" ? a - b : `${a}`.localeCompare(`${b}`, "en", { numeric: true });
  };
}

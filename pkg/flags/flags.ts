import { parseDuration } from "#pkg/clock";

/** One flag: how its text is read, what it is without one, and what `--help` says of it. */
export interface Flag<T> {
  readonly help: string;
  /** The environment variable that gives the default; the command line wins over it. */
  readonly env?: string;
  readonly fallback: T;
  /** The fallback as people write it, where that is another text. */
  readonly standard?: string;
  /** A boolean flag needs no value. */
  readonly isBoolean?: boolean;
  /** @returns the value, or undefined when the text is not one; `expects` says what would be */
  readonly read: (text: string) => T | undefined;
  readonly expects: string;
}

// biome-ignore lint/suspicious/noExplicitAny: a set holds flags of different types; FlagValues restores each.
export type FlagSet = Readonly<Record<string, Flag<any>>>; // name -> flag
export type FlagValues<S extends FlagSet> = { readonly [K in keyof S]: S[K] extends Flag<infer T> ? T : never };

export type ParsedFlags<S extends FlagSet> =
  | { readonly type: "values"; readonly values: FlagValues<S> }
  | { readonly type: "help"; readonly text: string }
  /** The command line or the environment cannot be used; the message names the place and the allowed values. */
  | { readonly type: "error"; readonly message: string };

interface Common {
  readonly help: string;
  readonly env?: string;
}

/** Both included. */
interface Limits {
  readonly min: string;
  readonly max: string;
}

/** The kinds of flags. */
export const flag = {
  text: ({ fallback = "", ...common }: Common & { fallback?: string }): Flag<string> => ({
    ...common,
    fallback,
    expects: "text",
    read: (text) => text,
  }),
  /** A Pod by name and UID; empty: none. */
  pod: (common: Common): Flag<string> => ({
    ...common,
    fallback: "",
    expects: "POD_NAME/POD_UID",
    read: (text) => (text === "" || /^[\w.-]+\/[\w-]+$/.test(text) ? text : undefined),
  }),
  integer: ({ min, max, ...common }: Common & { fallback: number; min: number; max: number }): Flag<number> => ({
    ...common,
    expects: `a whole number from ${min} to ${max}`,
    read: (text) => (/^\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined),
  }),
  boolean: ({ fallback = false, ...common }: Common & { fallback?: boolean }): Flag<boolean> => ({
    ...common,
    fallback,
    isBoolean: true,
    expects: "true or false",
    read: (text) => (Object.hasOwn(booleans, text) ? booleans[text] : undefined),
  }),
  /** In milliseconds. The fallback is text, as the value, and so are the limits. */
  duration: ({ fallback, limits, ...common }: Common & { fallback: string; limits?: Limits }): Flag<number> => ({
    ...common,
    fallback: readDuration(fallback) ?? 0,
    standard: fallback,
    expects: `a time ${limits === undefined ? "such as 500ms, 90s, 1m30s or 2h, or 0" : `from ${limits.min} to ${limits.max}`}`,
    read: (text) => {
      const value = readDuration(text);
      return value === undefined || isWithin(value, limits) ? value : undefined;
    },
  }),
  choice: <T extends string>({ choices, ...common }: Common & { fallback: T; choices: readonly T[] }): Flag<T> => ({
    ...common,
    expects: `one of: ${choices.join(", ")}`,
    read: (text) => choices.find((choice) => choice === text),
  }),
};

function isWithin(value: number, limits: Limits | undefined): boolean {
  return limits === undefined || (value >= (readDuration(limits.min) ?? 0) && value <= (readDuration(limits.max) ?? Infinity));
}

/** Reads like Go's time.ParseDuration, but nothing below 0, in milliseconds. */
function readDuration(text: string): number | undefined {
  const nanoseconds = parseDuration(text);
  return nanoseconds === undefined || nanoseconds < 0 ? undefined : nanoseconds / 1e6;
}

// What Go's strconv.ParseBool accepts.
const booleans: Readonly<Record<string, boolean>> = {
  "1": true,
  t: true,
  T: true,
  true: true,
  TRUE: true,
  True: true,
  "0": false,
  f: false,
  F: false,
  false: false,
  FALSE: false,
  False: false,
};

/** Reads `args` (without the program) and `env`. An empty environment variable counts as unset. */
export function parseFlags<S extends FlagSet>(
  usage: string,
  flags: S,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ParsedFlags<S> {
  const values: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(flags)) {
    const text = flag.env === undefined ? undefined : env[flag.env];
    values[name] = text ? flag.read(text) : flag.fallback;
    if (values[name] === undefined)
      return { type: "error", message: `environment variable ${flag.env} is "${text}", wanted ${flag.expects}` };
  }
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    const match = /^--?([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(arg);
    if (match === null) return { type: "error", message: `unexpected argument "${arg}"; see --help` };
    const name = match[1] ?? "";
    if (name === "help" || name === "h") return { type: "help", text: helpText(usage, flags) };
    const known = Object.hasOwn(flags, name) ? flags[name] : undefined;
    if (known === undefined) return { type: "error", message: `unknown flag --${name}; see --help` };
    const text = match[2] ?? (known.isBoolean ? "true" : args[++i]);
    if (text === undefined) return { type: "error", message: `flag --${name} needs a value: ${known.expects}` };
    const value = known.read(text);
    if (value === undefined) return { type: "error", message: `flag --${name} is "${text}", wanted ${known.expects}` };
    values[name] = value;
  }
  return { type: "values", values: values as FlagValues<S> };
}

function helpText(usage: string, flags: FlagSet): string {
  const rows = Object.entries(flags).map(([name, { help, env, fallback, standard: text, isBoolean = false, expects }]) => {
    const value = isBoolean ? "" : ` ${placeholder(expects)}`;
    const from = env === undefined ? "" : `; environment: ${env}`;
    const standard = fallback === "" || fallback === false ? "" : `; default: ${text ?? fallback}`;
    const allowed = expects.startsWith("one of") ? `; ${expects}` : "";
    return `  --${name}${value}\n        ${help}${allowed}${standard}${from}`;
  });
  return `${usage}\n\nFlags:\n${rows.join("\n")}\n`;
}

function placeholder(expects: string): string {
  if (expects === "text") return "TEXT";
  if (expects.startsWith("POD")) return expects;
  if (expects.startsWith("one of")) return "NAME";
  return expects.startsWith("a time") ? "TIME" : "NUMBER";
}

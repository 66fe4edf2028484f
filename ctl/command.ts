import { type ParseArgsConfig, parseArgs } from "node:util";
import { nearestName } from "#pkg/config";
import { forNamespace, withOption } from "#pkg/text";
import packageJson from "../package.json" with { type: "json" };
import type { ClusterOptions } from "./cluster/processes.ts";
import type { Io } from "./io.ts";

/** Version of this program. */
export const { version } = packageJson;

/** `invalid`: what was asked about is not valid, or not there; `losses`: there is a result, which lacks something. */
export const Exit = { ok: 0, invalid: 1, usage: 2, losses: 3 } as const;

/** The command cannot do what was asked: its arguments or files are at fault. The message is for the person who typed it. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The printed text of the error. */
export function usageText({ message }: UsageError): string {
  return `ingotctl: ${message.trimEnd()}`;
}

/** An option of a command. Parsing, `--help` and shell completion follow from it. */
export interface Option {
  /** One letter, such as `o` for `-o`. */
  readonly short?: string;
  /** The name of its value, such as `FILE`, which shells complete with the names of files. An option without a value is a switch. */
  readonly value?: string;
  /** The only values that it takes. */
  readonly choices?: readonly string[];
  readonly help: string;
}

export type Options = Readonly<Record<string, Option>>; // name without dashes -> option

/** The given values of the options. */
export type Values<O extends Options> = {
  readonly [N in keyof O]?: O[N] extends { readonly choices: readonly (infer C)[] }
    ? C
    : O[N] extends { readonly value: string }
      ? string
      : boolean;
};

/** Option of commands that print text or JSON. */
export const outputOption = {
  short: "o",
  value: "FORMAT",
  choices: ["text", "json"],
  help: "text (the default) or json",
} as const;

/** How many arguments a command takes, besides options. */
export type Takes = 0 | 1 | "at most one" | "one or two" | "one or more" | "any";

/** Names in the cluster that stand for arguments: of one kind, or with the kind in front those of Services, or of every kind. */
export type Completes = "svc" | "node" | "peer" | "pool" | "svc/" | "all";

interface Described<O extends Options> {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  readonly options: O;
  /** Beginnings of arguments that shells complete, in the place of names of files. */
  readonly subjects?: readonly string[] | undefined;
  /** Names in the cluster that shells complete likewise. */
  readonly completes?: Completes | undefined;
}

/** One subcommand of `ingotctl`. */
export interface Command extends Described<Options> {
  /** The whole text of `ingotctl help COMMAND`. */
  readonly help: string;
  /** @returns the exit status @throws {UsageError} */
  run(args: readonly string[], io: Io): Promise<number>;
}

interface CommandDescription<O extends Options> extends Described<O> {
  /** Behind the name, such as `[OPTIONS] FILE`. */
  readonly usage: string;
  readonly takes: Takes;
  /** Help before the options, and after them. */
  readonly help: string;
  readonly notes: string;
  /** Whole command lines. */
  readonly examples: readonly string[];
  /** @throws {UsageError} */
  run(given: { readonly values: Values<O>; readonly args: readonly string[] }, io: Io): Promise<number>;
}

export function command<const O extends Options>(description: CommandDescription<O>): Command {
  const { name, usage, help, notes, options, examples } = description;
  const shown = `Examples:\n${examples.map((line) => `  ${line}`).join("\n")}`;
  const parts = [`Usage: ingotctl ${name} ${usage}`.trimEnd(), help, optionLines(options).join("\n"), shown, notes];
  return {
    ...description,
    help: `${parts.filter((part) => part !== "").join("\n\n")}\n`,
    run: async (args, io) => {
      const given = parse(description, args);
      return description.run(given, inCluster(given.values, io));
    },
  };
}

/** Lets remedies have commands for the cluster that was asked. */
function inCluster<O extends Options>(values: Values<O>, io: Io): Io {
  const given = values as Readonly<Record<string, string>>;
  const { kubeconfig, context, "system-namespace": systemNamespace = "metallb-system" } = given;
  const said = (text: string) => forCluster(text, { kubeconfig, context, systemNamespace });
  return { ...io, out: (text) => io.out(said(text)), err: (text) => io.err(said(text)) };
}

/** A text with commands for this cluster, where a shell reads the names of the file and the context as one word each. */
export function forCluster(text: string, cluster: Pick<ClusterOptions, "kubeconfig" | "context" | "systemNamespace">): string {
  let said = forNamespace(text, cluster.systemNamespace);
  for (const name of ["context", "kubeconfig"] as const) {
    const given = cluster[name];
    if (given === undefined || !/^[^'"\\\p{Cc}]+$/u.test(given)) continue; // The text may be JSON.
    const value = /^[\w./:@+-]+$/.test(given) ? given : `'${given}'`;
    const command = new RegExp(`\\bkubectl (?=[a-z-])(?!(?:--[a-z]+ (?:'[^']*'|\\S+) )*--${name} )`, "g");
    said = withOption(
      said.replace(command, () => `kubectl --${name} ${value} `),
      `--${name}`,
      value,
    );
  }
  return said;
}

/** @param text the value of an option --timeout @returns milliseconds @throws {UsageError} */
export function readSeconds(text: string): number {
  const seconds = Number(text);
  if (!/^\d{1,6}$/.test(text) || seconds === 0)
    throw new UsageError(`the timeout is seconds such as 60, not ${JSON.stringify(text)}`);
  return 1000 * seconds;
}

function optionLines(options: Options): string[] {
  const rows = Object.entries(options).map(([name, { short, value, help }]) => {
    const letter = short === undefined ? "    " : `-${short}, `;
    return { left: `  ${letter}--${name}${value === undefined ? "" : ` ${value}`}`, help };
  });
  const width = Math.max(...rows.map(({ left }) => left.length));
  return rows.map(({ left, help }) => `${left.padEnd(width)}  ${help}`);
}

/** @throws {UsageError} */
function parse<O extends Options>({ name, options, takes }: CommandDescription<O>, args: readonly string[]) {
  const seeHelp = `see "ingotctl help ${name}"`;
  const { values, positionals } = ((): ReturnType<typeof parseArgs> => {
    try {
      return parseArgs({ args: likeKubectl(args, options), options: typesOf(options), allowPositionals: true });
    } catch (error) {
      const [, unknown] = /^Unknown option '(.+?)'/.exec((error as Error).message) ?? [];
      const near =
        unknown &&
        nearestName(
          unknown,
          Object.keys(options).map((each) => `--${each}`),
        );
      const hint = near === undefined ? ";" : `, did you mean ${near}?`;
      const why = unknown === undefined ? `${(error as Error).message};` : `${name} has no option ${unknown}${hint}`;
      throw new UsageError(`${why} ${seeHelp}`, { cause: error });
    }
  })();
  for (const [option, { choices }] of Object.entries(options)) {
    const value = values[option];
    if (value === "" && kubectlNames.includes(option)) delete values[option]; // As kubectl takes it: `--context "$UNSET"`.
    if (choices !== undefined && value !== undefined && !choices.includes(`${value}`))
      throw new UsageError(`--${option} is one of ${choices.join(", ")}, not ${JSON.stringify(value)}; ${seeHelp}`);
  }
  const count = positionals.length;
  const fits = {
    0: count === 0,
    1: count === 1,
    "at most one": count <= 1,
    "one or two": count === 1 || count === 2,
    "one or more": count >= 1,
    any: true,
  };
  if (!fits[takes]) {
    const wanted =
      takes === 0
        ? "no argument"
        : `${takes === 1 ? "one" : takes} argument${takes === "one or more" || takes === "one or two" ? "s" : ""}`;
    throw new UsageError(`${name} takes ${wanted}, not ${count}; ${seeHelp}`);
  }
  return { values: values as Values<O>, args: positionals };
}

const kubectlNames: readonly string[] = ["kubeconfig", "context", "namespace"];

/** `-n=NAME` is `-n NAME` for kubectl; parseArgs takes the `=` for a part of the name. */
function likeKubectl(args: readonly string[], options: Options): string[] {
  const letters = Object.values(options).flatMap(({ short, value }) => (value === undefined ? [] : (short ?? [])));
  const end = args.includes("--") ? args.indexOf("--") : args.length;
  return args.map((arg, place) => (place < end && letters.includes(arg.charAt(1)) ? arg.replace(/^(-\w)=(?=.)/s, "$1") : arg));
}

function typesOf(options: Options): NonNullable<ParseArgsConfig["options"]> {
  const types = Object.entries(options).map(([name, { short, value }]) => {
    const type = value === undefined ? ("boolean" as const) : ("string" as const);
    return [name, short === undefined ? { type } : { type, short }] as const;
  });
  return Object.fromEntries(types);
}

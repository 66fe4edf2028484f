import { type Command, Exit, type Io, parseOptions, type Screen, UsageError } from "../command.ts";
import { type Format, readFormat, structured } from "./output.ts";
import type { ClusterOptions, Processes, Unreachable } from "./processes.ts";

/** What a command found. */
export interface Found {
  /** For programs. */
  readonly value: object;
  /** For people. */
  readonly text: string;
  readonly unreachable: readonly Unreachable[];
  /** What was asked about is not there. */
  readonly isMissing?: boolean;
}

/** What a command was asked. */
export interface Question {
  readonly processes: Processes;
  readonly args: readonly string[];
  readonly isWide: boolean;
  readonly allNamespaces: boolean;
  readonly problems: boolean;
  /** For Services that are named without one. */
  readonly namespace: string;
  readonly screen: Screen;
  readonly now: Date;
}

export interface ClusterCommandOptions {
  readonly name: string;
  readonly summary: string;
  /** Behind the name, such as ` ADDRESS`. */
  readonly usage: string;
  readonly help: string;
  /** How many arguments it takes. */
  readonly takes: 0 | 1;
  /** Options of its own, besides those that all have. */
  readonly own?: readonly ("all-namespaces" | "problems")[];
  readonly find: (question: Question) => Promise<Found>;
}

const options = {
  kubeconfig: { type: "string" },
  context: { type: "string" },
  namespace: { type: "string", short: "n" },
  "all-namespaces": { type: "boolean", short: "A" },
  "system-namespace": { type: "string" },
  problems: { type: "boolean" },
  output: { type: "string", short: "o" },
  watch: { type: "boolean", short: "w" },
} as const;

const optionHelp = `  -o, --output FORMAT        wide, json or yaml
  -w, --watch                again every 2 s, until Ctrl-C
  -n, --namespace NAME       of Services; the context's by default
      --system-namespace NS  of controller and speakers; metallb-system by default
      --kubeconfig FILE      as kubectl's
      --context NAME         as kubectl's

Controller and speakers are asked by forwarded ports, with your own rights: to list Pods and to create pods/portforward in the
system namespace. Those that do not answer are named on standard error, and the rest is shown.

The exit status is 0, 1 if what was asked about is not there, 2 if the arguments or the cluster cannot be used, and 3 if some
process did not answer.
`;

const watchMs = 2_000;

/** A command that asks the processes of a cluster. */
export function clusterCommand(command: ClusterCommandOptions): Command {
  const { name, summary, usage, help, own = [] } = command;
  const ownHelp = [
    own.includes("all-namespaces") ? "  -A, --all-namespaces       Services of all namespaces\n" : "",
    own.includes("problems") ? "      --problems             only what is not well\n" : "",
  ].join("");
  return {
    summary,
    help: `Usage: ingotctl ${name}${usage} [OPTIONS]\n\n${help}\n\n${ownHelp}${optionHelp}`,
    run: (args, io) => run(command, args, io),
  };
}

async function run({ name, takes, own = [], find }: ClusterCommandOptions, args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(name, args, options);
  if (positionals.length !== takes)
    throw new UsageError(
      `${name} takes ${takes === 0 ? "no argument" : "one argument"}, not ${positionals.length}; see "ingotctl help ${name}"`,
    );
  for (const option of ["all-namespaces", "problems"] as const)
    if (values[option] === true && !own.includes(option)) throw new UsageError(`${name} has no option --${option}`);
  const format = readFormat(values.output);
  const { kubeconfig, context } = values;
  const cluster: ClusterOptions = { kubeconfig, context, systemNamespace: values["system-namespace"] ?? "metallb-system" };
  for (;;) {
    await using processes = await io.cluster.connect(cluster);
    if (processes.targets.length === 0)
      throw new UsageError(
        `there is no Pod of a controller or speaker in namespace ${cluster.systemNamespace}; see --system-namespace`,
      );
    const question = {
      processes,
      args: positionals,
      isWide: format === "wide",
      allNamespaces: values["all-namespaces"] === true,
      problems: values.problems === true,
      namespace: values.namespace ?? (await io.cluster.namespace(cluster)),
      screen: io.screen,
      now: io.now(),
    };
    const status = show(await find(question), format, io);
    if (values.watch !== true) return status;
    await io.sleep(watchMs);
    io.out(io.screen.columns === undefined ? "\n" : "\u001b[2J\u001b[H"); // A terminal shows the latest alone.
  }
}

function show({ value, text, unreachable, isMissing = false }: Found, format: Format, io: Io): number {
  const missing = unreachable.map(({ target, why }) => ({ program: target.program, pod: target.pod, node: target.node, why }));
  io.out(format === "json" || format === "yaml" ? structured(format, { ...value, unreachable: missing }) : text);
  for (const { pod, node, why } of missing)
    io.err(`ingotctl: ${pod}${node === "" ? "" : ` on ${node}`} is not among these: ${why}\n`);
  if (isMissing) return Exit.invalid;
  return missing.length > 0 ? Exit.losses : Exit.ok;
}

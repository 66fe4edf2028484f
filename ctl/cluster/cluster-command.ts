import { age, maskControls } from "#pkg/text";
import { type Command, Exit, type Io, parseOptions, type Screen, UsageError, usageText } from "../command.ts";
import type { Api } from "./api.ts";
import { type Format, readFormat, structured } from "./output.ts";
import { type ClusterOptions, type Processes, Silence, type Target, type Unreachable } from "./processes.ts";

/** What a command found. */
export interface Found {
  /** For programs. */
  readonly value: object;
  /** For people. */
  readonly text: string;
  /** For people too, on standard error: what is no part of the result. */
  readonly note?: string | undefined;
  readonly unreachable: readonly Unreachable[];
  /** What was asked about is not there, or not valid. */
  readonly isMissing?: boolean;
  /** There is a result, and it is not what anybody wants. */
  readonly isLossy?: boolean;
}

/** What a command was asked. */
export interface Question {
  readonly processes: Processes;
  readonly args: readonly string[];
  readonly format: Format;
  readonly allNamespaces: boolean;
  readonly problems: boolean;
  readonly yes: boolean;
  readonly backup: string | undefined;
  readonly timeoutMs: number;
  /** For Services that are named without one. */
  readonly namespace: string;
  /** The API server. @throws {UsageError} without credentials */
  api(): Promise<Api>;
  /** Of controller and speakers. */
  readonly systemNamespace: string;
  /** The options that say which cluster, as they were given: for a command that the person may type later. */
  readonly clusterArgs: readonly string[];
  readonly screen: Screen;
  readonly now: Date;
  readonly io: Io;
}

export interface ClusterCommandOptions {
  readonly name: string;
  readonly summary: string;
  /** Behind the name, such as ` ADDRESS`. */
  readonly usage: string;
  readonly help: string;
  /** How many arguments it takes; `several` is one or more. */
  readonly takes: 0 | 1 | "several";
  /** Options of its own, besides those that all have. */
  readonly own?: readonly OwnOption[];
  /** It does something, and that once: it has no `--watch`. */
  readonly isOnce?: boolean;
  /** Exit statuses besides those that all have, as a sentence. */
  readonly exits?: string;
  readonly find: (question: Question) => Promise<Found>;
}

const options = {
  kubeconfig: { type: "string" },
  context: { type: "string" },
  namespace: { type: "string", short: "n" },
  "all-namespaces": { type: "boolean", short: "A" },
  "system-namespace": { type: "string" },
  problems: { type: "boolean" },
  yes: { type: "boolean", short: "y" },
  backup: { type: "string" },
  timeout: { type: "string" },
  output: { type: "string", short: "o" },
  watch: { type: "boolean", short: "w" },
} as const;

const ownHelp = {
  "all-namespaces": "  -A, --all-namespaces       Services of all namespaces\n",
  problems: "      --problems             only what is not well\n",
  yes: "  -y, --yes                  do not ask\n",
  backup: "      --backup FILE          keeps the former configuration there\n",
  timeout: "      --timeout SECONDS      how long to wait; 60 by default\n",
} as const;

export type OwnOption = keyof typeof ownHelp;
const ownOptions = Object.keys(ownHelp) as OwnOption[];

const watchHelp = "  -w, --watch                again every 2 s, until Ctrl-C\n";

const optionHelp = (watch: string) => `  -o, --output FORMAT        wide, json or yaml
${watch}  -n, --namespace NAME       of Services; the context's by default
      --system-namespace NS  of controller and speakers; metallb-system by default
      --kubeconfig FILE      as kubectl's
      --context NAME         as kubectl's

Controller and speakers are asked by forwarded ports, with your own rights: to list Pods and to create pods/portforward in the
system namespace. Those that do not answer are named on standard error, and the rest is shown.

The exit status is 0, 1 if what was asked about is not there, 2 if the arguments or the cluster cannot be used, and 3 if some
process did not answer.`;

const watchMs = 2_000;

/** A command that asks the processes of a cluster. */
export function clusterCommand(command: ClusterCommandOptions): Command {
  const { name, summary, usage, help, own = [], isOnce = false, exits } = command;
  const ofOwn = own.map((option) => ownHelp[option]).join("");
  const shared = optionHelp(isOnce ? "" : watchHelp);
  return {
    summary,
    help: `Usage: ingotctl ${name}${usage} [OPTIONS]\n\n${help}\n\n${ofOwn}${shared}${exits === undefined ? "" : ` ${exits}`}\n`,
    run: (args, io) => run(command, args, io),
  };
}

async function run(command: ClusterCommandOptions, args: readonly string[], io: Io): Promise<number> {
  const { name, takes, own = [], isOnce = false } = command;
  const { values, positionals } = parseOptions(name, args, options);
  if (takes === "several" ? positionals.length === 0 : positionals.length !== takes) {
    const wanted = takes === "several" ? "one argument or more" : takes === 0 ? "no argument" : "one argument";
    throw new UsageError(`${name} takes ${wanted}, not ${positionals.length}; see "ingotctl help ${name}"`);
  }
  for (const option of ownOptions)
    if (values[option] !== undefined && !own.includes(option)) throw new UsageError(`${name} has no option --${option}`);
  if (values.watch === true && isOnce) throw new UsageError(`${name} has no option --watch`);
  const format = readFormat(values.output);
  const { kubeconfig, context } = values;
  const cluster: ClusterOptions = { kubeconfig, context, systemNamespace: values["system-namespace"] ?? "metallb-system" };
  await using connection = new Connection(io, cluster);
  let known: { readonly text: string; readonly at: Date } | undefined;
  const answer = async (): Promise<number> => {
    const processes = await connection.renew();
    if (processes.targets.length === 0)
      throw new UsageError(
        `there is no Pod of a controller or speaker in namespace ${cluster.systemNamespace}; see --system-namespace`,
      );
    const question = {
      processes,
      args: positionals,
      format,
      allNamespaces: values["all-namespaces"] === true,
      problems: values.problems === true,
      yes: values.yes === true,
      backup: values.backup,
      timeoutMs: readTimeout(values.timeout),
      api: () => io.cluster.api(cluster),
      systemNamespace: cluster.systemNamespace,
      clusterArgs: (["kubeconfig", "context", "system-namespace"] as const).flatMap((option) => {
        const given = values[option];
        return given === undefined ? [] : [`--${option}`, given];
      }),
      io,
      namespace: values.namespace ?? (await io.cluster.namespace(cluster)),
      screen: io.screen,
      now: io.now(),
    };
    const found = await command.find(question);
    known = { text: found.text, at: io.now() };
    return show(found, format, io);
  };
  let status = await answer();
  while (values.watch === true && !io.isOutClosed()) {
    await io.sleep(watchMs);
    io.clear(); // A terminal shows the latest alone.
    try {
      status = await answer();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      io.err(`${usageText(error)}\n`); // The API server may be back the next time.
      if (known !== undefined && io.screen.columns !== undefined)
        io.out(`As it was ${age(known.at.toISOString(), io.now())} ago:\n${known.text}`);
    }
  }
  return status;
}

/** The processes, found anew each time: Pods come and go. */
class Connection implements AsyncDisposable {
  readonly #io: Io;
  readonly #options: ClusterOptions;
  #processes: Processes | undefined;

  constructor(io: Io, options: ClusterOptions) {
    this.#io = io;
    this.#options = options;
  }

  /** @throws {UsageError} */
  async renew(): Promise<Processes> {
    this.#io.progress("asking the API server for the Pods");
    this.#processes = await this.#io.cluster.connect(this.#options, this.#processes);
    return withProgress(this.#processes, this.#io);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes?.[Symbol.asyncDispose]();
  }
}

/** The same processes for one answer of a command: it shows how many have answered, and a silent process costs one time-out. */
function withProgress(processes: Processes, io: Io): Processes {
  let asked = 0;
  let answered = 0;
  const silent = new Map<Target, Silence>();
  const show = () => io.progress(`${answered} of ${asked} answers of ${processes.targets.length} processes`);
  return {
    targets: processes.targets,
    async get(target, path) {
      const silence = silent.get(target);
      if (silence !== undefined) throw silence;
      asked++;
      show();
      try {
        return await processes.get(target, path);
      } catch (error) {
        if (error instanceof Silence) silent.set(target, error);
        throw error;
      } finally {
        answered++;
        show();
      }
    },
    async [Symbol.asyncDispose]() {},
  };
}

function readTimeout(text = "60"): number {
  const seconds = Number(text);
  if (!/^\d{1,6}$/.test(text) || seconds === 0)
    throw new UsageError(`the timeout is seconds such as 60, not ${JSON.stringify(text)}`);
  return 1000 * seconds;
}

function show({ value, text, note, unreachable, isMissing = false, isLossy = false }: Found, format: Format, io: Io): number {
  const missing = unreachable.map(({ target, why }) => ({ program: target.program, pod: target.pod, node: target.node, why }));
  io.out(format === "json" || format === "yaml" ? structured(format, { ...value, unreachable: missing }) : text);
  if (note !== undefined) io.err(`ingotctl: ${maskControls(note)}\n`);
  for (const { pod, node, why } of missing)
    io.err(`ingotctl: ${maskControls(`${pod}${node === "" ? "" : ` on ${node}`} is not among these: ${why}`)}\n`);
  if (isMissing) return Exit.invalid;
  return missing.length > 0 || isLossy ? Exit.losses : Exit.ok;
}

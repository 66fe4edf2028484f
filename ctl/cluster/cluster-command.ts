import { age, maskControls } from "#pkg/text";
import {
  type Command,
  type Completes,
  command,
  Exit,
  type Option,
  type Options,
  type Takes,
  UsageError,
  usageText,
  type Values,
} from "../command.ts";
import type { Io, Screen } from "../io.ts";
import type { Api } from "./api.ts";
import { type Format, structured } from "./output.ts";
import type { ClusterOptions, Processes, Unreachable } from "./processes.ts";

export interface CommandResult {
  /** For programs. */
  readonly value: object;
  /** For people. */
  readonly text: string;
  /** For people too, on standard error: what is no part of the result. */
  readonly note?: string | undefined;
  readonly unreachable: readonly Unreachable[];
  /** The requested object does not exist, or is not valid. */
  readonly isMissing?: boolean;
  /** There is a result, and it is not what anybody wants. */
  readonly isLossy?: boolean;
}

export interface CommandInput {
  /** A process that is silent once is not asked any more. */
  readonly processes: Processes;
  /** The processes of now, for a command that waits; those of before where the API server does not tell. */
  again(): Promise<Processes>;
  readonly args: readonly string[];
  readonly format: Format;
  /** For Services that are named without one. */
  readonly namespace: string;
  /** The API server. @throws {UsageError} without credentials */
  api(): Promise<Api>;
  /** Namespace of controller and speakers. */
  readonly systemNamespace: string;
  /** The options that say which cluster, as they were given: for a command that the person may type later. */
  readonly clusterArgs: readonly string[];
  readonly screen: Screen;
  readonly now: Date;
  readonly io: Io;
}

interface ClusterCommandDescription<O extends Options> {
  readonly name: string;
  readonly summary: string;
  /** Behind the name, such as `ADDRESS`. */
  readonly usage?: string;
  readonly help: string;
  readonly takes: Takes;
  readonly subjects?: readonly string[];
  readonly completes?: Completes;
  readonly examples: readonly string[];
  /** Options of its own, besides those that all have. */
  readonly options?: O;
  /** It does something, and that once: it has no `--watch`. */
  readonly isOnce?: boolean;
  /** It has something to say where there is no Pod of a controller or speaker, too. */
  readonly worksWithoutPods?: boolean;
  /** It also reads or writes objects of the API, so that it has no `--node-local`. */
  readonly needsApi?: boolean;
  /** Exit statuses besides those that all have, as a sentence. */
  readonly exits?: string;
  readonly find: (question: CommandInput, values: Values<O>) => Promise<CommandResult>;
}

/** For commands that ask the processes of a cluster, or its API server. */
export const connectionOptions = {
  "system-namespace": { value: "NS", help: "of controller and speakers; metallb-system by default" },
  kubeconfig: { value: "FILE", help: "as kubectl's" },
  context: { value: "NAME", help: "as kubectl's" },
} satisfies Options;

const formatOption = { short: "o", value: "FORMAT", choices: ["wide", "json", "yaml"], help: "wide, json or yaml" } as const;
const watchOption = { short: "w", help: "again every 2 s, until Ctrl-C" };
const namespaceOption = { short: "n", value: "NAME", help: "of Services; the context's by default" };
const nodeLocalOption = { help: "ask the speaker on this machine alone, without the API" };
const sharedOptions = {
  output: formatOption,
  watch: watchOption,
  namespace: namespaceOption,
  "node-local": nodeLocalOption,
  ...connectionOptions,
};

const notes = `Controller and speakers are asked by forwarded ports, with your own rights: to list Pods, and to get and create pods/portforward in
the system namespace. Processes that do not answer are named on standard error, and the rest is shown.

The exit status is 0, 1 if the subject does not exist, 2 if the arguments or the cluster cannot be used, and 3 if some
process did not answer.`;

const watchMs = 2_000;

/** A command that asks the processes of a cluster. */
export function clusterCommand<const O extends Options = Record<never, Option>>(
  description: ClusterCommandDescription<O>,
): Command {
  const {
    name,
    summary,
    usage = "",
    help,
    takes,
    subjects,
    completes,
    examples,
    options,
    isOnce = false,
    needsApi = false,
    worksWithoutPods = false,
    exits,
    find,
  } = description;
  const isLeftOut = (option: string) => (option === "watch" && isOnce) || (option === "node-local" && needsApi);
  const shared = Object.fromEntries(Object.entries(sharedOptions).filter(([option]) => !isLeftOut(option)));
  return command({
    name,
    summary,
    usage: `${usage} [OPTIONS]`.trimStart(),
    takes,
    subjects,
    completes,
    examples,
    help,
    options: { ...options, ...shared } as Options,
    notes: exits === undefined ? notes : `${notes} ${exits}`,
    run: ({ values, args }, io) => run(values, args, (question) => find(question, values as Values<O>), io, worksWithoutPods),
  });
}

async function run(
  values: Values<typeof sharedOptions>,
  args: readonly string[],
  find: (question: CommandInput) => Promise<CommandResult>,
  io: Io,
  worksWithoutPods: boolean,
): Promise<number> {
  const { kubeconfig, context } = values;
  const format: Format = values.output ?? "text";
  const isNodeLocal = values["node-local"] === true;
  const cluster: ClusterOptions = {
    kubeconfig,
    context,
    systemNamespace: values["system-namespace"] ?? "metallb-system",
    isNodeLocal,
  };
  await using connection = new Connection(io, cluster);
  let known: { readonly text: string; readonly at: Date } | undefined;
  const answer = async (): Promise<number> => {
    const processes = await connection.renew();
    if (processes.targets.length === 0 && !worksWithoutPods) throw new UsageError(noPods(cluster.systemNamespace));
    const question = {
      processes,
      again: () => connection.renewOrKeep(),
      args,
      format,
      api: () => io.cluster.api(cluster),
      systemNamespace: cluster.systemNamespace,
      clusterArgs: (["kubeconfig", "context", "system-namespace"] as const).flatMap((option) => {
        const given = values[option];
        return given === undefined ? [] : [`--${option}`, given];
      }),
      io,
      namespace: values.namespace ?? (isNodeLocal ? "default" : (await io.cluster.context(cluster)).namespace),
      screen: io.screen,
      now: io.now(),
    };
    const found = await find(question);
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

export function noPods(namespace: string): string {
  return `there is no Pod of a controller or speaker in namespace ${namespace}; see --system-namespace`;
}

/** The processes, found again each time: Pods come and go. */
export class Connection implements AsyncDisposable {
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

  /** The same; those of before where the API server does not tell. @throws {UsageError} the first time */
  async renewOrKeep(): Promise<Processes> {
    try {
      return await this.renew();
    } catch (error) {
      if (!(error instanceof UsageError) || this.#processes === undefined) throw error;
      return withProgress(this.#processes, this.#io);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes?.[Symbol.asyncDispose]();
  }
}

/** The same processes for one answer of a command, which shows how many have answered. */
function withProgress(processes: Processes, io: Io): Processes {
  let asked = 0;
  let answered = 0;
  const show = () => io.progress(`${answered} of ${asked} answers of ${processes.targets.length} processes`);
  return {
    targets: processes.targets,
    isNodeLocal: processes.isNodeLocal === true,
    async get(target, path) {
      asked++;
      show();
      try {
        return await processes.get(target, path);
      } finally {
        answered++;
        show();
      }
    },
    async [Symbol.asyncDispose]() {},
  };
}

function show(
  { value, text, note, unreachable, isMissing = false, isLossy = false }: CommandResult,
  format: Format,
  io: Io,
): number {
  const missing = unreachable.map(({ target, why }) => ({ program: target.program, pod: target.pod, node: target.node, why }));
  io.out(format === "json" || format === "yaml" ? structured(format, { ...value, unreachable: missing }) : text);
  if (note !== undefined) io.err(`ingotctl: ${maskControls(note)}\n`);
  for (const { pod, node, why } of missing)
    io.err(`ingotctl: ${maskControls(`${pod}${node === "" ? "" : ` on ${node}`} is not among these: ${why}`)}\n`);
  if (isMissing) return Exit.invalid;
  return missing.length > 0 || isLossy ? Exit.losses : Exit.ok;
}

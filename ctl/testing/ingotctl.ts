import type { Api } from "../cluster/api.ts";
import type { Processes } from "../cluster/processes.ts";
import { UsageError } from "../command.ts";
import type { ClusterAccess, Io } from "../io.ts";
import { run } from "../run.ts";

export interface Given {
  readonly files?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Processes of the only cluster; without them no cluster can be reached. */
  readonly processes?: Processes;
  readonly columns?: number;
  readonly hasColor?: boolean;
  /** When it begins; time passes while the program sleeps. */
  readonly now?: Date;
  /** When the person ends the program; at once when unset. */
  readonly interrupted?: Promise<void>;
  readonly api?: Api;
  /** Whether files can be opened; they can when unset. */
  readonly hasDesktop?: boolean;
  /** The person's answers, one for each question; without them there is nobody to ask. */
  readonly answers?: readonly string[];
  /** Is called before each answer. */
  readonly beforeAnswer?: (question: string) => void;
}

/** A command's outside, with files, standard input and a cluster that exist only here. `out` and `err` have the printed text. */
export function fakeIo(given: Given = {}): Io & {
  readonly printed: { out: string; err: string };
  readonly written: Readonly<Record<string, string | Uint8Array>>;
  readonly opened: readonly string[];
} {
  const printed = { out: "", err: "" };
  const written: Record<string, string | Uint8Array> = {};
  const opened: string[] = [];
  const answers = [...(given.answers ?? [])];
  let sleptMs = 0;
  const cluster: ClusterAccess = {
    async connect() {
      const { processes } = given; // Once: a test may give others each time.
      if (processes === undefined) throw new UsageError("cannot ask the cluster for its Pods: there is none");
      return processes;
    },
    context: async () => ({ name: "staging", namespace: "default" }),
    async api() {
      if (given.api === undefined) throw new UsageError("cannot read the kubeconfig: there is none");
      return given.api;
    },
  };
  return {
    printed,
    written,
    opened,
    async openFile(path) {
      opened.push(path);
      return given.hasDesktop !== false;
    },
    ask:
      given.answers === undefined
        ? undefined
        : async (question) => {
            printed.err += question;
            given.beforeAnswer?.(question);
            return answers.shift() ?? "";
          },
    async writePrivateFile(path, content, isNew = false) {
      const isThere = Object.hasOwn(written, path) || given.files?.[path] !== undefined;
      if (isNew && isThere) return false;
      written[path] = content;
      return true;
    },
    stateFolder: "/state",
    progress() {},
    async readFile(path) {
      const text = given.files?.[path];
      if (text === undefined) throw new UsageError(`cannot read ${path}: not there`);
      return text;
    },
    readStdin: async () => given.stdin ?? "",
    stdinIsTerminal: given.stdin === undefined,
    out(text) {
      printed.out += text;
    },
    isOutClosed: () => false,
    err(text) {
      printed.err += text;
    },
    clear() {
      printed.out += given.columns === undefined ? "\n" : "\u001b[2J\u001b[H";
    },
    screen: { columns: given.columns, hasColor: given.hasColor === true },
    cluster,
    now: () => new Date((given.now ?? new Date()).getTime() + sleptMs),
    async sleep(ms) {
      sleptMs += ms;
    },
    interrupted: () => given.interrupted ?? Promise.resolve(),
  };
}

/** Runs `ingotctl` with the given parts alone. @param args separated by blanks */
export async function ingotctl(args: string, given: Given = {}) {
  const io = fakeIo(given);
  const status = await run(args.split(" ").filter(Boolean), io);
  return { status, out: io.printed.out, err: io.printed.err, written: io.written };
}

import type { Processes } from "../cluster/processes.ts";
import { type ClusterAccess, type Io, UsageError } from "../command.ts";
import { run } from "../run.ts";

export interface Given {
  readonly files?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Those of the one cluster that there is; without it no cluster can be reached. */
  readonly processes?: Processes;
  readonly columns?: number;
  readonly hasColor?: boolean;
  readonly now?: Date;
}

/** A command's outside, with files, standard input and a cluster that exist only here. What is printed is in `out` and `err`. */
export function fakeIo(given: Given = {}): Io & { readonly printed: { out: string; err: string } } {
  const printed = { out: "", err: "" };
  const cluster: ClusterAccess = {
    async connect() {
      if (given.processes === undefined) throw new UsageError("cannot ask the cluster for its Pods: there is none");
      return given.processes;
    },
    namespace: async () => "default",
  };
  return {
    printed,
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
    err(text) {
      printed.err += text;
    },
    screen: { columns: given.columns, hasColor: given.hasColor === true },
    cluster,
    now: () => given.now ?? new Date(),
    sleep: async () => {},
  };
}

/** Runs `ingotctl` with what is given alone. @param args separated by blanks */
export async function ingotctl(args: string, given: Given = {}) {
  const io = fakeIo(given);
  const status = await run(args.split(" ").filter(Boolean), io);
  return { status, out: io.printed.out, err: io.printed.err };
}

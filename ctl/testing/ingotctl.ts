import { type Io, UsageError } from "../command.ts";
import { run } from "../run.ts";

/** Runs `ingotctl` with files and standard input that exist only here. */
export async function ingotctl(args: string, given: { files?: Record<string, string>; stdin?: string } = {}) {
  let out = "";
  let err = "";
  const readFile = async (path: string) => {
    const text = given.files?.[path];
    if (text === undefined) throw new UsageError(`cannot read ${path}: not there`);
    return text;
  };
  const io: Io = {
    readFile,
    readStdin: async () => given.stdin ?? "",
    stdinIsTerminal: given.stdin === undefined,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  };
  return { status: await run(args.split(" ").filter(Boolean), io), out, err };
}

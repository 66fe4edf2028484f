import { type ParseArgsConfig, parseArgs } from "node:util";

/** One subcommand of `ingotctl`. */
export interface Command {
  /** One line for the list of commands. */
  readonly summary: string;
  /** The whole text of `ingotctl help COMMAND`. */
  readonly help: string;
  /** @returns the exit status @throws {UsageError} */
  run(args: readonly string[], io: Io): Promise<number>;
}

/** What commands know of the outside, so that tests can stand in for it. */
export interface Io {
  /** @throws {UsageError} when it cannot be read */
  readFile(path: string): Promise<string>;
  /** @throws {UsageError} when it cannot be read */
  readStdin(): Promise<string>;
  readonly stdinIsTerminal: boolean;
  out(text: string): void;
  err(text: string): void;
}

/** `losses`: there is a result, which lacks something. */
export const Exit = { ok: 0, invalid: 1, usage: 2, losses: 3 } as const;

/** The command cannot do what was asked: its arguments or files are at fault. The message is for the person who typed it. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Reads the arguments of the command `name`. @throws {UsageError} for an option that there is not, or that lacks its value */
export function parseOptions<const T extends NonNullable<ParseArgsConfig["options"]>>(
  name: string,
  args: readonly string[],
  options: T,
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}; see "ingotctl help ${name}"`, { cause: error });
  }
}

import { type ParseArgsConfig, parseArgs } from "node:util";
import { maskControls } from "#pkg/text";
import packageJson from "../package.json" with { type: "json" };
import type { Api } from "./cluster/api.ts";
import type { ClusterOptions, Processes } from "./cluster/processes.ts";

/** Of this program. */
export const { version } = packageJson;

/** One subcommand of `ingotctl`. */
export interface Command {
  /** One line for the list of commands. */
  readonly summary: string;
  /** The whole text of `ingotctl help COMMAND`. */
  readonly help: string;
  /** @returns the exit status @throws {UsageError} */
  run(args: readonly string[], io: Io): Promise<number>;
}

/** What standard output can show. */
export interface Screen {
  /** Characters in a line; undefined where it is no terminal, and nothing is cut off. */
  readonly columns: number | undefined;
  readonly hasColor: boolean;
}

/** What commands know of the outside, so that tests can stand in for it. */
export interface Io {
  /** @throws {UsageError} when it cannot be read */
  readFile(path: string): Promise<string>;
  /** @throws {UsageError} when it cannot be read */
  readStdin(): Promise<string>;
  readonly stdinIsTerminal: boolean;
  out(text: string): void;
  /** Whether nobody reads standard output any more: a reader such as `head` may leave early. */
  isOutClosed(): boolean;
  err(text: string): void;
  /** Takes what was printed off a terminal; elsewhere an empty line stands before what follows. */
  clear(): void;
  /** Asks the person; undefined where there is nobody to ask. @returns what was typed, empty for Ctrl-C or Ctrl-D */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  /**
   * Writes a file that nobody else may read, with its folders.
   * @param isNew it must not be there yet
   * @returns whether it is written: false where it is there and must not be
   * @throws {UsageError} when that fails
   */
  writePrivateFile(path: string, content: string | Uint8Array, isNew?: boolean): Promise<boolean>;
  /** For what the program keeps for the person, such as configurations from before a change. */
  readonly stateFolder: string;
  /** Shows what is being done, where that takes long and somebody looks; until something else is printed. */
  progress(text: string): void;
  /** Standard output, where it is a terminal. */
  readonly screen: Screen;
  readonly cluster: ClusterAccess;
  now(): Date;
  sleep(ms: number): Promise<void>;
  /** Resolves when the person ends the program, as by Ctrl-C. */
  interrupted(): Promise<void>;
}

/** The way to the user's cluster. */
export interface ClusterAccess {
  /**
   * @param before an earlier answer, whose connections are taken over where the Pods are the same
   * @throws {UsageError} where it cannot be reached
   */
  connect(options: ClusterOptions, before?: Processes): Promise<Processes>;
  /** The namespace of the kubeconfig's context. */
  namespace(options: ClusterOptions): Promise<string>;
  /** @throws {UsageError} where there are no credentials for it */
  api(options: ClusterOptions): Promise<Api>;
}

/** `invalid`: what was asked about is not valid, or not there; `losses`: there is a result, which lacks something. */
export const Exit = { ok: 0, invalid: 1, usage: 2, losses: 3 } as const;

/** The command cannot do what was asked: its arguments or files are at fault. The message is for the person who typed it. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What is printed of it. Some of it is what an API server or a process said. */
export function usageText({ message }: UsageError): string {
  return `ingotctl: ${message.trimEnd().split("\n").map(maskControls).join("\n")}`;
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

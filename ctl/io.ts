import type { Api } from "./cluster/api.ts";
import type { ClusterOptions, Processes } from "./cluster/processes.ts";

/** Abilities of standard output. */
export interface Screen {
  /** Characters in a line; undefined where it is no terminal, and nothing is cut off. */
  readonly columns: number | undefined;
  readonly hasColor: boolean;
}

/** The outside world of commands, so that tests can stand in for it. */
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
  /** Has the desktop open a file, as if it were chosen there. @returns whether it could be asked to */
  openFile(path: string): Promise<boolean>;
  /** For files that the program keeps for the person, such as configurations from before a change. */
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
  /** The kubeconfig's context, by name, and its namespace. */
  context(options: ClusterOptions): Promise<{ readonly name: string; readonly namespace: string }>;
  /** @throws {UsageError} where there are no credentials for it */
  api(options: ClusterOptions): Promise<Api>;
}

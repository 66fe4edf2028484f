import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import type { Inside } from "./holder.ts";

/** How a process ended: one of the two is not null. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface CommandResult extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

export interface SpawnOptions {
  /** Added to PATH, HOME and LANG, which are all that is there by itself. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory; the caller's when unset. */
  readonly cwd?: string;
}

export interface RunOptions extends SpawnOptions {
  /** For standard input, which is empty when unset. */
  readonly input?: string;
  /** Milliseconds until it is killed; 120,000 when unset. */
  readonly timeout?: number;
}

/** A command failed that was to succeed, or took too long. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly result: CommandResult;

  constructor(what: string, result: CommandResult) {
    const said = (result.stderr.trim() || result.stdout.trim()).slice(-2000);
    super(`Cannot run ${what}: ${result.signal ?? `status ${result.code}`}${said && `: ${said}`}`);
    this.result = result;
  }
}

/** Waits for the end of a command. @throws {CommandError} when it takes more than `timeout` milliseconds; it is killed then */
export async function result(
  what: string,
  child: ChildProcess,
  { input, timeout = 120_000 }: RunOptions,
): Promise<CommandResult> {
  const { pid, stdin, stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error(`Cannot run ${what}: no pipes`);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    if (pid !== undefined) signal(-pid, "SIGKILL"); // The group: what the command started holds its pipes open too.
  }, timeout);
  stdin?.on("error", () => {}); // A command need not read what it is given.
  stdin?.end(input);
  const [out, err] = await Promise.all([text(stdout), text(stderr), once(child, "close")]);
  clearTimeout(timer);
  const { exitCode, signalCode } = child;
  const ending = { code: exitCode, signal: signalCode, stdout: out, stderr: err };
  if (late) throw new CommandError(`${what} within ${timeout} ms`, ending);
  return ending;
}

const linesKept = 10_000;

/** A process running on a host of the lab. It ends with the lab at the latest. */
export class LabProcess implements AsyncDisposable {
  readonly name: string;
  /** Its number in our own PID namespace. */
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly #inside: Inside;
  readonly #lines: string[] = [];
  readonly #watchers = new Set<() => void>();
  #exit: Exit | undefined;
  #silent = false; // Nothing more will be printed.

  /** @param log file that everything printed is added to, and when the process began and ended: each line with its milliseconds of CLOCK_MONOTONIC */
  constructor(name: string, inside: Inside, log: string | undefined) {
    this.name = name;
    this.pid = inside.pid;
    this.#inside = inside;
    const file = log === undefined ? undefined : openSync(log, "a");
    const keep = (line: string): void => {
      if (file === undefined) return;
      const at = Number(process.hrtime.bigint() / 1_000n) / 1_000;
      writeSync(file, `${at.toFixed(3)} ${line}\n`); // At once, so that it is there when we are killed next.
    };
    keep(`began as process ${inside.pid}`);
    const { stdout, stderr } = inside.wrapper;
    for (const input of [stdout, stderr])
      if (input !== null)
        createInterface({ input }).on("line", (line) => {
          keep(line);
          this.#lines.push(line);
          if (this.#lines.length > 2 * linesKept) this.#lines.splice(0, linesKept);
          this.#notify();
        });
    const { promise, resolve } = Promise.withResolvers<Exit>();
    this.exited = promise;
    inside.wrapper.once("exit", (code, signal) => {
      this.#exit = { code, signal };
      keep(`ended with ${signal ?? `status ${code}`}`);
      resolve(this.#exit);
    });
    // Maybe long after: what it started holds its pipes open too.
    inside.wrapper.once("close", () => {
      if (file !== undefined) closeSync(file);
      this.#silent = true;
      this.#notify();
    });
  }

  /** How it ended; undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** Its lines on standard output and error, oldest first; at least the last 10,000 lines. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /**
   * The first line that matches, of those printed already and those to come.
   * @throws {Error} when the process ends, or `timeout` milliseconds pass, without one; with the last lines in the message
   */
  async waitForLine(pattern: RegExp, { timeout = 120_000 }: { timeout?: number } = {}): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const fail = (why: string): void => {
      const last = this.#lines.slice(-10).map((line) => `\n  ${line}`);
      reject(new Error(`Waited for ${this.name} to print ${pattern}: ${why}; its last lines:${last.join("") || " none"}`));
    };
    const look = (): void => {
      const line = this.#lines.find((line) => line.search(pattern) >= 0); // Unlike `test`, blind to `lastIndex`.
      if (line !== undefined) resolve(line);
      else if (this.#silent) fail(`it ended (${this.#exit?.signal ?? `status ${this.#exit?.code}`})`);
    };
    const timer = setTimeout(() => fail(`not within ${timeout} ms`), timeout);
    this.#watchers.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#watchers.delete(look);
    }
  }

  /** @returns false when the process has ended already */
  kill(name: NodeJS.Signals = "SIGTERM"): boolean {
    const { wrapper, pid } = this.#inside;
    if (wrapper.exitCode !== null || wrapper.signalCode !== null) return false;
    return signal(pid, name);
  }

  /** Asks it to end, and after `grace` milliseconds (30,000 when unset) makes it. */
  async stop({ grace = 30_000 }: { grace?: number } = {}): Promise<Exit> {
    this.kill("SIGTERM");
    const timer = setTimeout(() => this.kill("SIGKILL"), grace);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #notify(): void {
    for (const look of [...this.#watchers]) look();
  }
}

function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, constants.signals[name]);
  } catch {
    return false; // It has ended in this moment.
  }
}

/** Functions of the lab that hosts and switches use; `netns` names a host's namespace, undefined is the one of all switches. */
export interface LabNamespaces {
  run(netns: string | undefined, argv: readonly string[], options?: RunOptions): ReturnType<typeof result>;
  spawn(netns: string, name: string, argv: readonly string[], options?: SpawnOptions): Promise<LabProcess>;
  /** Runs lines of `ip -batch`. @throws {CommandError} when one fails; the ones before it have been done */
  ip(netns: string | undefined, lines: readonly string[]): Promise<void>;
  nsenter(netns: string): string;
  outside(file: string): string;
  /** 1, 2, 3, … for names of ports and for MAC addresses. */
  number(): number;
}

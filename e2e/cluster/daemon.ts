import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

const startMs = 10_000;
const againMs = 500;
const maxAttempts = 4;

/** A program that runs until it is stopped, at the latest with its sandbox, and can be started again. */
export class Daemon {
  /** Its output, of all its runs. */
  readonly log: string;
  readonly #command: readonly string[];
  readonly #startsAgain: boolean;
  #child: ChildProcess | undefined;
  #attempts = 0;
  #isStopping = false;

  /**
   * @param command begins with `nsenter`, which runs the program as its child
   * @param startsAgain where it ends by itself soon after it was started, as an init system has it
   */
  constructor(log: string, command: readonly string[], startsAgain = false) {
    this.log = log;
    this.#command = command;
    this.#startsAgain = startsAgain;
  }

  start(): void {
    if (this.#isRunning) throw new Error(`Cannot start ${this.#command.join(" ").slice(0, 200)}: it runs`);
    const startedAt = performance.now();
    this.#attempts++;
    this.#isStopping = false;
    const output = openSync(this.log, "a");
    const [file = "", ...args] = this.#command;
    const child = spawn(file, args, { stdio: ["ignore", output, output] });
    child.on("exit", (code, signal) => {
      writeSync(output, `ended: ${signal ?? `exit status ${code}`}\n`);
      closeSync(output);
      const isEarly = this.#startsAgain && !this.#isStopping && performance.now() < startedAt + startMs;
      if (isEarly && this.#attempts < maxAttempts) setTimeout(() => this.#isStopping || this.start(), againMs).unref();
    });
    child.unref();
    this.#child = child;
  }

  /** Sends it a signal. */
  signal(name: NodeJS.Signals): void {
    const { pid } = this.#child ?? {};
    if (pid === undefined || !this.#isRunning) return;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
    for (const each of [...children.map(Number), ...(name === "SIGCONT" ? [pid] : [])]) process.kill(each, name); // It stops with its child.
  }

  /** Ends it and waits for that; nothing when it has ended. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    this.#isStopping = true; // It may have ended by itself, and be about to start again.
    if (this.#child === undefined || !this.#isRunning) return;
    const exited = once(this.#child, "exit");
    this.signal(signal);
    await exited;
  }

  get #isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }
}

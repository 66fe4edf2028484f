import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { ProcessUsage } from "./process-usage.ts";

const project = new URL("../../", import.meta.url).pathname;

/** A process of Node whose use of the machine is measured. */
export class MeasuredProcess implements AsyncDisposable {
  readonly #child: ChildProcess;

  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, args, { cwd: project, stdio: ["ignore", "pipe", "inherit"], env: {} });
  }

  /** The first line of its output that matches; the rest is read and dropped. @throws {Error} when it ends before */
  async line(pattern: RegExp): Promise<RegExpExecArray> {
    const { stdout } = this.#child;
    if (stdout === null) throw new Error("Cannot read output: it is not piped");
    for await (const line of createInterface({ input: stdout })) {
      const match = pattern.exec(line);
      if (match === null) continue;
      stdout.resume();
      return match;
    }
    throw new Error(`Cannot find ${pattern} in the output: it has ended`);
  }

  get usage(): ProcessUsage {
    return new ProcessUsage(this.#child.pid ?? 0);
  }

  /** Asks it to stop, and waits for that. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    using _ = killAfter(this.#child, 15_000);
    await exited;
  }
}

function killAfter(child: ChildProcess, milliseconds: number): Disposable {
  const timer = setTimeout(() => child.kill("SIGKILL"), milliseconds);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

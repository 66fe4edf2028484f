import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { createInterface } from "node:readline";
import { asPod } from "#e2e/demo-cluster";

/** The least of the values that this part of them does not exceed: 0 gives the least, 0.5 the median, 1 the most. NaN without any. */
export function quantile(values: readonly number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(part * values.length) - 1)] ?? Number.NaN;
}

/** A process's use of the machine. */
export class ProcessUsage {
  readonly #pid: number;

  constructor(pid: number) {
    this.#pid = pid;
  }

  /** CPU time of all its threads so far, also of those that have ended, in steps of 10 ms. */
  get cpuSeconds(): number {
    const [user = "", system = ""] = this.#read("stat").split(") ")[1]?.split(" ").slice(11) ?? [];
    return (Number(user) + Number(system)) / 100;
  }

  /** CPU time of its main thread alone. */
  get mainThreadSeconds(): number {
    return Number(this.#read(`task/${this.#pid}/schedstat`).split(" ")[0]) / 1e9;
  }

  /** Resident memory now, and the most it ever was. */
  get megabytes(): { readonly now: number; readonly peak: number } {
    const status = this.#read("status");
    const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / 1024;
    return { now: field("VmRSS"), peak: field("VmHWM") };
  }

  #read(file: string): string {
    return readFileSync(`/proc/${this.#pid}/${file}`, "utf8");
  }
}

const project = new URL("../../", import.meta.url).pathname;

/** Controller or speaker, run as the manifests do, and measured. */
export class MeasuredProcess implements AsyncDisposable {
  readonly #child: ChildProcess;

  constructor(name: "controller" | "speaker", args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const [program = "", ...rest] = asPod(name, [process.execPath, ...args]);
    const PATH = process.env.PATH ?? "";
    this.#child = spawn(program, rest, { cwd: project, stdio: ["ignore", "pipe", "inherit"], env: { PATH, ...env } });
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

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get usage(): ProcessUsage {
    return new ProcessUsage(this.pid);
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

/** The load of the last 1, 5 and 15 minutes, to be named beside each figure. */
export function loadNow(): string {
  return `load average ${loadavg()
    .map((value) => value.toFixed(1))
    .join(" ")}`;
}

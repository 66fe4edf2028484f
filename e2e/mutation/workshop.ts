import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Broken, root } from "./break.ts";

/** Result of the tests: the first failure, or how the run ended. `endless`: they went on until they were killed. */
export type Outcome = { readonly type: "passed" | "endless" } | { readonly type: "failed"; readonly first: string };

/** Files that no test of a fault needs in the copy, and shared files. */
const left: ReadonlySet<string> = new Set([".git", ".cache", "dist", "node_modules"]);
const testMs = 60_000;
const failure = /^ *not ok \d+ - (.*)\n/m;
/** How long tests may take that took `soundMs` without a fault: one of them may wait for all its time. */
export const limitOf = (soundMs: number) => Math.round(soundMs) + 2 * testMs;

/** A copy of the sources, in which a fault is made, tried and undone. */
export class Workshop implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "ingot-mutation-"));
  #run: ChildProcess | undefined;

  constructor() {
    for (const part of readdirSync(root))
      if (!left.has(part)) cpSync(`${root}${part}`, join(this.#folder, part), { recursive: true, verbatimSymlinks: true });
    symlinkSync(`${root}node_modules`, join(this.#folder, "node_modules"));
  }

  /** Kills tests that run. */
  [Symbol.dispose](): void {
    this.#kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** @param tooLong kills the tests */
  async try(fault: Broken, tests: readonly string[], tooLong: AbortSignal): Promise<Outcome> {
    const file = join(this.#folder, fault.file);
    const sound = readFileSync(file);
    writeFileSync(file, fault.text);
    try {
      return await this.test(tests, tooLong);
    } finally {
      writeFileSync(file, sound);
    }
  }

  /**
   * Runs test files until one fails: others may wait long for the same. A test that waits for too long has failed; one that computes for ever can only
   * be killed.
   */
  async test(files: readonly string[], tooLong?: AbortSignal): Promise<Outcome> {
    const options = ["--test", "--test-reporter=tap", "--test-concurrency=1", `--test-timeout=${testMs}`];
    const run = spawn(process.execPath, [...options, ...files], {
      cwd: this.#folder,
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
      detached: true, // A group of processes, which can be killed as one.
    });
    this.#run = run;
    let output = "";
    run.stdout.setEncoding("utf8").on("data", (part: string) => {
      output += part;
      if (failure.test(output)) kill();
    });
    const kill = () => this.#kill();
    tooLong?.addEventListener("abort", kill);
    const [code] = await once(run, "close");
    tooLong?.removeEventListener("abort", kill);
    this.#run = undefined;
    if (code === 0) return { type: "passed" };
    const [, first] = failure.exec(output) ?? [];
    if (first === undefined && tooLong?.aborted) return { type: "endless" };
    return { type: "failed", first: first ?? "the end of the process" };
  }

  /** With all processes that it started. */
  #kill(): void {
    if (this.#run?.pid === undefined) return;
    this.#run.stdout?.destroy(); // A process that left the group may hold it open.
    try {
      process.kill(-this.#run.pid, "SIGKILL");
    } catch {
      // They ended in between.
    }
  }
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { programFile } from "#e2e/lab";

const program = programFile("ingotctl");

/** `ingotctl dashboard`, until it is disposed. */
export class DashboardProcess implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #directory: string;
  /** Its output. */
  output = "";

  private constructor(process: ChildProcess, directory: string) {
    this.#process = process;
    this.#directory = directory;
    for (const stream of [process.stdout, process.stderr])
      stream?.setEncoding("utf8").on("data", (text) => {
        this.output += text;
      });
  }

  /** @param kubeconfig its text @throws {Error} with its output, if it ends instead */
  static async start(kubeconfig: string): Promise<DashboardProcess> {
    const directory = mkdtempSync(join(tmpdir(), "ingot-dashboard-"));
    const file = join(directory, "kubeconfig");
    writeFileSync(file, kubeconfig, { mode: 0o600 });
    const child = spawn(process.execPath, [program, "dashboard"], {
      env: { ...process.env, KUBECONFIG: file },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const started = new DashboardProcess(child, directory);
    const ready = new Promise<void>((resolve) => {
      child.stdout.on("data", () => {
        if (started.#url() !== undefined) resolve();
      });
    });
    await Promise.race([ready, once(child, "exit")]);
    if (started.#url() === undefined) throw new Error(`Cannot start the dashboard: ${started.output}`);
    return started;
  }

  get url(): string {
    return this.#url() ?? "";
  }

  /** Ends it as Ctrl-C does. @returns its exit status */
  async interrupt(): Promise<number | null> {
    if (this.#process.exitCode === null) {
      this.#process.kill("SIGINT");
      await once(this.#process, "exit");
    }
    return this.#process.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.interrupt();
    rmSync(this.#directory, { recursive: true });
  }

  #url(): string | undefined {
    return /http:\S+/.exec(this.output)?.[0];
  }
}

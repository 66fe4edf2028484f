import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { DemoCluster } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { wallClock } from "#pkg/clock";
import { connect, contextOf } from "../../ctl/cluster/connect.ts";
import { KubeApi } from "../../ctl/cluster/kube-api.ts";
import type { Io } from "../../ctl/io.ts";
import { writePrivateFile } from "../../ctl/private-file.ts";
import { run } from "../../ctl/run.ts";

export interface Printed {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/**
 * `ingotctl` as an administrator uses it, outside the lab; it reaches the Pods by the API server alone. It runs in this process: loading it for each
 * of some hundred questions would take longer than its work. `ctl/main.test.ts` and the real cluster start it as a program.
 */
export class Tool implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "ingotctl-"));
  readonly #kubeconfig = this.file("kubeconfig", "");

  constructor(cluster: DemoCluster) {
    writeFileSync(this.#kubeconfig, cluster.kubeconfig, { mode: 0o600 });
  }

  /** Writes a file for the tool to read. @returns its path */
  file(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  async run(...args: readonly string[]): Promise<Printed> {
    const printed = { out: "", err: "" };
    const io: Io = {
      readFile: (path) => readFile(path, "utf8"),
      readStdin: async () => "",
      stdinIsTerminal: true,
      out(text) {
        printed.out += text;
      },
      isOutClosed: () => false,
      err(text) {
        printed.err += text;
      },
      clear() {},
      ask: undefined,
      writePrivateFile,
      openFile: async () => false,
      stateFolder: join(this.folder, "ingotctl"),
      progress() {},
      screen: { columns: undefined, hasColor: false },
      cluster: {
        connect: (options, before) => connect(this.#found(options), before),
        api: async (options) => new KubeApi(this.#found(options)),
        context: async (options) => contextOf(this.#found(options)),
      },
      now: wallClock,
      sleep: (ms) => sleep(ms),
      interrupted: () => new Promise(() => {}),
    };
    return { status: await run(args, io), ...printed };
  }

  /** As if the file stood where kubectl looks for it: tools of several clusters run in one process. It is read at once. */
  #found<T>(options: T): T {
    process.env.KUBECONFIG = this.#kubeconfig;
    return options;
  }

  /** Runs it until it prints all that is wanted: verdicts on a Service, its peers and nodes change one after another. */
  async prints(args: readonly string[], wanted: RegExp | readonly RegExp[], timeout = 120_000): Promise<Printed> {
    const printed = async (): Promise<Printed> => {
      const result = await this.run(...args);
      for (const pattern of [wanted].flat()) assert.match(result.out, pattern, result.err);
      return result;
    };
    return waitFor(`ingotctl ${args.join(" ")} to print ${wanted}`, printed, { timeout, every: 100 });
  }

  /** Explains something until the text is all that is wanted. @returns the text */
  async explains(subject: string, wanted: RegExp | readonly RegExp[], timeout?: number): Promise<string> {
    return (await this.prints(["explain", subject], wanted, timeout)).out;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}

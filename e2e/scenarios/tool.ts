import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DemoCluster } from "#e2e/demo-cluster";
import { programFile, waitFor } from "#e2e/lab";

export interface Printed {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** `ingotctl` as an administrator uses it, outside the lab; it reaches the Pods by the API server alone. */
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

  run(...args: readonly string[]): Promise<Printed> {
    const env = { ...process.env, XDG_STATE_HOME: this.folder };
    return new Promise((done) => {
      execFile(
        process.execPath,
        [programFile("ingotctl"), ...args, "--kubeconfig", this.#kubeconfig],
        { env },
        (error, out, err) => {
          done({ status: error === null ? 0 : Number(error.code), out, err });
        },
      );
    });
  }

  /** Explains something until it is what is wanted. @returns the text */
  async explains(subject: string, wanted: RegExp, timeout = 120_000): Promise<string> {
    const explained = async (): Promise<string> => {
      const { out, err } = await this.run("explain", subject);
      assert.match(out, wanted, err);
      return out;
    };
    return waitFor(`${subject} to be explained by ${wanted}`, explained, { timeout, every: 250 });
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}

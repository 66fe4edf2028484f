import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { DemoCluster } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";

/** A cluster as kubectl shows it to those who have Services in it. */
export class TenantView implements Disposable {
  readonly #cluster: DemoCluster;
  readonly #folder = mkdtempSync(join(tmpdir(), "tenant-view-"));

  constructor(cluster: DemoCluster) {
    this.#cluster = cluster;
    writeFileSync(join(this.#folder, "kubeconfig"), cluster.kubeconfig, { mode: 0o600 });
  }

  async kubectl(...args: readonly string[]): Promise<string> {
    const { stdout } = await promisify(execFile)("kubectl", ["--kubeconfig", join(this.#folder, "kubeconfig"), ...args]);
    return stdout;
  }

  async expose(namespace: string, name: string, annotations: Readonly<Record<string, string>> = {}, port = 80): Promise<void> {
    await this.#cluster.api.apply({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace, annotations },
      spec: { type: "LoadBalancer", selector: { app: name }, ports: [{ name: "http", port }] },
    });
  }

  /** Waits until `kubectl describe` of a Service says so. @returns all that it says */
  described(namespace: string, name: string, wanted: RegExp): Promise<string> {
    return waitFor(`service ${namespace}/${name} to be described by ${wanted}`, async () => {
      const text = await this.kubectl("--namespace", namespace, "describe", "service", name);
      assert.match(text, wanted);
      return text;
    });
  }

  /** Waits until `kubectl describe` of the configuration says so. */
  async configurationDescribed(wanted: RegExp): Promise<void> {
    const says = async () => {
      assert.match(await this.kubectl("--namespace", "metallb-system", "describe", "configmap", "config"), wanted);
      return true;
    };
    await waitFor(`the ConfigMap to be described by ${wanted}`, says);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}

import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { findKcp, RealCluster } from "#e2e/cluster";

/** The API server as a benchmark sees it. */
export interface RealApi {
  /** Folder of the cluster's files, the audit log among them. */
  readonly directory: string;
  /** Kubeconfigs with the rights of the manifests, and of an administrator. All are ServiceAccounts, whose requests are audited alike. */
  readonly kubeconfigs: Readonly<Record<"controller" | "speaker" | "admin", string>>;
}

const namespace = "metallb-system";

/** Starts etcd and an API server, and runs this program in a network from which it reaches them. Needs root; prints what it prints. */
export async function runBesideRealApi(program: string, ...args: string[]): Promise<void> {
  await using cluster = await RealCluster.start({ nodes: 0, kcp: await findKcp() });
  const { directory } = cluster;
  await cluster.kubectl(["apply", "-f", resolve(import.meta.dirname, "../../manifests/base/namespace.yaml")]);
  await cluster.kubectl(["apply", "-f", resolve(import.meta.dirname, "../../manifests/base/rbac.yaml")]);
  await cluster.kubectl(["create", "serviceaccount", "admin", "-n", namespace]);
  await cluster.kubectl([
    "create",
    "clusterrolebinding",
    "admin",
    "--clusterrole=cluster-admin",
    `--serviceaccount=${namespace}:admin`,
  ]);
  const kubeconfigs: Record<string, string> = {};
  for (const name of ["controller", "speaker", "admin"]) {
    const config = JSON.parse(readFileSync(cluster.kubeconfig, "utf8"));
    const token = (await cluster.kubectl(["create", "token", name, "-n", namespace, "--duration=24h"])).trim();
    config.users[0].user = { token };
    kubeconfigs[name] = join(directory, `${name}.conf`);
    writeFileSync(kubeconfigs[name], JSON.stringify(config));
  }
  const api = JSON.stringify({ directory, kubeconfigs });
  process.stdout.write(await cluster.client.run([process.execPath, program, api, ...args], { timeoutMs: 30 * 60_000 }));
}

/** The program's side of `runBesideRealApi`: undefined in the process that is to call it, whose own arguments are no JSON objects. */
export function realApi(): RealApi | undefined {
  const given = process.argv[2];
  return given?.startsWith("{") ? JSON.parse(given) : undefined;
}

/** A client that decides nothing: requests with a token over kept connections, whose answers are not looked at. */
export class BareClient implements Disposable {
  readonly #agent: Agent;
  readonly #server: string;
  readonly #token: string;

  /** @param atOnce how many requests */
  constructor(kubeconfig: string, atOnce: number) {
    const config = JSON.parse(readFileSync(kubeconfig, "utf8"));
    const { server, "certificate-authority-data": ca } = config.clusters[0].cluster;
    this.#agent = new Agent({ keepAlive: true, maxSockets: atOnce, ca: Buffer.from(ca, "base64") });
    this.#server = server;
    this.#token = config.users[0].user.token;
  }

  /** @throws {Error} for any refusal */
  async send(method: "POST" | "PATCH" | "DELETE", path: string, body: object): Promise<void> {
    const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    const payload = JSON.stringify(body);
    const headers = {
      authorization: `Bearer ${this.#token}`,
      "content-type": type,
      "content-length": Buffer.byteLength(payload),
    };
    const outgoing = request(`${this.#server}${path}`, { method, headers, agent: this.#agent });
    outgoing.end(payload);
    const [response]: [IncomingMessage] = (await once(outgoing, "response")) as [IncomingMessage];
    if ((response.statusCode ?? 0) >= 300) throw new Error(`Cannot ${method} ${path}: ${await text(response)}`);
    response.resume();
    await once(response, "end");
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

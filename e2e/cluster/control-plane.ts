import { readdir, readFile, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { connect } from "node:tls";
import { waitFor } from "#e2e/lab";
import { urlHost } from "#pkg/net";
import { patience, type RunOptions } from "./command.ts";
import type { Daemon } from "./daemon.ts";
import type { Host } from "./lan.ts";
import type { Certificate, Pki } from "./pki.ts";

export const serviceCidrs = "10.96.0.0/16,fd00:10:96::/112";
export const podCidrs = "10.244.0.0/16,fd00:244::/32";

/** The CIDRs among these of the families that the host has. */
export function cidrsFor({ addresses }: Host, cidrs: string): string {
  return cidrs.split(",").slice(-addresses.length).join();
}

/** One finished request, as the API server's audit log has it. */
export interface ApiRequest {
  /** Such as `system:serviceaccount:metallb-system:speaker`. */
  readonly user: string;
  readonly verb: string;
  /** Such as `services/status`; or the path, where it is not about objects. */
  readonly resource: string;
  /** Path and query. */
  readonly uri: string;
  /** That of the object, where there is one. */
  readonly name: string | undefined;
  readonly status: number;
}

// An API server that hangs or ends answers nobody: whoever waits asks again.
const askMs = 30_000;

const etcdUrl = "http://127.0.0.1:2379";

const compactScript = `
const ask = async (path, body) => {
  const response = await fetch(process.argv[1] + path, { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) throw new Error(path + ": " + await response.text());
  return await response.json();
};
const { header } = await ask("/v3/kv/range", { key: "AA==" });
await ask("/v3/kv/compaction", { revision: header.revision, physical: true });
`;

const auditPolicy = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    { level: "None", namespaces: ["kube-node-lease"] }, // Of thousands of nodes they would be nearly all requests.
    { level: "Metadata", userGroups: ["system:serviceaccounts"] },
  ],
};

/** What ServiceAccounts asked of the API server so far, in order; a watch that runs also counts. */
export async function readAuditLog(directory: string): Promise<ApiRequest[]> {
  interface Entry {
    readonly user: { readonly username: string };
    readonly verb: string;
    readonly requestURI: string;
    readonly objectRef?: { readonly resource: string; readonly subresource?: string; readonly name?: string };
    readonly responseStatus?: { readonly code: number };
  }
  // Each has up to 100 MB; those before have their times in their names.
  const files = (await readdir(directory)).filter((name) => /^audit(-.*)?\.jsonl$/.test(name)).sort();
  const texts = await Promise.all(files.map((name) => readFile(join(directory, name), "utf8")));
  return texts
    .flatMap((text) => text.split("\n").slice(0, -1))
    .map((line) => {
      const { user, verb, requestURI, objectRef, responseStatus }: Entry = JSON.parse(line);
      const resource = objectRef && [objectRef.resource, objectRef.subresource].filter(Boolean).join("/");
      return {
        user: user.username,
        verb,
        resource: resource ?? requestURI,
        uri: requestURI,
        name: objectRef?.name,
        status: responseStatus?.code ?? 0,
      };
    });
}

/** etcd, API server, controller manager and scheduler, on a host of their own. */
export class ControlPlane {
  readonly host: Host;
  /** Kubeconfig of an administrator. */
  readonly kubeconfig: string;
  readonly kcp: string;
  readonly #pki: Pki;
  readonly #admin: Certificate;
  readonly #etcd: Daemon;
  readonly #apiServer: Daemon;

  private constructor(
    host: Host,
    kcp: string,
    { pki, admin, kubeconfig }: { pki: Pki; admin: Certificate; kubeconfig: string },
    daemons: { etcd: Daemon; apiServer: Daemon },
  ) {
    this.host = host;
    this.kubeconfig = kubeconfig;
    this.kcp = kcp;
    this.#pki = pki;
    this.#admin = admin;
    this.#etcd = daemons.etcd;
    this.#apiServer = daemons.apiServer;
  }

  /** Starts etcd and the API server, which answers some seconds later. */
  static async start(host: Host, kcp: string, directory: string, pki: Pki): Promise<ControlPlane> {
    const server = await pki.issue("apiserver", "/CN=kube-apiserver", [
      "IP:127.0.0.1",
      ...host.addresses.map((address) => `IP:${address}`),
      ...["IP:10.96.0.1", "IP:fd00:10:96::1"], // The Service `kubernetes`.
      "DNS:localhost",
      "DNS:kubernetes.default.svc",
    ]);
    const admin = await pki.issue("admin", "/O=system:masters/CN=admin", ["DNS:admin"]);
    const policy = join(directory, "audit-policy.json");
    await writeFile(policy, JSON.stringify(auditPolicy));
    const etcd = host.daemon("etcd", [
      ...[kcp, "etcd", "--data-dir", join(directory, "etcd"), "--unsafe-no-fsync"],
      ...["--listen-client-urls", etcdUrl, "--advertise-client-urls", etcdUrl],
      ...["--listen-peer-urls", "http://127.0.0.1:2380"],
    ]);
    const apiServer = host.daemon("kube-apiserver", [
      ...[kcp, "kube-apiserver", `--etcd-servers=${etcdUrl}`, `--service-cluster-ip-range=${cidrsFor(host, serviceCidrs)}`],
      ...["--bind-address=::", "--secure-port=6443", `--advertise-address=${host.addresses[0]}`],
      ...[
        `--tls-cert-file=${server.certificate}`,
        `--tls-private-key-file=${server.key}`,
        `--client-ca-file=${pki.caCertificate}`,
      ],
      ...[`--service-account-key-file=${pki.serviceAccountKey}`, `--service-account-signing-key-file=${pki.serviceAccountKey}`],
      ...["--service-account-issuer=https://kubernetes.default.svc", "--authorization-mode=Node,RBAC", "--allow-privileged=true"],
      ...[`--audit-policy-file=${policy}`, `--audit-log-path=${join(directory, "audit.jsonl")}`],
      // Logs and exec reach a kubelet by its address: no node's name resolves here.
      ...["--kubelet-preferred-address-types=InternalIP"],
      ...[`--kubelet-client-certificate=${admin.certificate}`, `--kubelet-client-key=${admin.key}`],
    ]);
    const kubeconfig = await pki.kubeconfig("admin", apiServerUrl(host), admin);
    return new ControlPlane(host, kcp, { pki, admin, kubeconfig }, { etcd, apiServer });
  }

  /** Starts what needs an API server that answers: it would give up soon. */
  startControllers(nodeMonitorGraceSeconds: number): void {
    const { host, kubeconfig } = this;
    host.daemon("kube-controller-manager", [
      ...[this.kcp, "kube-controller-manager", "--kubeconfig", kubeconfig, "--leader-elect=false"],
      ...["--use-service-account-credentials", "--root-ca-file", this.#pki.caCertificate],
      ...["--service-account-private-key-file", this.#pki.serviceAccountKey],
      ...[`--node-monitor-grace-period=${nodeMonitorGraceSeconds}s`, "--node-monitor-period=2s"],
    ]);
    host.daemon("kube-scheduler", [this.kcp, "kube-scheduler", "--kubeconfig", kubeconfig, "--leader-elect=false"]);
  }

  /** Runs kubectl as an administrator; paths have to be absolute. @returns what it printed. @throws {CommandError} */
  kubectl(args: readonly string[], options?: RunOptions): Promise<string> {
    return this.host.run([this.kcp, "kubectl", "--kubeconfig", this.kubeconfig, ...args], options);
  }

  /**
   * Gets a path of the API as an administrator. A kubectl takes many times the processor time, for its own start.
   * @returns the body of the answer
   * @throws {Error} with that, unless the status is 200
   */
  async ask(path: string): Promise<string> {
    const credentials = { ca: this.#pki.caCertificate, cert: this.#admin.certificate, key: this.#admin.key };
    const read = async ([name, file]: [string, string]) => [name, await readFile(file)];
    const identity = Object.fromEntries(await Promise.all(Object.entries(credentials).map(read)));
    const socket = await this.host.connect("127.0.0.1", 6443);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const createConnection = () => connect({ socket, host: "127.0.0.1", ...identity });
    request({ path, createConnection, signal: AbortSignal.timeout(askMs) })
      .on("response", async (response) => {
        const body = await text(response).catch(String);
        if (response.statusCode === 200 && response.complete) resolve(body);
        else reject(new Error(`Cannot get ${path}: ${response.statusCode} ${body}`));
      })
      .on("error", reject)
      .end();
    return promise;
  }

  async isReady(): Promise<void> {
    await waitFor("the API server", () => this.ask("/readyz"), patience);
  }

  async stopApiServer(): Promise<void> {
    await this.#apiServer.stop("SIGKILL");
  }

  /** Resolves when it answers. */
  async startApiServer(): Promise<void> {
    this.#apiServer.start();
    await this.isReady();
  }

  async stopEtcd(): Promise<void> {
    await this.#etcd.stop("SIGKILL");
  }

  /** Resolves when the API server has it again. */
  async startEtcd(): Promise<void> {
    this.#etcd.start();
    await this.isReady();
  }

  /** Makes etcd forget all versions of objects but the present ones. */
  async compact(): Promise<void> {
    await this.host.run([process.execPath, "--input-type=module", "-e", compactScript, etcdUrl]);
  }
}

export function apiServerUrl(controlPlane: Host): string {
  return `https://${urlHost(controlPlane.addresses[0] ?? "")}:6443`;
}

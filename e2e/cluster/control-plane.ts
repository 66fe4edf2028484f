import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "./lan.ts";
import type { Pki } from "./pki.ts";

export const serviceCidrs = "10.96.0.0/16,fd00:10:96::/112";
export const podCidrs = "10.244.0.0/16,fd00:244::/32";

/** One finished request, as the API server's audit log has it. */
export interface ApiRequest {
  /** Such as `system:serviceaccount:metallb-system:speaker`. */
  readonly user: string;
  readonly verb: string;
  /** Such as `services/status`; or the path, where it is not about objects. */
  readonly resource: string;
  readonly status: number;
}

const auditPolicy = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [{ level: "Metadata", userGroups: ["system:serviceaccounts"] }],
};

/** What ServiceAccounts asked of the API server so far, in order; a watch that runs also counts. */
export async function readAuditLog(directory: string): Promise<ApiRequest[]> {
  interface Entry {
    readonly user: { readonly username: string };
    readonly verb: string;
    readonly requestURI: string;
    readonly objectRef?: { readonly resource: string; readonly subresource?: string };
    readonly responseStatus?: { readonly code: number };
  }
  const lines = (await readFile(join(directory, "audit.jsonl"), "utf8")).split("\n").slice(0, -1);
  return lines.map((line) => {
    const { user, verb, requestURI, objectRef, responseStatus }: Entry = JSON.parse(line);
    const resource = objectRef && [objectRef.resource, objectRef.subresource].filter(Boolean).join("/");
    return { user: user.username, verb, resource: resource ?? requestURI, status: responseStatus?.code ?? 0 };
  });
}

/** Starts etcd and the API server. It answers some seconds later. @returns kubeconfig of an administrator */
export async function startApiServer(host: Host, kcp: string, directory: string, pki: Pki): Promise<string> {
  const server = await pki.issue("apiserver", "/CN=kube-apiserver", [
    "IP:127.0.0.1",
    `IP:${host.ipv4}`,
    "IP:10.96.0.1", // The Service `kubernetes`.
    "DNS:localhost",
    "DNS:kubernetes.default.svc",
  ]);
  const admin = await pki.issue("admin", "/O=system:masters/CN=admin", ["DNS:admin"]);
  const policy = join(directory, "audit-policy.json");
  await writeFile(policy, JSON.stringify(auditPolicy));
  host.daemon("etcd", [
    ...[kcp, "etcd", "--data-dir", join(directory, "etcd"), "--unsafe-no-fsync"],
    ...["--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379"],
    ...["--listen-peer-urls", "http://127.0.0.1:2380"],
  ]);
  host.daemon("kube-apiserver", [
    ...[kcp, "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", `--service-cluster-ip-range=${serviceCidrs}`],
    ...["--bind-address=0.0.0.0", "--secure-port=6443", `--advertise-address=${host.ipv4}`],
    ...[`--tls-cert-file=${server.certificate}`, `--tls-private-key-file=${server.key}`, `--client-ca-file=${pki.caCertificate}`],
    ...[`--service-account-key-file=${pki.serviceAccountKey}`, `--service-account-signing-key-file=${pki.serviceAccountKey}`],
    ...["--service-account-issuer=https://kubernetes.default.svc", "--authorization-mode=Node,RBAC", "--allow-privileged=true"],
    ...[`--audit-policy-file=${policy}`, `--audit-log-path=${join(directory, "audit.jsonl")}`],
    // Logs and exec reach a kubelet by its address: no node's name resolves here.
    ...["--kubelet-preferred-address-types=InternalIP"],
    ...[`--kubelet-client-certificate=${admin.certificate}`, `--kubelet-client-key=${admin.key}`],
  ]);
  return pki.kubeconfig("admin", apiServerUrl(host), admin);
}

/** Starts what needs an API server that answers: it would give up soon. */
export function startControllers(host: Host, kcp: string, pki: Pki, kubeconfig: string): void {
  host.daemon("kube-controller-manager", [
    ...[kcp, "kube-controller-manager", "--kubeconfig", kubeconfig, "--leader-elect=false", "--use-service-account-credentials"],
    ...["--service-account-private-key-file", pki.serviceAccountKey, "--root-ca-file", pki.caCertificate],
  ]);
  host.daemon("kube-scheduler", [kcp, "kube-scheduler", "--kubeconfig", kubeconfig, "--leader-elect=false"]);
}

export function apiServerUrl(controlPlane: Host): string {
  return `https://${controlPlane.ipv4}:6443`;
}

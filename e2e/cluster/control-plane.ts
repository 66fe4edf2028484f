import { join } from "node:path";
import type { Host } from "./lan.ts";
import type { Pki } from "./pki.ts";

export const serviceCidrs = "10.96.0.0/16,fd00:10:96::/112";
export const podCidrs = "10.244.0.0/16,fd00:244::/32";

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

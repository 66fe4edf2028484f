import { join } from "node:path";
import { type Host, podPrefixes } from "./lan.ts";
import type { Certificate, Pki } from "./pki.ts";
import { cniPlugins } from "./requirements.ts";

export interface NodeOptions {
  readonly host: Host;
  /** Counted from 1. */
  readonly number: number;
  readonly kcp: string;
  /** Folder of the cluster; the node's own is below it. */
  readonly directory: string;
  readonly pki: Pki;
  /** URL of the API server. */
  readonly server: string;
  /** Below which Pods' cgroups are made; the node's alone, because a kubelet removes those of Pods that it does not know. */
  readonly cgroup: string;
  readonly snapshotter: "overlayfs" | "native";
  readonly proxyMode: "iptables" | "nftables";
  /** Puts the routes of all hosts in place again. */
  readonly setRoutes: () => Promise<void>;
  /** The first files of its containerd: see `nodeDisk`. */
  readonly disk: string;
}

export const pauseImage = "localhost/pause:1";

/** @param directory the node's */
export function kubeletConfig({ pki, cgroup }: NodeOptions, directory: string, own: Certificate): object {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: pki.caCertificate } },
    authorization: { mode: "Webhook" },
    containerRuntimeEndpoint: `unix://${socketOf(directory)}`,
    tlsCertFile: own.certificate,
    tlsPrivateKeyFile: own.key,
    podLogsDir: join(directory, "pods"),
    volumePluginDir: join(directory, "plugins"),
    cgroupDriver: "cgroupfs",
    // A quarter of the defaults: a test waits for a node that is gone.
    nodeStatusUpdateFrequency: "3s",
    nodeLeaseDurationSeconds: 12,
    cgroupsPerQOS: true,
    cgroupRoot: cgroup,
    enforceNodeAllocatable: [],
    failCgroupV1: false,
    failSwapOn: false,
    localStorageCapacityIsolation: false,
    imageGCHighThresholdPercent: 100, // The disk is the machine's, and how full it is no matter of the node.
    imageGCLowThresholdPercent: 99,
    evictionHard: { "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%" },
  };
}

export function socketOf(directory: string): string {
  return join(directory, "containerd.sock");
}

/** @param directory the node's */
export function cniConfig({ host, number }: NodeOptions, directory: string): object {
  const { ipv4, ipv6 } = podPrefixes(number);
  const families = [
    { subnet: ipv4, dst: "0.0.0.0/0" },
    { subnet: ipv6, dst: "::/0" },
  ].slice(-host.addresses.length);
  const ipam = {
    type: "host-local",
    dataDir: join(directory, "ipam"),
    ranges: families.map(({ subnet }) => [{ subnet }]),
    routes: families.map(({ dst }) => ({ dst })),
  };
  const bridge = { type: "bridge", bridge: "cni0", isGateway: true, hairpinMode: true, ipam };
  return { cniVersion: "0.4.0", name: "pods", plugins: [bridge] };
}

export function containerdConfig(directory: string, snapshotter: string): string {
  return `version = 2
root = "${directory}/root"
state = "${directory}/state"
[debug]
  level = "warn"
[grpc]
  address = "${socketOf(directory)}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  restrict_oom_score_adj = true # Else runc fails where CAP_SYS_RESOURCE is missing.
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${cniPlugins}"
    conf_dir = "${directory}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "${snapshotter}"
`;
}

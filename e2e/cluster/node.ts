import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { waitFor } from "#e2e/lab";
import { podCidrs } from "./control-plane.ts";
import { type Host, podPrefixes } from "./lan.ts";
import type { Pki } from "./pki.ts";
import { cniPlugins } from "./requirements.ts";

export interface NodeOptions {
  readonly host: Host;
  /** Counted from 1. */
  readonly number: number;
  readonly kcp: string;
  /** Of the cluster; the node's own is below it. */
  readonly directory: string;
  readonly pki: Pki;
  /** URL of the API server. */
  readonly server: string;
  /** Below which Pods' cgroups are made; the node's alone, because a kubelet removes those of Pods that it does not know. */
  readonly cgroup: string;
  readonly snapshotter: "overlayfs" | "native";
  /** An archive with the image `pauseImage`. */
  readonly pauseArchive: string;
}

export const pauseImage = "localhost/pause:1";

/** Starts containerd, kubelet and kube-proxy. The node becomes Ready some seconds after the API server answers. */
export async function startNode(options: NodeOptions): Promise<void> {
  const { host, kcp, pki, server } = options;
  const directory = join(options.directory, host.name);
  await mkdir(join(directory, "cni"), { recursive: true });
  await writeFile(join(directory, "cni", "10-pods.conflist"), JSON.stringify(cniConfig(directory, options.number)));
  await writeFile(join(directory, "containerd.toml"), containerdConfig(directory, options.snapshotter));
  host.daemon(`${host.name}-containerd`, ["containerd", "-c", join(directory, "containerd.toml")]);

  const own = await pki.issue(host.name, `/O=system:nodes/CN=system:node:${host.name}`, [
    `DNS:${host.name}`,
    `IP:${host.ipv4}`,
    `IP:${host.ipv6}`,
  ]);
  const kubelet = {
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
    cgroupsPerQOS: true,
    cgroupRoot: options.cgroup,
    enforceNodeAllocatable: [],
    failCgroupV1: false,
    failSwapOn: false,
    localStorageCapacityIsolation: false,
    imageGCHighThresholdPercent: 100, // The disk is the machine's, and how full it is no matter of the node.
    imageGCLowThresholdPercent: 99,
    evictionHard: { "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%" },
  };
  await writeFile(join(directory, "kubelet.yaml"), JSON.stringify(kubelet)); // JSON is YAML.
  const answers = () => host.run(["ctr", "--address", socketOf(directory), "version"]);
  await waitFor(`containerd of ${host.name}`, answers, { timeout: 30_000, every: 100 });
  await importImage(options, options.pauseArchive);
  const kubeconfig = await pki.kubeconfig(host.name, server, own);
  host.daemon(`${host.name}-kubelet`, [
    ...[kcp, "kubelet", "--config", join(directory, "kubelet.yaml"), "--kubeconfig", kubeconfig],
    ...["--root-dir", join(directory, "kubelet"), "--hostname-override", host.name, "--node-ip", `${host.ipv4},${host.ipv6}`],
  ]);
  const proxy = await pki.issue(`${host.name}-proxy`, "/CN=system:kube-proxy", ["DNS:proxy"]);
  host.daemon(`${host.name}-kube-proxy`, [
    ...[kcp, "kube-proxy", "--kubeconfig", await pki.kubeconfig(`${host.name}-proxy`, server, proxy)],
    ...["--hostname-override", host.name, "--proxy-mode", "iptables", "--cluster-cidr", podCidrs],
    // Settings of the whole machine, which are not ours to change.
    ...["--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0"],
  ]);
}

/** Loads an archive with an image into a node's containerd. */
export async function importImage({ host, directory, snapshotter }: NodeOptions, archive: string): Promise<void> {
  const ctr = ["ctr", "--address", socketOf(join(directory, host.name)), "--namespace", "k8s.io"];
  await host.run([...ctr, "images", "import", "--snapshotter", snapshotter, archive], { timeoutMs: 120_000 });
}

function socketOf(directory: string): string {
  return join(directory, "containerd.sock");
}

function cniConfig(directory: string, node: number): object {
  const { ipv4, ipv6 } = podPrefixes(node);
  const ipam = {
    type: "host-local",
    dataDir: join(directory, "ipam"),
    ranges: [[{ subnet: ipv4 }], [{ subnet: ipv6 }]],
    routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
  };
  const bridge = { type: "bridge", bridge: "cni0", isGateway: true, hairpinMode: true, ipam };
  return { cniVersion: "0.4.0", name: "pods", plugins: [bridge] };
}

function containerdConfig(directory: string, snapshotter: string): string {
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

import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { waitFor } from "#e2e/lab";
import { patience } from "./command.ts";
import { cidrsFor, podCidrs } from "./control-plane.ts";
import type { Daemon } from "./daemon.ts";
import type { Host } from "./lan.ts";
import { copyDisk } from "./node-disk.ts";
import { cniConfig, containerdConfig, kubeletConfig, type NodeOptions, socketOf } from "./node-files.ts";

export type NodeProgram = "containerd" | "kubelet" | "kube-proxy";

const signalPod = `find /sys/fs/cgroup -path "*$0*" -name cgroup.procs -exec cat {} + | sort -u | xargs kill -"$1"`;

// Kills everything of the node's Pods: their processes, and the shims around these, which know the node by containerd's socket.
const killAll = `
find /sys/fs/cgroup -path "*$0/*" -name cgroup.procs -exec cat {} + | sort -u | xargs -r kill -9
for process in /proc/[0-9]*; do
  if tr '\\0' ' ' < "$process/cmdline" | grep -q -- "-address $1 "; then kill -9 "\${process##*/}"; fi
done 2> /dev/null
true
`;

// Removes everything that a machine has in memory: mounts, sockets, links of Pods, rules, connections.
const forget = `
awk -v below="$0/" 'index($2, below) == 1 { print $2 }' /proc/self/mounts | sort -r | xargs -r umount -l
rm -rf "$0/state" "$0/containerd.sock"*
for link in $(ip -o link show type veth | sed -E 's/^[0-9]+: ([^@:]+).*/\\1/' | grep -v '^eth0$') cni0; do ip link delete "$link"; done
nft flush ruleset
conntrack -F
true
`;

/** A machine that runs containerd, kubelet and kube-proxy. */
export class ClusterNode {
  readonly host: Host;
  readonly #options: NodeOptions;
  /** Folder of its files. */
  readonly directory: string;
  readonly #daemons = new Map<NodeProgram, Daemon>(); // those that were started
  #proxyMode: NodeOptions["proxyMode"];
  #nodePortAddresses = "";

  constructor(options: NodeOptions) {
    this.#options = options;
    this.host = options.host;
    this.#proxyMode = options.proxyMode;
    this.directory = join(options.directory, options.host.name);
  }

  get name(): string {
    return this.host.name;
  }

  /** Starts all three. The node becomes Ready some seconds after the API server answers. */
  async start(): Promise<void> {
    const { host, kcp, pki, server, snapshotter } = this.#options;
    const directory = this.directory;
    await mkdir(join(directory, "cni"), { recursive: true });
    await writeFile(join(directory, "cni", "10-pods.conflist"), JSON.stringify(cniConfig(this.#options, directory)));
    await writeFile(join(directory, "containerd.toml"), containerdConfig(directory, snapshotter));
    if (!existsSync(join(directory, "root"))) await copyDisk(this.#options.disk, join(directory, "root"));
    this.#daemon("containerd", ["containerd", "-c", join(directory, "containerd.toml")]);

    const own = await pki.issue(host.name, `/O=system:nodes/CN=system:node:${host.name}`, [
      `DNS:${host.name}`,
      ...host.addresses.map((address) => `IP:${address}`),
    ]);
    const kubelet = kubeletConfig(this.#options, directory, own);
    await writeFile(join(directory, "kubelet.yaml"), JSON.stringify(kubelet)); // JSON is YAML.
    await this.#answers();
    const kubeconfig = await pki.kubeconfig(host.name, server, own);
    this.#daemon("kubelet", [
      ...[kcp, "kubelet", "--config", join(directory, "kubelet.yaml"), "--kubeconfig", kubeconfig],
      ...["--root-dir", join(directory, "kubelet"), "--hostname-override", host.name, "--node-ip", host.addresses.join()],
    ]);
    await this.#startProxy();
  }

  /** Goes on with kube-proxy in another mode, as after its configuration was changed. */
  async setProxyMode(mode: NodeOptions["proxyMode"]): Promise<void> {
    await this.kill("kube-proxy");
    await this.host.run(["nft", "flush", "ruleset"]); // The rules of the former mode.
    this.#proxyMode = mode;
    await this.#startProxy();
  }

  /** Goes on with kube-proxy that listens for NodePorts and health checks on these addresses: CIDRs, or `primary`. Its rules stay. */
  async setNodePortAddresses(addresses: string): Promise<void> {
    await this.kill("kube-proxy");
    this.#nodePortAddresses = addresses;
    await this.#startProxy();
  }

  async #startProxy(): Promise<void> {
    const { host, kcp, pki, server } = this.#options;
    const proxy = await pki.issue(`${host.name}-proxy`, "/CN=system:kube-proxy", ["DNS:proxy"]);
    this.#daemon("kube-proxy", [
      ...[kcp, "kube-proxy", "--kubeconfig", await pki.kubeconfig(`${host.name}-proxy`, server, proxy)],
      ...["--hostname-override", host.name, "--proxy-mode", this.#proxyMode, "--cluster-cidr", cidrsFor(host, podCidrs)],
      ...(this.#nodePortAddresses === "" ? [] : ["--nodeport-addresses", this.#nodePortAddresses]),
      // Settings of the whole machine, which are not ours to change.
      ...["--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0"],
    ]);
  }

  /** Kills a program; Pods go on. */
  async kill(program: NodeProgram): Promise<void> {
    await this.#daemons.get(program)?.stop("SIGKILL");
  }

  /** Starts a program that was killed; resolves when it works. */
  async revive(program: NodeProgram): Promise<void> {
    this.#daemons.get(program)?.start();
    if (program === "containerd") await this.#answers();
    const healthy = () => this.host.get("http://127.0.0.1:10248/healthz");
    if (program === "kubelet") await waitFor(`kubelet of ${this.name}`, healthy, patience);
  }

  /** Loads an archive with an image into containerd. */
  async load(archive: string): Promise<void> {
    const ctr = ["ctr", "--address", socketOf(this.directory), "--namespace", "k8s.io"];
    await this.host.run([...ctr, "images", "import", "--snapshotter", this.#options.snapshotter, archive]);
  }

  /** Sends a signal to all processes of a Pod. @param uid its */
  async signalPod(uid: string, signal: "KILL" | "STOP" | "CONT" = "KILL"): Promise<void> {
    await this.host.run(["sh", "-ec", signalPod, `${this.#options.cgroup}/*pod${uid}/`, signal]);
  }

  /** Pulls the plug: the link goes down, and every process ends at once. The disk keeps its contents. */
  async powerOff(): Promise<void> {
    await this.host.run(["ip", "link", "set", "eth0", "down"]);
    for (const program of this.#daemons.keys()) await this.kill(program);
    await this.host.run(["sh", "-c", killAll, this.#options.cgroup, socketOf(this.directory)]);
    this.#daemons.clear();
  }

  /** Starts it again with nothing in memory. @param number moves it to the addresses of that number */
  async powerOn(number?: number): Promise<void> {
    const { host } = this;
    await host.run(["sh", "-c", forget, this.directory]);
    if (number !== undefined) await host.move(number);
    await host.run(["ip", "link", "set", "eth0", "up"]);
    await host.run(["ip", "addr", "replace", `${host.ipv6}/64`, "dev", "eth0", "nodad"]); // It went with the link.
    await this.#options.setRoutes();
    await this.start();
  }

  #daemon(program: NodeProgram, command: readonly string[]): void {
    // Kubelets of one machine share the socket of their device plugins: of two that start at once, one may end.
    this.#daemons.set(program, this.host.daemon(`${this.name}-${program}`, command, program === "kubelet"));
  }

  async #answers(): Promise<void> {
    const version = () => this.host.run(["ctr", "--address", socketOf(this.directory), "version"]);
    await waitFor(`containerd of ${this.name}`, version, patience);
  }
}

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { V1Service } from "@kubernetes/client-node";
import { type Switch, waitFor } from "#e2e/lab";
import { type CommandError, patience, type RunOptions } from "./command.ts";
import { type ApiRequest, apiServerUrl, ControlPlane, readAuditLog, serviceCidrs } from "./control-plane.ts";
import { createLan, type Families, type Host, type Lan, setRoutes } from "./lan.ts";
import { ClusterNode } from "./node.ts";
import { nodeDisk } from "./node-disk.ts";
import type { NodeOptions } from "./node-files.ts";
import { Pki } from "./pki.ts";
import { checkRequirements } from "./requirements.ts";
import { Sandbox } from "./sandbox.ts";

export interface RealClusterOptions {
  /** With none there are just etcd and the API server. */
  readonly nodes: number;
  /** Path of the Kubernetes binary; see `findKcp`. */
  readonly kcp: string;
  /** Mode of kube-proxy; iptables unless given. */
  readonly proxyMode?: NodeOptions["proxyMode"];
  /** Dual-stack unless given. */
  readonly families?: Families;
  /** After how long a node that says nothing is no longer Ready; 5 minutes unless given, which no busy machine keeps a node silent for. */
  readonly nodeMonitorGraceSeconds?: number;
}

export class RealCluster implements AsyncDisposable {
  /** The switch that connects all hosts. */
  readonly lan: Switch;
  readonly controlPlane: ControlPlane;
  readonly client: Host;
  /** Between the client and `routedPrefix`. */
  readonly router: Host;
  readonly nodes: readonly ClusterNode[];
  /** For files of the tests' own: it goes with the cluster, however that ends. */
  readonly directory: string;
  /** Kubeconfig of an administrator; good on the hosts of the LAN. */
  readonly kubeconfig: string;
  /** Path of the Kubernetes binary. */
  readonly kcp: string;
  readonly #sandbox: Sandbox;

  private constructor(sandbox: Sandbox, lan: Lan, controlPlane: ControlPlane, nodes: readonly ClusterNode[]) {
    this.#sandbox = sandbox;
    this.directory = sandbox.directory;
    this.lan = lan.lan;
    this.controlPlane = controlPlane;
    this.client = lan.client;
    this.router = lan.router;
    this.nodes = nodes;
    this.kubeconfig = controlPlane.kubeconfig;
    this.kcp = controlPlane.kcp;
  }

  /**
   * Resolves when every node is Ready and the namespace `default` takes Pods. Each node has the image that `ingotImage` names.
   * @throws {Error} with the missing parts of the machine, or with the end of the logs; nothing is left behind
   */
  static async start({
    nodes: nodeCount,
    kcp,
    proxyMode = "iptables",
    families = "dual-stack",
    nodeMonitorGraceSeconds = 300,
  }: RealClusterOptions): Promise<RealCluster> {
    checkRequirements();
    await using stack = new AsyncDisposableStack();
    const sandbox = stack.use(await Sandbox.start());
    const { directory } = sandbox;
    try {
      await mkdir(join(directory, "pki"));
      const pki = await Pki.create(join(directory, "pki"));
      const lan = await createLan(sandbox, nodeCount, families);
      const controlPlane = await ControlPlane.start(lan.controlPlane, kcp, directory, pki);
      const snapshotter = await chooseSnapshotter(sandbox);
      const disk = nodeCount > 0 ? await nodeDisk(sandbox, snapshotter) : "";
      const server = apiServerUrl(lan.controlPlane);
      const common = { kcp, directory, pki, server, snapshotter, disk, proxyMode };
      const nodes: ClusterNode[] = [];
      for (const [index, host] of lan.nodes.entries()) {
        const cgroup = await sandbox.createCgroup(host.name);
        nodes.push(new ClusterNode({ ...common, host, number: index + 1, cgroup, setRoutes: () => setRoutes(sandbox, lan) }));
      }
      const cluster = new RealCluster(sandbox, lan, controlPlane, nodes);
      if (nodeCount > 0) await cluster.#startNodes(nodeMonitorGraceSeconds);
      else await controlPlane.isReady();
      stack.move();
      return cluster;
    } catch (cause) {
      throw new Error(`Cannot start a cluster\n${await sandbox.logs()}`, { cause });
    }
  }

  async #startNodes(nodeMonitorGraceSeconds: number): Promise<void> {
    const { controlPlane, nodes } = this;
    const startControllers = async () => {
      await controlPlane.isReady();
      controlPlane.startControllers(nodeMonitorGraceSeconds);
    };
    await Promise.all([...nodes.map((node) => node.start()), startControllers()]);
    const names = nodes.map(({ name }) => `node/${name}`);
    // A namespace takes no Pods before it has its ServiceAccount.
    const account = "namespaces/default/serviceaccounts/default";
    const paths = [account, ...nodes.map(({ name }) => `nodes/${name}`)].map((path) => `/api/v1/${path}`);
    const created = () => Promise.all(paths.map((path) => controlPlane.ask(path)));
    await waitFor("the nodes to register", created, patience);
    await this.kubectl(["wait", "--for=condition=Ready", "--timeout=5m", ...names]);
  }

  /** Runs kubectl as an administrator; paths have to be absolute. @returns what it printed. @throws {CommandError} */
  kubectl(args: readonly string[], options?: RunOptions): Promise<string> {
    return this.controlPlane.kubectl(args, options);
  }

  /** The JSON of the API at a path. @throws {Error} unless it has some there */
  async read<T>(path: string): Promise<T> {
    return JSON.parse(await this.controlPlane.ask(path));
  }

  /** The addresses that a Service has, one after a space after the other. */
  async addressOf(name: string, namespace = "default"): Promise<string> {
    const { status }: V1Service = await this.read(`/api/v1/namespaces/${namespace}/services/${name}`);
    return (status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip).join(" ");
  }

  /**
   * Lets the API server reach Services, such as a webhook's. The control plane has no kube-proxy: Services are behind a node, as they are behind a
   * proxy of the API server in other clusters.
   */
  async routeServices(): Promise<void> {
    const [node] = this.nodes;
    if (node === undefined) throw new Error("Cannot reach Services: the cluster has no nodes");
    for (const cidr of serviceCidrs.split(","))
      await this.controlPlane.host.run(["ip", "route", "add", cidr, "via", cidr.includes(":") ? node.host.ipv6 : node.host.ipv4]);
  }

  /** Loads an archive with another image than `ingotImage` into every node. */
  async loadImage(archive: string): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.load(archive)));
  }

  node(name: string): ClusterNode {
    const node = this.nodes.find((node) => node.name === name);
    if (node === undefined)
      throw new Error(`Cannot find node ${name}: there are ${this.nodes.map(({ name }) => name).join(", ")}`);
    return node;
  }

  /** What ServiceAccounts asked of the API server so far. */
  requests(): Promise<ApiRequest[]> {
    return readAuditLog(this.directory);
  }

  /** For the message of a failure: what there is in Ingot's namespace and in the default one, what happened, and the end of the logs. */
  async report(): Promise<string> {
    const show = async (args: readonly string[]) => {
      const output = await this.kubectl(args).catch((error: CommandError) => error.message);
      return `--- kubectl ${args.join(" ")} ---\n${output}`;
    };
    const parts: string[] = [];
    for (const namespace of ["metallb-system", "default"]) {
      parts.push(await show(["-n", namespace, "get", "all,configmaps,endpointslices", "-o", "wide"]));
      parts.push(await show(["-n", namespace, "get", "events", "--sort-by=.lastTimestamp"]));
      parts.push(await show(["-n", namespace, "describe", "pods"]));
      const pods = await this.kubectl(["-n", namespace, "get", "pods", "-o", "name"]);
      for (const pod of pods.split("\n").filter(Boolean)) parts.push(await show(["-n", namespace, "logs", pod, "--tail=40"]));
    }
    parts.push(await this.#sandbox.logs());
    return parts.join("\n");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#sandbox[Symbol.asyncDispose]();
  }
}

/** Overlays do not stack everywhere, such as in a container whose files are an overlay themselves; copying works everywhere. */
async function chooseSnapshotter(sandbox: Sandbox): Promise<NodeOptions["snapshotter"]> {
  const script = `cd "$0"; mkdir lower upper work merged
    mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged; umount merged`;
  const works = sandbox.run(undefined, ["sh", "-ec", script, sandbox.directory]);
  return works.then(
    () => "overlayfs",
    () => "native",
  );
}

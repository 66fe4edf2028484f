import { readFileSync, writeFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import {
  type Host,
  type HostOptions,
  Lab,
  type LabProcess,
  type Published,
  programBundles,
  programFile,
  type Switch,
} from "#e2e/lab";
import { type Family, urlHost } from "#pkg/net";
import { ApiClient } from "./api-client.ts";
import { Backend } from "./backend.ts";
import { backendPort, DemoService, type ServiceOptions } from "./demo-service.ts";
import { baseManifests, changed, manifestsOf, podTemplate } from "./manifests.ts";
import { Workload } from "./workload.ts";

export interface DemoClusterOptions {
  /** How many nodes; 3 when unset, at most 80. */
  readonly nodes?: number;
  /** Families of the network between hosts; both when unset. */
  readonly families?: readonly Family[];
  /** The text of the configuration, `demoConfiguration` when unset; null makes no ConfigMap. */
  readonly configuration?: string | null;
  /** Whether nodes forward, as those with a kubelet do; what stands for kube-proxy here does without. */
  readonly forwarding?: boolean;
  /** Whether the speakers have the key of their ring, as they do when unset. Without, they count one another by ready Pods. */
  readonly ring?: boolean;
  /** Whether nodes that Kubernetes excludes from load balancers announce nothing; the manifests do not ask for that. */
  readonly honourExcludeLabel?: boolean;
  /** How many controllers, of which one works; 1 when unset, at most 10. */
  readonly controllers?: number;
  /** Whether the speakers have the component net-admin; where the configuration has pools of protocol interface when unset. */
  readonly netAdmin?: boolean;
  /** For the controllers, beyond those of the manifests. */
  readonly controllerArguments?: readonly string[];
  /** For the speakers, beyond those of the manifests. */
  readonly speakerArguments?: readonly string[];
  /** How many nodes, the first ones, also have a central speaker, as the component has it; none when unset. */
  readonly centralSpeakers?: number;
  /** For Node, before the speakers' program. */
  readonly speakerNodeArguments?: readonly string[];
  /** Folder with bundles, as they are in the image; what `programFile` has when unset. */
  readonly bundles?: string;
  /** Folder for the processes' output. */
  readonly logs?: string;
}

export const demoConfiguration = `address-pools:
- name: default
  protocol: layer2
  addresses:
  - 172.30.0.200-172.30.0.250
  - fd00:30::200-fd00:30::2ff
`;

export interface DemoNode {
  readonly name: string;
  readonly host: Host;
  /** IPv4, then IPv6; the second is missing where there is one family. */
  readonly addresses: readonly [string, string];
  readonly speaker: Workload;
  readonly proxy: LabProcess;
}

const namespace = "metallb-system";
const apiPort = 6443;
const lan4 = "172.30.0";
const lan6 = "fd00:30";
const firstNode = 11; // The last part of its addresses.

type Parts = Pick<
  DemoCluster,
  "lab" | "lan" | "controlPlane" | "client" | "nodes" | "centralSpeakers" | "api" | "controllers" | "kubeconfig"
>;

/**
 * The demo's network: a switch (172.30.0.0/24 and fd00:30::/64) with a control plane (.1), nodes (.11, .12, …) and a client (.100).
 * The Kubernetes API is the one in memory. The controller, on the control plane, more of them (.2, .3, …) and the speakers run with the arguments,
 * environment and permissions of `manifests/base`; kube-proxy is a process of ours on each node. Pods have the addresses
 * 10.244.NODE.N and fd00:244:NODE::N. Everything in it may be killed, unplugged and started again.
 */
export class DemoCluster implements AsyncDisposable {
  readonly lab: Lab;
  readonly lan: Switch;
  readonly controlPlane: Host;
  readonly client: Host;
  readonly nodes: readonly DemoNode[];
  readonly centralSpeakers: readonly Workload[];
  readonly api: ApiClient;
  /** The one on the control plane first. */
  readonly controllers: readonly [Workload, ...Workload[]];
  /** Kubeconfig of an administrator, for use outside the lab, for as long as this process lives. */
  readonly kubeconfig: string;
  readonly #families: readonly Family[];
  readonly #stack: AsyncDisposableStack;
  readonly #backends = new Map<string, number>(); // node -> how many there have been

  private constructor(parts: Parts, families: readonly Family[], stack: AsyncDisposableStack) {
    this.lab = parts.lab;
    this.lan = parts.lan;
    this.controlPlane = parts.controlPlane;
    this.client = parts.client;
    this.nodes = parts.nodes;
    this.centralSpeakers = parts.centralSpeakers;
    this.api = parts.api;
    this.controllers = parts.controllers;
    this.kubeconfig = parts.kubeconfig;
    this.#families = families;
    this.#stack = stack;
  }

  /** Resolves when controller and speakers run, which need not be ready yet. @throws {LabRefused} */
  static async start({
    nodes: count = 3,
    families = ["IPv4", "IPv6"],
    configuration = demoConfiguration,
    forwarding = false,
    ring = true,
    honourExcludeLabel = false,
    netAdmin = /\binterface\b/.test(configuration ?? ""),
    controllers: controllerCount = 1,
    controllerArguments = [],
    speakerArguments = [],
    speakerNodeArguments = [],
    centralSpeakers: centralCount = 0,
    bundles = programBundles,
    logs,
  }: DemoClusterOptions = {}): Promise<DemoCluster> {
    await using stack = new AsyncDisposableStack();
    const addressesOf = (number: number) => hostAddresses(number, families);
    const lab = stack.use(await Lab.start(logs === undefined ? {} : { logs }));
    const lan = await lab.switch("lan");
    const attached = async (name: string, number: number, options: HostOptions = {}): Promise<Host> => {
      const host = await lab.host(name, options);
      const addresses = addressesOf(number).map((address) => `${address}/${isIPv6(address) ? 64 : 24}`);
      await host.attach(lan, { addresses });
      return host;
    };
    const [controlPlane, client, ...hosts] = await Promise.all([
      attached("control-plane", 1),
      attached("client", 100),
      ...Array.from({ length: count }, (_, index) => attached(`node${index + 1}`, firstNode + index, { forwarding })),
    ]);
    const { api, kubeconfig } = await startApi(lab, controlPlane, addressesOf(1)[0], stack);
    const manifests = baseManifests();
    for (const manifest of manifests) await api.apply(manifest);
    if (configuration !== null) await configure(api, configuration);

    const workloads = async (
      kind: string,
      component: "controller" | "speaker",
      more: readonly string[] = [],
      name: string = component,
    ) => {
      const base = podTemplate(name === component ? manifests : manifestsOf("components/central-speakers"), kind, name);
      const template = changed(base, {
        more,
        ...(!ring && { variable: "METALLB_ML_SECRET_KEY" }),
        ...(honourExcludeLabel && { argument: "--ignore-exclude-lb" }),
      });
      const file = await serviceAccountKubeconfig(lab, api, addressesOf(1)[0], kubeconfig, template.spec.serviceAccountName);
      const forNode = component === "speaker" ? speakerNodeArguments : [];
      const command = template.spec.containers[0].command ?? [];
      const program = bundles === undefined ? programFile(component) : `${bundles}/${component}.js`;
      const argv = ["node", ...command.slice(1, -1), ...forNode, program, `--kubeconfig=${file}`];
      const capabilities = netAdmin && component === "speaker" ? ["NET_ADMIN"] : [];
      const shared = { api, namespace, template, argv, capabilities };
      return (name: string, host: Host, number: number): Workload =>
        stack.use(new Workload({ ...shared, name, host, node: host.name, addresses: addressesOf(number) }));
    };
    const controllerOn = await workloads("Deployment", "controller", controllerArguments);
    const controllers: [Workload, ...Workload[]] = [controllerOn("controller", controlPlane, 1)];
    for (let number = 2; number <= controllerCount; number++)
      controllers.push(controllerOn(`controller${number}`, await attached(`standby${number}`, number), number));
    for (const controller of controllers) await controller.start();
    const without = centralCount === 0 ? [] : ["--announce-for=node-without-bgp"];
    const speakerOn = await workloads("DaemonSet", "speaker", [...speakerArguments, ...without]);
    const nodes = await Promise.all(
      hosts.map(async (host, index): Promise<DemoNode> => {
        const { name } = host;
        const addresses = addressesOf(firstNode + index);
        await registerNode(api, name, addresses);
        await addPodRoutes(host, index, count, families);
        const proxy = await startProxy(host);
        const speaker = speakerOn(`speaker-${name}`, host, firstNode + index);
        await speaker.start();
        await proxy.waitForLine(/"forwarding"/);
        return { name, host, addresses, speaker, proxy };
      }),
    );
    // Together: each stays for a second after it has left the ring.
    stack.defer(async () => void (await Promise.all(nodes.map(({ speaker }) => speaker[Symbol.asyncDispose]()))));
    const centralOn = await workloads("Deployment", "speaker", [], "central-speaker");
    const centralSpeakers = hosts
      .slice(0, centralCount)
      .map((host, index) => centralOn(`central-speaker-${host.name}`, host, firstNode + index));
    for (const central of centralSpeakers) await central.start();
    return new DemoCluster(
      { lab, lan, controlPlane, client, nodes, centralSpeakers, api, controllers, kubeconfig },
      families,
      stack.move(),
    );
  }

  /** The one on the control plane. */
  get controller(): Workload {
    return this.controllers[0];
  }

  /** Replaces the configuration. */
  async configure(text: string): Promise<void> {
    await configure(this.api, text);
  }

  node(name: string): DemoNode {
    const node = this.nodes.find((node) => node.name === name);
    if (node === undefined) throw new RangeError(`Cannot find node ${name}: there are ${this.nodes.map(({ name }) => name)}`);
    return node;
  }

  /** Gives the node its routes to the Pods of others again, as a network plugin does: the kernel drops them with the node's last address. */
  async routePods({ host }: Pick<DemoNode, "host">): Promise<void> {
    const own = this.nodes.findIndex((node) => node.host === host);
    await addPodRoutes(host, own, this.nodes.length, this.#families);
  }

  /** Starts a Pod on each of these nodes (one may be named twice), each a web and UDP server. */
  async startBackends(name: string, nodes: readonly string[]): Promise<readonly Backend[]> {
    return Promise.all(
      nodes.map(async (node, index) => {
        const number = (this.#backends.get(node) ?? 0) + 1;
        this.#backends.set(node, number);
        const subnet = this.nodes.indexOf(this.node(node)) + 1;
        const addresses = [`10.244.${subnet}.${number}`, `fd00:244:${subnet}::${number}`];
        const { host } = this.node(node);
        return Backend.start({ name: `${name}-${index + 1}`, host, node, addresses, port: backendPort });
      }),
    );
  }

  /** Creates a Service of type LoadBalancer with a new Pod on each of these nodes; does not wait for its address. */
  async expose(name: string, nodes: readonly string[], options: ServiceOptions = {}): Promise<DemoService> {
    const service = new DemoService(this.api, name, options);
    await service.create();
    await service.serveFrom(await this.startBackends(name, nodes));
    return service;
  }

  /** Stops controller and speakers in an orderly way, then ends everything else. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

/** Runs what stands for kube-proxy on a node. It prints `forwarding` when it does so for the first time. */
export async function startProxy(host: Host): Promise<LabProcess> {
  const flags = ["--node-name", host.name, "--kubeconfig", adminKubeconfig];
  return host.spawn(`proxy-${host.name}`, ["node", programFile("service-proxy"), ...flags]);
}

const adminKubeconfig = "/run/admin.conf"; // In the lab; its /run is gone with it.

async function startApi(
  lab: Lab,
  host: Host,
  address: string,
  stack: AsyncDisposableStack,
): Promise<{ api: ApiClient; kubeconfig: string }> {
  const argv = [
    "--address",
    "::",
    "--port",
    String(apiPort),
    "--host",
    address,
    "--kubeconfig",
    adminKubeconfig,
    "--relays",
    "/run",
  ];
  const server = await host.spawn("apiserver", ["node", programFile("apiserver"), ...argv]);
  await server.waitForLine(/^listening on /);
  const published: Published = stack.use(await host.publish(address, apiPort));
  const inside = readFileSync(lab.outside(adminKubeconfig), "utf8");
  const kubeconfig = inside.replace(`${urlHost(address)}:${apiPort}`, `127.0.0.1:${published.port}`);
  return { api: stack.use(new ApiClient(kubeconfig, published.port)), kubeconfig };
}

/** Writes it into the lab's /run. @returns its name there */
async function serviceAccountKubeconfig(
  lab: Lab,
  api: ApiClient,
  server: string,
  admin: string,
  account: string,
): Promise<string> {
  const file = `/run/${account}.conf`;
  const authority = /certificate-authority-data: .*/.exec(admin)?.[0];
  const text = `apiVersion: v1
kind: Config
clusters: [{name: demo, cluster: {server: "https://${urlHost(server)}:${apiPort}", ${authority}}}]
users: [{name: demo, user: {token: ${await api.token(namespace, account)}}}]
contexts: [{name: demo, context: {cluster: demo, user: demo}}]
current-context: demo
`;
  writeFileSync(lab.outside(file), text, { mode: 0o644 }); // For the user of the Pod.
  return file;
}

async function configure(api: ApiClient, config: string): Promise<void> {
  await api.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "config", namespace }, data: { config } });
}

async function registerNode(api: ApiClient, name: string, addresses: readonly string[]): Promise<void> {
  const labels = { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" };
  const node = { apiVersion: "v1", kind: "Node", metadata: { name, labels } };
  await api.apply({ ...node, spec: {} });
  const internal = addresses.map((address) => ({ type: "InternalIP", address }));
  const status = {
    addresses: [...internal, { type: "Hostname", address: name }],
    conditions: [{ type: "Ready", status: "True", reason: "KubeletReady" }],
  };
  await api.patch(node, { status }, "status");
}

/** Routes from one node to the Pods of all others, also where some are there already. */
async function addPodRoutes(host: Host, own: number, count: number, families: readonly Family[]): Promise<void> {
  const others = Array.from({ length: count }, (_, index) => index).filter((index) => index !== own);
  await host.ip(
    ...others.flatMap((index) =>
      hostAddresses(firstNode + index, families).map((address) =>
        isIPv6(address)
          ? `route replace fd00:244:${index + 1}::/64 via ${address}`
          : `route replace 10.244.${index + 1}.0/24 via ${address}`,
      ),
    ),
  );
}

function hostAddresses(number: number, families: readonly Family[]): [string, string] {
  const [first, ...others] = families.map((family) => (family === "IPv4" ? `${lan4}.${number}` : `${lan6}::${number}`));
  if (first === undefined) throw new RangeError("Cannot give hosts addresses: there is no family");
  return [first, ...others] as [string, string];
}

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { findKcp, ingotImage as image, patience, RealCluster, type RealClusterOptions } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import type { Streamed, StreamedTo } from "./stream.ts";
import { echoDeployment } from "./workload.ts";

export const namespace = "metallb-system";

export const config = `
address-pools:
  - name: lan
    protocol: layer2
    addresses: [172.30.0.200-172.30.0.219]
`;

/** Behind the router. */
export const routedPool = `
  - name: routed
    protocol: bgp
    auto-assign: false
    addresses: [198.51.100.0/24]
`;

export const manifests = resolve(import.meta.dirname, "../../../manifests");

// Edits it as often as it is told, one edit after the other.
const editScript = `
const [url, ...bodies] = [process.argv[1], ...require("fs").readFileSync(0, "utf8").split("\\n")];
const headers = { "content-type": "application/merge-patch+json" };
(async () => {
  for (const body of bodies) {
    const response = await fetch(url, { method: "PATCH", headers, body });
    if (!response.ok) throw new Error(await response.text());
    await response.arrayBuffer();
  }
})();
`;

interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly deletionTimestamp?: string;
}

/** An object of the API, as far as tests look at it. */
export interface ApiObject {
  readonly metadata: Metadata;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
  /** Of an event. */
  readonly message?: string;
}

/** As `kubectl get` has them. */
const selection = {
  namespace: { type: "string", short: "n", default: "default" },
  selector: { type: "string", short: "l", default: "" },
  "field-selector": { type: "string", default: "" },
} as const;

/** Where kinds are that are not of the core group. */
const groups: Readonly<Record<string, string>> = {
  daemonsets: "/apis/apps/v1",
  endpointslices: "/apis/discovery.k8s.io/v1",
  ipaddresspools: "/apis/metallb.io/v1beta1",
};

interface PodObject {
  readonly metadata: { readonly uid: string };
  readonly spec: { readonly nodeName: string };
}

/** A real Kubernetes with what `manifests/` installs, and a Deployment `web` of Pods on different nodes that echo. */
export class InstalledCluster implements AsyncDisposable {
  readonly cluster: RealCluster;
  #streams = 0;

  private constructor(cluster: RealCluster) {
    this.cluster = cluster;
  }

  /** Nothing of ours is installed yet: see `install` and `deploy`. */
  static async start(options: Omit<RealClusterOptions, "kcp">): Promise<InstalledCluster> {
    return new InstalledCluster(await RealCluster.start({ ...options, kcp: await findKcp() }));
  }

  /** Applies the manifests, and components of them by name, and the ConfigMap; resolves when all is ready. */
  async install(configuration = config, components: readonly string[] = []): Promise<void> {
    await this.#createKey();
    await this.writeOverlay(components);
    await this.kubectl("apply", "--warnings-as-errors", "-k", this.cluster.directory);
    await this.configure(configuration);
    await this.rolledOut("deployment/controller", "daemonset/speaker");
  }

  /** Makes the key that the controller would make: a speaker that is there before it waits, and a kubelet looks again after 10 to 15 s. */
  async #createKey(): Promise<void> {
    await this.kubectl("apply", "-f", join(manifests, "base/namespace.yaml"));
    const exists = await this.kubectl("-n", namespace, "get", "secret", "memberlist", "--ignore-not-found", "-o", "name");
    if (exists !== "") return;
    await this.kubectl("apply", "-f", join(manifests, "base/memberlist.yaml"));
    await this.kubectl("-n", namespace, "patch", "secret", "memberlist", "-p", '{"stringData":{"secretkey":"a key"}}');
  }

  /** Writes `kustomization.yaml` into the cluster's directory. */
  async writeOverlay(components: readonly string[] = []): Promise<void> {
    const path = (name: string) => relative(this.cluster.directory, join(manifests, name));
    const overlay = {
      resources: [path("")],
      components: components.map((name) => path(join("components", name))),
      images: [{ name: "ingot", newName: image.name, newTag: image.tag }],
    };
    await writeFile(join(this.cluster.directory, "kustomization.yaml"), JSON.stringify(overlay));
  }

  async configure(text: string): Promise<void> {
    await this.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "config", namespace }, data: { config: text } });
  }

  /** Edits the ConfigMap that often, as fast as the API server takes it. @param text of each edit, counted from 1 */
  async editConfig(count: number, text: (edit: number) => string): Promise<void> {
    const { controlPlane, kubeconfig, kcp } = this.cluster;
    const proxy = controlPlane.host.daemon("proxy", [kcp, "kubectl", "--kubeconfig", kubeconfig, "proxy", "--port=8001"]);
    try {
      const url = `http://127.0.0.1:8001/api/v1/namespaces/${namespace}/configmaps/config`;
      await waitFor("kubectl proxy", () => controlPlane.host.get(url), patience);
      const edits = Array.from({ length: count }, (_, index) => JSON.stringify({ data: { config: text(index + 1) } }));
      await controlPlane.host.run([process.execPath, "-e", editScript, url], { input: edits.join("\n") });
    } finally {
      await proxy.stop();
    }
  }

  /** Runs the Pods of `web`, each on a node of its own. */
  async deploy(replicas: number): Promise<void> {
    await this.apply(echoDeployment(replicas));
    await this.kubectl("rollout", "status", "deployment/web", "--timeout=5m");
  }

  /** Makes a Service of type LoadBalancer for `web`, with more in its `spec`. @returns its address */
  async serve(
    name: string,
    { annotations = {}, ...more }: { annotations?: object; [field: string]: unknown } = {},
  ): Promise<string> {
    const ports = [
      { name: "http", port: 80, targetPort: 8080, protocol: "TCP" },
      { name: "echo", port: 9000, targetPort: 9000, protocol: "UDP" },
    ];
    const spec = { type: "LoadBalancer", selector: { app: "web" }, ports, ...more };
    await this.apply({ apiVersion: "v1", kind: "Service", metadata: { name, namespace: "default", annotations }, spec });
    return await waitFor(`an address of ${name}`, () => this.addressOf(name), patience);
  }

  kubectl(...args: string[]): Promise<string> {
    return this.cluster.kubectl(args);
  }

  async apply(object: object): Promise<void> {
    await this.cluster.kubectl(["apply", "-f", "-"], { input: JSON.stringify(object) });
  }

  /** Objects of a kind, such as `pods`, by further arguments of `kubectl get`. */
  async get(kind: string, ...args: string[]): Promise<readonly ApiObject[]> {
    const { values } = parseArgs({ args, options: selection, strict: true });
    const group = groups[kind] ?? "/api/v1";
    const query = new URLSearchParams({ labelSelector: values.selector, fieldSelector: values["field-selector"] });
    const { items } = await this.cluster.read<{ items: readonly ApiObject[] }>(
      `${group}/namespaces/${values.namespace}/${kind}?${query}`,
    );
    return items;
  }

  async rolledOut(...names: string[]): Promise<void> {
    for (const name of names) await this.kubectl("-n", namespace, "rollout", "status", name, "--timeout=5m");
  }

  addressOf(name: string): Promise<string> {
    return this.cluster.addressOf(name);
  }

  /** The addresses of all Services that have some. */
  async addresses(): Promise<Readonly<Record<string, string>>> {
    const services = (await this.get("services")).filter(({ spec }) => spec?.type === "LoadBalancer");
    const named = services.map(async ({ metadata: { name } }) => [name, await this.addressOf(name)] as const);
    return Object.fromEntries(await Promise.all(named));
  }

  /** Messages of the events of an object. */
  async events(kind: string, name: string, reason: string): Promise<string[]> {
    const selector = `involvedObject.kind=${kind},involvedObject.name=${name},reason=${reason}`;
    return (await this.get("events", `--field-selector=${selector}`)).map(({ message = "" }) => message);
  }

  /** Waits until the client's ARP requests are answered by one host alone. @returns which node */
  async owner(address: string): Promise<string> {
    const only = async () => {
      const printed = await this.cluster.client.run(["sh", "-c", 'arping -c 3 -W 0.2 -i eth0 "$0" || true', address]);
      const macs = new Set([...printed.matchAll(/ from ([0-9a-f:]{17}) /g)].map(([, mac]) => mac));
      assert.equal(macs.size, 1, `${address} is answered for by ${macs.size} hosts: ${printed}`);
      return [...macs][0] ?? "";
    };
    return await this.#nodeOf(await waitFor(`one owner of ${address}`, only, patience));
  }

  async #nodeOf(mac: string): Promise<string> {
    for (const node of this.cluster.nodes) if ((await node.host.mac()) === mac) return node.name;
    throw new Error(`Cannot find the node with MAC address ${mac}`);
  }

  /** Waits until another node than this answers for the address. @returns which */
  async ownerOtherThan(node: string, address: string): Promise<string> {
    const other = async () => {
      const owner = await this.owner(address);
      return owner === node ? undefined : owner;
    };
    return await waitFor(`another owner of ${address} than ${node}`, other, patience);
  }

  /** Waits until the client has an HTTP answer. @returns the node of the Pod that gave it */
  async answer(address: string): Promise<string> {
    const answer = () => this.cluster.client.get(`http://${address}/`);
    return (await waitFor(`an answer from ${address}`, answer, patience)).body;
  }

  /**
   * Waits until the Pod that answers is on the node that owns the address, as it has to be for a `Local` Service once all speakers have
   * heard of the same endpoints.
   * @returns that node
   */
  answerOfOwner(address: string): Promise<string> {
    const both = async () => {
      const owner = await this.owner(address);
      assert.equal(await this.answer(address), owner);
      return owner;
    };
    return waitFor(`an answer from the owner of ${address}`, both, patience);
  }

  /** Waits until each of these nodes has a speaker that is ready, and no other node has one, those that still end included. */
  async speakersOn(nodes: readonly string[]): Promise<void> {
    const all = async () => {
      const pods = await this.get("pods", "-n", namespace, "-l", "component=speaker");
      const ready = pods.filter(({ metadata, status }) => {
        const conditions = (status?.conditions ?? []) as readonly { readonly type: string; readonly status: string }[];
        return (
          metadata.deletionTimestamp === undefined && conditions.some(({ type, status }) => type === "Ready" && status === "True")
        );
      });
      for (const some of [pods, ready]) assert.deepEqual(some.map(({ spec }) => spec?.nodeName).sort(), nodes);
      return true;
    };
    await waitFor(`ready speakers on ${nodes.join(", ")} alone`, all, patience);
  }

  async ready(node: string, status: "True" | "Unknown" = "True"): Promise<void> {
    await this.kubectl("wait", `--for=condition=Ready=${status}`, "--timeout=5m", `node/${node}`);
  }

  /** The Pod of a DaemonSet or Deployment on a node, by the label `component`. */
  async podOn(node: string, component: "speaker" | "controller"): Promise<string> {
    const selector = [`--field-selector=spec.nodeName=${node}`, "-l", `component=${component}`];
    const pods = await this.get("pods", "-n", namespace, ...selector);
    return pods[0]?.metadata.name ?? "";
  }

  /** The Pod of the controller that leads, by the Lease. */
  async leader(): Promise<string> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/ingot-controller`;
    const { spec } = await this.cluster.read<{ spec: { holderIdentity?: string } }>(path);
    return spec.holderIdentity?.split("_")[0] ?? "";
  }

  /** Kills all processes of a Pod of ours; its kubelet starts them again. */
  killPod(name: string): Promise<void> {
    return this.signalPod(name, "KILL");
  }

  /** Sends a signal to all processes of a Pod of ours. One that hangs for long is ended by its kubelet. */
  async signalPod(name: string, signal: "KILL" | "STOP" | "CONT"): Promise<void> {
    const pod = await this.#pod(name);
    await this.cluster.node(pod.spec.nodeName).signalPod(pod.metadata.uid, signal);
  }

  #pod(name: string): Promise<PodObject> {
    return this.cluster.read(`/api/v1/namespaces/${namespace}/pods/${name}`);
  }

  /**
   * Sends packets to Services every 5 ms while `act` runs, from when all have answered.
   * @param targets name -> address
   * @returns what became of them; owners are nodes
   */
  async streaming(targets: Readonly<Record<string, string>>, act: () => Promise<void>): Promise<Streamed> {
    const program = [process.execPath, resolve(import.meta.dirname, "stream.ts")];
    const names = Object.entries(targets).map(([name, address]) => `${name}=${address}`);
    const stream = this.cluster.client.daemon(`stream${++this.#streams}`, [...program, ...names]);
    const lines = async () => (await readFile(stream.log, "utf8")).split("\n");
    try {
      await waitFor("the stream of packets", async () => (await lines()).includes("streaming"), patience);
      await act();
    } finally {
      await stream.stop("SIGTERM");
    }
    const report = (await lines()).find((line) => line.startsWith("{"));
    if (report === undefined) throw new Error(`Cannot read the report of the client: ${(await lines()).join("\n")}`);
    const streamed: Record<string, StreamedTo> = JSON.parse(report);
    const named = Object.entries(streamed).map(async ([name, to]) => {
      const owners = await Promise.all(to.arp.owners.map((mac) => this.#nodeOf(mac)));
      return [name, { ...to, arp: { ...to.arp, owners } }] as const;
    });
    return Object.fromEntries(await Promise.all(named));
  }

  /** For the message of a failure. */
  report(): Promise<string> {
    return this.cluster.report();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cluster[Symbol.asyncDispose]();
  }
}

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type ClusterNode, patience } from "#e2e/cluster";
import { ApiClient, ApiRefusal, type Reference } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { BorderRouter, nodeAsn, routerAsn } from "../../cluster/scenarios/border-router.ts";
import { InstalledCluster } from "../../cluster/scenarios/installed.ts";
import { pathFaults, setPodNetworks } from "../../cluster/scenarios/path-faults.ts";
import type { OwnWhat } from "../acts.ts";
import type { ArpAnswers } from "../asker.ts";
import {
  bfd,
  configurationFor,
  detectionMs,
  fromPool,
  holdTimeSeconds,
  namespace,
  persistently,
  poolsIn,
  shared,
  type Target,
  type Undo,
  type Variant,
  waysTo,
} from "./target.ts";

const replicas = 2;
const metricsPort = 7472;
// All tables but those by which chaos drops packets.
const flushRules = 'nft list tables | grep -v chaos | while read -r _ family table; do nft delete table "$family" "$table"; done';
const apiPort = 6443;

/** A real Kubernetes with the objects of the manifests; the Services share the Pods of one Deployment. */
export async function startKubernetesTarget(nodeCount: number, variant: Variant): Promise<Target> {
  await using stack = new AsyncDisposableStack();
  const on = stack.use(await InstalledCluster.start({ nodes: nodeCount }));
  const { cluster } = on;
  const numbers = cluster.nodes.map((_, index) => 11 + index);
  const router = await BorderRouter.start(on, numbers, { holdTimeSeconds, ...(variant.hasBfd && { bfd }) });
  const peer = { address: cluster.router.ipv4, asn: routerAsn, ownAsn: nodeAsn };
  const configuration = (more?: string) => configurationFor(peer, variant, more);
  await setPodNetworks(on);
  await on.deploy(replicas);
  await on.install(configuration(), variant.hasNics ? ["ha", "net-admin"] : ["ha"]);
  const services = new Map<string, string>();
  for (const [name, pool] of poolsIn(variant)) services.set(name, await on.serve(name, fromPool(pool)));
  const { routed, answered } = waysTo(services);
  const names = cluster.nodes.map(({ name }) => name);
  for (const address of routed) await router.learns(address, names);
  const { host } = cluster.controlPlane;
  const published = stack.use(await host.publish("127.0.0.1", apiPort));
  const api = stack.use(new ApiClient(await readFile(cluster.kubeconfig, "utf8"), published.port));
  const asker = cluster.client.daemon("asker", [
    ...[process.execPath, fileURLToPath(new URL("../asker.ts", import.meta.url))],
    ...answered.flatMap((address) => ["--address", address]),
  ]);
  for (const address of services.values()) await on.answer(address);
  for (const address of answered) await on.owner(address);
  const macs = await Promise.all(cluster.nodes.map((node) => node.host.mac()));
  const kept = stack.move();
  return {
    nodes: cluster.nodes.map(({ name, host }, index) => ({
      name,
      addresses: [host.ipv4, host.ipv6],
      mac: macs[index]?.replaceAll(":", "") ?? "",
      run: (argv, options) => host.run(argv, options),
      ask: async (path) => JSON.parse((await host.get(`http://127.0.0.1:${metricsPort}${path}`, { timeout: 1_000 })).body),
    })),
    lan: cluster.lan,
    controlPlane: host,
    api,
    router: {
      kill: () => router.daemon.stop("SIGKILL"),
      start: async () => router.daemon.start(),
      freeze: () => router.daemon.signal("SIGSTOP"),
      thaw: () => router.daemon.signal("SIGCONT"),
      nextHops: (address) => router.kernelHops(address),
    },
    services,
    routed,
    can: new Set([
      ...shared,
      "stopController",
      "killKubelet",
      "killContainerd",
      "drain",
      "powerOff",
      "killApiServer",
      "killEtcd",
      "scale",
      "breakPath",
      "flushRules",
      "downBridge",
    ]),
    revives: true,
    detectionMs: detectionMs(variant),
    configuration,
    expose: async (name, options = {}) => {
      const reference = { apiVersion: "v1", kind: "Service", metadata: { namespace: "default", name } };
      const spec = { type: "LoadBalancer", selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: 8080 }] };
      await api.apply({ ...reference, metadata: { ...reference.metadata, annotations: options.annotations ?? {} }, spec });
      return { delete: () => deleted(api, reference) };
    },
    carryOut: (what) => new Hands(on, api).carryOut(what),
    asked: newLinesOf(asker.log),
    request: async (address) => (await cluster.client.get(`http://${address}/`, { timeout: 1_000 })).status,
    recovered: () => recovered(on, api),
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  };
}

function newLinesOf(log: string): Target["asked"] {
  let read = 0;
  return async () => {
    const lines = (await readFile(log, "utf8")).split("\n").slice(0, -1); // The last one is not whole yet.
    const asked = lines.slice(read).filter((line) => line.startsWith("{"));
    read = lines.length;
    return asked.map((line): ArpAnswers => JSON.parse(line));
  };
}

interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly containerStatuses?: readonly { readonly state: { readonly waiting?: { readonly reason: string } } }[];
  };
}

/** Acts on a Kubernetes in its own way. */
class Hands {
  readonly #on: InstalledCluster;
  readonly #api: ApiClient;

  constructor(on: InstalledCluster, api: ApiClient) {
    this.#on = on;
    this.#api = api;
  }

  async carryOut(what: OwnWhat): Promise<Undo> {
    const { controlPlane, nodes } = this.#on.cluster;
    switch (what.type) {
      case "killController":
        return this.#kill(await this.#controller(what.controller));
      case "stopController":
        return this.#delete(await this.#controller(what.controller));
      case "stallController":
        return this.#stall(await this.#controller(what.controller));
      case "killApiServer":
        await controlPlane.stopApiServer();
        return () => controlPlane.startApiServer();
      case "killEtcd":
        await controlPlane.stopEtcd();
        return () => controlPlane.startEtcd();
      case "scale":
        await this.#scale(what.replicas);
        return () => persistently("to scale as before", () => this.#scale(replicas));
    }
    const node = "node" in what ? nodes[what.node] : undefined;
    if (node === undefined) throw new Error(`Cannot ${what.type} in a Kubernetes`);
    switch (what.type) {
      case "killSpeaker":
        return this.#kill(await this.#speaker(node));
      case "stopSpeaker":
        return this.#delete(await this.#speaker(node));
      case "stallSpeaker":
        return this.#stall(await this.#speaker(node));
      case "breakPath":
        return pathFaults.forwardingOff.begin(this.#on, node.name);
      case "downBridge":
        return pathFaults.bridgeDown.begin(this.#on, node.name);
      case "flushRules":
        await node.kill("kube-proxy");
        await node.host.run(["sh", "-ec", flushRules]);
        return () => node.revive("kube-proxy");
      case "killKubelet":
        await node.kill("kubelet");
        return () => node.revive("kubelet");
      case "killContainerd":
        await node.kill("containerd");
        return () => node.revive("containerd");
      case "powerOff":
        await node.powerOff();
        return () => node.powerOn();
      case "drain": {
        // A Pod that cannot be evicted in time, for example while the API is away, stays.
        const draining = this.#on.kubectl("drain", node.name, "--ignore-daemonsets", "--force", "--timeout=20s").catch(() => {});
        return async () => {
          await draining;
          await waitFor(`${node.name} to take Pods`, () => this.#on.kubectl("uncordon", node.name), patience);
        };
      }
      default:
        throw new Error(`Cannot ${what.type} in a Kubernetes`);
    }
  }

  async #speaker({ name }: ClusterNode): Promise<Pod> {
    const pod = (await this.#pods("speaker")).find(({ spec }) => spec.nodeName === name);
    if (pod === undefined) throw new Error(`Cannot find the Pod of the speaker on ${name}`);
    return pod;
  }

  /** By name. Where there are fewer, because one is not on a node yet, the last. */
  async #controller(index: number): Promise<Pod> {
    const pods = (await this.#pods("controller")).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    const pod = pods[index] ?? pods.at(-1);
    if (pod === undefined) throw new Error("Cannot find a Pod of a controller");
    return pod;
  }

  /** Pods that are on nodes. */
  async #pods(component: "speaker" | "controller"): Promise<Pod[]> {
    const pods = (await this.#api.list("v1", "Pod", namespace)) as unknown as readonly Pod[];
    return pods.filter(({ metadata, spec }) => metadata.labels?.component === component && spec.nodeName !== undefined);
  }

  /** Its kubelet starts it again, after a time that grows with each kill. */
  async #kill(pod: Pod): Promise<Undo> {
    await this.#nodeOf(pod).signalPod(pod.metadata.uid);
    return () => {};
  }

  /** Its controller makes another one. */
  async #delete(pod: Pod): Promise<Undo> {
    await deletePod(this.#api, pod);
    return () => {};
  }

  async #stall(pod: Pod): Promise<Undo> {
    const node = this.#nodeOf(pod);
    await node.signalPod(pod.metadata.uid, "STOP");
    return () => node.signalPod(pod.metadata.uid, "CONT").catch(() => {}); // Its kubelet may have ended it meanwhile.
  }

  async #scale(count: number): Promise<void> {
    const deployment = { apiVersion: "apps/v1", kind: "Deployment", metadata: { namespace: "default", name: "web" } };
    await this.#api.patch(deployment, { spec: { replicas: count } });
  }

  #nodeOf(pod: Pod): ClusterNode {
    return this.#on.cluster.node(pod.spec.nodeName ?? "");
  }
}

/** Deletes what may be gone already. */
async function deleted(api: ApiClient, reference: Reference): Promise<void> {
  try {
    await api.delete(reference);
  } catch (error) {
    if (!(error instanceof ApiRefusal && error.status === 404)) throw error;
  }
}

async function deletePod(api: ApiClient, { metadata: { name } }: Pod): Promise<void> {
  await deleted(api, { apiVersion: "v1", kind: "Pod", metadata: { namespace, name } });
}

/** Waits for Kubernetes' own part: nodes, and running Pods. */
async function recovered(on: InstalledCluster, api: ApiClient): Promise<void> {
  await on.cluster.controlPlane.isReady();
  for (const { name } of on.cluster.nodes) await on.ready(name);
  const isBackingOff = ({ status }: Pod) =>
    status.containerStatuses?.some(({ state }) => state.waiting?.reason === "CrashLoopBackOff") === true;
  await waitFor(
    "all Pods to run",
    async () => {
      // A kubelet starts what was killed often only after minutes.
      for (const pod of ((await api.list("v1", "Pod", namespace)) as unknown as Pod[]).filter(isBackingOff))
        await deletePod(api, pod);
      const shown = ["get", "pods", "-A", "-o", 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'];
      return !(await on.kubectl(...shown)).includes("False");
    },
    patience,
  );
  await on.rolledOut("deployment/controller", "daemonset/speaker");
}

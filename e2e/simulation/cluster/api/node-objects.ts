import type { LocalApi } from "#e2e/apiserver";
import { addressOf, nameOf, type Simulation } from "#pkg/memberlist/testing";
import { drainLabel, excludeLabel, networkTaint, outOfServiceTaint } from "#pkg/placement";
import { namespace, podObject, podStatus, routerAddress } from "./objects.ts";

export const edgeLabel = "edge";
/** Fields of a peer that nodes may give: field -> the place of its value in the Node, and the usual value. */
export const peerValues = {
  "peer-address": { kind: "annotation", name: "example.com/router", usual: () => routerAddress },
  "my-asn": { kind: "label", name: "example.com/asn", usual: (node: number) => `${65_101 + node}` },
  "peer-asn": { kind: "label", name: "example.com/router-asn", usual: () => "65002" },
  "router-id": { kind: "annotation", name: "example.com/router-id", usual: (node: number) => `10.255.0.${node + 1}` },
} as const;
export type PeerField = keyof typeof peerValues;
const peerFields = Object.keys(peerValues) as PeerField[];

export interface NodeObjectsOptions {
  readonly api: LocalApi;
  readonly ring: Simulation;
  /** Runs what changes the API for other reasons than what is tested. */
  readonly people: (act: () => void) => void;
}

/** The API's objects of each node and of its speaker's Pod, as kubelets, the controller of DaemonSets and people write them. */
export class NodeObjects {
  readonly #options: NodeObjectsOptions;
  readonly #deleted = new Set<number>(); // nodes that somebody deleted, and that are not to be there yet

  constructor(options: NodeObjectsOptions) {
    this.#options = options;
  }

  /** The Node is there from now on, as its kubelet registers it, and a Pod on it; what there is stays as it is. */
  make(node: number): void {
    const { api, ring, people } = this.#options;
    this.#deleted.delete(node);
    people(() => {
      const valuesIn = (kind: "label" | "annotation") =>
        peerFields.flatMap((field) =>
          peerValues[field].kind === kind ? [[peerValues[field].name, peerValues[field].usual(node)]] : [],
        );
      const labels = { ...Object.fromEntries(valuesIn("label")), ...(node % 2 === 0 ? {} : { [edgeLabel]: "true" }) };
      const addresses = [addressOf(ring.hostOf(node)), nodeAddress6(node)].map((address) => ({ type: "InternalIP", address }));
      const status = { addresses };
      const metadata = { name: nameOf(node), labels, annotations: Object.fromEntries(valuesIn("annotation")) };
      if (!this.has(node)) api.create("nodes", undefined, { metadata, spec: {}, status });
      if (api.get("pods", podKey(node)) === undefined)
        api.create("pods", namespace, podObject(node, addressOf(ring.hostOf(node))));
    });
  }

  /** The Node does not exist until it is made again. Its Pod stays: see `deletePod`. */
  delete(node: number): void {
    const { api, people } = this.#options;
    this.#deleted.add(node);
    people(() => api.remove("nodes", nameOf(node)));
  }

  deletePod(node: number): void {
    const { api, people } = this.#options;
    people(() => api.remove("pods", podKey(node)));
  }

  has(node: number): boolean {
    return this.#options.api.get("nodes", nameOf(node)) !== undefined;
  }

  /** After the API went back to a backup, whatever is to be there is made again where it was not there then. @param nodes how many */
  makeMissing(nodes: number): void {
    for (let node = 0; node < nodes; node++) if (!this.#deleted.has(node)) this.make(node);
  }

  /** By the label, or as one without a network. */
  isExcluded(node: number): boolean {
    return this.#hasLabel(node, excludeLabel) || this.#taints(node).some(({ key }) => key === networkTaint);
  }

  setExcluded(node: number, isExcluded: boolean): void {
    this.#setLabel(node, excludeLabel, isExcluded);
  }

  isDrained(node: number): boolean {
    return this.#hasLabel(node, drainLabel);
  }

  setDrained(node: number, isDrained: boolean): void {
    this.#setLabel(node, drainLabel, isDrained);
  }

  isCordoned(node: number): boolean {
    return (
      (this.#options.api.get("nodes", nameOf(node))?.spec as { unschedulable?: boolean } | undefined)?.unschedulable === true
    );
  }

  setCordoned(node: number, unschedulable: boolean): void {
    const { api, people } = this.#options;
    if (this.has(node)) people(() => api.patch("nodes", nameOf(node), { spec: { unschedulable } }));
  }

  isOutOfService(node: number): boolean {
    return this.#taints(node).some(({ key }) => key === outOfServiceTaint);
  }

  /** A person says that its machine is off, or is on again. */
  setOutOfService(node: number, isOut: boolean): void {
    this.setTaint(node, { key: outOfServiceTaint, value: "nodeshutdown", effect: "NoExecute" }, isOut);
  }

  setTaint(node: number, taint: Taint, isThere: boolean): void {
    const { api, people } = this.#options;
    const others = this.#taints(node).filter(({ key }) => key !== taint.key);
    const taints = isThere ? [...others, taint] : others;
    if (this.has(node)) people(() => api.patch("nodes", nameOf(node), { spec: { taints } }));
  }

  #taints(node: number): readonly Taint[] {
    const { taints = [] } = (this.#options.api.get("nodes", nameOf(node))?.spec ?? {}) as { taints?: readonly Taint[] };
    return taints;
  }

  /** The value for a field of peers in its labels and annotations. */
  peerValue(node: number, field: PeerField): string | undefined {
    const { labels, annotations } = (this.#options.api.get("nodes", nameOf(node))?.metadata ?? {}) as NodeTexts;
    const { kind, name } = peerValues[field];
    return (kind === "label" ? labels : annotations)?.[name];
  }

  /** @param value null for none */
  setPeerValue(node: number, field: PeerField, value: string | null = peerValues[field].usual(node)): void {
    const { api, people } = this.#options;
    const { kind, name } = peerValues[field];
    if (this.has(node)) people(() => api.patch("nodes", nameOf(node), { metadata: { [`${kind}s`]: { [name]: value } } }));
  }

  /** Whether it has the label that some pools prefer. */
  isEdge(node: number): boolean {
    return this.#hasLabel(node, edgeLabel);
  }

  setEdge(node: number, isEdge: boolean): void {
    this.#setLabel(node, edgeLabel, isEdge);
  }

  /** Whether the API has the speaker's Pod as Ready: what runs there may have ended, or be another process. */
  isReady(node: number): boolean {
    const { conditions = [] } = (this.#options.api.get("pods", podKey(node))?.status ?? {}) as PodStatus;
    return conditions.some(({ type, status }) => type === "Ready" && status === "True");
  }

  setReady(node: number, ready: boolean): void {
    const { api, ring, people } = this.#options;
    if (api.get("pods", podKey(node)) === undefined) return;
    people(() => api.patch("pods", podKey(node), { status: podStatus(ready, addressOf(ring.hostOf(node))) }));
  }

  /** Kubernetes no longer hears of the node, whose machine is off, or hears of it again. */
  setHeard(node: number, isHeard: boolean): void {
    this.setTaint(node, { key: "node.kubernetes.io/unreachable", effect: "NoExecute" }, !isHeard);
  }

  #hasLabel(node: number, label: string): boolean {
    return Object.hasOwn((this.#options.api.get("nodes", nameOf(node))?.metadata.labels ?? {}) as object, label);
  }

  #setLabel(node: number, label: string, isThere: boolean): void {
    const { api, people } = this.#options;
    const labels = { [label]: isThere ? "true" : null };
    if (this.has(node)) people(() => api.patch("nodes", nameOf(node), { metadata: { labels } }));
  }
}

export function nodeAddress6(node: number): string {
  return `fd00::${(node + 1).toString(16)}`;
}

interface NodeTexts {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

type Taint = { readonly key: string; readonly value?: string; readonly effect: string };

interface PodStatus {
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
}

function podKey(node: number): string {
  return `${namespace}/speaker-${node}`;
}

import { type Cluster, type Informer, type Pod, resources } from "#pkg/k8s";
import type { MemberEvents } from "../core/index.ts";
import type { Members, MembersDescription } from "./members.ts";

/**
 * Members by the API: the nodes of the speaker Pods that are Ready. For clusters without a memberlist secret; as fast as the
 * kubelet and the node lifecycle controller are, and standing still while the API is away or takes every node for lost, so that an
 * outage of it takes no address off the network.
 */
export class PodMembers implements Members {
  readonly #pods: Informer<Pod>;
  readonly #emit: (event: MemberEvents) => void;
  #active: readonly string[] = [];

  constructor(options: {
    cluster: Pick<Cluster, "informer">;
    namespace: string;
    labels: string;
    emit: (event: MemberEvents) => void;
  }) {
    this.#emit = options.emit;
    this.#pods = options.cluster.informer(
      resources.pods,
      { namespace: options.namespace, labelSelector: options.labels },
      { changed: () => this.#update(), synced: () => this.#update(true) },
    );
  }

  start(): void {
    this.#pods.start();
  }

  get synced(): boolean {
    return this.#pods.synced;
  }

  readonly problem = undefined;
  readonly lossy = [];

  setInterfaces(): void {}

  /** There is no way to send any. */
  setGossip(): void {}

  forgetGossip(): void {}

  pullGossip(): void {}

  started(): void {}

  async describe(): Promise<MembersDescription> {
    const members = [...this.#pods.values()].map(({ nodeName, podIPs, ready }) => ({
      node: nodeName ?? "",
      addresses: podIPs,
      status: ready ? "ready" : "notReady",
      active: ready && nodeName !== undefined,
    }));
    return { source: "pods", members: members.sort((a, b) => (a.node < b.node ? -1 : 1)) };
  }

  #update(force = false): void {
    const ready = activeNodes(this.#pods.values());
    // Not even this one is Ready, and yet it runs: so it looks when the API returns before kubelets have reported to it again.
    const active = ready.length === 0 ? this.#active : ready;
    if (!force && active.join() === this.#active.join()) return;
    this.#active = active;
    this.#emit({ type: "members", active, withoutGossip: [], isSynced: this.#pods.synced });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#pods[Symbol.dispose]();
  }
}

/** A node counts while any speaker Pod on it is Ready: during a rollout the old one and the new one may overlap. */
export function activeNodes(pods: Iterable<Pod>): readonly string[] {
  const nodes = new Set<string>();
  for (const pod of pods) if (pod.ready && pod.nodeName !== undefined) nodes.add(pod.nodeName);
  return [...nodes].sort();
}

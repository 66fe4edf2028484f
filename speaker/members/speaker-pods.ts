import { type Cluster, type Informer, type Pod, resources } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import type { JoinResult, MemberlistThread } from "#pkg/memberlist";
import { list } from "#pkg/text";

export interface SpeakerPodsOptions {
  readonly memberlist: Pick<MemberlistThread, "members">;
  readonly cluster: Pick<Cluster, "informer">;
  readonly namespace: string;
  /** Selects the speakers' Pods, whose addresses are joined. */
  readonly labels: string;
  /** This node, whose own Pod is not joined. */
  readonly node: string;
  readonly log: Log;
}

/** The Pods of the other speakers, by the addresses at which they are joined, and why some cannot be. */
export class SpeakerPods implements Disposable {
  readonly #options: SpeakerPodsOptions;
  readonly #pods: Informer<Pod>;
  readonly #unreachable = new Map<string, string>(); // address that could not be joined the last time -> why

  constructor(options: SpeakerPodsOptions, changed: () => void) {
    this.#options = options;
    const { cluster, namespace, labels } = options;
    this.#pods = cluster.informer(resources.pods, { namespace, labelSelector: labels }, { changed, synced: changed });
  }

  start(): void {
    this.#pods.start();
  }

  get synced(): boolean {
    return this.#pods.synced;
  }

  [Symbol.dispose](): void {
    this.#pods[Symbol.dispose]();
  }

  /** The Pods by their addresses: the node's, or the one of the Pod that members of MetalLB are bound to. */
  others(): ReadonlyMap<string, Pod> {
    const pods = new Map<string, Pod>();
    for (const pod of this.#pods.values()) {
      const address = pod.hostIP ?? pod.podIPs[0];
      if (address !== undefined && pod.nodeName !== this.#options.node) pods.set(address, pod);
    }
    return pods;
  }

  /** Speakers that are no members. */
  unjoined(): ReadonlyMap<string, Pod> {
    const known = new Set(this.#options.memberlist.members().map(({ address }) => address));
    return new Map([...this.others()].filter(([address]) => !known.has(address)));
  }

  /** How many speakers come before this one, by the names of their nodes. */
  get turn(): number {
    return [...this.others().values()].filter(({ nodeName = "" }) => nodeName < this.#options.node).length;
  }

  /** Logs one line when an address cannot be joined, not one every minute. A Pod that is starting or being replaced is no reason to warn. */
  wereTried(wanted: ReadonlyMap<string, Pod>, failures: JoinResult["failures"]): void {
    const { log } = this.#options;
    for (const { address, reason } of failures) {
      if (this.#unreachable.has(address)) continue;
      const { nodeName: node, ready = false } = wanted.get(address) ?? {};
      const fields = { op: "memberlist", address, node, reason };
      if (ready) log.warn("cannot join a speaker", fields);
      else log.info("cannot join a speaker whose Pod is not Ready", fields);
    }
    for (const address of wanted.keys()) this.#unreachable.delete(address);
    for (const { address, reason } of failures) this.#unreachable.set(address, reason);
  }

  /** Why these cannot be joined, with the remedy; undefined until they have been tried. */
  whyNot(awaited: ReadonlyMap<string, Pod>): string | undefined {
    const which = [...awaited].flatMap(([address, { nodeName }]) => {
      const reason = this.#unreachable.get(address);
      return reason === undefined ? [] : [`${nodeName} at ${address}: ${reason}`];
    });
    if (which.length === 0) return undefined;
    const port = this.#options.memberlist.members().find(({ self }) => self)?.port;
    return `none of those that are Ready can be joined (${list(which)}); TCP and UDP port ${port} must be open between all nodes`;
  }
}

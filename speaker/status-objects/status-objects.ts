import { Alarm, type Millis } from "#pkg/clock";
import { ApiError, type Cluster, type Informer, type ObjectMeta } from "#pkg/k8s";
import { type Address, matchesInterface } from "#pkg/net";
import { configurationState, labelValue, StatusKeeper, type StatusKeeperOptions, statusKinds } from "#pkg/status-objects";
import { type Fields, fields, text } from "#pkg/untrusted";
import type { BgpSpeaker } from "../bgp/bgp-speaker.ts";
import type { SpeakerView } from "../core/index.ts";
import type { Sources } from "../sources.ts";
import { bgpObject, layer2Objects, sessionObject } from "./wanted.ts";

export interface StatusObjectsOptions extends Omit<StatusKeeperOptions, "kind" | "wanted" | "selector"> {
  readonly node: string;
  readonly cluster: Pick<Cluster, "informer" | "applyObject" | "deleteObject" | "deleteObjects">;
  readonly view: Pick<
    SpeakerView,
    "announcements" | "announcedPlacements" | "poolOf" | "namesHere" | "reachability" | "reportedNodes"
  >;
  readonly bgp: { readonly peers: readonly Pick<BgpSpeaker["peers"][number], "key" | "name" | "states">[] };
  readonly sources: Pick<Sources, "configuration">;
}

interface NodeObject extends ObjectMeta {
  /** As in its label. */
  readonly node: string;
}

const sweepEveryMs: Millis = 10_000;
const looksUntilGone = 3;

/**
 * MetalLB's status objects, for tools that read them. Each speaker writes those of its node; its Pod owns them. One speaker, the reporter, deletes the
 * objects of nodes that are no members any more, once for each loss: a node behind a cut writes its own again.
 */
export class StatusObjects implements Disposable {
  readonly #options: StatusObjectsOptions;
  readonly #keepers: readonly StatusKeeper[];
  readonly #alarm: Alarm;
  readonly #missed = new Map<string, number>(); // node of an object -> how often in a row it was no member
  #everyNode: Informer<NodeObject> | undefined; // The reporter's: one object for each node.

  constructor(options: StatusObjectsOptions) {
    this.#options = options;
    const { node, view, bgp, sources } = options;
    const interfacesOf = (address: Address) => {
      const wanted = view.namesHere(view.poolOf(address)?.interfaces ?? []);
      const names = wanted.length === 0 ? [] : view.namesHere([...(view.reachability?.interfaces.keys() ?? [])]);
      return [...new Set(names)].filter((name) => matchesInterface(wanted, name)).sort();
    };
    function* layer2() {
      for (const service of view.announcements.keys()) {
        yield undefined;
        yield* layer2Objects(node, service, view.announcedPlacements(service), interfacesOf);
      }
    }
    function* byBgp() {
      const names = new Map(bgp.peers.map(({ key, name }) => [key, name]));
      const nameOf = (peer: string) => names.get(peer) ?? peer;
      for (const service of view.announcements.keys()) yield bgpObject(node, service, view.announcedPlacements(service), nameOf);
    }
    const sessions = () => bgp.peers.map(({ key, states }) => sessionObject(node, key, states));
    const configuration = configurationState({ type: "speaker", node }, () => sources.configuration, options);
    const wanted = {
      ServiceL2Status: layer2,
      ServiceBGPStatus: byBgp,
      BGPSessionState: sessions,
      ConfigurationState: configuration,
    };
    this.#keepers = statusKinds.map((kind) => {
      const selector = `${kind.nodeLabel}=${labelValue(node)}`;
      return new StatusKeeper({ ...options, kind, selector, wanted: wanted[kind.kind] });
    });
    this.#alarm = new Alarm(options.clock, "status objects of lost nodes", () => void this.#sweep());
  }

  start(): void {
    for (const keeper of this.#keepers) keeper.start();
    void this.#sweep();
  }

  [Symbol.dispose](): void {
    for (const part of [this.#alarm, this.#everyNode, ...this.#keepers]) part?.[Symbol.dispose]();
  }

  async #sweep(): Promise<void> {
    const { view, clock } = this.#options;
    this.#alarm.set(clock.now() + sweepEveryMs);
    const members = view.reportedNodes;
    if (members === undefined) {
      this.#everyNode?.[Symbol.dispose]();
      this.#everyNode = undefined;
      this.#missed.clear();
      return;
    }
    this.#everyNode ??= this.#follow();
    const labels = new Set(members.map(labelValue));
    for (const { node } of this.#everyNode.values()) {
      const missed = labels.has(node) ? 0 : (this.#missed.get(node) ?? 0) + 1;
      this.#missed.set(node, missed);
      if (missed === looksUntilGone) await this.#deleteOf(node);
    }
  }

  #follow(): Informer<NodeObject> {
    const { cluster, namespace } = this.#options;
    const kind = statusKinds[3];
    const project = (raw: Fields, meta: ObjectMeta) => ({
      ...meta,
      node: text(fields(fields(raw.metadata).labels)[kind.nodeLabel]),
    });
    const scope = { namespace, labelSelector: "metallb.io/component-type=speaker" };
    const informer = cluster.informer({ ...kind, project }, scope, { changed: () => {} });
    informer.start();
    return informer;
  }

  async #deleteOf(node: string): Promise<void> {
    const { cluster, namespace, log } = this.#options;
    try {
      for (const kind of statusKinds) await cluster.deleteObjects(kind, namespace, `${kind.nodeLabel}=${node}`);
      log.info("status objects of a lost node are deleted", { lost: node });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#missed.set(node, 0); // Once more.
    }
  }
}

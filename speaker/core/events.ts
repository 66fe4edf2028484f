import type { Millis } from "#pkg/clock";
import type { Config, PoolIndex } from "#pkg/config";
import type { TimerEvent } from "#pkg/core";
import type { Fault, GossipEntry } from "#pkg/gossip";
import type { HandoverFailures, Inherited } from "#pkg/handover";
import type { Node, Service } from "#pkg/k8s";
import type { AddressSighting, InterfaceState, WireAnswer } from "#pkg/layer2";
import type { EvidenceView } from "#pkg/memberlist";
import type { Address, Family } from "#pkg/net";
import type { Labels, Surroundings } from "#pkg/placement";
import type { ConnectionResult, ConnectionTest, DataPaths, HealthAnswer, PathFaults } from "./data-path/data-path-state.ts";
import type { SliceFields } from "./services/services.ts";

/** Those of a family that a BGP session carries: all, or those alone that have a next hop by the configuration. */
export type CarriedRoutes = Family | `${Family} by next hop`;

/** Events that drivers deliver. */
export type SpeakerEvent =
  | ClusterEvent
  | MemberEvents
  /** The interfaces of this node, but for those to Pods that `nameInterfaces` does not name, whenever something about one of them changed. */
  | { readonly type: "interfaces"; readonly interfaces: readonly InterfaceState[] }
  /** The interfaces by which this node reaches the addresses of `followRoutes`, or that have its names as second ones, whenever these are others. */
  | { readonly type: "routes"; readonly interfaces: ReadonlyMap<string, string> } // address or second name -> name of an interface
  /** The next hops of this node's default routes, whenever they are others. */
  | { readonly type: "gateways"; readonly gateways: Surroundings["gateways"] }
  /** Wanted entries that are missing in this node's kernel. */
  | ({ readonly type: "kernel" } & KernelProblems)
  /** Why this node cannot hand packets over to former owners, by family. */
  | { readonly type: "handoverFailures"; readonly failures: HandoverFailures }
  /** Hand-overs of an earlier process of this node that the kernel goes on with. */
  | { readonly type: "inherited"; readonly inherited: Inherited }
  /** This process is about to leave the ring, and then ends. */
  | { readonly type: "leaving" }
  /** Open connections of this node to addresses of `countFlows`. */
  | { readonly type: "flows"; readonly counts: ReadonlyMap<string, number> } // address -> how many
  /** The established BGP sessions, whenever one begins, ends, or carries other routes. */
  | { readonly type: "sessions"; readonly carried: ReadonlyMap<string, readonly CarriedRoutes[]> } // key of a peer -> its routes
  /** The faults of this node and its BGP sessions that last, and no others. */
  | { readonly type: "faults"; readonly faults: readonly Fault[] }
  /** Another host uses, announces or probes an address that is announced or listened for, or proves that it announces it. */
  | { readonly type: "sighting"; readonly sighting: AddressSighting }
  /** An address that another node announces was tried on the wire. */
  | { readonly type: "wireTested"; readonly tested: TestedAddress }
  /** Signs that this node cannot deliver packets of a family to Pods, whenever they are others. @property hasPods it lacks a route to them, and has interfaces to Pods */
  /** `nics`: those that their own settings keep from passing packets of a family on. */
  | { readonly type: "dataPath"; readonly faults: PathFaults; readonly nics?: DataPaths["nics"]; readonly hasPods: boolean }
  /** This node tried a connection to a Service. */
  | { readonly type: "connected"; readonly test: ConnectionTest; readonly result: ConnectionResult }
  /**
   * The first connections were tried; of each family one was answered, or all have ended.
   * @property tried those that have ended
   * @property areAll these Services were all that can be tried
   */
  | {
      readonly type: "triedFirst";
      readonly tried: readonly { readonly test: ConnectionTest; readonly result: ConnectionResult }[];
      readonly areAll: Readonly<Record<Family, boolean>>;
    }
  /** The health check ports of these Services were asked; not told where all are as before. */
  | { readonly type: "healthPorts"; readonly answers: ReadonlyMap<string, HealthAnswer> } // key -> answer
  | TimerEvent
  /** Asked for by the effect `wake`: some of what changed is to be placed. */
  | { readonly type: "continue" };

export interface KernelProblems {
  /** Why nothing can be put there. */
  readonly failure: string | undefined;
  readonly problems: ReadonlyMap<string, string>; // address -> why the kernel does not have it, or not from us
}

/** The result of a test of an address that another node announces. */
export interface TestedAddress {
  readonly address: Address;
  /** The node that announces it. */
  readonly owner: string;
  /** A TCP port of a Service that has the address; undefined for none. */
  readonly port: number | undefined;
  /** Interface of this node. */
  readonly interface: string;
  readonly answer: WireAnswer;
  /** The node has routes to it, and passes packets on that come to an address of its own. */
  readonly isRouted?: true;
}

/** Objects of the Kubernetes API. */
export type ClusterEvent =
  | { readonly type: "service"; readonly key: string; readonly service: Service | undefined }
  | {
      readonly type: "slice";
      readonly key: string;
      readonly now: SliceFields | undefined;
      readonly before: Pick<SliceFields, "service"> | undefined;
    }
  /** Undefined when there is no such node. */
  | { readonly type: "node"; readonly name: string; readonly node: NodeFields | undefined }
  /** The labels of a namespace, once a configuration asks for them; undefined for none. */
  | { readonly type: "namespace"; readonly name: string; readonly labels: Labels | undefined }
  /** The API has so many Nodes, none of which is followed yet; undefined where it does not say. */
  | { readonly type: "nodesCounted"; readonly count: number | undefined }
  /** All Nodes that are followed have been seen, those that are there. */
  | { readonly type: "nodesListed" }
  /** A configuration was read that may come into force. */
  | { readonly type: "configRead"; readonly config: Config }
  /** Another configuration is in force. */
  | { readonly type: "config"; readonly config: Config; readonly pools: PoolIndex }
  /** The data of the ConfigMap `ingot-conflicts`. */
  | { readonly type: "quarantine"; readonly data: Readonly<Record<string, string>> }
  /** Since when changes in the API are not seen, or Infinity when they are. */
  | { readonly type: "apiLost"; readonly since: Millis }
  /** This node's lines about Services are no longer there: another node wrote its own, somebody took them away, or the API was restored. */
  | { readonly type: "linesReplaced" }
  /** All of this has been seen once. */
  | { readonly type: "clusterSynced" }
  /** And so have the members, and it is decided which configuration is in force. Nothing is announced before. */
  | { readonly type: "start" };

export type NodeFields = Pick<
  Node,
  "labels" | "annotations" | "unschedulable" | "deleting" | "taints" | "flannelAddresses" | "podCIDRs" | "internalIPs"
>;

/** The members, or whether they count, have changed. */
export interface RingMembersEvent {
  readonly type: "members";
  /** Nodes with a working speaker, and central speakers in the ring, each once, sorted. */
  readonly active: readonly string[];
  /** Speakers of another kind, which send no gossip; sorted. */
  readonly withoutGossip: readonly string[];
  /** Other speakers that announce nothing yet; absent where nobody says so. */
  readonly starting?: readonly string[];
  /** This node is in the ring of those that announce, or has found none. Before, it would take itself for the only one. */
  readonly isSynced: boolean;
}

/** The speakers, by their ring or by the readiness of their Pods, and their reports about themselves. */
export type MemberEvents =
  | RingMembersEvent
  /** The nodes of `watchNodes` that lost their path by BFD. */
  | { readonly type: "nodePaths"; readonly failed: readonly string[] }
  /** All nodes with a Pod of a speaker, whether that runs or not. Central speakers are told. */
  | { readonly type: "speakerPods"; readonly nodes: readonly string[] }
  /** A member of the ring has changed. This node's own event comes when it is on the ring. */
  | {
      readonly type: "member";
      readonly change: "joined" | "updated" | "suspected" | "refuted" | "failed" | "left";
      readonly node: string;
      readonly incarnation: number;
      /** The process of the node: see `GossipStore`. Undefined for a member that sends no gossip. */
      readonly life: number | undefined;
      /** MAC addresses of its interfaces that announce; undefined for a member that does not publish them. */
      readonly macs: readonly string[] | undefined;
      /** Why it was suspected or failed, as the ring has it. Decides only what is said and counted. */
      readonly evidence?: EvidenceView | undefined;
    }
  /** New reports of other nodes about themselves. */
  | { readonly type: "gossip"; readonly entries: readonly GossipEntry[] }
  /** Reports of these nodes, which failed long ago, are no longer kept. */
  | { readonly type: "gossipExpired"; readonly nodes: readonly string[] };

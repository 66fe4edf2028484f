import type { BfdProfile, ConflictProbe } from "#pkg/config";
import type { OwnEntry } from "#pkg/gossip";
import type { EventReason, Service } from "#pkg/k8s";
import type { InterfaceState } from "#pkg/layer2";
import type { Fields } from "#pkg/log";
import type { Address } from "#pkg/net";
import type { BgpRoute, NodePeer } from "#pkg/placement";

/** What drivers carry out, in this order. */
export type SpeakerEffect =
  | Layer2Effect
  | BgpEffect
  | GossipEffect
  | ReportEffect
  /** The others may count on this node from now on. */
  | { readonly type: "startMembers" }
  /** Decide which configuration is in force, then deliver `start`. */
  | { readonly type: "startConfig" }
  /** All interfaces of this node, whenever something about one of them changed: the others know its MAC addresses. */
  | { readonly type: "publishInterfaces"; readonly interfaces: readonly InterfaceState[] }
  /** What the checks of this node look at may be different: interfaces, configuration or announcements. */
  | { readonly type: "checkNode" }
  /** Deliver `continue` soon, after what else waits. */
  | { readonly type: "wake" };

/** How an address is to be announced on layer 2. */
export interface Layer2Announcement {
  /** Globs for names of interfaces; none means all. */
  readonly interfaces: readonly string[];
  readonly conflictProbe: ConflictProbe;
  /** No node has announced it since a Service got it. */
  readonly isFirst: boolean;
}

export type Layer2Effect =
  /** Addresses may have to be announced soon. What that takes is begun before others leave addresses to this node. */
  | { readonly type: "prepareLayer2" }
  /** May be repeated; the last one counts. */
  | { readonly type: "announce"; readonly address: Address; readonly on: Layer2Announcement }
  | { readonly type: "withdraw"; readonly address: Address }
  /** Another node may have announced it too: every host is to hear of it once more. */
  | { readonly type: "reannounce"; readonly address: Address };

export type BgpEffect =
  /** These are this node's, and no others. */
  | { readonly type: "setPeers"; readonly peers: BgpPeers }
  /** All routes for an address. They are to be kept until `flushRoutes`. */
  | { readonly type: "setRoutes"; readonly address: Address; readonly routes: readonly BgpRoute[] }
  /** `complete`: all that is known has been placed. */
  | { readonly type: "flushRoutes"; readonly complete: boolean };

export interface BgpPeers {
  readonly peers: readonly NodePeer[];
  readonly bfdProfiles: ReadonlyMap<string, BfdProfile>; // name -> profile
  /** The node is cordoned or about to go. */
  readonly isDraining: boolean;
  /** Why a peer is none of this node's any longer. */
  readonly whyRemoved: "removedFromConfig" | "filteredByNodeSelector";
}

export type GossipEffect =
  /** Report this of this node to all others, in place of what was reported under the same keys before. */
  | { readonly type: "setGossip"; readonly entries: readonly OwnEntry[] }
  /** What the node has reported is of no use any more. */
  | { readonly type: "forgetGossip"; readonly node: string };

export type ReportEffect =
  | {
      readonly type: "log";
      readonly level: "debug" | "info" | "warn" | "error";
      readonly message: string;
      readonly fields: Fields;
    }
  /** A Kubernetes event on a Service. */
  | {
      readonly type: "recordEvent";
      readonly service: Service;
      readonly kind: "Normal" | "Warning";
      readonly reason: EventReason;
      readonly message: string;
    };

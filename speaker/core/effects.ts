import type { AnnouncedLine } from "#pkg/announced";
import type { Millis } from "#pkg/clock";
import type { BfdProfile } from "#pkg/config";
import type { OwnEntry } from "#pkg/gossip";
import type { Handover } from "#pkg/handover";
import type { EventText, ReportEffect } from "#pkg/k8s";
import type { Item } from "#pkg/kernel";
import type { InterfaceState } from "#pkg/layer2";
import type { Address, Family } from "#pkg/net";
import type { BgpRoute, NodePeer } from "#pkg/placement";
import type { Occupant } from "#pkg/quarantine";
import type { ConnectionTest } from "./data-path/data-path-state.ts";

/** Actions that drivers carry out, in this order. */
export type SpeakerEffect =
  | Layer2Effect
  | BgpEffect
  | KernelEffect
  | HandoverEffect
  | GossipEffect
  | ReportEffect
  /** Record a Kubernetes event on a Node. */
  | ({ readonly type: "recordNodeEvent"; readonly node: string } & EventText)
  | MeasuredEffect
  /**
   * Write into the ConfigMaps `ingot-announced-0` to `-7` whether these Services are announced; null for a Service without addresses. `isNew`:
   * another speaker wrote the lines before, of which some may be of Services that are gone. Without a line: say that this speaker is there.
   */
  | {
      readonly type: "writeAnnounced";
      readonly lines: ReadonlyMap<string, AnnouncedLine | null>; // service key -> its line
      readonly isNew: boolean;
      /** This node, which the driver tells from others that wrote lines. */
      readonly reporter: string;
    }
  /** The others may count on this node from now on. `isLarge`: speakers' Pods are followed only where that is necessary, because the nodes are many. */
  | { readonly type: "startMembers"; readonly isLarge: boolean }
  /** Follow these Nodes in the API from now on, in place of those before. */
  | { readonly type: "followNodes"; readonly names: "all" | readonly string[] }
  /** Try these connections at once, then deliver `triedFirst`. */
  | { readonly type: "tryFirst"; readonly tests: readonly ConnectionTest[]; readonly areAll: Readonly<Record<Family, boolean>> }
  /** Decide which configuration is in force, then deliver `start`. */
  | { readonly type: "startConfig" }
  /** All interfaces of this node, without addresses of Services, whenever something about one of them changed: the others know its MAC addresses. */
  | { readonly type: "publishInterfaces"; readonly interfaces: readonly InterfaceState[] }
  /**
   * Tell by which interfaces this node reaches these, and no others, now and whenever that changes. `gateways`: and the next hops of its default
   * routes.
   */
  | {
      readonly type: "followRoutes";
      readonly addresses: readonly Address[];
      readonly names: readonly string[];
      readonly gateways: boolean;
    }
  /** Deliver interfaces of these names, as patterns for `matchesInterface`, also where they lead to a Pod. Others that do are left out. */
  | { readonly type: "nameInterfaces"; readonly names: readonly string[] }
  /** The inputs of this node's checks may have changed: interfaces, configuration or announcements. */
  | { readonly type: "checkNode" }
  /** Deliver `continue` soon, after what else waits. */
  | { readonly type: "wake" };

export type Layer2Effect =
  /** Addresses may have to be announced soon. The preparations begin before others leave addresses to this node. */
  | { readonly type: "prepareLayer2" }
  /** Answer for the address, unless the kernel does, and send gratuitous announcements; on interfaces whose names match a glob, where there is any. */
  | {
      readonly type: "announce";
      readonly address: Address;
      readonly interfaces: readonly string[];
      readonly kernelAnswers: boolean;
    }
  /** Only watch for frames about the address. */
  | { readonly type: "listen"; readonly address: Address; readonly interfaces: readonly string[] }
  | { readonly type: "withdraw"; readonly address: Address }
  /** Announce once more from the first frame: another node may have announced it too. */
  | { readonly type: "reannounce"; readonly address: Address }
  /** Send one gratuitous announcement (RFC 5227, section 2.4). */
  | { readonly type: "defend"; readonly address: Address }
  /** To the host with this MAC address; to all when unset. */
  | { readonly type: "probe"; readonly address: Address; readonly to?: string; readonly fromOwnAddress?: boolean }
  /** Have the speaker with this MAC address prove that it announces the address. */
  | { readonly type: "challenge"; readonly address: Address; readonly to: string }
  /** Say in proofs that this speaker has lost all others and the API, or no longer. */
  | { readonly type: "setAlone"; readonly isAlone: boolean }
  /** Write to the ConfigMap `ingot-conflicts` who has an address; undefined for nobody any more. */
  | {
      readonly type: "writeOccupant";
      readonly address: Address;
      readonly occupant: Omit<Occupant, "since"> | undefined;
    };

export type BgpEffect =
  /** These are this node's, and no others. */
  | { readonly type: "setPeers"; readonly peers: BgpPeers }
  /** All routes for an address. They are to be kept until `flushRoutes`. */
  | { readonly type: "setRoutes"; readonly address: Address; readonly routes: readonly BgpRoute[] }
  /** `complete`: all that is known has been placed. */
  | { readonly type: "flushRoutes"; readonly complete: boolean };

export type KernelEffect =
  /** All that this node's kernel is to have for an address. */
  | { readonly type: "setKernel"; readonly address: Address; readonly items: readonly Item[] }
  /** All known addresses have been placed: unwanted entries of an earlier life in the kernel may go. */
  | { readonly type: "completeKernel" };

export type HandoverEffect =
  /** Find out whether this node can hand packets over. */
  | { readonly type: "prepareHandovers" }
  /** To whom packets of unknown connections to the address go; undefined for nobody. */
  | { readonly type: "setHandover"; readonly address: Address; readonly handover: Handover | undefined }
  /** These are the MAC addresses of all other speakers, and no others: what comes from them is not handed over again. */
  | { readonly type: "setSpeakers"; readonly macs: readonly string[] }
  /** Count this node's open connections to the address from now on, or no longer. */
  | { readonly type: "countFlows"; readonly address: Address; readonly isCounted: boolean };

export interface BgpPeers {
  readonly peers: readonly NodePeer[];
  readonly bfdProfiles: ReadonlyMap<string, BfdProfile>; // name -> profile
  /** The node is cordoned or about to go. */
  readonly isDraining: boolean;
  /** Its routes are about to go, so that all peers are to prefer others. */
  readonly isLeaving: boolean;
  /** Why a peer no longer belongs to this node. */
  readonly whyRemoved: "removedFromConfig" | "filteredByNodeSelector";
}

export type GossipEffect =
  /** Report these entries of this node to all others; they replace earlier entries under the same keys. */
  | { readonly type: "setGossip"; readonly entries: readonly OwnEntry[] }
  /** The node's reports are of no use any more. */
  | { readonly type: "forgetGossip"; readonly node: string }
  /** Keep BFD sessions with members, a packet each way in every interval; undefined: none. */
  | { readonly type: "keepPaths"; readonly intervalMs: Millis | undefined }
  /** The same with these nodes, which have no speaker in the ring, and with no others. */
  | { readonly type: "watchNodes"; readonly nodes: readonly WatchedNode[] }
  /** This node announces what it is to, as far as that takes no longer: others leave its addresses to it. */
  | { readonly type: "tellStarted" }
  /** Some reports of the member may not have arrived here: exchange all gossip with it. */
  | { readonly type: "pullGossip"; readonly node: string };

export interface WatchedNode {
  readonly name: string;
  readonly address: string;
}

/** `failedFast`: BFD found that the member failed. */
export type LossCause = "failed" | "failedFast" | "left";

/** How long something took, as this node has seen it. */
export type MeasuredEffect =
  /**
   * This node announces an address that `from` owned. `failed`: `afterMs` since that one was suspected first; `failedFast`: the same, and BFD
   * found it; `left`: since it said that it goes; `cannotDeliver`: it lives, and says that it cannot deliver to Pods; `moved`: it lives, and the
   * address is placed otherwise for another reason.
   */
  | {
      readonly type: "tookOver";
      readonly address: Address;
      readonly from: string;
      readonly cause: LossCause;
      readonly afterMs: Millis;
    }
  | { readonly type: "tookOver"; readonly address: Address; readonly from: string; readonly cause: "cannotDeliver" | "moved" }
  /** All addresses are placed under a configuration that came into force this long ago. */
  | { readonly type: "converged"; readonly afterMs: Millis };

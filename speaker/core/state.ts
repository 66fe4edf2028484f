import type { Millis } from "#pkg/clock";
import { type Config, type Pool, PoolIndex, type Protocol, type SlotPool } from "#pkg/config";
import { Deadlines } from "#pkg/core";
import { type Deliveries, type Fault, GossipState, type Reachability, type View } from "#pkg/gossip";
import type { InterfaceState } from "#pkg/layer2";
import { type Address, type Family, parseAddress } from "#pkg/net";
import type {
  AddressPlacement,
  CentralAdvertisements,
  Eligibility,
  NodePeer,
  PoolAdvertisements,
  ServedNodes,
  StickyOwners,
  Surroundings,
} from "#pkg/placement";
import type { Verdict } from "#pkg/verdict";
import { type Conflicts, noConflicts } from "./conflicts/conflict-state.ts";
import { type DataPaths, type HealthPorts, noDataPaths, noHealthPorts } from "./data-path/data-path-state.ts";
import type { LossCause } from "./effects.ts";
import type { CarriedRoutes, KernelProblems } from "./events.ts";
import { type Handovers, noHandovers } from "./handovers/handover-state.ts";
import { type Nodes, noNodes, type OwnNodeRule, ownNodeRule } from "./members/node-state.ts";
import { notReporting, type Reporter } from "./services/reporter-state.ts";
import { noServices, type Services } from "./services/services.ts";

/**
 * Everything that a speaker knows and has decided, with its deadlines. `step` changes it in place: a copy of the tables for each event
 * would cost more than the event itself at 10,000 Services. Infinity is a deadline that is not set.
 */
export interface SpeakerState {
  /** This node's name. */
  readonly node: string;
  /** Nodes that Kubernetes excludes from load balancers announce all the same. */
  readonly ignoreExcludeLabel: boolean;
  readonly announceFor: AnnounceFor;
  /** The nodes that a central speaker serves. */
  served: ServedNodes;
  /** The nodes that a central speaker has not met. */
  readonly unmet: UnmetNodes;
  /** All objects of the API have been seen once. */
  isClusterSynced: boolean;
  /** Everything that announcements depend on has been seen. */
  hasBegun: boolean;
  /** And it is decided which configuration is in force. */
  isStarted: boolean;
  /** When that was; Infinity before. */
  startedAt: Millis;
  /** The others are told that this node announces what it is to. */
  isTold: boolean;
  /** This process leaves the ring, and answers until the others do. It sees them no longer, and places nothing. */
  isLeaving: boolean;
  config: { readonly config: Config; readonly pools: PoolIndex } | undefined;
  /** Pools of the configuration whose addresses have owners, and sets of next-hop slots. */
  ownedPools: readonly Pool[];
  readonly services: Services;
  readonly nodes: Nodes;
  readonly members: Members;
  readonly carriers: Carriers;
  readonly agenda: Agenda;
  readonly placements: Map<string, readonly AddressPlacement[]>; // address that a Service has -> where it is announced, by each protocol
  readonly hadOwner: Set<string>; // addresses of Services that some node has announced
  readonly sticky: Sticky;
  readonly slots: Slots;
  readonly bgp: BgpPools;
  readonly kernel: Kernel;
  readonly conflicts: Conflicts;
  readonly handovers: Handovers;
  readonly dataPath: DataPaths;
  readonly healthPorts: HealthPorts;
  readonly apiView: ApiView;
  /** What this node's tests of other nodes' addresses found. */
  readonly wireFaults: Map<string, WireFault>; // address -> what is wrong
  readonly status: AnnouncementStatus;
  /** Of this node and its BGP sessions. */
  faults: readonly Fault[];
  readonly reporter: Reporter;
}

/** The fault of an address on the wire, as this node has found it. */
export interface WireFault {
  readonly address: Address;
  readonly owner: string;
  /** The one of this node from which it was tried. */
  readonly interface: string;
  readonly verdict: Verdict;
  readonly since: Millis;
  /** It was found twice: once may be a frame that was lost, or an address on its way. */
  readonly isConfirmed: boolean;
}

/** How old this node's view of the API is. */
export interface ApiView {
  /** Since when it does not see what changes; Infinity while it does. */
  lostSince: Millis;
  /** This node's view as the others know it. */
  view: View;
  readonly oldElsewhere: Set<string>; // other nodes that report an old view
  /** Whether the others have to know this node's announcements. */
  isReporting: boolean;
  /** When the next of these is decided. */
  dueAt: Millis;
}

/** The speakers of all nodes. */
export interface Members {
  /** Nodes with a working speaker, each once, sorted. */
  active: readonly string[];
  /** All members, also central speakers and nodes of other clusters. */
  heard: readonly string[];
  readonly doubted: Map<string, Millis>; // member that sees its Node in an API which is not this one's -> since when
  readonly foreign: Set<string>; // members that are nodes of another cluster
  /** Central speakers, which are no nodes. */
  central: readonly string[];
  /** Speakers of another kind, which send no gossip; sorted. */
  withoutGossip: readonly string[];
  /** Other speakers that announce nothing yet, and started after this one did. */
  starting: readonly string[];
  /** Other speakers that start together with this one: each leaves the others their addresses. */
  startedWith: readonly string[];
  /** Until when a host that nobody knows may be the speaker of one that has just left: MetalLB's leaves before it stops answering. */
  strangersUntil: Millis;
  /** The speakers' reports about themselves; undefined without a ring to send them over. */
  readonly gossip: GossipState | undefined;
  /** This node is in the ring of those that announce, or has found none. */
  isSynced: boolean;
  readonly macs: MacTable;
  readonly deleted: Set<string>; // members whose Node was deleted
  readonly lost: Set<string>; // nodes that failed
  readonly back: Set<string>; // of these, nodes that have joined again
  /** The others suspected this node. */
  wasSuspected: boolean;
  /** When those that are back, and the suspicion, no longer count. */
  settledAt: Millis;
  readonly missing: Map<string, MissingMember>; // node that is suspected, failed or left -> since when
  /** When the gossip of nodes that joined again is pulled, if they do not participate by then. */
  readonly awaited: Deadlines;
  readonly awaitedSince: Map<string, Millis>; // node -> when it joined again
  /** When the last one joined. */
  joinedAt: Millis;
  /** Address -> when nodes that do not see the API are told that they may announce it: see `tellCandidates`. */
  readonly untold: Deadlines;
  /** When addresses of this node are reannounced, because others took it for gone. */
  reclaimAt: Millis;
  reclaimedAt: Millis;
}

/** Without a word of this member. */
export interface MissingMember {
  /** When it was suspected first, or left. */
  readonly since: Millis;
  readonly cause: LossCause;
}

/** The node whose speaker a MAC address belongs to, as the members of the ring have published it; also of former members. */
export interface MacTable {
  readonly macs: Map<string, readonly string[]>; // node -> its MAC addresses
  readonly nodes: Map<string, string>; // MAC address -> node
}

/** By what the nodes are known that the ring has not met yet. */
export interface UnmetNodes {
  readonly met: Set<string>; // nodes that have been members since this speaker started
  /** Nodes with a speaker's Pod; undefined until the API has named all. */
  pods: ReadonlySet<string> | undefined;
  /** Until when a node lives that was not met, if the API says so; undefined before the start, Infinity once that is over. */
  until: Millis | undefined;
  /** Those that this speaker watches by BFD, as text. */
  watched: string;
  /** The nodes among them that BFD reached before, and reaches no longer. */
  failed: ReadonlySet<string>;
}

/** The interfaces of this node, and whose carrier went. */
export interface Carriers {
  interfaces: readonly InterfaceState[];
  /** Pools may name an interface by an address, to which it leads, or by its second name (altname). */
  routes: ReadonlyMap<string, string>; // address or second name -> name of an interface
  /** Where this node can answer. */
  reachability: Reachability;
  lost: Map<number, boolean>; // index of one without a carrier -> whether another node could answer since then
  readonly heldUntil: Map<number, Millis>; // index of one whose carrier is back -> when it counts
}

/** Work to do: addresses to place, then, when all are placed, Services to report on. */
export interface Agenda {
  readonly addresses: Map<string, Address>; // text -> address to place
  readonly services: Set<string>; // service keys
  /** `wake` was asked for. */
  isAwake: boolean;
  /** All is placed, and the routes were flushed. */
  isSettled: boolean;
  /** When the configuration changed under which not all is placed; Infinity for none. */
  configuredAt: Millis;
}

/** Addresses of `sticky` pools stay at the node that has them. */
export interface Sticky {
  /** Undefined while they cannot: they are elected then. */
  owners: StickyOwners | undefined;
}

/** The next-hop slots of pools. */
export interface Slots {
  pools: readonly SlotPool[];
  index: PoolIndex;
  readonly owners: Map<string, StickyOwners>; // name of a set -> its owners, which stay, and have the same number or one more
  /** Something is different that decides which node advertises slots. */
  isTouched: boolean;
}

/** Routes are marked until `goneAt`, and go then. */
interface Leaving {
  readonly goneAt: Millis;
  isGone: boolean;
}

/** What this node can do for each pool with protocol `bgp`; kept until its peers, its labels or the pools are others. */
export interface BgpPools {
  readonly advertisements: Map<Pool, Map<string, PoolAdvertisements | CentralAdvertisements>>; // those that were asked for, for Services with equal ones
  readonly orders: Map<Pool, number>; // pool -> how many advertisements the pools before it have
  /** Peers of this node. */
  peers: readonly NodePeer[];
  /** Next hops of this node's default routes, and of those that went away a moment ago. */
  gateways: Surroundings["gateways"];
  /** This node is cordoned or about to go. */
  isDraining: boolean;
  /** The node gives its routes to other nodes. */
  leaving: Leaving | undefined;
  /** The node cannot deliver packets of these families. Where pools ask for that, it gives their routes to nodes that can. */
  readonly undelivering: Map<Family, Leaving>;
  /** Peers with a session, and the routes that it carries. */
  carried: ReadonlyMap<string, readonly CarriedRoutes[]>; // key of a peer -> routes
  /** How this node delivers the routes of each pool. */
  deliveries: ReadonlyMap<string, Deliveries>; // pool, or an entry of one: see `entryName` -> state
}

/** Pools of protocol `interface`, as this node's kernel has them. */
export interface Kernel {
  readonly eligibility: Map<Pool, Eligibility>; // those that were asked for
  found: KernelProblems;
}

/** Reports about Services so far. */
export interface AnnouncementStatus {
  readonly announcements: Map<string, readonly Announcement[]>; // service key -> what this node announces
  readonly obstacles: Map<string, ObstacleReason>; // service key -> why no node may announce it
  readonly since: Map<string, readonly Standing[]>; // service key -> its placements; one without an address where it has none
  /** Why l2-placement of pools is not in effect. */
  placementWarning: string | undefined;
}

/** What a placement of an address says, and since when. */
export interface Standing {
  readonly address: string | undefined;
  readonly protocol: Protocol | undefined;
  /** The owner, or why it is not announced. */
  readonly code: string;
  readonly at: Millis;
}

/** Why no node at all may announce an address, although there are speakers and endpoints. */
export type ObstacleReason = "noNodeSelected" | "nodeExcluded" | "noInterface" | "noKernelAccess" | "notInSubnet";

/** What this node announces for one Service of one pool and by one protocol. */
export interface Announcement {
  readonly protocol: Protocol;
  readonly pool: string;
  readonly addresses: readonly string[];
}

/**
 * `node`: a speaker announces from its own node. `all`: it is a central one, which announces for all nodes by BGP, and nothing by other protocols.
 * `node-without-bgp`: central speakers have the sessions with the routers, and it does the rest.
 */
export type AnnounceFor = "node" | "node-without-bgp" | "all";

export interface SpeakerOptions {
  /** The node's name; a central speaker has `centralName` of it. */
  readonly node: string;
  readonly ignoreExcludeLabel: boolean;
  /** `node` unless said otherwise. */
  readonly announceFor?: AnnounceFor;
  /** Whether there is a ring over which speakers report of themselves. */
  readonly hasRing: boolean;
  /** When it follows its own Node alone; `ownNodeRule` unless said otherwise. */
  readonly ownNode?: OwnNodeRule;
}

/** A speaker that has seen nothing. */
export function createState(options: SpeakerOptions): SpeakerState {
  const { node, ignoreExcludeLabel, hasRing, announceFor = "node", ownNode = ownNodeRule } = options;
  return {
    node,
    ignoreExcludeLabel,
    announceFor,
    served: { nodes: new Map(), drained: new Set(), cordoned: new Set(), facts: "" },
    unmet: { met: new Set(), pods: undefined, until: undefined, watched: "", failed: new Set() },
    isClusterSynced: false,
    hasBegun: false,
    isStarted: false,
    startedAt: Infinity,
    isTold: false,
    isLeaving: false,
    config: undefined,
    ownedPools: [],
    services: noServices(),
    // A central speaker needs the addresses of all nodes.
    nodes: noNodes(announceFor === "all" ? { ...ownNode, fromMembers: Infinity } : ownNode),
    members: {
      active: [],
      heard: [],
      doubted: new Map(),
      foreign: new Set(),
      central: announceFor === "all" ? [node] : [],
      withoutGossip: [],
      starting: [],
      startedWith: [],
      strangersUntil: -Infinity,
      gossip: hasRing ? new GossipState(node) : undefined,
      isSynced: false,
      macs: { macs: new Map(), nodes: new Map() },
      deleted: new Set(),
      lost: new Set(),
      back: new Set(),
      missing: new Map(),
      wasSuspected: false,
      settledAt: Infinity,
      awaited: new Deadlines(),
      awaitedSince: new Map(),
      joinedAt: -Infinity,
      untold: new Deadlines(),
      reclaimAt: Infinity,
      reclaimedAt: -Infinity,
    },
    carriers: {
      interfaces: [],
      routes: new Map(),
      reachability: { answers: false, hasKernelAccess: true, interfaces: new Map() },
      lost: new Map(),
      heldUntil: new Map(),
    },
    agenda: {
      addresses: new Map(),
      services: new Set(),
      isAwake: false,
      isSettled: false,
      configuredAt: Infinity,
    },
    placements: new Map(),
    hadOwner: new Set(),
    sticky: { owners: undefined },
    slots: { pools: [], index: new PoolIndex([]), owners: new Map(), isTouched: false },
    bgp: {
      advertisements: new Map(),
      orders: new Map(),
      peers: [],
      gateways: { IPv4: [], IPv6: [] },
      isDraining: false,
      leaving: undefined,
      undelivering: new Map(),
      carried: new Map(),
      deliveries: new Map(),
    },
    kernel: { eligibility: new Map(), found: { failure: undefined, problems: new Map() } },
    apiView: { lostSince: Infinity, view: "current", oldElsewhere: new Set(), isReporting: false, dueAt: Infinity },
    conflicts: noConflicts(),
    handovers: noHandovers(),
    dataPath: noDataPaths(),
    healthPorts: noHealthPorts(),
    wireFaults: new Map(),
    status: { announcements: new Map(), obstacles: new Map(), since: new Map(), placementWarning: undefined },
    faults: [],
    reporter: notReporting(),
  };
}

/** The pool of an address, or the set of next-hop slots that it is in. */
export function poolAt({ config, slots }: Pick<SpeakerState, "config" | "slots">, address: Address): Pool | undefined {
  return config?.pools.find(address) ?? slots.index.find(address);
}

/** Whether some pool has the address. @param text such as `192.0.2.1`; another text is in no pool */
export function isInPool(state: Pick<SpeakerState, "config" | "slots">, text: string): boolean {
  const address = parseAddress(text);
  return address !== undefined && poolAt(state, address) !== undefined;
}

/** The same as the Services on the address have it on layer 2, as it was placed. */
export function layer2PoolAt(state: Pick<SpeakerState, "config" | "slots" | "placements">, address: Address): Pool | undefined {
  const pool = poolAt(state, address);
  if (pool === undefined || pool.layer2Advertisements.length === 0) return pool;
  return pool.layer2Advertisements[ownedPlacement(state, `${address}`)?.entry ?? -1]?.pool ?? pool;
}

/** The placement of an address that has an owner, with any protocol. @param address as text */
export function ownedPlacement({ placements }: Pick<SpeakerState, "placements">, address: string): AddressPlacement | undefined {
  return placements.get(address)?.find(({ isOwned }) => isOwned);
}

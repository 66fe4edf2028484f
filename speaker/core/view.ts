import type { Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import type { Reachability } from "#pkg/gossip";
import type { Service } from "#pkg/k8s";
import type { InterfaceState } from "#pkg/layer2";
import type { Address, Family } from "#pkg/net";
import { type AddressPlacement, isDrained } from "#pkg/placement";
import type { Occupant } from "#pkg/quarantine";
import { type NodeEndpoints, whyNoAddresses } from "#pkg/service";
import type { Verdict } from "#pkg/verdict";
import { type Conflict, currentConflicts } from "./conflicts/address-defender.ts";
import { describeConflict, wasReported } from "./conflicts/conflict-reports.ts";
import { occupantOf } from "./conflicts/quarantine.ts";
import { nextTest } from "./data-path/connection-tests.ts";
import type { ConnectionTest, PathFault } from "./data-path/data-path-state.ts";
import { type NextHealthPorts, nextHealthPorts } from "./data-path/health-ports.ts";
import type { KernelProblems, TestedAddress } from "./events.ts";
import { endOf } from "./handovers/former-owners.ts";
import { interfacesHere, withoutServices } from "./interfaces/nics.ts";
import { isOutdated, viewAgeSeconds } from "./members/api-view.ts";
import { nodeOfMac } from "./members/members.ts";
import { isReady, isRingLarge } from "./members/nodes.ts";
import { allPlacements, isAnnounced } from "./placement/placements.ts";
import { ownSlots } from "./placement/slots.ts";
import { type ProbePlan, probePlan, roundTest } from "./services/probes.ts";
import { countWireFaults, openFaults, type WireTest, wireTest, wireVerdict } from "./services/self-tests.ts";
import { endpointsOf, policyOf, type ServiceRow } from "./services/services.ts";
import { type Announcement, layer2PoolAt, type SpeakerOptions, type SpeakerState } from "./state.ts";
import { type ServiceView, type Sessions, serviceView } from "./verdicts/address-verdict.ts";
import { type NodeFacts, nodeVerdicts } from "./verdicts/node-verdict.ts";
import { poolVerdict } from "./verdicts/pool-verdict.ts";

/** The core's state, for those who look at it and change nothing: metrics, `/v1`, checks of the node, the self-test, verdicts. */
export class SpeakerView {
  readonly #state: SpeakerState;

  constructor(state: SpeakerState) {
    this.#state = state;
  }

  /** This node's name. */
  get node(): string {
    return this.#state.node;
  }

  /** Options with which the core was made. */
  get options(): SpeakerOptions {
    const { node, ignoreExcludeLabel, members } = this.#state;
    return { node, ignoreExcludeLabel, hasRing: members.gossip !== undefined };
  }

  /** Pools of the configuration in force, in its order; empty without a configuration. */
  get pools(): readonly Pool[] {
    return this.#state.config?.config.pools ?? [];
  }

  /** As it is on layer 2. */
  poolOf(address: Address): Pool | undefined {
    return layer2PoolAt(this.#state, address);
  }

  /** The interfaces of this node, with the addresses that are its own and no Service's. */
  get ownInterfaces(): readonly InterfaceState[] {
    return withoutServices(this.#state, this.#state.carriers.interfaces);
  }

  /** These names of interfaces, as pools have them, by the names that this node knows. */
  namesHere(interfaces: readonly string[]): readonly string[] {
    return interfacesHere(this.#state, { interfaces });
  }

  /** Keys of Services of type LoadBalancer among `keys`, or among all, each once; undefined for each other one, so that the caller can pause. */
  *loadBalancers(keys: readonly string[] = [...this.#state.services.rows.keys()]): Iterable<string | undefined> {
    for (const key of keys) yield this.#state.services.rows.get(key)?.service.type === "LoadBalancer" ? key : undefined;
  }

  /** Undefined where there is no such Service. @param isWhole also owners are named that this node need not know */
  service(key: string, sessions: Sessions, isWhole: boolean): ServiceView | undefined {
    return serviceView(this.#state, key, sessions, isWhole);
  }

  /** Whether no node has to know all that concerns others alone. */
  get isRingLarge(): boolean {
    return isRingLarge(this.#state);
  }

  /** How many endpoints of a Service are ready, or drain, on each node. */
  endpoints(key: string): readonly NodeEndpoints[] {
    return endpointsOf(this.#state.services, key);
  }

  /** What this node announces, by the keys of Services. */
  get announcements(): ReadonlyMap<string, readonly Announcement[]> {
    return this.#state.status.announcements;
  }

  /** Where this node announces the Service. */
  announcedPlacements(key: string): readonly AddressPlacement[] {
    const { status, placements } = this.#state;
    return (status.announcements.get(key) ?? []).flatMap(({ protocol, addresses }) =>
      addresses.flatMap((address) => (placements.get(address) ?? []).filter((one) => one.protocol === protocol)),
    );
  }

  /** To whom this node hands packets of connections that it does not know, and until when at the latest. */
  get handovers(): readonly {
    readonly address: string;
    readonly from: string;
    readonly isActive: boolean;
    readonly since: Millis;
    readonly until: Millis;
  }[] {
    return [...this.#state.handovers.current].map(([address, current]) => ({
      address,
      from: current.from,
      isActive: current.told !== undefined,
      since: current.since,
      until: endOf(this.#state, current),
    }));
  }

  /** Whether the node itself is about to go, as far as the API says, and not this process alone. */
  get isNodeLeaving(): boolean {
    const { node, bgp, nodes } = this.#state;
    return bgp.isDraining || isDrained(nodes.labels.get(node), nodes.taints.get(node)) || !isReady(this.#state, node);
  }

  /** Addresses to which this node may have connections that others keep when it goes. */
  get keptAddresses(): readonly Address[] {
    const served = this.#state.handovers.served.values().map(({ address }) => address);
    const own = this.announcedAsOwner().flatMap((one) => (one && this.poolOf(one.address)?.keepConnections ? [one.address] : []));
    return [...served, ...own];
  }

  /** Why this node cannot hand packets over, by family. */
  get handoverFailures(): ReadonlyMap<string, string> {
    return this.#state.handovers.failures;
  }

  /** Open connections to addresses that another node owns now. */
  get served(): readonly { readonly address: string; readonly flows: number | undefined; readonly until: Millis }[] {
    return [...this.#state.handovers.served].map(([address, { flows, until }]) => ({ address, flows, until }));
  }

  get servedConnections(): number {
    return this.served.reduce((sum, { flows = 0 }) => sum + flows, 0);
  }

  /** The members of the ring, where this speaker is the one that reports on all nodes. */
  get reportedNodes(): readonly string[] | undefined {
    return this.#state.reporter.isHere ? this.#state.members.active : undefined;
  }

  /** Services without an address of which no controller says anything, where this speaker is the one that reports on all nodes. */
  get unassigned(): readonly Service[] {
    const { reporter, services } = this.#state;
    if (!reporter.isHere) return [];
    const isUnassigned = ({ service, addresses }: ServiceRow) =>
      addresses.length === 0 && service.conditions.length === 0 && whyNoAddresses(service) === "noIPAllocated";
    return services.rows
      .values()
      .filter(isUnassigned)
      .map(({ service }) => service)
      .toArray();
  }

  isAnnounced(placement: AddressPlacement): boolean {
    return isAnnounced(this.#state, placement);
  }

  /** How many addresses are placed. */
  get placedCount(): number {
    return this.#state.placements.size;
  }

  /** Each address as each protocol places it. */
  placements(): IteratorObject<readonly AddressPlacement[], undefined> {
    return this.#state.placements.values();
  }

  /** The addresses of which this node is the owner, with their pools; undefined for each other one, so that the caller can pause. */
  *announcedAsOwner(): Generator<{ readonly address: Address; readonly pool: string } | undefined, undefined> {
    for (const placement of allPlacements(this.#state)) {
      const { address, pool, isOwned } = placement;
      yield isOwned && pool !== undefined && this.isAnnounced(placement) ? { address, pool } : undefined;
    }
  }

  /**
   * A Service that this node announces under an address of the family and whose packets it has to pass on, because ready endpoints are
   * on other nodes or on none that is known. Under policy Local kube-proxy uses those of this node alone. Yields for each address that it looks at.
   */
  *servedElsewhere(family: Family): Generator<undefined, string | undefined> {
    const { node, services } = this.#state;
    // A node that passes nothing on announces few of 10,000 addresses.
    for (const placement of allPlacements(this.#state)) {
      yield;
      if (placement.address.family !== family || !this.isAnnounced(placement)) continue;
      for (const [service, { announced }] of placement.verdicts) {
        if (!announced || policyOf(this.#state, service) !== "Cluster") continue;
        if (endpointsOf(services, service, family).some(({ ready, nodeName }) => ready > 0 && nodeName !== node)) return service;
      }
    }
    return undefined;
  }

  /** Why l2-placement of pools is not in effect. */
  get placementWarning(): string | undefined {
    return this.#state.status.placementWarning;
  }

  /** Whether this node is in the ring of those that announce, or has found none, and knows of its members what it has to. */
  get isRingSynced(): boolean {
    const { isClusterSynced, hasBegun, members } = this.#state;
    return members.isSynced && (hasBegun || !isClusterSynced);
  }

  /** Whether everything was placed once since the start, or nothing is configured. After a second some is enough, as for the others. */
  get isPlaced(): boolean {
    const { isTold, config, hasBegun, isStarted } = this.#state;
    return isTold || (config === undefined && isStarted === hasBegun); // In between it looks whether its node delivers.
  }

  /** Where this node can answer, as the others know it by gossip. */
  get reachability(): Reachability | undefined {
    return this.#state.members.gossip?.reachability(this.#state.node);
  }

  /** Addresses that flannel takes for this node's own. */
  get flannelAddresses(): readonly string[] {
    return this.#state.nodes.flannelAddresses;
  }

  /** Networks of this node's Pods. */
  get podCIDRs(): readonly string[] {
    return this.#state.nodes.podCIDRs;
  }

  get kernel(): KernelProblems {
    return this.#state.kernel.found;
  }

  /** Whether others see what changes in the API and this node does not. */
  get isOutdated(): boolean {
    return isOutdated(this.#state);
  }

  /** For how long the API was not seen, in seconds; 0 while it is. */
  viewAgeSeconds(now: Millis): number {
    return viewAgeSeconds(this.#state, now);
  }

  /** The signs for which this node counts as unable to deliver packets of a family to Pods; none while it counts as able. */
  pathFaults(family: Family): readonly PathFault[] {
    return this.#state.dataPath[family].broken;
  }

  /** The connection that this node tries next. @param isFirst see `nextTest` */
  nextConnectionTest(now: Millis, isFirst?: boolean): ConnectionTest | undefined {
    return nextTest(this.#state, now, isFirst);
  }

  /** Health check ports of Services to ask next. */
  nextHealthPorts(scan: number, now: Millis): NextHealthPorts {
    return nextHealthPorts(this.#state, scan, now);
  }

  /** All verdicts on this node, the worst first. */
  nodeVerdicts(facts: NodeFacts): readonly Verdict[] {
    return nodeVerdicts(this.#state, facts);
  }

  poolVerdict(pool: Pool): Verdict {
    return poolVerdict(this.#state, pool);
  }

  /** The next-hop slots of the pool that this node answers for. */
  ownSlots(pool: Pool): readonly Address[] {
    return ownSlots(this.#state, pool);
  }

  /** Conflicts of addresses that this node announces, as `/v1/conflicts` shows them. */
  describeConflicts(): readonly ReturnType<typeof describeConflict>[] {
    return currentConflicts(this.#state).map(describeConflict);
  }

  /** Conflicts that were reported. */
  reportedConflicts(): readonly Conflict[] {
    return currentConflicts(this.#state).filter((conflict) => wasReported(this.#state, conflict));
  }

  /** Hosts that keep addresses of pools back. The entry of an address whose pool is no longer strict stays for as long as the host answers. */
  get occupants(): ReadonlyMap<string, Occupant> {
    return new Map([...this.#state.conflicts.occupants].filter(([text]) => occupantOf(this.#state, text) !== undefined));
  }

  /** How this node tries an address when somebody asks. */
  probePlan(address: Address): ProbePlan {
    return probePlan(this.#state, address);
  }

  /** What this node is to try of one address in a round through all; undefined for nothing. */
  roundTest(placement: AddressPlacement): WireTest | undefined {
    return roundTest(this.#state, placement);
  }

  /** The node with this MAC address; undefined for another host. */
  nodeOfMac(mac: string): string | undefined {
    return nodeOfMac(this.#state.members.macs, mac);
  }

  /** The fault of an address that was tried; undefined without one. */
  wireVerdict(tested: TestedAddress): Verdict | undefined {
    return wireVerdict(this.#state, tested);
  }

  /** What this node is to try on the wire of one address; undefined for nothing. */
  wireTest(placement: AddressPlacement): WireTest | undefined {
    return wireTest(this.#state, placement);
  }

  /** Failed tests on the wire that are to be repeated soon. */
  openFaults(): readonly WireTest[] {
    return openFaults(this.#state);
  }

  /** How many addresses other nodes announce in vain. */
  get wireFaultCount(): number {
    return countWireFaults(this.#state);
  }
}

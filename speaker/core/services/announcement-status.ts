import type { Protocol as ProtocolName } from "#pkg/config";
import type { Address } from "#pkg/net";
import { type AddressPlacement, isElected, type NotAnnounced } from "#pkg/placement";
import { mayHoldSeveral, type NoAddresses } from "#pkg/service";
import { sentence } from "#pkg/verdict";
import { whyHeldBack } from "../conflicts/address-defender.ts";
import type { SpeakerEffect } from "../effects.ts";
import { type NotHere, reachabilityOf, whyNotHere } from "../members/nodes.ts";
import { isAnnounced } from "../placement/placements.ts";
import { type Announcement, layer2PoolAt, type SpeakerState } from "../state.ts";
import { isObstacle, type Obstacle, obstacleVerdict } from "../verdicts/refusals.ts";
import { mayBeOutOfSight } from "./outcome.ts";
import { addressesOf, whyWithoutAddresses } from "./services.ts";

type Withdrawal =
  | NotAnnounced
  | NoAddresses
  | NotHere
  | "serviceDeleted"
  | "loadBalancerIPChanged"
  | "poolProtocolChanged"
  /** This node asks whether another host has the address. */
  | "probing"
  /** Another host has it. */
  | "addressOccupied";

/**
 * Reports, by log lines and Kubernetes events, what is different about a Service since it was reported on last.
 * @param isElsewhere an address has another owner, or is not announced for another reason: where a node leaves a large ring, that is so of few
 */
export function reportService(state: SpeakerState, key: string, isElsewhere: boolean, effects: SpeakerEffect[]): void {
  reportAnnouncement(state, key, isElsewhere, effects);
  reportObstacle(state, key, effects);
}

/** Reports that a Service is announced from here, or why it no longer is, for each protocol. */
function reportAnnouncement(state: SpeakerState, key: string, isElsewhere: boolean, effects: SpeakerEffect[]): void {
  const { services, status } = state;
  const before = status.announcements.get(key) ?? [];
  const now = announcementsOf(state, key);
  if (now.length > 0) status.announcements.set(key, now);
  else status.announcements.delete(key);
  if (now.length === 0 && before.length === 0) {
    if (!isElsewhere) return;
    const reason = withdrawal(state, key, addressesOf(services, key).map(String), undefined);
    const fields = { event: "serviceNotAnnounced", service: key, reason };
    effects.push({ type: "log", level: "debug", message: "service is not announced from here", fields });
  }
  for (const protocol of new Set(before.map((one) => one.protocol))) {
    const ips = missingFrom(ipsBy(protocol, now), ipsBy(protocol, before));
    if (ips.length === 0) continue;
    const reason = withdrawal(state, key, ips, protocol);
    const fields = { event: "serviceWithdrawn", service: key, ips, protocol, reason };
    effects.push({ type: "log", level: "info", message: "withdrawing service announcement", fields });
  }
  for (const announcement of now) {
    const came = missingFrom(ipsBy(announcement.protocol, before), announcement.addresses);
    if (came.length > 0) reportAnnounced(state, key, announcement, came, effects);
  }
}

function reportAnnounced(
  { node, services, placements }: SpeakerState,
  key: string,
  { protocol, pool, addresses: ips }: Announcement,
  came: readonly string[],
  effects: SpeakerEffect[],
): void {
  const fields = { event: "serviceAnnounced", service: key, ips, pool, protocol };
  effects.push({ type: "log", level: "info", message: "service has IP, announcing", fields });
  const service = services.rows.get(key)?.service;
  const owned = came.filter((ip) => placements.get(ip)?.some((one) => one.isOwned && one.protocol === protocol));
  if (service === undefined || owned.length === 0) return;
  // Each of several addresses has its own owner.
  const message = `announcing ${mayHoldSeveral(service) ? `${owned.join(" and ")} ` : ""}from node "${node}"`;
  effects.push({ type: "recordEvent", service, kind: "Normal", reason: "nodeAssigned", message });
}

/**
 * Reports that no node may announce a Service. The speaker that would own its address if every node with a speaker could reports it, so
 * that it is reported once.
 */
function reportObstacle(state: SpeakerState, key: string, effects: SpeakerEffect[]): void {
  const { node, services, members, status } = state;
  const service = services.rows.get(key)?.service;
  const [found] = addressesOf(services, key).flatMap((address) => obstacles(state, key, address));
  const before = status.obstacles.get(key);
  if (service === undefined || found === undefined) {
    status.obstacles.delete(key);
    return;
  }
  const { placement, obstacle } = found;
  const { reason } = obstacle;
  status.obstacles.set(key, reason);
  if (reason === before || !isElected(node, members.active, placement.electionAddress)) return;
  // It may be the one that is cut off, where it has lost most others.
  if (members.lost.size >= members.active.length && mayBeOutOfSight(state, key)) return;
  // One that can answer nowhere is cut off, as when its only cable is pulled: the others know better, and nobody gets its event anyway.
  const reachability = reachabilityOf(state, node);
  if (reason === "noInterface" && typeof reachability === "object" && !reachability.answers) return;
  const verdict = obstacleVerdict(state, placement, obstacle, service.externalTrafficPolicy);
  if (verdict.cause !== reason) return; // The controller tells of speakers that are gone.
  const message = sentence(verdict);
  const fields = { event: "serviceNotAnnounced", service: key, reason, warning: message };
  effects.push({ type: "log", level: "warn", message: "no node may announce the service", fields });
  effects.push({ type: "recordEvent", service, kind: "Warning", reason, message });
}

function obstacles(
  { placements }: SpeakerState,
  key: string,
  address: Address,
): { placement: AddressPlacement; obstacle: Obstacle }[] {
  return (placements.get(address.toString()) ?? []).flatMap((placement) => {
    const verdict = placement.verdicts.get(key);
    if (verdict === undefined || verdict.announced || !isObstacle(verdict)) return [];
    // Where each node judges by itself, none knows that no node announces.
    if (!placement.isOwned) return [];
    return [{ placement, obstacle: verdict }];
  });
}

/** What this node announces for the Service, in the order of its addresses. */
function announcementsOf(state: SpeakerState, key: string): readonly Announcement[] {
  const { services, placements } = state;
  const all = addressesOf(services, key).flatMap((address) => placements.get(address.toString()) ?? []);
  const found: (Announcement & { readonly addresses: string[] })[] = [];
  for (const placement of all) {
    const { pool, protocol, address } = placement;
    if (pool === undefined || protocol === undefined) continue;
    if (!isAnnounced(state, placement) || !placement.verdicts.get(key)?.announced) continue;
    const same = found.find((one) => one.pool === pool && one.protocol === protocol);
    if (same === undefined) found.push({ protocol, pool, addresses: [address.toString()] });
    else same.addresses.push(address.toString());
  }
  return found;
}

/** Why this node does not announce these addresses for the Service. @param by by which protocol it did; undefined where it did not */
function withdrawal(state: SpeakerState, key: string, addresses: readonly string[], by: ProtocolName | undefined): Withdrawal {
  const { services, placements } = state;
  const none = whyWithoutAddresses(services, key);
  if (none !== undefined) return none;
  const all = addresses.flatMap((address) => placements.get(address) ?? []).filter(({ verdicts }) => verdicts.has(key));
  const placement = all.find(({ protocol }) => by === undefined || protocol === by) ?? all[0];
  const verdict = placement?.verdicts.get(key);
  if (placement === undefined || verdict === undefined) return "loadBalancerIPChanged"; // It is no longer in the status.
  if (!verdict.announced) return verdict.reason;
  if (by !== undefined && placement.protocol !== by) return "poolProtocolChanged";
  const stage = whyHeldBack(state, placement.address);
  if (stage === "probing" || stage === "occupied") return stage === "probing" ? "probing" : "addressOccupied";
  const pool = layer2PoolAt(state, placement.address);
  return pool === undefined ? "notOwner" : whyNotHere(state, pool, placement.address);
}

function ipsBy(wanted: ProtocolName, announcements: readonly Announcement[]): readonly string[] {
  return announcements.flatMap(({ protocol, addresses }) => (protocol === wanted ? addresses : []));
}

/** The addresses of `one` that `other` does not have. */
function missingFrom(other: readonly string[], one: readonly string[]): readonly string[] {
  return one.filter((address) => !other.includes(address));
}

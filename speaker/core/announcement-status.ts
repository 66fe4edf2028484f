import type { PoolIndex } from "#pkg/config";
import type { Address } from "#pkg/net";
import { type AddressPlacement, elect, type NotAnnounced } from "#pkg/placement";
import type { NoAddresses } from "#pkg/service";
import { sentence } from "#pkg/verdict";
import type { SpeakerEffect } from "./effects.ts";
import { type NotHere, reachabilityOf, whyNotHere } from "./nodes.ts";
import { isAnnounced, protocols } from "./placements.ts";
import { addressesOf, whyWithoutAddresses } from "./services.ts";
import type { Announcement, SpeakerState } from "./state.ts";
import { isObstacle, type Obstacle, obstacleVerdict } from "./verdicts/refusals.ts";

type Withdrawal = NotAnnounced | NoAddresses | NotHere | "serviceDeleted" | "loadBalancerIPChanged";

/** Reports, by log lines and Kubernetes events, what is different about a Service since it was reported on last. */
export function reportService(state: SpeakerState, key: string, pools: PoolIndex, effects: SpeakerEffect[]): void {
  reportAnnouncement(state, key, pools, effects);
  reportObstacle(state, key, effects);
}

/** That a Service is announced from here, or why it no longer is. */
function reportAnnouncement(state: SpeakerState, key: string, pools: PoolIndex, effects: SpeakerEffect[]): void {
  const { node, services, status } = state;
  const before = status.announcements.get(key);
  const now = announcementOf(state, key);
  if (now !== undefined) status.announcements.set(key, now);
  else status.announcements.delete(key);
  const gone = missingFrom(now, before);
  const came = missingFrom(before, now);
  if (now === undefined && before === undefined) {
    const reason = withdrawal(state, key, addressesOf(services, key).map(String), pools);
    const fields = { event: "serviceNotAnnounced", service: key, reason };
    effects.push({ type: "log", level: "debug", message: "service is not announced from here", fields });
  }
  if (gone.length > 0) {
    const reason = withdrawal(state, key, gone, pools);
    const fields = { event: "serviceWithdrawn", service: key, ips: gone, reason };
    effects.push({ type: "log", level: "info", message: "withdrawing service announcement", fields });
  }
  if (now === undefined || came.length === 0) return;
  const { addresses: ips, pool, protocol } = now;
  const fields = { event: "serviceAnnounced", service: key, ips, pool, protocol };
  effects.push({ type: "log", level: "info", message: "service has IP, announcing", fields });
  const service = services.rows.get(key)?.service;
  if (service === undefined || !protocols[protocol].hasOwner) return;
  const message = `announcing from node "${node}"`;
  effects.push({ type: "recordEvent", service, kind: "Normal", reason: "nodeAssigned", message });
}

/**
 * That no node may announce a Service, when it comes to that: the speaker reports it that would own its address if every node with a
 * speaker could, so that it is reported once.
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
  if (reason === before || elect(members.active, placement.electionAddress) !== node) return;
  // One that can answer nowhere is cut off, as when its only cable is pulled: the others know better, and nobody gets its event anyway.
  const reachability = reachabilityOf(state, node);
  if (reason === "noInterface" && typeof reachability === "object" && !reachability.answers) return;
  const message = sentence(obstacleVerdict(placement, obstacle, service.externalTrafficPolicy));
  const fields = { event: "serviceNotAnnounced", service: key, reason, warning: message };
  effects.push({ type: "log", level: "warn", message: "no node may announce the service", fields });
  effects.push({ type: "recordEvent", service, kind: "Warning", reason, message });
}

function obstacles(
  { placements }: SpeakerState,
  key: string,
  address: Address,
): { placement: AddressPlacement; obstacle: Obstacle }[] {
  const placement = placements.get(address.toString());
  const verdict = placement?.verdicts.get(key);
  if (placement === undefined || verdict === undefined || verdict.announced || !isObstacle(verdict)) return [];
  // Where each node judges by itself, none knows that no node announces.
  if (placement.protocol !== undefined && !protocols[placement.protocol].hasOwner) return [];
  return [{ placement, obstacle: verdict }];
}

/** What this node announces for the Service. */
function announcementOf(state: SpeakerState, key: string): Announcement | undefined {
  const { services, placements } = state;
  const all = addressesOf(services, key).flatMap((address) => placements.get(address.toString()) ?? []);
  const own = all.filter((placement) => isAnnounced(state, placement) && placement.verdicts.get(key)?.announced);
  const [first] = own;
  if (first?.pool === undefined || first.protocol === undefined) return undefined;
  return { protocol: first.protocol, pool: first.pool, addresses: own.map(({ address }) => address.toString()) };
}

/** Why this node does not announce these addresses for the Service. */
function withdrawal(state: SpeakerState, key: string, addresses: readonly string[], pools: PoolIndex): Withdrawal {
  const { services, placements } = state;
  const none = whyWithoutAddresses(services, key);
  if (none !== undefined) return none;
  const placement = addresses.map((address) => placements.get(address)).find((one) => one?.verdicts.has(key));
  const verdict = placement?.verdicts.get(key);
  if (placement === undefined || verdict === undefined) return "loadBalancerIPChanged"; // It is no longer in the status.
  if (!verdict.announced) return verdict.reason;
  const pool = pools.find(placement.address);
  return pool === undefined ? "notOwner" : whyNotHere(state, pool, placement.address);
}

/** The addresses of `one` that `other` does not have. */
function missingFrom(other: Announcement | undefined, one: Announcement | undefined): readonly string[] {
  return (one?.addresses ?? []).filter((address) => !other?.addresses.includes(address));
}

import type { Millis } from "#pkg/clock";
import { encodeHeartbeat, type Heartbeat } from "../codec/heartbeat.ts";
import { neighbourBefore, neighbourOf } from "./choice.ts";
import { isMember, maxU32, type NodeRecord, type Ring } from "./ring.ts";
import { sendDirect } from "./sending.ts";

/** How late a heartbeat may be. */
const tolerance: Millis = 20;
/** What of this counts as time for its sender to answer. The rest is for a way that has just become slow, on which an answer takes longer. */
export const countedLateness: Millis = 10;
/** How much later than the first one, by place, all others would send theirs by themselves... */
const followerDelay: Millis = 6;
/** ...but whoever receives one when its own is due so soon sends it then, so that it wakes up once for both. */
const catchUp: Millis = 14;

/** Between two heartbeats. The first one's go round the ring like a wave. */
export function heartbeatInterval({ timing, heartbeats }: Ring): Millis {
  return timing.probeInterval + (timing.heartbeats && !heartbeats.leads ? followerDelay : 0);
}

/** Tells the neighbour that this node lives. */
export function sendHeartbeat(ring: Ring): void {
  const { self, order, heartbeats, options } = ring;
  const neighbour = neighbourOf(self, order, isMember);
  if (neighbour === undefined || ring.leave === "announced") return;
  heartbeats.sent = (heartbeats.sent + 1) % maxU32;
  const { node } = self;
  sendDirect(ring, neighbour.endpoint, encodeHeartbeat({ node, life: options.firstIncarnation, count: heartbeats.sent }));
}

/**
 * Of the one whose neighbour this node is; what others send, and what was captured and comes again, tells nothing.
 * @returns whether to send this node's own now
 */
export function onHeartbeat(ring: Ring, heartbeat: Heartbeat, now: Millis): boolean {
  const { awaited } = ring.heartbeats;
  if (awaited?.node !== heartbeat.node) return false;
  const { latest } = awaited;
  if (latest !== undefined && !isLater(heartbeat, latest)) return false;
  ring.heartbeats.awaited = { node: awaited.node, latest: heartbeat, dueAt: nextDue(ring, now) };
  return ring.probeAt > now && ring.probeAt - now <= catchUp;
}

function isLater({ life, count }: Heartbeat, than: Heartbeat): boolean {
  return life > than.life || (life === than.life && count > than.count);
}

function nextDue({ timing }: Ring, now: Millis): Millis {
  return now + timing.probeInterval + tolerance;
}

/** Awaits heartbeats of the one whose neighbour this node is now; to be called when members or the timing have changed. */
export function awaitHeartbeats(ring: Ring, now: Millis): void {
  const { self, order, timing, heartbeats } = ring;
  heartbeats.leads = !order.some((record) => isMember(record) && record.place < self.place);
  const node = timing.heartbeats ? neighbourBefore(self, order, isMember)?.node : undefined;
  if (node === heartbeats.awaited?.node) return;
  heartbeats.awaited = node === undefined ? undefined : { node, latest: undefined, dueAt: nextDue(ring, now) };
}

/** Whose heartbeat is overdue: it may be lost, or its sender dead. Until one comes, it is overdue again in each interval. */
export function takeOverdue(ring: Ring, now: Millis): NodeRecord | undefined {
  const { awaited } = ring.heartbeats;
  if (awaited === undefined || now < awaited.dueAt) return undefined;
  ring.heartbeats.awaited = { ...awaited, dueAt: nextDue(ring, now) };
  return ring.records.get(awaited.node);
}

import type { Millis } from "#pkg/clock";
import { encodeDigest, encodeHeartbeat, type Heartbeat } from "../codec/heartbeat.ts";
import type { NodeName } from "../codec/messages.ts";
import type { NodeRecord } from "./node-record.ts";
import { maxU32, type Ring } from "./ring.ts";
import { sendDirect } from "./sending.ts";
import { isLarge } from "./timing.ts";

/** How late a heartbeat may be. */
const tolerance: Millis = 20;
/**
 * The part of the lateness that counts as time for its sender to answer. The rest is for a path that has just become slow, on which an
 * answer takes longer.
 */
export const countedLateness: Millis = 10;
/** How much later than the first one, by place, all others would send theirs by themselves... */
const followerDelay: Millis = 6;
/** ...but a node that receives a heartbeat when its own is due this soon sends it then, so that it wakes up once for both. */
const catchUp: Millis = 14;

/** Between two heartbeats. The first one's go round the ring like a wave. */
export function heartbeatInterval({ timing, places, self }: Ring): Millis {
  return timing.probeInterval + (timing.heartbeats && !places.isFirst(self) ? followerDelay : 0);
}

/** Tells the neighbor that this node lives. */
export function sendHeartbeat(ring: Ring): void {
  const { self, places, heartbeats, options } = ring;
  const neighbor = places.after(self);
  if (neighbor === undefined || ring.leave === "announced") return;
  heartbeats.sent = (heartbeats.sent + 1) % maxU32;
  const { node } = self;
  const heartbeat = { node, life: options.firstIncarnation, count: heartbeats.sent, digest: digestOf(ring) };
  sendDirect(ring, neighbor.endpoint, encodeHeartbeat(heartbeat));
}

/**
 * Takes a heartbeat of the node whose neighbor this node is. Heartbeats of other nodes and replayed ones are ignored.
 * @returns whether to send this node's own now
 */
export function onHeartbeat(ring: Ring, heartbeat: Heartbeat, now: Millis): boolean {
  const { awaited } = ring.heartbeats;
  if (awaited?.node !== heartbeat.node) return false;
  const { latest } = awaited;
  if (latest !== undefined && !isLater(heartbeat, latest)) return false;
  ring.heartbeats.awaited = { node: awaited.node, latest: heartbeat, dueAt: nextDue(ring, now) };
  compare(ring, heartbeat.node, heartbeat.digest);
  noteDigest(ring, heartbeat.node, heartbeat.digest);
  // Not the first one: what others send would change its pace, and the wave would never form.
  return !ring.places.isFirst(ring.self) && ring.probeAt > now && ring.probeAt - now <= catchUp;
}

function isLater({ life, count }: Heartbeat, than: Heartbeat): boolean {
  return life > than.life || (life === than.life && count > than.count);
}

function nextDue({ timing }: Ring, now: Millis): Millis {
  return now + timing.probeInterval + tolerance;
}

/** Awaits heartbeats of the one whose neighbor this node is now; to be called when anything about members or the timing has changed. */
export function awaitHeartbeats(ring: Ring, now: Millis): void {
  const { self, places, timing, heartbeats } = ring;
  const node = timing.heartbeats ? places.before(self)?.node : undefined;
  if (node === heartbeats.awaited?.node) return;
  heartbeats.awaited = node === undefined ? undefined : { node, latest: undefined, dueAt: nextDue(ring, now) };
}

/**
 * The member whose heartbeat is overdue: the heartbeat may be lost, or its sender dead. Until a heartbeat comes, it is overdue again in
 * each interval.
 */
export function takeOverdue(ring: Ring, now: Millis): NodeRecord | undefined {
  const { awaited } = ring.heartbeats;
  if (awaited === undefined || now < awaited.dueAt) return undefined;
  ring.heartbeats.awaited = { ...awaited, dueAt: nextDue(ring, now) };
  return ring.records.get(awaited.node);
}

/** This many digests in a row with the same difference: news on its way reaches all in less time, and so is not the cause. */
const differencesTolerated = 10;

/** Two nodes that keep differing have missed something: the news of a join, say, which is sent only a limited number of times. */
function compare(ring: Ring, node: NodeName, theirs: number): void {
  const ours = digestOf(ring);
  const { difference } = ring.heartbeats;
  if (theirs === ours) ring.heartbeats.difference = undefined;
  else if (difference?.theirs === theirs && difference.ours === ours) difference.times++;
  else ring.heartbeats.difference = { node, theirs, ours, times: 1 };
}

/** The one to compare views with. Once for each difference: two may differ for good, as where one alone reaches a third. */
export function takeDiffering({ heartbeats }: Ring): NodeName | undefined {
  if (heartbeats.difference?.times !== differencesTolerated) return undefined;
  heartbeats.difference.times++;
  return heartbeats.difference.node;
}

/** The digest of this node's knowledge, for its answers to pings. None in a small ring, where whole views cost little. */
export function digestPayload(ring: Ring): Uint8Array | undefined {
  return isLarge(ring.order.length) ? encodeDigest(digestOf(ring)) : undefined;
}

/** A member told its digest, or none. */
export function noteDigest(ring: Ring, node: NodeName, theirs: number | undefined): void {
  if (theirs === undefined || !isLarge(ring.order.length)) return;
  if (!ring.timing.heartbeats) compare(ring, node, theirs);
  if (theirs === digestOf(ring)) ring.agreeing.add(node);
}

function digestOf({ places, options }: Ring): number {
  return (places.digest + (options.userDigest?.() ?? 0)) >>> 0;
}

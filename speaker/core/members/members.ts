import type { Millis } from "#pkg/clock";
import { isIn } from "#pkg/collections";
import { type GossipChanges, isCentral, noChanges } from "#pkg/gossip";
import type { Address } from "#pkg/net";
import type { SpeakerEffect } from "../effects.ts";
import type { MemberEvents } from "../events.ts";
import type { MacTable, MissingMember, SpeakerState } from "../state.ts";
import { forgetTold } from "./followed-nodes.ts";

// The time after which returned members count as settled: owners are settled long before, and until then it matters who had lost whom.
const settledMs: Millis = 10_000;
const suspectedUncertainty = 0x8000;
const maxLostUncertainty = 0x7fff;
// The time for which announcements are repeated.
const reclaimEveryMs: Millis = 5_000;
// Nodes come and go with autoscaling. A node that went that long ago counts as a foreign host, and does not come back.
const maxNodesOfMacs = 5_000;
const maxNodesGone = 5_000;
// No cut of the ring lasts so long unseen.
export const longestCutMs: Millis = 24 * 60 * 60_000;
// A node that is back broadcasts its report at once, but a cut that is about to heal may still swallow the report.
const pullAfterMs: Millis = 500;
const pullEveryMs: Millis = 2_000;
// All members pull from one whose main thread hangs, and each gets the whole view: each time after twice as long.
const maxPullEveryMs: Millis = 5 * 60_000;
// MetalLB's manifests give a speaker that has left the ring 2 s; a busy node takes longer to end it.
const leavingMs: Millis = 10_000;

type MemberChange = Extract<MemberEvents, { readonly type: "member" }>;

/** Something happened to one member of the ring. @returns what is known otherwise by its gossip */
export function memberChanged(state: SpeakerState, event: MemberChange, now: Millis): GossipChanges {
  const { members } = state;
  const { gossip } = members;
  if (gossip === undefined) return noChanges;
  const { change, node, incarnation, life, macs, evidence } = event;
  const isSelf = node === state.node;
  if (!isSelf && macs !== undefined) learnMacs(members.macs, node, macs);
  if (!isCentral(node)) {
    noteUncertainty(state, change, node, now);
    noteMissing(members.missing, change, node, now, evidence?.byBfd ?? false);
    const gone = forgetFirst(members.missing);
    if (gone !== undefined && !isIn(members.active, gone)) forgetTold(state, [gone]);
  }
  if (isSelf) {
    // Others that took this node for dead wait for gossip of this incarnation.
    gossip.setIncarnation(incarnation);
    // One that leaves has to be taken for gone.
    if (change === "refuted" && !state.isLeaving && members.reclaimAt === Infinity)
      members.reclaimAt = Math.max(now, members.reclaimedAt + reclaimEveryMs);
    return noChanges;
  }
  if (change === "joined") members.joinedAt = now;
  if (change === "failed") gossip.failed(node);
  else if (change === "left") gossip.forget(node);
  else if (change === "joined" && life !== undefined) {
    members.awaited.set(node, now + pullAfterMs);
    members.awaitedSince.set(node, now);
    return gossip.joined(node, incarnation, life);
  }
  // It started again so soon that it did not fail.
  else if (change === "updated" && life !== undefined) return gossip.restarted(node, life);
  return noChanges;
}

/** The node no longer exists. A node that is a member lives, even if the API does not have it. */
export function forgetNode(state: SpeakerState, node: string, effects: SpeakerEffect[]): void {
  const { members } = state;
  const isMember = members.gossip?.isMember(node) ?? isIn(members.active, node); // The list may follow the ring later.
  if (isMember) {
    members.deleted.add(node);
    return;
  }
  members.missing.delete(node);
  state.apiView.oldElsewhere.delete(node);
  if (members.lost.delete(node)) members.gossip?.setViewUncertainty(viewUncertainty(members));
  if (members.gossip === undefined) return;
  members.gossip.forget(node);
  effects.push({ type: "forgetGossip", node });
}

/** A member failed or left. It is gone for good where its Node was deleted before. */
export function forgetDeleted(state: SpeakerState, node: string, effects: SpeakerEffect[]): void {
  const { members } = state;
  if (!members.deleted.delete(node)) return;
  state.apiView.oldElsewhere.delete(node);
  if (members.lost.delete(node)) members.gossip?.setViewUncertainty(viewUncertainty(members));
  members.gossip?.forget(node);
  effects.push({ type: "forgetGossip", node });
}

/** Since when a member that may lose its addresses has not been heard of. */
function noteMissing(
  missing: Map<string, MissingMember>,
  change: MemberChange["change"],
  node: string,
  now: Millis,
  isByBfd: boolean,
): void {
  if (change === "left") missing.set(node, { since: now, cause: "left" });
  else if (change !== "suspected" && change !== "failed") missing.delete(node);
  else if (!missing.has(node) || isByBfd)
    missing.set(node, { since: missing.get(node)?.since ?? now, cause: isByBfd ? "failedFast" : "failed" });
}

/** In a large ring nobody tells that a Node was deleted. @returns the node that is forgotten */
function forgetFirst(gone: Map<string, unknown> | Set<string>): string | undefined {
  const [first] = gone.keys();
  return gone.size > maxNodesGone && first !== undefined && gone.delete(first) ? first : undefined;
}

/**
 * In a large ring a node that crashed and was replaced would count as lost for good: the view would seem ever less certain, and cut off. One that
 * frames tell of may live behind a cut.
 */
function forgetReplaced({ members: { lost, missing }, nodes: { followed } }: SpeakerState, now: Millis): void {
  if (followed.names === "all") return;
  for (const node of lost) {
    const since = missing.get(node)?.since;
    if (since === undefined || followed.asked.has(node)) continue;
    if (now < since + longestCutMs) return; // Oldest first.
    lost.delete(node);
  }
}

/** Members that tell nobody their MAC addresses: those that send no gossip and, without a ring, all others. */
export function strangers({ node, members: { gossip, active, withoutGossip } }: SpeakerState): readonly string[] {
  return gossip === undefined ? active.filter((other) => other !== node) : withoutGossip;
}

/** These members send no gossip now, and these announce nothing yet. @param before members of which no MAC address was known */
export function noteKinds(
  state: SpeakerState,
  before: readonly string[],
  withoutGossip: readonly string[],
  starting: readonly string[],
  now: Millis,
): void {
  const { members, isTold } = state;
  members.withoutGossip = withoutGossip;
  const unknown = strangers(state);
  if (before.some((node) => !isIn(unknown, node))) members.strangersUntil = now + leavingMs;
  members.startedWith = isTold ? members.startedWith.filter((node) => isIn(starting, node)) : starting;
  members.starting = starting.filter((node) => !isIn(members.startedWith, node));
}

/** Pulls the gossip of members that are back and whose report has not arrived. */
export function pullAwaited({ members }: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { active, awaited, awaitedSince, gossip } = members;
  for (let node = awaited.takeDue(now); node !== undefined; node = awaited.takeDue(now)) {
    const since = awaitedSince.get(node) ?? now;
    if (gossip?.isAwaited(node) !== true || !isIn(active, node)) {
      awaitedSince.delete(node);
      continue;
    }
    awaited.set(node, now + Math.min(Math.max(pullEveryMs, now - since), maxPullEveryMs));
    effects.push({ type: "pullGossip", node });
  }
}

/** The returned members, and the suspicion of this node, no longer count. */
export function membersSettled({ members }: SpeakerState): void {
  members.settledAt = Infinity;
  for (const node of members.back) members.lost.delete(node);
  members.back.clear();
  members.wasSuspected = false;
  members.gossip?.setViewUncertainty(viewUncertainty(members));
}

/** The others took this node for gone: it was cut off or stood still, and for itself it has owned its addresses all the while. */
export function reclaimed({ members }: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  members.reclaimAt = Infinity;
  members.reclaimedAt = now;
  const message = "other speakers took this node for dead, announcing again";
  effects.push({ type: "log", level: "info", message, fields: { event: "reclaimed", nodes: members.active } });
}

/** Reports changes since the last call to the others. @returns addresses whose owners have to be compared again */
export function flushGossip({ members: { gossip } }: SpeakerState, effects: SpeakerEffect[]): readonly Address[] {
  if (gossip === undefined) return [];
  const entries = gossip.takeEntries();
  if (entries.length > 0) effects.push({ type: "setGossip", entries });
  return gossip.takeContested();
}

/**
 * How uncertain this node is of its own view of the ring (see `GossipState.setViewUncertainty`). Above all when the others suspected it:
 * it may have stood still, and they have seen what it has not. Then by how many members failed and are not back: behind a cut that is
 * most of them. Members that left or whose Node was deleted do not count.
 */
export function viewUncertainty({ wasSuspected, lost }: Pick<SpeakerState["members"], "wasSuspected" | "lost">): number {
  return (wasSuspected ? suspectedUncertainty : 0) + Math.min(maxLostUncertainty, lost.size);
}

function noteUncertainty(state: SpeakerState, change: MemberChange["change"], node: string, now: Millis): void {
  const { members } = state;
  if (node === state.node && change === "refuted") {
    members.wasSuspected = true;
    members.settledAt = now + settledMs;
  } else if (change === "failed") {
    members.lost.delete(node); // It is the newest.
    forgetReplaced(state, now);
    members.lost.add(node);
    members.back.delete(node);
    forgetFirst(members.lost);
  } else if (change === "joined" && members.lost.has(node)) {
    members.back.add(node);
    members.settledAt = now + settledMs;
  } else if (change === "left") members.lost.delete(node);
  else return;
  members.gossip?.setViewUncertainty(viewUncertainty(members));
}

/** Undefined for a foreign host, and for this node. */
export function nodeOfMac({ nodes }: MacTable, mac: string): string | undefined {
  return nodes.get(mac);
}

/** A member has published its MAC addresses. */
export function learnMacs(table: MacTable, node: string, macs: readonly string[]): void {
  forgetMacs(table, node); // The latest is the last.
  table.macs.set(node, macs);
  for (const mac of macs) table.nodes.set(mac, node);
  const [oldest] = table.macs.keys();
  if (table.macs.size > maxNodesOfMacs && oldest !== undefined) forgetMacs(table, oldest);
}

function forgetMacs({ macs, nodes }: MacTable, node: string): void {
  for (const mac of macs.get(node) ?? []) if (nodes.get(mac) === node) nodes.delete(mac);
  macs.delete(node);
}

import type { Millis } from "#pkg/clock";
import type { SpeakerEffect } from "./effects.ts";
import { reportAnnounced } from "./members.ts";
import type { SpeakerState } from "./state.ts";

// Longer than a restart of the API server, and than all of them in turn behind one address.
const reportAfterMs: Millis = 60_000;
// For gossip, lost packets included: who learns that a view is old is to know what that node announces.
const reportAheadMs: Millis = 10_000;
const totalMs = reportAfterMs + reportAheadMs;

/** Changes in the API are not seen since `since`; Infinity: they are seen again. */
export function apiLost(state: SpeakerState, since: Millis, now: Millis, effects: SpeakerEffect[]): void {
  const { apiView, members } = state;
  apiView.lostSince = since;
  if (since !== Infinity) {
    apiView.dueAt = apiView.isReporting ? since + totalMs : since + reportAfterMs;
    return;
  }
  apiView.dueAt = apiView.isReporting ? now + reportAheadMs : Infinity;
  if (!apiView.isOld) return;
  apiView.isOld = false;
  members.gossip?.setViewOld(false);
  effects.push({ type: "log", level: "info", message: "view of the API is current again", fields: { event: "apiViewCurrent" } });
}

export function apiViewTimer(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { apiView, members, conflicts } = state;
  if (now < apiView.dueAt) return;
  const isLost = apiView.lostSince !== Infinity;
  if (isLost === apiView.isReporting) {
    apiView.dueAt = Infinity;
    if (isLost) viewIsOld(state, now, effects);
    return;
  }
  apiView.isReporting = isLost;
  apiView.dueAt = isLost ? apiView.lostSince + totalMs : Infinity;
  if (members.gossip !== undefined) for (const { address } of conflicts.defended.values()) reportAnnounced(state, address);
}

/** Other nodes report that their view is old, or no longer. One of those that see what changes records an event of it. */
export function noteOldViews(state: SpeakerState, effects: SpeakerEffect[]): void {
  const { node, members, apiView } = state;
  const { active, gossip } = members;
  if (gossip === undefined) return;
  const recorder = active.find((other) => gossip.isParticipating(other) && !gossip.isViewOld(other));
  for (const other of active) {
    if (other === node || gossip.isViewOld(other) === apiView.oldElsewhere.has(other)) continue;
    if (apiView.oldElsewhere.delete(other)) continue;
    apiView.oldElsewhere.add(other);
    if (recorder !== node) continue;
    const message = `the speaker on node "${other}" has not reached the API for ${totalMs / 1000} s: others announce new Services, and take over its Services with externalTrafficPolicy Local; look for network policies, and at the network between it and the API`;
    effects.push({ type: "recordNodeEvent", node: other, kind: "Warning", reason: "apiViewOld", message });
  }
}

/** Whether others see what changes in the API and this node does not. */
export function isOutdated({
  node,
  members: { gossip, active },
  apiView,
}: Pick<SpeakerState, "node" | "members" | "apiView">): boolean {
  return apiView.isOld && active.some((other) => other !== node && gossip?.isParticipating(other) && !gossip.isViewOld(other));
}

/** How old the view is in seconds; 0 while changes are seen. */
export function viewAgeSeconds({ apiView }: Pick<SpeakerState, "apiView">, now: Millis): number {
  return apiView.lostSince === Infinity ? 0 : Math.max(0, Math.floor((now - apiView.lostSince) / 1000));
}

function viewIsOld(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  state.apiView.isOld = true;
  state.members.gossip?.setViewOld(true);
  const fields = { event: "apiViewOld", seconds: viewAgeSeconds(state, now) };
  const message =
    "view of the API is old: speakers that reach it announce new Services, and take over those with externalTrafficPolicy Local";
  effects.push({ type: "log", level: "warn", message, fields });
}

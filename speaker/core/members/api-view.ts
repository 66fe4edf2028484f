import type { Millis } from "#pkg/clock";
import type { View } from "#pkg/gossip";
import { isByBgp } from "#pkg/placement";
import type { SpeakerEffect } from "../effects.ts";
import { allPlacements, touch } from "../placement/placements.ts";
import { addressesToTell, reportAnnounced } from "../protocols/announcers.ts";
import type { SpeakerState } from "../state.ts";

// Until then others leave a new Service to this node. Longer than it takes to connect again.
const behindAfterMs: Millis = 2_000;
// Longer than a restart of the API server, and than all of them in turn behind one address: until then it keeps its `Local` Services.
const oldAfterMs: Millis = 60_000;
// A speaker that starts leaves what it announced to others while it does not see changes, and has it back moments later. Until it begins, others leave
// addresses to it, which nobody announces: they may have no owner for 8 s.
const beginAfterMs: Millis = 7_000;
// For the others to announce what this node does not have any more.
const reportAfterwardsMs: Millis = 10_000;

/** Changes in the API are not seen since `since`; Infinity: they are seen again. */
export function apiLost(state: SpeakerState, since: Millis, now: Millis, effects: SpeakerEffect[]): void {
  const { apiView } = state;
  apiView.lostSince = since;
  if (since === Infinity) {
    apiView.dueAt = apiView.isReporting ? now + reportAfterwardsMs : Infinity;
    setView(state, "current", now, effects);
  } else apiView.dueAt = nextLookAt(state, now);
}

function nextLookAt(state: SpeakerState, now: Millis): Millis {
  const { lostSince, view } = state.apiView;
  if (view === "current") return lostSince + behindAfterMs;
  return lostSince + (!state.hasBegun && awaitsApi(state, now) ? beginAfterMs : oldAfterMs);
}

/** Whether the first decision waits until this node sees changes in the API. */
export function awaitsApi({ apiView: { lostSince } }: SpeakerState, now: Millis): boolean {
  return lostSince !== Infinity && now < lostSince + beginAfterMs;
}

/** @returns whether this node's view of the API may be another one */
export function apiViewTimer(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): boolean {
  const { apiView } = state;
  if (now < apiView.dueAt) return false;
  const isLost = apiView.lostSince !== Infinity;
  const isOld = isLost && now >= apiView.lostSince + oldAfterMs;
  if (apiView.isReporting !== isLost) {
    apiView.isReporting = isLost;
    reportAll(state);
  }
  if (isLost) setView(state, isOld ? "old" : "behind", now, effects);
  apiView.dueAt = isLost && !isOld ? nextLookAt(state, now) : Infinity;
  return true;
}

/** Other nodes report that their view is old, or no longer. One of those that see what changes records an event of it. */
export function noteOldViews(state: SpeakerState, effects: SpeakerEffect[]): void {
  const { node, members, apiView } = state;
  const { active, gossip } = members;
  if (gossip === undefined) return;
  if (gossip.reportsAny && active.every((other) => gossip.view(other) === "current")) reportAll(state); // Kept reports are over.
  const seesApi = active.filter((other) => gossip.isParticipating(other) && gossip.view(other) === "current");
  for (const other of active) {
    if (other === node || (gossip.view(other) === "old") === apiView.oldElsewhere.has(other)) continue;
    const isBack = apiView.oldElsewhere.delete(other);
    if (!isBack) apiView.oldElsewhere.add(other);
    if (seesApi.find((one) => one !== other) !== node) continue;
    const speaker = `the speaker on node "${other}"`;
    const message = `${speaker} has not reached the API for ${oldAfterMs / 1000} s: others announce new Services, and take over its Services with externalTrafficPolicy Local; look for network policies, and at the network between it and the API`;
    const event = isBack
      ? ({ kind: "Normal", reason: "nodeFaultEnded", message: `${speaker} reaches the API again` } as const)
      : ({ kind: "Warning", reason: "apiViewOld", message } as const);
    effects.push({ type: "recordNodeEvent", node: other, ...event });
  }
}

/** Whether others see what changes in the API and this node does not. */
export function isOutdated({
  node,
  members: { gossip, active },
  apiView,
}: Pick<SpeakerState, "node" | "members" | "apiView">): boolean {
  if (apiView.view !== "old" || gossip === undefined) return false;
  return active.some((other) => other !== node && gossip.isParticipating(other) && gossip.view(other) === "current");
}

/** How old the view is in seconds; 0 while changes are seen. */
export function viewAgeSeconds({ apiView }: Pick<SpeakerState, "apiView">, now: Millis): number {
  return apiView.lostSince === Infinity ? 0 : Math.max(0, Math.floor((now - apiView.lostSince) / 1000));
}

function setView(state: SpeakerState, view: View, now: Millis, effects: SpeakerEffect[]): void {
  const { apiView, members } = state;
  const before = apiView.view;
  if (view === before) return;
  apiView.view = view;
  members.gossip?.setView(view);
  if (view === "current") touch(state, addressesToTell(state));
  if (before === "old") {
    const fields = { event: "apiViewCurrent" };
    effects.push({ type: "log", level: "info", message: "view of the API is current again", fields });
  }
  if (view !== "old") return;
  const fields = { event: "apiViewOld", seconds: viewAgeSeconds(state, now) };
  const message =
    "view of the API is old: speakers that reach it announce new Services, and take over those with externalTrafficPolicy Local";
  effects.push({ type: "log", level: "warn", message, fields });
}

/** Others are to know all that this node announces where its view matters, or no longer. */
function reportAll(state: SpeakerState): void {
  if (state.members.gossip === undefined) return;
  for (const { address } of state.conflicts.defended.values()) reportAnnounced(state, address, false);
  for (const placement of allPlacements(state))
    if (isByBgp(placement) && placement.isLocalHere) reportAnnounced(state, placement.address, false);
}

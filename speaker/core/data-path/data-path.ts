import type { Millis } from "#pkg/clock";
import type { SpeakerEffect } from "../effects.ts";
import type { SpeakerEvent } from "../events.ts";
import { undeliveringFor } from "../members/nodes.ts";
import type { SpeakerState } from "../state.ts";
import { connectionTried, nobodyAnswers } from "./connection-tests.ts";
import { type DataPath, minHoldMs, type PathFault } from "./data-path-state.ts";

// Whether this node's kernel brings packets to the Pods of Services. A node that cannot deliver says so on the ring, and the others choose owners
// among nodes that can. It counts as able again after some time of health, which doubles where it fails again soon: an address that moves breaks
// connections.

// The driver looks once a second: by then it has looked twice. A rollout of kube-proxy leaves rules in place, and takes less than a minute.
const confirmMs: Readonly<Record<PathFault, Millis>> = {
  forwardingOff: 1_200,
  conntrackFull: 1_200,
  noPodRoute: 1_200,
  proxySilent: 60_000,
  noConnection: 0,
};
const maxHoldMs: Millis = 600_000;
// While Services answer, the rules that kube-proxy left do.
const answeredMs: Millis = 10_000;

type DataPathEvent = Extract<SpeakerEvent, { readonly type: "dataPath" | "connected" | "timer" }>;

/** Signs were looked for, a connection was tried, or a deadline is over. @returns whether the node counts as able, or as unable, since then */
export function dataPathEvent(state: SpeakerState, event: DataPathEvent, now: Millis, effects: SpeakerEffect[]): boolean {
  const { since, tests, broken } = state.dataPath;
  if (event.type === "connected") connectionTried(tests, event, now);
  const signs = event.type === "dataPath" ? believed(state.dataPath, event.faults) : [...since.keys()];
  const others = signs.filter((fault) => fault !== "noConnection");
  judge(state, nobodyAnswers(state) ? [...others, "noConnection"] : others, now, effects);
  return broken.length > 0 !== state.dataPath.broken.length > 0;
}

/** A sign counts once the node was seen without it. */
function believed(dataPath: DataPath, faults: readonly PathFault[]): readonly PathFault[] {
  for (const fault of dataPath.ignored) if (!faults.includes(fault)) dataPath.ignored.delete(fault);
  if (!dataPath.isSeen) for (const fault of faults) dataPath.ignored.add(fault);
  dataPath.isSeen = true;
  return faults.filter((fault) => !dataPath.ignored.has(fault));
}

function judge(state: SpeakerState, faults: readonly PathFault[], now: Millis, effects: SpeakerEffect[]): void {
  const { dataPath } = state;
  const { since } = dataPath;
  for (const fault of since.keys()) if (!faults.includes(fault)) since.delete(fault);
  for (const fault of faults) if (!since.has(fault)) since.set(fault, now);
  const confirmed = [...since.keys()].filter((fault) => now >= confirmedAt(dataPath, fault));
  if (since.size > 0) dataPath.healthySince = Infinity;
  else if (dataPath.healthySince === Infinity) dataPath.healthySince = now;
  if (confirmed.length > 0) {
    if (dataPath.broken.length === 0) becomesBroken(state, confirmed, now, effects);
    dataPath.broken = confirmed;
  } else if (dataPath.broken.length > 0 && now >= dataPath.healthySince + dataPath.holdMs) becomesAble(state, now, effects);
  const pending = [...since.keys()].filter((fault) => !confirmed.includes(fault)).map((fault) => confirmedAt(dataPath, fault));
  const ableAt = dataPath.broken.length > 0 ? dataPath.healthySince + dataPath.holdMs : Infinity;
  dataPath.dueAt = Math.min(ableAt, ...pending);
}

function confirmedAt({ since, tests }: DataPath, fault: PathFault): Millis {
  const at = (since.get(fault) ?? Infinity) + confirmMs[fault];
  return fault === "proxySilent" ? Math.max(at, tests.answeredAt + answeredMs) : at;
}

function becomesBroken(state: SpeakerState, faults: readonly PathFault[], now: Millis, effects: SpeakerEffect[]): void {
  const { dataPath } = state;
  const isSoon = now - dataPath.returnedAt < maxHoldMs;
  dataPath.holdMs = isSoon ? Math.min(2 * dataPath.holdMs, maxHoldMs) : minHoldMs;
  dataPath.brokenSince = now;
  const message = "this node cannot deliver to Pods: nodes that can are to take over its addresses";
  effects.push({ type: "log", level: "warn", message, fields: { event: "cannotDeliver", faults } });
  state.members.gossip?.setDataPathBroken(true);
}

function becomesAble(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { dataPath } = state;
  const seconds = Math.round((now - dataPath.brokenSince) / 1_000);
  dataPath.broken = [];
  dataPath.brokenSince = Infinity;
  dataPath.returnedAt = now;
  const message = "this node delivers to Pods again";
  effects.push({ type: "log", level: "info", message, fields: { event: "delivers", seconds } });
  state.members.gossip?.setDataPathBroken(false);
}

/** Whether others take over from this node because it cannot deliver. */
export function isUndelivering(state: Pick<SpeakerState, "node" | "members" | "config">): boolean {
  return (state.config?.config.pools ?? []).some((pool) => undeliveringFor(state, pool).includes(state.node));
}

/** Whether no node of the ring can deliver, so that all count as able. */
export function nobodyDelivers({ members: { active, gossip } }: Pick<SpeakerState, "members">): boolean {
  const unable = gossip?.undelivering(active) ?? [];
  return unable.length > 0 && unable.length === active.length;
}

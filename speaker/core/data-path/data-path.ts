import type { Millis } from "#pkg/clock";
import { isIn } from "#pkg/collections";
import type { Config } from "#pkg/config";
import { answeredBits, healthPortBit, type PathSign, pathSigns, seenWithoutBits } from "#pkg/gossip";
import { type Family, families } from "#pkg/net";
import type { AddressPlacement } from "#pkg/placement";
import type { SpeakerEffect } from "../effects.ts";
import type { SpeakerEvent } from "../events.ts";
import { undeliveringFor } from "../members/nodes.ts";
import { poolAt, type SpeakerState } from "../state.ts";
import { areOthersWithout, connectionTried, nobodyAnswers } from "./connection-tests.ts";
import { type DataPath, maxHoldMs, minHoldMs, type PathFault } from "./data-path-state.ts";
import { firstTimer, firstTried, nextFirstAt } from "./first-connections.ts";

// Whether this node's kernel brings packets to the Pods of Services, for each family by itself. A node that cannot deliver says so on the ring, and
// the others choose owners among nodes that can. It counts as able again after some time of health, which doubles where it fails again soon: an
// address that moves breaks connections. Where no node delivers instead, it does so after a thirtieth of that.

// The driver looks once a second: by then it has looked twice. A rollout of kube-proxy leaves rules in place, and takes less than a minute.
const confirmMs: Readonly<Record<PathFault, Millis>> = {
  forwardingOff: 1_200,
  conntrackFull: 1_200,
  noPodRoute: 1_200,
  ipv6Off: 1_200,
  proxySilent: 60_000,
  noConnection: 0,
};
// By then no other node may deliver any more.
const lookAgainMs: Millis = 1_000;
// Each Service of the sample is tried more often than that.
const answeredLatelyMs: Millis = 40_000;
// While Services answer, the rules that kube-proxy left do.
const answeredMs: Millis = 10_000;

export type DataPathEvent = Extract<SpeakerEvent, { readonly type: "dataPath" | "connected" | "triedFirst" | "timer" }>;

/**
 * Signs were looked for, a connection was tried, a deadline is over, or other nodes are there than before: undefined. @returns whether the node counts
 * as able, or as unable, since then
 */
export function dataPathEvent(
  state: SpeakerState,
  event: DataPathEvent | undefined,
  now: Millis,
  effects: SpeakerEffect[],
): boolean {
  const before = brokenFamilies(state);
  if (event?.type === "connected") connectionTried(state, event, now);
  if (event?.type === "triedFirst") firstTried(state, event, now);
  firstTimer(state.dataPath, now);
  if (event?.type === "dataPath") Object.assign(state.dataPath, { hasPods: event.hasPods, nics: event.nics ?? {} });
  for (const family of families) {
    const dataPath = state.dataPath[family];
    if (event?.type === "dataPath") noteSigns(dataPath, event.faults[family]);
    const signs = dataPath.signs.filter((fault) => counts(state, family, fault));
    judge(dataPath, nobodyAnswers(state, family) ? [...signs, "noConnection"] : signs, () => isNeeded(state, family), now);
  }
  reportSeenWithout(state, now);
  const after = brokenFamilies(state);
  const broken = after.filter((family) => !before.includes(family));
  const able = before.filter((family) => !after.includes(family));
  if (broken.length > 0) {
    const message = "this node cannot deliver to Pods: nodes that can are to take over its addresses";
    const faults = [...new Set(broken.flatMap((family) => state.dataPath[family].broken))];
    effects.push({ type: "log", level: "warn", message, fields: { event: "cannotDeliver", families: broken, faults } });
  }
  if (able.length > 0) {
    const seconds = Math.max(...able.map((family) => Math.round((now - state.dataPath[family].brokenSince) / 1_000)));
    const fields = { event: "delivers", families: able, seconds };
    effects.push({ type: "log", level: "info", message: "this node delivers to Pods again", fields });
  }
  const isChanged = broken.length > 0 || able.length > 0;
  if (isChanged) state.members.gossip?.setUndelivered(after);
  return isChanged;
}

/** Of which this node brings no packets to Pods. */
export function brokenFamilies({ dataPath }: Pick<SpeakerState, "dataPath">): readonly Family[] {
  return families.filter((family) => dataPath[family].broken.length > 0);
}

/** When the next of all this is decided. */
export function nextDataPathAt({ dataPath }: Pick<SpeakerState, "dataPath">): Millis {
  return Math.min(dataPath.IPv4.dueAt, dataPath.IPv6.dueAt, nextFirstAt(dataPath));
}

function noteSigns(dataPath: DataPath, faults: readonly PathFault[]): void {
  for (const fault of dataPath.original) if (!faults.includes(fault)) dataPath.original.delete(fault);
  if (!dataPath.isSeen) for (const fault of faults) dataPath.original.add(fault);
  dataPath.isSeen = true;
  dataPath.signs = faults;
}

/** Other nodes that begin judge themselves by what this one was once without. */
export function reportSeenWithout({ members, dataPath, healthPorts }: SpeakerState, now: Millis): void {
  const signs = seenWithoutBits({ IPv4: seenWithout(dataPath.IPv4), IPv6: seenWithout(dataPath.IPv6) });
  const answered = families.map((family) => (isAnswered(dataPath[family], now) ? answeredBits[family] : 0));
  members.gossip?.setSeenWithout(answered.reduce((bits, bit) => bits | bit, signs | (healthPorts.isSeen ? healthPortBit : 0)));
}

function isAnswered({ tests }: DataPath, now: Millis): boolean {
  return tests.sample.values().some(({ answeredAt }) => answeredAt > now - answeredLatelyMs);
}

function seenWithout({ isSeen, original, tests }: DataPath): readonly PathSign[] {
  const isOriginal = (sign: PathSign) => (sign === "noConnection" ? tests.answeredAt === -Infinity : original.has(sign));
  return isSeen ? pathSigns.filter((sign) => !isOriginal(sign)) : [];
}

/** A bridge for Pods is made for the first one, and may have no carrier after the last one. */
function counts(state: SpeakerState, family: Family, fault: PathFault): boolean {
  if (fault === "noPodRoute" && !state.dataPath.hasPods) return false;
  return !state.dataPath[family].original.has(fault) || isOdd(state, family, fault);
}

/** Whether a sign that this node has had since its speaker started is a fault, because nodes here work without it. */
function isOdd(state: SpeakerState, family: Family, fault: PathFault): boolean {
  if (fault === "conntrackFull" || fault === "ipv6Off") return true;
  // A family without addresses of Services is nobody's concern.
  const isAsked = state.config?.config.pools.some(({ ranges }) => ranges.some((range) => range.family === family));
  return isAsked === true && areOthersWithout(state, family, fault);
}

/** Whether it depends on the other nodes if this node counts as able. */
export function dependsOnOthers({ dataPath }: Pick<SpeakerState, "dataPath">): boolean {
  return families.some((family) => dataPath[family].original.size > 0 || dataPath[family].tests.silentAtFirst.length > 0);
}

/** Whether no node delivers in this one's stead what comes for some address of the family. */
function isNeeded(state: SpeakerState, family: Family): boolean {
  if (nobodyDelivers(state, family)) return true;
  const ofFamily = ([placement]: readonly AddressPlacement[]) => placement?.address.family === family;
  return state.placements.values().some((each) => ofFamily(each) && isLastResort(state, each));
}

/** Whether the address comes to this node even while it cannot deliver, because no other node delivers it. */
export function isLastResort(state: SpeakerState, placements: readonly AddressPlacement[]): boolean {
  return placements.some(({ isOwned, candidates, verdicts, address }) => {
    if (poolAt(state, address)?.announceWhen !== "delivering") return false;
    if (isOwned) return isIn(candidates, state.node);
    // While routes are marked before they go, others may deliver.
    const isMarking = state.bgp.undelivering.get(address.family)?.isGone === false;
    return !isMarking && verdicts.values().some(({ announced }) => announced);
  });
}

/** Whether a node has been well for long enough, which is shorter where no other node does its work. */
export function isWellFor(holdMs: Millis, wellMs: Millis, isNeeded: () => boolean): boolean {
  return wellMs >= holdMs || (wellMs >= holdMs / 30 && isNeeded());
}

function judge(dataPath: DataPath, faults: readonly PathFault[], isNeeded: () => boolean, now: Millis): void {
  const { since } = dataPath;
  for (const fault of since.keys()) if (!faults.includes(fault)) since.delete(fault);
  for (const fault of faults) if (!since.has(fault)) since.set(fault, now);
  const confirmed = [...since.keys()].filter((fault) => now >= confirmedAt(dataPath, fault));
  if (since.size > 0) dataPath.healthySince = Infinity;
  else if (dataPath.healthySince === Infinity) dataPath.healthySince = now;
  if (confirmed.length > 0) {
    if (dataPath.broken.length === 0) becomesBroken(dataPath, now);
    dataPath.broken = confirmed;
  } else if (dataPath.broken.length > 0 && isWellFor(dataPath.holdMs, now - dataPath.healthySince, isNeeded)) {
    dataPath.broken = [];
    dataPath.returnedAt = now;
  }
  const pending = [...since.keys()].filter((fault) => !confirmed.includes(fault)).map((fault) => confirmedAt(dataPath, fault));
  const isHeld = dataPath.broken.length > 0 && since.size === 0;
  const ableAt = isHeld ? Math.min(dataPath.healthySince + dataPath.holdMs, now + lookAgainMs) : Infinity;
  dataPath.dueAt = Math.min(ableAt, ...pending);
}

function confirmedAt({ since, tests, original }: DataPath, fault: PathFault): Millis {
  // A node that starts with a fault does not begin with what it would leave again.
  const isAtOnce = fault !== "proxySilent" && original.has(fault);
  const at = (since.get(fault) ?? Infinity) + (isAtOnce ? 0 : confirmMs[fault]);
  return fault === "proxySilent" ? Math.max(at, tests.answeredAt + answeredMs) : at;
}

function becomesBroken(dataPath: DataPath, now: Millis): void {
  const isSoon = now - dataPath.returnedAt < maxHoldMs;
  dataPath.holdMs = isSoon ? Math.min(2 * dataPath.holdMs, maxHoldMs) : minHoldMs;
  dataPath.brokenSince = now;
}

/** Whether others take over from this node, in any of these pools, because it cannot deliver packets of the family. */
export function isUndelivering(
  state: Pick<SpeakerState, "node" | "members" | "config">,
  family: Family,
  pools: Config["pools"] = state.config?.config.pools ?? [],
): boolean {
  return pools.some((pool) => undeliveringFor(state, pool, family).includes(state.node));
}

/** Whether no node of the ring can deliver packets of the family, so that all count as able. */
export function nobodyDelivers({ members: { active, gossip } }: Pick<SpeakerState, "members">, family: Family): boolean {
  const unable = gossip?.undelivering(active, family) ?? [];
  return unable.length > 0 && unable.length === active.length;
}

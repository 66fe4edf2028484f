import type { AnnouncedLine } from "#pkg/announced";
import type { Millis } from "#pkg/clock";
import type { CauseOf } from "#pkg/verdict";
import type { SpeakerEffect } from "../effects.ts";
import type { SpeakerEvent } from "../events.ts";
import { longestCutMs } from "../members/members.ts";
import type { SpeakerState } from "../state.ts";
import { mayBeOutOfSight, outcomeOf } from "./outcome.ts";

// Longer than a rollout, a failover or the restart of a Pod leaves a Service without an announcement.
const failingMs: Millis = 30_000;
// Changes within this time are written together.
const gatherMs: Millis = 2_000;
const betweenWritesMs: Millis = 5_000;
const maxAtOnce = 100;
// Some 10 ms: it names the owner of each address, whose election hashes the name of each node.
const maxHashesAtOnce = 20_000;
const aliveEveryMs: Millis = 120_000;
const betweenBeginsMs: Millis = 60_000;
const joinedMs: Millis = 10_000;
// Another speaker that took itself for the first has written its lines by then.
const confirmMs: Millis = 20_000;
// Longer than it takes to hear of a rival by its sign of life, and then to write all lines again.
const rivalMs: Millis = 240_000;
// By then another reporter has sent its second sign of life, even one that has just begun.
const meetRivalMs: Millis = confirmMs + aliveEveryMs + 2 * betweenWritesMs;
// Events after which the same speaker is the first, and of which there are many.
export const inPassing: ReadonlySet<SpeakerEvent["type"]> = new Set([
  "service",
  "slice",
  "sighting",
  "continue",
  "wireTested",
  "kernel",
]);

/** Another node, out of sight of this one, may announce what this node says so of. */
const asSeen: ReadonlySet<string> = new Set<CauseOf<"service">>([
  "noReadyEndpointOnActiveNode",
  "noReadyEndpointOnOwner",
  "noActiveSpeaker",
  "noNodeSelected",
  "nodeExcluded",
  "noInterface",
  "noKernelAccess",
  "notInSubnet",
  "noSession",
  "routeNotCarried",
  "noPeer",
]);
const unfailing: ReadonlySet<string> = new Set<CauseOf<"service">>(["announced", "announcedWithFault", "protocolNone"]);

/**
 * The first speaker by name that sees the API tells the controller which Services are announced. It knows the owner of each address as the others
 * do, and by gossip whether their BGP sessions carry routes. For a moment two speakers may do this: the same line twice is harmless.
 */
export function chooseReporter(state: SpeakerState, after: SpeakerEvent["type"], now: Millis): void {
  if (inPassing.has(after)) return;
  const { node, members, apiView, reporter, isStarted } = state;
  const { gossip, active, central } = members;
  const seesApi = (other: string) => gossip?.isParticipating(other) && gossip.view(other) === "current";
  const first = () => (gossip === undefined ? (active[0] ?? central[0]) : (active.find(seesApi) ?? central.find(seesApi)));
  // While a speaker starts, few of thousands of members are known to participate, and it looks at all for each Service.
  const isHere = isStarted && apiView.view === "current" && first() === node;
  if (isHere !== reporter.isHere) begin(state, isHere, now);
  else if (after === "linesReplaced") linesReplaced(state, now);
  else if (members.lost.size < reporter.lostBehind) reporter.rivalUntil = Math.min(reporter.rivalUntil, now);
  // One that is active again may have written lines: the answer to the next write tells this node.
  else if (isHere && after === "members") reporter.aliveAt = Math.min(reporter.aliveAt, now + joinedMs);
}

/**
 * Two nodes that did not see one another may both have written lines, each of which then takes its own for those that stand. It writes all lines again once a minute at most: two speakers that do not see one another would overwrite each other all the time.
 */
function linesReplaced(state: SpeakerState, now: Millis): void {
  const { reporter, members } = state;
  if (!reporter.isHere || reporter.isNew) return;
  reporter.anewAt = Math.max(now, reporter.begunAt + betweenBeginsMs);
  if (members.lost.size === 0) return;
  // Members that failed may live behind a cut of the ring. Lines that wait to be written may be false.
  if (reporter.rivalUntil === Infinity) lookAtAll(state);
  reporter.rivalUntil = now + rivalMs;
  reporter.lostBehind = members.lost.size;
}

function begin(state: SpeakerState, isHere: boolean, now: Millis): void {
  const { reporter } = state;
  if (!isHere || !reporter.isHere) reporter.failing.clear();
  reporter.isHere = isHere;
  reporter.begunAt = now;
  for (const known of [reporter.agenda, reporter.written, reporter.changed]) known.clear();
  reporter.isNew = isHere;
  reporter.dueAt = Infinity;
  reporter.anewAt = Infinity;
  if (!isHere) reporter.rivalUntil = Infinity;
  else if (reporter.rivalUntil === Infinity && hasLongLost(state, now)) {
    reporter.rivalUntil = now + meetRivalMs;
    reporter.lostBehind = state.members.lost.size;
  }
  reporter.aliveAt = isHere ? now + aliveEveryMs : Infinity;
  lookAtAll(state);
}

/**
 * One that lost this node at the same moment has looked for another reporter then. One that lost it before tells, and does not look again. One that
 * went a day ago does not tell.
 */
function hasLongLost({ members: { lost, missing } }: SpeakerState, now: Millis): boolean {
  const sinces = lost.values().map((node) => missing.get(node)?.since ?? now);
  return sinces.some((since) => now > since + joinedMs && now < since + longestCutMs);
}

/** These Services may be announced otherwise than before. */
export function lookAt({ reporter }: SpeakerState, keys: Iterable<string>): void {
  if (!reporter.isHere) return;
  for (const key of keys) reporter.agenda.add(key);
}

/** Something changed that concerns many Services. */
export function lookAtAll(state: SpeakerState): void {
  lookAt(state, state.services.rows.keys());
}

/** Looks at some of them: in a large ring at fewer than this node reports on of what it announces itself. */
export function lookAtSome(state: SpeakerState, now: Millis): void {
  const { reporter, members } = state;
  const most = Math.min(maxAtOnce, Math.ceil(maxHashesAtOnce / Math.max(1, members.active.length)));
  for (const key of reporter.agenda.values().take(most)) look(state, key, now);
}

function look(state: SpeakerState, key: string, now: Millis): void {
  const { reporter } = state;
  reporter.agenda.delete(key);
  const { written, changed, failing } = reporter;
  const found = outcomeOf(state, key);
  // Where it was not announced, and nobody tells any more whether it is, nothing is said.
  if (found === "unknown" && !failing.has(key)) return;
  const outcome = found === "unknown" ? undefined : found;
  const isFailing = outcome !== undefined && !unfailing.has(outcome.line.cause);
  const hasRival = reporter.rivalUntil < Infinity;
  if (isFailing && hasRival && asSeen.has(outcome.line.cause) && mayBeOutOfSight(state, key)) {
    for (const known of [changed, failing]) known.delete(key);
    return;
  }
  if (!isFailing) failing.delete(key);
  else if (!failing.has(key)) failing.set(key, now);
  const gist = outcome?.gist ?? "";
  if (gist === (written.get(key) ?? "")) changed.delete(key);
  else if (gist !== changed.get(key)?.gist) {
    const dueAt = Math.max(isFailing ? (failing.get(key) ?? now) + failingMs : now, now + gatherMs);
    changed.set(key, { line: outcome?.line ?? null, gist, dueAt });
    reporter.dueAt = Math.min(reporter.dueAt, dueAt);
  }
}

/** When lines are written next. */
export function nextReportAt({ reporter: { dueAt, aliveAt, anewAt, rivalUntil, notBefore } }: SpeakerState): Millis {
  return Math.max(Math.min(dueAt, aliveAt, anewAt, rivalUntil), notBefore);
}

export function reporterTimer(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { reporter } = state;
  const { written, changed } = reporter;
  if (now < nextReportAt(state)) return;
  if (now >= reporter.rivalUntil) {
    reporter.rivalUntil = Infinity;
    reporter.lostBehind = 0;
    lookAtAll(state);
  }
  if (now >= reporter.anewAt) begin(state, true, now);
  const lines = new Map<string, AnnouncedLine | null>();
  reporter.dueAt = Infinity;
  // All other lines go with the first ones.
  const until = reporter.isNew ? now + gatherMs : now;
  for (const [key, { line, gist, dueAt }] of changed) {
    if (dueAt > until) {
      reporter.dueAt = Math.min(reporter.dueAt, dueAt);
      continue;
    }
    lines.set(key, line);
    changed.delete(key);
    if (line === null) written.delete(key);
    else written.set(key, gist);
  }
  if (lines.size === 0 && now < reporter.aliveAt) return;
  if (reporter.isNew) reporter.aliveAt = now + confirmMs;
  else if (lines.size === 0) reporter.aliveAt = now + aliveEveryMs;
  reporter.notBefore = now + betweenWritesMs;
  effects.push({ type: "writeAnnounced", lines, isNew: reporter.isNew, reporter: state.node });
  reporter.isNew = false;
}

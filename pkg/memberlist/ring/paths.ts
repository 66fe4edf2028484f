import type { Millis } from "#pkg/clock";
import { isCentral } from "#pkg/gossip";
import type { Suspect } from "../codec/messages.ts";
import type { NodeRecord } from "./node-record.ts";
import type { Ring } from "./ring.ts";

/**
 * Members by place on either side to which a node keeps paths: in rings of up to 7 these are all, and in larger ones each node still has six
 * that watch it, each of which has two or more of the others beside it.
 */
const watchedEachSide = 3;
/** After a death no paths are chosen: sessions that begin would take time from those who take addresses over, on all nodes at once. */
const restAfterDeath: Millis = 500;
const minBackOff: Millis = 60_000;
const maxBackOff: Millis = 3_600_000;
/** A node that lives outbids what was said of it by one. A later life of it begins far above. */
const maxOutbid = 8;
/** After which the ring alone would have declared it dead, too. */
const ringNeeds: Millis = 350;

/** Chooses the paths to keep, and says where these are others; to be called when anything about members or the timing has changed. */
export function choosePaths(ring: Ring, now: Millis): void {
  const { paths, timing } = ring;
  const areKept = paths.areKept && timing.heartbeats;
  if (areKept && now < paths.restUntil) {
    paths.chooseAt = paths.restUntil;
    return;
  }
  const wanted = areKept ? watchedBy(ring, ring.self) : [];
  const trusted = wanted.filter(({ node }) => (paths.distrusted.get(node)?.until ?? Infinity) === Infinity);
  const names = new Set(trusted.map(({ node }) => node));
  const isSame = names.size === paths.watched.size && names.values().every((node) => paths.watched.has(node));
  if (isSame) return;
  for (const node of paths.watched.keys()) if (!names.has(node)) paths.watched.delete(node);
  for (const node of names)
    if (!paths.watched.has(node))
      paths.watched.set(node, {
        verdict: "unknown",
        judgeAt: Infinity,
        hasHadTime: false,
        accusedAt: -Infinity,
        accusers: new Map(),
      });
  ring.effects.push({ type: "watchPaths", members: trusted.map(({ node, endpoint }) => ({ node, endpoint })) });
}

/** Members to which a node keeps paths; the same both ways. Central speakers keep none: BFD at their addresses is of the speakers of their nodes. */
export function watchedBy({ places }: Ring, whose: NodeRecord): readonly NodeRecord[] {
  return places.beside(whose, watchedEachSide, ({ node }) => !isCentral(node));
}

/** Members whose path to the node is down, too, if it failed: those that keep one, and whom this node hears by its own. */
export function witnessesOf(ring: Ring, about: NodeRecord): readonly NodeRecord[] {
  const { watched } = ring.paths;
  return watchedBy(ring, about).filter((record) => record !== ring.self && watched.get(record.node)?.verdict === "up");
}

/** This node's place among the members that keep a path to another; the last where others are to keep one since its own was chosen. */
export function rankOf(ring: Ring, about: NodeRecord): number {
  const watchers = watchedBy(ring, about);
  const at = watchers.indexOf(ring.self);
  return at === -1 ? watchers.length : at;
}

/** A member accuses another. */
export function noteAccuser({ paths }: Ring, { node, from, incarnation }: Suspect, now: Millis): void {
  const path = paths.watched.get(node);
  if (path === undefined) return;
  path.accusers.set(from, incarnation);
  if (path.judgeAt !== Infinity && path.hasHadTime) path.judgeAt = now;
}

/** When a path is judged, or others are chosen. */
export function pathsDueAt({ paths: { watched, trustAt, chooseAt } }: Ring): Millis {
  let next = Math.min(trustAt, chooseAt);
  for (const { judgeAt } of watched.values()) next = Math.min(next, judgeAt);
  return next;
}

/** Has paths chosen that had to wait: for the time after a death, or because they were distrusted. */
export function choosePathsInTime(ring: Ring, now: Millis): void {
  const { paths } = ring;
  if (now >= paths.chooseAt) {
    paths.chooseAt = Infinity;
    ring.timingStale = true;
  }
  if (now < paths.trustAt) return;
  paths.trustAt = Infinity;
  for (const [node, distrust] of [...paths.distrusted]) {
    if (now < distrust.until) paths.trustAt = Math.min(paths.trustAt, distrust.until);
    else paths.distrusted.set(node, { ...distrust, until: Infinity, endedAt: now });
  }
  ring.timingStale = true;
}

/** Whether a member is dead by somebody's paths: sooner after its suspicion than the ring alone says so. */
export function isFoundByPaths({ paths, timing }: Ring, suspectedFor: Millis | undefined): boolean {
  return paths.watched.size > 0 && (suspectedFor ?? 0) < timing.suspicionFloor;
}

/** A member is dead to this node, perhaps by paths. */
export function noteDeath({ paths }: Ring, { node, incarnation }: NodeRecord, isByPaths: boolean, now: Millis): void {
  if (now >= paths.restUntil) paths.restUntil = now + restAfterDeath; // Further deaths put it off no longer.
  if (isByPaths && paths.watched.get(node)?.verdict === "down") paths.ended.set(node, { incarnation, at: now });
}

/**
 * A node that was dead is alive. Where it has been heard so soon that the ring alone would not have missed it, the path to it failed for
 * another reason, and may do so again.
 */
export function noteReturn(ring: Ring, { node, incarnation }: NodeRecord, now: Millis): void {
  const { paths } = ring;
  const { ended, distrusted } = paths;
  const end = ended.get(node);
  ended.delete(node);
  if (end === undefined || incarnation > end.incarnation + maxOutbid || now > end.at + ringNeeds) return;
  const before = distrusted.get(node);
  const isAgain = before !== undefined && now - before.endedAt < maxBackOff;
  const backOff = isAgain ? Math.min(maxBackOff, 2 * before.backOff) : minBackOff;
  distrusted.set(node, { until: now + backOff, endedAt: Infinity, backOff });
  paths.trustAt = Math.min(paths.trustAt, now + backOff);
  ring.counters.falsePathFailures++;
  ring.effects.push({ type: "pathDistrusted", node, backOff });
}

import type { Millis } from "#pkg/clock";
import { type Rival, type RivalState, type Rivals, rivalOf } from "./rivals.ts";

/** How an announcement begins: at once; at once with probes beside it; or after probes that nobody answered. */
export type Beginning = "announce" | "announceAndProbe" | "probeFirst";

export type DefenseEffect =
  /** Start announcing, or announce once more from the first frame. */
  | { readonly type: "announce" }
  /** Stop answering, but go on watching for frames about the address. */
  | { readonly type: "listen" }
  /** Send one gratuitous announcement. */
  | { readonly type: "defend" }
  | { readonly type: "probe"; readonly to?: string; readonly fromOwnAddress?: boolean }
  /** Have the speaker with this MAC address prove that it announces the address. */
  | { readonly type: "challenge"; readonly to: string }
  /** Ask the members over the ring whether they announce the address, or no longer. */
  | { readonly type: "ask" | "stopAsking" }
  | { readonly type: "conflictBegan" | "conflictEnded"; readonly rival: Rival }
  /** A foreign host answered before the first announcement. */
  | { readonly type: "occupied"; readonly rival: Rival }
  /** It still answers, and there is no entry of it. */
  | { readonly type: "stillOccupied"; readonly rival: Rival }
  /** A foreign host probes the address, and gets an answer. */
  | { readonly type: "wanted"; readonly rival: Rival };

// RFC 5227 waits 4 to 7 s in all (section 2.1.1), because a port of a switch may come up that late. A node's has long
// been up, and hosts answer within milliseconds: three probes make up for loss.
export const probes = 3;
/** RFC 5227, section 1.1: DEFEND_INTERVAL. */
export const defendEvery: Millis = 10_000;
// A burst of announcements lasts this long. Another within it would add nothing.
const announceEvery: Millis = 5_000;

/** `probing`: not announced yet; `yielded`: another speaker keeps the address; `occupied`: a foreign host does. */
export type DefenseStage = "probing" | "announced" | "yielded" | "occupied";

/** See `stepDefense`. Changed in place, as all that the speaker's state holds. */
export interface ConflictDefense {
  isAnnouncedFirst: boolean;
  readonly rivals: Rivals;
  stage: DefenseStage;
  /** The members are asked whether they announce the address. */
  isAsked: boolean;
  isQuarantined: boolean;
  /** The MAC address that keeps the address from being announced; kept while that is probed again. */
  occupiedBy: string | undefined;
  probesLeft: number;
  probeAt: Millis;
  announcedAt: Millis;
  defendedAt: Millis;
  defendAt: Millis;
}

/** The defense of an address that this node is to announce from now on. One that is quarantined is probed first. */
export function createDefense(beginning: Beginning, now: Millis, isQuarantined = false): ConflictDefense {
  const begin = isQuarantined ? "probeFirst" : beginning;
  return {
    isAnnouncedFirst: begin !== "probeFirst",
    rivals: new Map(),
    stage: "probing",
    isAsked: false,
    isQuarantined,
    occupiedBy: undefined,
    probesLeft: begin === "announce" ? 0 : probes,
    probeAt: now,
    announcedAt: -Infinity,
    defendedAt: -Infinity,
    defendAt: Infinity,
  };
}

/** When `timer` is next due; Infinity for never. */
export function nextDefenseAt({ probeAt, defendAt, rivals }: ConflictDefense): Millis {
  let at = Math.min(probeAt, defendAt);
  for (const { dueAt } of rivals.values()) at = Math.min(at, dueAt);
  return at;
}

/** Conflicts that began and did not end. */
export function conflictsOf({ rivals }: ConflictDefense): Rival[] {
  return [...rivals.values()].filter(({ reported }) => reported).map(rivalOf);
}

export function announce(defense: ConflictDefense, now: Millis): DefenseEffect[] {
  defense.stage = "announced";
  defense.announcedAt = now;
  defense.occupiedBy = undefined;
  return [{ type: "announce" }];
}

export function reannounce(defense: ConflictDefense, now: Millis): DefenseEffect[] {
  return defense.stage === "announced" && now >= defense.announcedAt + announceEvery ? announce(defense, now) : [];
}

/** Now, or as soon as the last defense was ten seconds ago. */
export function defendSoon(defense: ConflictDefense, now: Millis): DefenseEffect[] {
  if (now >= defense.defendedAt + defendEvery) return defend(defense, now);
  defense.defendAt = defense.defendedAt + defendEvery;
  return [];
}

export function defend(defense: ConflictDefense, now: Millis): DefenseEffect[] {
  defense.defendAt = Infinity;
  if (defense.stage !== "announced") return [];
  defense.defendedAt = now;
  return [{ type: "defend" }];
}

export function reportOnce(rival: RivalState): DefenseEffect[] {
  if (rival.reported) return [];
  rival.reported = true;
  return [{ type: "conflictBegan", rival: rivalOf(rival) }];
}

export function leave(defense: ConflictDefense, rival: RivalState): DefenseEffect[] {
  defense.rivals.delete(rival.sighting.mac);
  return rival.reported ? [{ type: "conflictEnded", rival: rivalOf(rival) }] : [];
}

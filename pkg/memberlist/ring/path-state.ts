import type { Millis } from "#pkg/clock";
import { RecentMap } from "#pkg/collections";
import type { NodeName } from "../codec/messages.ts";
import type { PathVerdict } from "./events.ts";

/**
 * Paths are the fastest way to find a failure: BFD (RFC 5880) between this node and the members next to it, kept outside of the ring. A path
 * that goes down proves nothing alone: it takes the word of the ring's members, sealed by its key, that theirs to that node are down, too. So
 * one lossy path, and who forges BFD, take nobody out of the ring.
 */
export interface Paths {
  /** Whether somebody keeps them. */
  areKept: boolean;
  /** The paths that were chosen last. */
  readonly watched: Map<NodeName, Path>;
  /** Members that failed while this node's path to them was down. */
  readonly ended: RecentMap<NodeName, { readonly incarnation: number; readonly at: Millis }>;
  readonly distrusted: RecentMap<NodeName, Distrust>;
  /** When the next of them is trusted again; Infinity for never. */
  trustAt: Millis;
  /** Until then no others are chosen: a member has died. */
  restUntil: Millis;
  /** When others are chosen that waited for that; Infinity for never. */
  chooseAt: Millis;
}

export interface Path {
  verdict: PathVerdict;
  /** When the node may be declared dead next; Infinity while the path is not down, or the node has answered. */
  judgeAt: Millis;
  /** It has had the time to answer. */
  hasHadTime: boolean;
  /** When this node last accused the node for this path. */
  accusedAt: Millis;
  /** Members that accused the node: name -> of which incarnation. */
  readonly accusers: Map<NodeName, number>;
}

/** The path to a member is not kept, because it was down while the member lived, and made others count it as dead. */
export interface Distrust {
  /** Infinity once that is over. */
  readonly until: Millis;
  readonly endedAt: Millis;
  readonly backOff: Millis;
}

/** More than a cluster has. */
const maxRemembered = 5_000;

export function noPaths(): Paths {
  return {
    areKept: false,
    watched: new Map(),
    ended: new RecentMap(maxRemembered),
    distrusted: new RecentMap(maxRemembered),
    trustAt: Infinity,
    restUntil: -Infinity,
    chooseAt: Infinity,
  };
}

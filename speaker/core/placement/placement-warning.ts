import { isSlotPool, type Pool } from "#pkg/config";
import { list } from "#pkg/text";
import { sentence, type Verdict, verdict } from "#pkg/verdict";
import type { SpeakerEffect } from "../effects.ts";
import type { SpeakerState } from "../state.ts";

/** The pools are others, or the nodes that send gossip: reports when l2-placement of pools is not in effect, and when they are again. */
export function checkPlacement({ ownedPools, members, status }: SpeakerState, effects: SpeakerEffect[]): void {
  const problem = placementProblem(ownedPools, members.gossip !== undefined, members.withoutGossip);
  const warning = problem && sentence(problem);
  if (warning === status.placementWarning) return;
  status.placementWarning = warning;
  if (warning === undefined) {
    const message = "l2-placement of pools is in effect again";
    effects.push({ type: "log", level: "info", message, fields: { event: "placementAsAsked" } });
  } else {
    const message = "l2-placement of pools is not in effect";
    effects.push({ type: "log", level: "warn", message, fields: { event: "placementNotAsAsked", warning } });
  }
}

/**
 * Why the l2-placement of pools is not in effect; undefined if it is. Speakers know only by gossip where an address stays, and which
 * nodes are in which subnet. A speaker without gossip elects by hash among all, so that the others have to as well.
 */
export function placementProblem(
  pools: readonly Pick<Pool, "name" | "l2Placement">[],
  hasRing: boolean,
  withoutGossip: readonly string[],
): Verdict | undefined {
  const asking = (wanted: (placement: Pool["l2Placement"]) => boolean) =>
    pools.filter(({ l2Placement }) => wanted(l2Placement)).map(({ name }) => name);
  if (!hasRing) {
    const names = asking(({ subnet, sticky }) => subnet || sticky);
    if (names.length === 0) return undefined;
    const message = `l2-placement of ${list(names)} is without effect: it needs the speakers' ring`;
    return verdict("pool", "placementNeedsRing", { message });
  }
  const names = pools.filter((pool) => pool.l2Placement.sticky && !isSlotPool(pool)).map(({ name }) => name); // Others own no slots.
  if (names.length === 0 || withoutGossip.length === 0) return undefined;
  const others = list(withoutGossip);
  return verdict("pool", "otherSpeakers", {
    message: `addresses of ${list(names)} may move whenever nodes come and go, although l2-placement is sticky: the speakers on ${others} are not of this release, such as MetalLB's, and choose nodes by hash alone`,
    evidence: [{ name: "nodes with other speakers", value: others, source: "ring" }],
  });
}

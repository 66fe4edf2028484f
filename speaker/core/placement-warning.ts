import type { Pool } from "#pkg/config";
import { list } from "#pkg/text";
import type { SpeakerEffect } from "./effects.ts";
import type { SpeakerState } from "./state.ts";

/** The pools are others, or the nodes that send gossip: reports when l2-placement of pools is not in effect, and when they are again. */
export function checkPlacement({ layer2Pools, members, status }: SpeakerState, effects: SpeakerEffect[]): void {
  const warning = placementWarning(layer2Pools, members.gossip !== undefined, members.withoutGossip);
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
 * Why l2-placement of pools is not in effect, and what to do; undefined where they are. Where an address stays, and who is in which subnet,
 * speakers only know by gossip. One that sends none elects by hash among all, so that the others have to as well.
 */
export function placementWarning(
  pools: readonly Pick<Pool, "name" | "l2Placement">[],
  hasRing: boolean,
  withoutGossip: readonly string[],
): string | undefined {
  const asking = (wanted: (placement: Pool["l2Placement"]) => boolean) =>
    pools.filter(({ l2Placement }) => wanted(l2Placement)).map(({ name }) => name);
  if (!hasRing) {
    const names = asking(({ subnet, sticky }) => subnet || sticky);
    if (names.length === 0) return undefined;
    return (
      `l2-placement of ${list(names)} is without effect: it needs the speakers' ring; give the speakers its key ` +
      "(METALLB_ML_SECRET_KEY) and an address for it (METALLB_ML_BIND_ADDR)"
    );
  }
  const names = asking(({ sticky }) => sticky);
  if (names.length === 0 || withoutGossip.length === 0) return undefined;
  return (
    `addresses of ${list(names)} do not stay where they are: the speakers on ${list(withoutGossip)} are of another kind and choose by ` +
    "hash; replace them, or take sticky out of l2-placement"
  );
}

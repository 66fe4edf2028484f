import type { Pool } from "#pkg/config";
import type { Log } from "#pkg/log";
import { list } from "#pkg/text";
import type { Gossip } from "../members/members.ts";

/** Says it in the log when pools are not placed as they ask for, and when they are again. */
export class PlacementReports {
  readonly #log: Log;
  #warning: string | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Why pools are not placed as they ask for; undefined where they are. */
  get warning(): string | undefined {
    return this.#warning;
  }

  /** The pools are others, or the speakers that tell one another of themselves. */
  check(pools: readonly Pick<Pool, "name" | "l2Placement">[], gossip: Pick<Gossip, "nodesWithoutGossip"> | undefined): void {
    const warning = placementWarning(pools, gossip);
    if (warning === this.#warning) return;
    this.#warning = warning;
    if (warning === undefined) this.#log.info("pools are placed as they ask for again", { event: "placementAsAsked" });
    else this.#log.warn("pools are not placed as they ask for", { event: "placementNotAsAsked", warning });
  }
}

/**
 * Why pools are not placed as they ask for, and what to do; undefined where they are. Where an address stays, and who is in which subnet,
 * speakers only know from one another. One that does not tell elects by hash among all, so that the others have to as well.
 */
export function placementWarning(
  pools: readonly Pick<Pool, "name" | "l2Placement">[],
  gossip: Pick<Gossip, "nodesWithoutGossip"> | undefined,
): string | undefined {
  const asking = (wanted: (placement: Pool["l2Placement"]) => boolean) =>
    pools.filter(({ l2Placement }) => wanted(l2Placement)).map(({ name }) => name);
  if (gossip === undefined) {
    const names = asking(({ subnet, sticky }) => subnet || sticky);
    if (names.length === 0) return undefined;
    return (
      `l2-placement of ${list(names)} is without effect: it needs the speakers' ring; give the speakers its key ` +
      "(METALLB_ML_SECRET_KEY) and an address for it (METALLB_ML_BIND_ADDR)"
    );
  }
  const names = asking(({ sticky }) => sticky);
  const silent = gossip.nodesWithoutGossip();
  if (names.length === 0 || silent.length === 0) return undefined;
  return (
    `addresses of ${list(names)} do not stay where they are: the speakers on ${list(silent)} are of another kind and choose by hash; ` +
    "replace them, or take sticky out of l2-placement"
  );
}

import type { Bfd } from "#pkg/bfd";
import { json, type Routes } from "#pkg/http";
import { metricsRoute, type Registry } from "#pkg/metrics";
import { describe, type NodeChecks } from "#pkg/node-checks";
import { liveness, readiness } from "#pkg/process";
import type { BgpSpeaker } from "./bgp/bgp-speaker.ts";
import { isOutdated } from "./core/api-view.ts";
import { currentConflicts } from "./core/conflicts/address-defender.ts";
import { describeConflict } from "./core/conflicts/conflict-reports.ts";
import { describeOccupants } from "./core/conflicts/quarantine.ts";
import type { SpeakerState } from "./core/state.ts";
import type { Members } from "./members/members.ts";
import type { Sources } from "./sources.ts";

// A restart of the API server is no matter.
const minOldSeconds = 60;

export interface RoutesOptions {
  readonly registry: Registry;
  readonly sources: Pick<Sources, "missing" | "refused">;
  /** Why this node cannot announce on layer 2. */
  readonly failed: string | undefined;
  readonly checks: Pick<NodeChecks, "findings">;
  readonly state: Pick<SpeakerState, "node" | "status" | "members" | "conflicts" | "apiView">;
  readonly bgp: Pick<BgpSpeaker, "peers" | "describe">;
  readonly bfd: Pick<Bfd, "warnings" | "describe">;
  readonly members: Pick<Members, "describe" | "problem">;
  /** See `viewAgeSeconds`. */
  readonly viewAge: () => number;
}

/** What has to be seen before anything is announced; empty once it has been. */
export function whatIsMissing(
  { missing }: Pick<Sources, "missing">,
  { members }: Pick<SpeakerState, "members">,
  { problem }: Pick<Members, "problem">,
): readonly string[] {
  if (members.isSynced) return missing;
  return [...missing, `the other speakers${problem === undefined ? "" : `: ${problem}`}`];
}

/** Where other speakers see what changes in the API and this one does not: they announce what is new. */
function outdated(state: RoutesOptions["state"], viewAge: number): readonly string[] {
  return isOutdated(state) ? [`the API, which was not reached for ${viewAge} s and other speakers reach`] : [];
}

/** What a speaker answers by HTTP: whether it is well, and what it knows. */
export function speakerRoutes(options: RoutesOptions): Routes {
  const { registry, sources, failed, checks, state, bgp, bfd, members, viewAge } = options;
  const warnings = () => [
    ...checks.findings.map(describe),
    ...(viewAge() < minOldSeconds || isOutdated(state) ? [] : [`the API has not been reached for ${viewAge()} s`]),
    ...(state.status.placementWarning === undefined ? [] : [state.status.placementWarning]),
    ...bgp.peers.flatMap((peer) => peer.warnings),
    ...bfd.warnings(),
  ];
  return {
    "/metrics": metricsRoute(registry),
    "/healthz": liveness,
    "/readyz": () => {
      return readiness({
        missing: [...whatIsMissing(sources, state, members), ...outdated(state, viewAge())],
        failed,
        refused: sources.refused,
        warnings: warnings(),
      });
    },
    "/v1/members": () => json(members.describe()),
    "/v1/bgp/peers": () => json(bgp.describe()),
    "/v1/bfd/sessions": () => json(bfd.describe()),
    "/v1/conflicts": () => json({ conflicts: currentConflicts(state).map(describeConflict), occupied: describeOccupants(state) }),
  };
}

import type { Bfd } from "#pkg/bfd";
import type { Routes } from "#pkg/http";
import type { KernelKeeper } from "#pkg/kernel";
import { metricsRoute, type Registry } from "#pkg/metrics";
import { describe, findingVerdict, type NodeChecks } from "#pkg/node-checks";
import { liveness, readiness } from "#pkg/process";
import type { BgpSpeaker } from "./bgp/bgp-speaker.ts";
import { isOutdated } from "./core/api-view.ts";
import type { SpeakerState } from "./core/state.ts";
import { lossyWarnings, minOldSeconds, type NodeFacts } from "./core/verdicts/node-verdict.ts";
import { kernelWarnings } from "./kernel.ts";
import type { Members } from "./members/members.ts";
import type { Sources } from "./sources.ts";

export interface RoutesOptions {
  readonly registry: Registry;
  readonly sources: Pick<Sources, "missing" | "refused">;
  /** Why this node cannot announce on layer 2. */
  readonly failed: string | undefined;
  readonly checks: Pick<NodeChecks, "findings">;
  readonly state: Pick<SpeakerState, "node" | "status" | "members" | "apiView" | "config" | "kernel">;
  readonly bgp: Pick<BgpSpeaker, "peers">;
  readonly bfd: Pick<Bfd, "warnings">;
  readonly kernel: Pick<KernelKeeper, "interfaces">;
  readonly members: Pick<Members, "problem" | "lossy">;
  /** See `viewAgeSeconds`. */
  readonly viewAge: () => number;
}

/** What has to be seen before anything is announced, and the ring where it was lost since; empty where all is well. */
export function whatIsMissing(
  { missing }: Pick<Sources, "missing">,
  { members }: Pick<SpeakerState, "members">,
  { problem }: Pick<Members, "problem">,
): readonly string[] {
  if (members.isSynced && problem === undefined) return missing;
  return [...missing, `the other speakers${problem === undefined ? "" : `: ${problem}`}`];
}

/** Where other speakers see what changes in the API and this one does not: they announce what is new. */
function outdated(state: RoutesOptions["state"], viewAge: number): readonly string[] {
  return isOutdated(state) ? [`the API, which was not reached for ${viewAge} s and other speakers reach`] : [];
}

/** What everybody may ask a speaker: whether it is well, and what it measures. */
export function speakerRoutes(options: RoutesOptions): Routes {
  const { registry, sources, failed, checks, state, bgp, bfd, kernel, members, viewAge } = options;
  const warnings = () => [
    ...checks.findings.map(describe),
    ...(viewAge() < minOldSeconds || isOutdated(state) ? [] : [`the API has not been reached for ${viewAge()} s`]),
    ...(state.status.placementWarning === undefined ? [] : [state.status.placementWarning]),
    ...kernelWarnings(state, kernel),
    ...bgp.peers.flatMap((peer) => peer.warnings),
    ...bfd.warnings(),
    ...lossyWarnings(state.node, members.lossy),
  ];
  return {
    "/metrics": metricsRoute(registry),
    "/healthz": liveness,
    "/readyz": () => {
      return readiness({
        missing: [...whatIsMissing(sources, state, members), ...outdated(state, viewAge())],
        failed: failed && `cannot announce on layer 2: ${failed}`,
        refused: sources.refused,
        warnings: warnings(),
      });
    },
  };
}

/** The same for the verdict on this node. */
export function nodeFactsOf(options: Omit<RoutesOptions, "registry" | "bgp" | "kernel">): NodeFacts {
  const { sources, state, members, failed, checks, bfd, viewAge } = options;
  return {
    missing: whatIsMissing(sources, state, members),
    failed,
    findings: checks.findings.map(findingVerdict),
    bfdWarnings: bfd.warnings(),
    lossy: members.lossy,
    viewAge: viewAge(),
  };
}

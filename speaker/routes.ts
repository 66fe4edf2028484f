import type { Bfd } from "#pkg/bfd";
import type { Routes } from "#pkg/http";
import type { KernelKeeper } from "#pkg/kernel";
import { metricsRoute, type Registry } from "#pkg/metrics";
import { describe, findingVerdict, type NodeChecks } from "#pkg/node-checks";
import { liveness, readiness } from "#pkg/process";
import type { BgpSpeaker } from "./bgp/bgp-speaker.ts";
import type { ConfigMapWriter } from "./config-map-writer.ts";
import { lossyWarnings, minOldSeconds, type NodeFacts, type SpeakerView } from "./core/index.ts";
import { kernelWarnings } from "./kernel.ts";
import type { FastPath } from "./members/fast-path.ts";
import type { Members } from "./members/members.ts";
import type { Sources } from "./sources.ts";

export interface RoutesOptions {
  readonly registry: Registry;
  readonly sources: Pick<Sources, "missing" | "refused" | "apiProblem">;
  /** Why this node cannot announce on layer 2. */
  readonly failed: string | undefined;
  readonly checks: Pick<NodeChecks, "findings">;
  readonly view: Pick<SpeakerView, "node" | "isRingSynced" | "isPlaced" | "isOutdated" | "placementWarning" | "pools" | "kernel">;
  readonly bgp: Pick<BgpSpeaker, "peers">;
  readonly bfd: Pick<Bfd, "warnings">;
  readonly kernel: Pick<KernelKeeper, "interfaces">;
  readonly members: Pick<Members, "problem" | "lossy">;
  readonly configMaps: Pick<ConfigMapWriter, "refusals">;
  /** Undefined without a ring. */
  readonly fastPath: Pick<FastPath, "problems"> | undefined;
  /** See `viewAgeSeconds`. */
  readonly viewAge: () => number;
}

/**
 * Resources that have to be seen before anything is announced, the ring if it was lost since, and the first placement: a rollout stops
 * the next speaker when this one is ready. Empty if all is well.
 */
export function whatIsMissing(
  { missing }: Pick<Sources, "missing">,
  { isRingSynced, isPlaced }: Pick<SpeakerView, "isRingSynced" | "isPlaced">,
  { problem }: Pick<Members, "problem">,
): readonly string[] {
  const ring = isRingSynced && problem === undefined ? [] : [`the other speakers${problem === undefined ? "" : `: ${problem}`}`];
  return [...missing, ...ring, ...(isPlaced ? [] : ["the first placement of its addresses"])];
}

/** Where other speakers see what changes in the API and this one does not: they announce what is new. */
function outdated({ isOutdated }: RoutesOptions["view"], viewAge: number): readonly string[] {
  return isOutdated ? [`the API, which was not reached for ${viewAge} s and other speakers reach`] : [];
}

/** Paths that everybody may ask a speaker for: its health, and its metrics. */
export function speakerRoutes(options: Omit<RoutesOptions, "fastPath" | "configMaps">): Routes {
  const { registry, sources, failed, checks, view, bgp, bfd, kernel, members, viewAge } = options;
  const warnings = () => [
    ...checks.findings.map(describe),
    ...(viewAge() < minOldSeconds || view.isOutdated ? [] : [`the API has not been reached for ${viewAge()} s`]),
    ...(view.placementWarning === undefined ? [] : [view.placementWarning]),
    ...kernelWarnings(view, kernel),
    ...bgp.peers.flatMap((peer) => peer.warnings),
    ...bfd.warnings(),
    ...lossyWarnings(view.node, members.lossy),
  ];
  return {
    "/metrics": metricsRoute(registry),
    "/healthz": liveness,
    "/readyz": () => {
      return readiness({
        missing: [...whatIsMissing(sources, view, members), ...outdated(view, viewAge())],
        failed: failed && `cannot announce on layer 2: ${failed}`,
        refused: sources.refused,
        warnings: warnings(),
      });
    },
  };
}

/** The same for the verdict on this node. */
export function nodeFactsOf(options: Omit<RoutesOptions, "registry" | "bgp" | "kernel">): NodeFacts {
  const { sources, view, members, configMaps, fastPath, failed, checks, bfd, viewAge } = options;
  return {
    missing: whatIsMissing(sources, view, members),
    apiProblem: sources.apiProblem,
    failed,
    findings: checks.findings.map(findingVerdict),
    bfdWarnings: bfd.warnings(),
    lossy: members.lossy,
    pathProblems: fastPath?.problems(),
    refusedWrites: configMaps.refusals,
    viewAge: viewAge(),
  };
}

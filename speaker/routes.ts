import type { Bfd } from "#pkg/bfd";
import { json, type Routes } from "#pkg/http";
import { metricsRoute, type Registry } from "#pkg/metrics";
import { describe, type NodeChecks } from "#pkg/node-checks";
import { liveness, readiness } from "#pkg/process";
import type { BgpSpeaker } from "./bgp/bgp-speaker.ts";
import type { Conflicts } from "./conflicts/conflicts.ts";
import type { Members } from "./members/members.ts";
import type { Sources } from "./sources.ts";
import type { Speaker } from "./speaker.ts";

export interface RoutesOptions {
  readonly registry: Registry;
  /** Undefined until the API has answered. */
  readonly sources: () => Pick<Sources, "missing" | "refused"> | undefined;
  /** Why this node cannot announce on layer 2. */
  readonly failed: string | undefined;
  readonly checks: Pick<NodeChecks, "findings">;
  readonly speaker: Pick<Speaker, "warnings">;
  readonly bgp: Pick<BgpSpeaker, "peers" | "describe">;
  readonly bfd: Pick<Bfd, "warnings" | "describe">;
  readonly members: Pick<Members, "describe">;
  readonly conflicts: Pick<Conflicts, "describe">;
}

/** What a speaker tells by HTTP: whether it is well, and what it knows. */
export function speakerRoutes(options: RoutesOptions): Routes {
  const { registry, sources, failed, checks, speaker, bgp, bfd, members, conflicts } = options;
  const warnings = () => [
    ...checks.findings.map(describe),
    ...speaker.warnings,
    ...bgp.peers.flatMap((peer) => peer.warnings),
    ...bfd.warnings(),
  ];
  return {
    "/metrics": metricsRoute(registry),
    "/healthz": liveness,
    "/readyz": () => {
      const { missing, refused } = sources() ?? { missing: ["the API"], refused: undefined };
      return readiness({ missing, failed, refused, warnings: warnings() });
    },
    "/v1/members": () => json(members.describe()),
    "/v1/bgp/peers": () => json(bgp.describe()),
    "/v1/bfd/sessions": () => json(bfd.describe()),
    "/v1/conflicts": () => json(conflicts.describe()),
  };
}

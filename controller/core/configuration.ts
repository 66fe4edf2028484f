import type { Problem } from "#pkg/config";
import {
  configurationVerdict,
  explain,
  type LiveDecision,
  problemText,
  renumberAnnotation,
  type Stranded,
  strandedText,
} from "#pkg/live-config";
import { list } from "#pkg/text";
import { configure, unconfigure } from "./configure.ts";
import type { SourceEvent } from "./events.ts";
import type { ControllerState } from "./state.ts";

export function configMapSeen(state: ControllerState, { now }: Extract<SourceEvent, { type: "configMap" }>): void {
  const { configuration, context } = state;
  context.configMap = now?.about ?? context.configMap;
  const seen = now && { text: now.secretText, missing: now.missing, missingKinds: now.missingKinds, version: now.version };
  decided(state, configuration.live.configMapChanged(seen, now?.mayRenumber));
}

/**
 * `ingot-status` changed. This process starts from the last good configuration in it. At work it follows another controller that insists on
 * another one, as where none may use the Lease, while it refuses the ConfigMap's itself: else the two would give the same Services addresses of
 * different pools for ever.
 */
export function lastGoodSeen(
  { configuration, context, isWorking }: ControllerState,
  { secretText: text, hasSummary }: Extract<SourceEvent, { type: "statusMap" }>,
): void {
  const { live, record } = configuration;
  const isContested = record.saw(text, hasSummary);
  if (!isWorking) {
    live.lastGoodChanged(text);
    // On a standby: alerts on a configuration that is not loaded are for the controller at work.
    context.do({ type: "showConfig", loaded: text !== undefined, stale: false });
  } else if (isContested && live.refused !== undefined) live.lastGoodChanged(text);
}

/** Judges the ConfigMap with Services that changed in this step, and has the last good configuration written. */
export function endStep(state: ControllerState): void {
  const { live, record, wait, touched } = state.configuration;
  for (const service of touched) decided(state, live.serviceChanged(service));
  touched.clear();
  for (const service of wait.ended()) state.agenda.changed(service);
  record.work(live.inForce?.text);
}

/** Another configuration is in force, or the ConfigMap got another verdict. */
export function decided(state: ControllerState, decision: LiveDecision | undefined): void {
  const { configuration, options, context, summary } = state;
  const { live, record } = configuration;
  const { inForce, verdict } = decision?.now ?? {};
  if (decision === undefined || verdict === undefined) return;
  const { before } = decision;
  context.do({ type: "showConfig", loaded: inForce !== undefined, stale: verdict.type !== "accepted" });
  if (verdict.type === "accepted") {
    // A configuration that was in force before this process started is no news.
    if (before.verdict !== undefined || verdict.inForce.text !== record.text)
      context.recordConfigEvent("Normal", "ConfigLoaded", `configuration loaded${givenUp(verdict.stranded)}`);
    live.lastGoodChanged(verdict.inForce.text);
  } else {
    const stays = inForce === undefined ? "there is none yet" : "the previous one stays in force";
    const deleted = verdict.type === "missing" && inForce !== undefined ? ". Deleting the configuration turns nothing off" : "";
    const { next } = configurationVerdict(decision.now, options.configMap);
    const record = (why: string, object?: string) =>
      context.recordConfigEvent("Warning", "ConfigStale", `configuration not used, ${stays}: ${why}; ${next}${deleted}`, object);
    const objects = verdict.type === "invalid" ? objectsAtFault(verdict.problems) : [];
    for (const [object, why] of objects) record(why, object);
    if (objects.length === 0) record(explain(verdict));
    if (inForce === undefined) unconfigure(state, `${explain(verdict)} (${options.configMap})`);
  }
  record.changed();
  if (inForce !== undefined && inForce !== before.inForce) {
    // Not by the ConfigMap, which may be a later one.
    configure(state, inForce.config, decision.isFollowing || (verdict.type === "accepted" && verdict.stranded.size > 0));
    context.do({ type: "keepRecords", pools: inForce.config.pools });
  }
  summary.changed();
}

const maxObjects = 20; // More events help nobody who looks for the first mistake.

/** Objects with errors, and the errors of each; none where the configuration is a ConfigMap's. */
function objectsAtFault(problems: readonly Problem[]): (readonly [string, string])[] {
  const errors = problems.filter(({ severity }) => severity === "error");
  const found = [...Map.groupBy(errors, ({ object }) => object)].slice(0, maxObjects);
  return found.flatMap(([object, those]) =>
    object === undefined ? [] : [[object, list(those.map(problemText), "; ")] as const],
  );
}

function givenUp(stranded: Stranded): string {
  return stranded.size === 0 ? "" : `; these get other addresses, as ${renumberAnnotation} allows: ${strandedText(stranded)}`;
}

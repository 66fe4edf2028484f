import type { Millis } from "#pkg/clock";
import type { Config, Problem } from "#pkg/config";
import type { Fields } from "#pkg/log";
import { list } from "#pkg/text";
import { answer, type CauseOf, causes, type Dated, type Fact, type Verdict, verdict } from "#pkg/verdict";
import {
  type CandidateResult,
  configKey,
  customResources,
  type InForce,
  renumberAnnotation,
  type Stranded,
} from "./candidate.ts";
import { fingerprint } from "./fingerprint.ts";

// Enough to see the pattern; the log of a cluster with thousands of Services must stay readable.
const maxLines = 100;
const maxFacts = 20;

/** Such as `address-pools[0].protocol at line 4, column 15: unknown protocol "layer3"`, or `IPAddressPool a/b, spec.addresses[0]: …`. */
export function problemText({ object, path, line, column, message }: Problem): string {
  if (object !== undefined) return `${object}${path === "" ? "" : `, ${path}`}: ${message}`;
  return `${path === "" ? "" : `${path} at `}line ${line}, column ${column}: ${message}`;
}

/** One sentence on why a candidate was refused, for an event or a health page; its longest lists are shortened. */
export function explain(verdict: Exclude<CandidateResult, { type: "accepted" }>): string {
  switch (verdict.type) {
    case "missing":
      if (verdict.kinds.length === 0) return missingText[verdict.what];
      return `the namespace has no ${list(verdict.kinds)}, but the last good configuration has some, which may have gone with their definition`;
    case "invalid":
      return list(errors(verdict.problems).map(problemText), "; ");
    case "strands":
      return `no pool would be left for addresses in use by ${strandedText(verdict.stranded)}`;
    case "awaited":
      return "it asks for labels of namespaces, and the controller has not put it in force yet";
    default:
      return verdict satisfies never;
  }
}

const missingText = {
  configMap: "the ConfigMap does not exist",
  key: `the ConfigMap has no text under the key "${configKey}"`,
  objects: "there are no custom resources of MetalLB in the namespace",
  definitions: "the definitions of MetalLB's custom resources (group metallb.io) are not all installed",
} as const;

const missingCause = {
  configMap: "configMapMissing",
  key: "keyMissing",
  objects: "objectsMissing",
  definitions: "definitionsMissing",
} as const;

export interface ConfigStatus extends Dated<Millis> {
  readonly inForce: Config | undefined;
  /** Since when it is in force; undefined without a configuration. */
  readonly inForceSince: Millis | undefined;
  /** The version of the ConfigMap that was seen last; undefined where it is not there. */
  readonly seen: string | undefined;
}

/** The part of an answer under `/v1/configuration` that all processes give. */
export function configurationAnswer(status: ConfigStatus, dateOf: (at: Millis) => string) {
  const { inForce, inForceSince, seen } = status;
  return {
    hash: inForce === undefined ? null : fingerprint(inForce),
    inForceSince: inForceSince === undefined ? null : dateOf(inForceSince),
    seen: seen ?? null,
    verdict: answer(status, dateOf),
  };
}

/** Services and their addresses, of many the first. */
export function strandedText(stranded: Stranded): string {
  return list(Array.from(stranded, ([service, addresses]) => `${service} (${addresses.join(", ")})`).sort());
}

/** See `State` of the live configuration. */
interface Decided {
  readonly inForce: InForce | undefined;
  readonly verdict: CandidateResult | undefined;
}

/** A line of the log. */
export interface Line {
  readonly level: "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Fields;
}

type Refused = Exclude<CandidateResult, { type: "accepted" }>;

/** The verdict on the configuration. @param configMap the name of the ConfigMap, or `customResources`, perhaps behind NAMESPACE/ */
export function configurationVerdict({ inForce, verdict: decided }: Decided, configMap: string): Verdict {
  if (decided === undefined) return verdict("configuration", "undecided");
  const name = configMap.slice(configMap.indexOf("/") + 1);
  const source = name === customResources ? name : "ConfigMap";
  if (decided.type === "accepted") {
    const evidence = decided.warnings.map((problem) => ({
      name: "warning",
      value: problemText(problem),
      source: problem.object ?? source,
    }));
    return verdict("configuration", "inForce", { evidence: evidence.slice(0, maxFacts) });
  }
  const state = inForce === undefined ? "Pending" : "Degraded";
  const stays = inForce === undefined ? "there is none in force" : "the last good one stays in force";
  const message = `the configuration is not used, ${stays}: ${explain(decided)}`;
  const cause = causeOf(decided);
  const isOfObjects =
    decided.type === "invalid" && (name === customResources || decided.problems.some(({ object }) => object !== undefined));
  const isKindMissing = decided.type === "missing" && decided.kinds.length > 0;
  const next = isKindMissing
    ? applyObjects
    : isOfObjects
      ? correctObjects
      : causes.configuration[cause].next.replace("configmap config", `configmap ${name}`);
  return verdict("configuration", cause, { state, message, evidence: factsOf(decided, source), next });
}

const causesInForce: readonly string[] = ["inForce", "notSaved", "notReported"] satisfies CauseOf<"configuration">[];

/** Whether the present configuration is used, whatever else is wrong. */
export function isInForce({ cause }: Pick<Verdict, "cause">): boolean {
  return causesInForce.includes(cause);
}

const applyObjects = `apply them again; if they are to be gone, annotate another object with ${renumberAnnotation}=true, and remove the annotation afterwards`;
const correctObjects =
  "kubectl -n metallb-system get ipaddresspools,l2advertisements,bgpadvertisements,bgppeers.metallb.io,bfdprofiles,communities -o yaml | ingotctl validate - lists all: correct them";

function causeOf(decided: Refused): CauseOf<"configuration"> {
  return decided.type === "missing" ? missingCause[decided.what] : decided.type;
}

function factsOf(decided: Refused, source: string): Fact[] {
  switch (decided.type) {
    case "missing":
    case "awaited":
      return [];
    case "invalid": {
      const found = errors(decided.problems).slice(0, maxFacts);
      return found.map((problem) => ({ name: "error", value: problemText(problem), source: problem.object ?? source }));
    }
    case "strands": {
      const holders = [...decided.stranded].slice(0, maxFacts);
      return holders.map(([service, addresses]) => ({ name: service, value: addresses.join(", "), source: "Services" }));
    }
    default:
      return decided satisfies never;
  }
}

/** Lines of the log about a decision: one for each problem, stranded Service or warning that is new, then one for the decision. */
export function decisionLines({ inForce, verdict }: Decided, before?: CandidateResult): Line[] {
  if (verdict === undefined) return [];
  if (verdict.type === "accepted") {
    const renumbers = "addresses in use have no pool any more, others are given in their place";
    return [
      ...problemLines("warn", "configuration warning", "configWarning", newWarnings(verdict.warnings, before)),
      ...strandedLines("warn", renumbers, "configRenumbers", verdict.stranded),
      { level: "info", message: "configuration loaded", fields: { event: "configLoaded" } },
    ];
  }
  if (verdict.type === "awaited") {
    const message = "configuration waits for the controller, which has the labels of namespaces";
    return [{ level: "info", message, fields: { event: "configAwaited" } }];
  }
  const message =
    inForce === undefined
      ? "no configuration, no addresses are assigned or announced"
      : "configuration refused, the previous one stays in force";
  const why: readonly Line[] =
    verdict.type === "invalid"
      ? problemLines("error", "configuration error", "configError", errors(verdict.problems))
      : verdict.type === "strands"
        ? strandedLines("error", "configuration leaves no pool for an address in use", "configError", verdict.stranded)
        : [];
  return [...why, { level: "error", message, fields: { event: "configStale", error: explain(verdict) } }];
}

/** If one of a thousand objects changed, the faults of the others have been told before. */
function newWarnings(warnings: readonly Problem[], before: CandidateResult | undefined): readonly Problem[] {
  if (before?.type !== "accepted") return warnings;
  const said = new Set(before.warnings.map(problemText));
  return warnings.filter((warning) => !said.has(problemText(warning)));
}

function problemLines(level: Line["level"], message: string, event: string, problems: readonly Problem[]): Line[] {
  const first = problems.slice(0, maxLines);
  return first.map(({ object, path, line, column, message: error }) => ({
    level,
    message,
    fields: { event, ...(object === undefined ? { path, line, column } : { object, path }), error },
  }));
}

function strandedLines(level: Line["level"], message: string, event: string, stranded: Stranded): Line[] {
  return [...stranded].slice(0, maxLines).map(([service, ips]) => ({ level, message, fields: { event, service, ips } }));
}

function errors(problems: readonly Problem[]): readonly Problem[] {
  return problems.filter(({ severity }) => severity === "error");
}

import type { Problem } from "#pkg/config";
import type { Log } from "#pkg/log";
import { list } from "#pkg/text";
import { type CauseOf, type Fact, type Verdict, verdict } from "#pkg/verdict";
import { type CandidateResult, configKey, type InForce, type Stranded } from "./candidate.ts";

// Enough to see the pattern; the log of a cluster with thousands of Services must stay readable.
const maxLines = 100;
const maxFacts = 20;

/** Such as `address-pools[0].protocol at line 4, column 15: unknown protocol "layer3"`. */
export function problemText({ path, line, column, message }: Problem): string {
  return `${path === "" ? "" : `${path} at `}line ${line}, column ${column}: ${message}`;
}

/** One sentence on why a candidate was refused, for an event or a health page; its longest lists are shortened. */
export function explain(verdict: Exclude<CandidateResult, { type: "accepted" }>): string {
  switch (verdict.type) {
    case "missing":
      return verdict.what === "configMap" ? "the ConfigMap does not exist" : `the ConfigMap has no key "${configKey}"`;
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

/** Services and their addresses, of many the first. */
export function strandedText(stranded: Stranded): string {
  return list(Array.from(stranded, ([service, addresses]) => `${service} (${addresses.join(", ")})`).sort());
}

/** See `State` of the live configuration. */
interface Decided {
  readonly inForce: InForce | undefined;
  readonly verdict: CandidateResult | undefined;
}

type Refused = Exclude<CandidateResult, { type: "accepted" }>;

/** The verdict on the ConfigMap's configuration. */
export function configurationVerdict({ inForce, verdict: decided }: Decided): Verdict {
  if (decided === undefined) return verdict("configuration", "undecided");
  if (decided.type === "accepted") {
    const evidence = decided.warnings.map((problem) => ({ name: "warning", value: problemText(problem), source: "ConfigMap" }));
    return verdict("configuration", "inForce", { evidence: evidence.slice(0, maxFacts) });
  }
  const state = inForce === undefined ? "Pending" : "Degraded";
  const stays = inForce === undefined ? "there is none in force" : "the last good one stays in force";
  const message = `the configuration is not used, ${stays}: ${explain(decided)}`;
  return verdict("configuration", causeOf(decided), { state, message, evidence: factsOf(decided) });
}

function causeOf(decided: Refused): CauseOf<"configuration"> {
  if (decided.type !== "missing") return decided.type;
  return decided.what === "configMap" ? "configMapMissing" : "keyMissing";
}

function factsOf(decided: Refused): Fact[] {
  switch (decided.type) {
    case "missing":
    case "awaited":
      return [];
    case "invalid": {
      const found = errors(decided.problems).slice(0, maxFacts);
      return found.map((problem) => ({ name: "error", value: problemText(problem), source: "ConfigMap" }));
    }
    case "strands": {
      const holders = [...decided.stranded].slice(0, maxFacts);
      return holders.map(([service, addresses]) => ({ name: service, value: addresses.join(", "), source: "Services" }));
    }
    default:
      return decided satisfies never;
  }
}

/** Writes a decision to the log: a line for each problem, stranded Service or warning, then one for the decision. */
export function logDecision(
  log: Log,
  { inForce, verdict }: { inForce: object | undefined; verdict: CandidateResult | undefined },
): void {
  if (verdict === undefined) return;
  if (verdict.type === "accepted") {
    for (const problem of verdict.warnings.slice(0, maxLines))
      log.warn("configuration warning", { event: "configWarning", ...fields(problem) });
    for (const [service, ips] of [...verdict.stranded].slice(0, maxLines))
      log.warn("addresses in use have no pool any more, others are given in their place", {
        event: "configRenumbers",
        service,
        ips,
      });
    log.info("configuration loaded", { event: "configLoaded" });
    return;
  }
  if (verdict.type === "awaited") {
    log.info("configuration waits for the controller, which has the labels of namespaces", { event: "configAwaited" });
    return;
  }
  if (verdict.type === "invalid")
    for (const problem of errors(verdict.problems).slice(0, maxLines))
      log.error("configuration error", { event: "configError", ...fields(problem) });
  if (verdict.type === "strands")
    for (const [service, ips] of [...verdict.stranded].slice(0, maxLines))
      log.error("configuration leaves no pool for an address in use", { event: "configError", service, ips });
  const message =
    inForce === undefined
      ? "no configuration, no addresses are assigned or announced"
      : "configuration refused, the previous one stays in force";
  log.error(message, { event: "configStale", error: explain(verdict) });
}

function errors(problems: readonly Problem[]): readonly Problem[] {
  return problems.filter(({ severity }) => severity === "error");
}

function fields({ path, line, column, message }: Problem): Readonly<Record<string, unknown>> {
  return { path, line, column, error: message };
}

import { styleText } from "node:util";
import { counted, list, maskControls } from "#pkg/text";
import type { Screen } from "../io.ts";

/** All checks, in order: later ones depend on earlier ones. Each has the page that says more. */
export const checks = {
  "API server": "docs/ingotctl.md#how-it-asks",
  rights: "docs/ingotctl.md#how-it-asks",
  processes: "docs/troubleshooting.md#a-process-does-not-answer",
  versions: "docs/upgrade.md#upgrade",
  configuration: "docs/troubleshooting.md#the-configuration-has-no-effect",
  ring: "docs/troubleshooting.md#speakers-do-not-see-each-other",
  nodes: "docs/verdicts.md#nodes",
  peers: "docs/troubleshooting.md#a-router-has-no-route",
  pools: "docs/verdicts.md#pools",
  Services: "docs/troubleshooting.md#a-service-has-no-address",
  "self-test": "docs/troubleshooting.md#the-address-does-not-answer-on-layer-2",
} as const;

export type CheckName = keyof typeof checks;

/** One cause of something that is not well. */
export interface Finding {
  readonly check: CheckName;
  /** `error`: something does not work; `warning`: it works, but not as it should; `note`: worth to know. */
  readonly severity: "error" | "warning" | "note";
  /** What it is about, such as `pool lan` or `node node1, node2`. */
  readonly where: string;
  readonly found: string;
  /** The remedy. */
  readonly fix: string;
  /** Services that are not well because of it. */
  readonly services?: readonly string[];
  /** What `ingotctl explain` takes, of a verdict. */
  readonly subject?: string;
  /** The verdict's, where the finding is made of one. */
  readonly cause?: string;
  /** ISO 8601, of a verdict: since when it is so at the first of them. */
  readonly since?: string;
}

const severities: readonly Finding["severity"][] = ["error", "warning", "note"];

/** The worst first; equally bad ones in the order of the checks. */
export function worstFirst(findings: readonly Finding[]): Finding[] {
  const order = Object.keys(checks);
  const rank = ({ severity, check }: Finding) => severities.indexOf(severity) * order.length + order.indexOf(check);
  return findings.toSorted((a, b) => rank(a) - rank(b));
}

/** The finding for programs, with the page that says more. */
export function withPage(finding: Finding) {
  return { ...finding, see: checks[finding.check] };
}

const colors = { error: "red", warning: "yellow", note: "gray" } as const;

/** The finding for people, in lines. */
export function findingLines({ severity, where, found, fix, services = [] }: Finding, { hasColor }: Screen): string[] {
  const names = where.startsWith("Service ") ? "" : `: ${list(services)}`;
  return [
    `${hasColor ? styleText(colors[severity], severity, { validateStream: false }) : severity}: ${maskControls(`${where}: ${found}`)}`,
    ...(services.length === 0 ? [] : [`  1 cause, ${maskControls(`${counted(services.length, "Service")}${names}`)}`]),
    ...(fix === "" ? [] : [`  -> ${maskControls(fix)}`]),
  ];
}

/** Such as `1 error, 0 warnings, 0 notes`. */
export function sumOf(findings: readonly Finding[]): string {
  const of = (severity: Finding["severity"]) =>
    counted(findings.filter((finding) => finding.severity === severity).length, severity);
  return [of("error"), of("warning"), of("note")].join(", ");
}

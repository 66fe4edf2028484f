import { styleText } from "node:util";
import { counted, maskControls } from "#pkg/text";
import type { ConfigurationAnswer, ConflictsAnswer, MembersAnswer, VerdictsAnswer } from "../cluster/answers.ts";
import type { Api } from "../cluster/api.ts";
import { askServices } from "../cluster/ask-services.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import { askAll, eachOnce, isOtherVersion, type Processes } from "../cluster/processes.ts";
import type { Screen } from "../io.ts";
import { type DoctorFinding, type Examined, findingsOf } from "./findings.ts";

export const doctor = clusterCommand({
  name: "doctor",
  summary: "Look for problems, the worst first, each with a remedy",
  takes: 0,
  help: `Looks at all processes, their versions and configurations, whether the speakers see each other, every node's settings, BGP
peers, pools and Services, and lists problems. The same problem in several places is listed once. Errors are parts that do not work,
warnings parts that do not work as they should.`,
  exits: "1 also means that there are errors, and 3 that there are warnings.",
  async find({ processes, api, systemNamespace, screen }) {
    const examined = await examine(processes, await api(), systemNamespace);
    const findings = findingsOf(examined);
    const value = { findings, processes: examined.targets.length, services: examined.services.length };
    const has = (severity: DoctorFinding["severity"]) => findings.some((finding) => finding.severity === severity);
    // Processes that do not answer are among the findings.
    return { value, text: report(findings, examined, screen), unreachable: [], isMissing: has("error"), isLossy: has("warning") };
  },
});

async function examine(processes: Processes, api: Api, namespace: string): Promise<Examined> {
  const [configurations, verdicts, members, conflicts, asked, nodes] = await Promise.all([
    askAll<ConfigurationAnswer>(processes, "/v1/configuration"),
    askAll<VerdictsAnswer>(processes, "/v1/verdicts?problems&service=-"), // No Service has this name.
    askAll<MembersAnswer>(processes, "/v1/members", "speaker"),
    askAll<ConflictsAnswer>(processes, "/v1/conflicts", "speaker"),
    askServices(processes),
    api.list("/api/v1/nodes"),
  ]);
  return {
    namespace,
    targets: processes.targets,
    unreachable: eachOnce([
      ...configurations.unreachable,
      // Earlier versions do not have all of these.
      ...[verdicts, members, conflicts, asked].flatMap((each) => each.unreachable.filter(({ why }) => !isOtherVersion(why))),
    ]),
    configurations: configurations.answers,
    verdicts: verdicts.answers,
    members: members.answers,
    conflicts: conflicts.answers,
    services: asked.services,
    nodes: nodes.type === "found" ? (nodes.value as readonly RawNode[]).filter(isReady).map(nameOf) : undefined,
  };
}

interface RawNode {
  readonly metadata?: { readonly name?: string };
  readonly status?: { readonly conditions?: readonly { readonly type?: string; readonly status?: string }[] };
}

function isReady({ status }: RawNode): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") === true;
}

function nameOf({ metadata }: RawNode): string {
  return metadata?.name ?? "";
}

const colors = { error: "red", warning: "yellow", note: "gray" } as const;

function report(findings: readonly DoctorFinding[], { targets, services }: Examined, { hasColor }: Screen): string {
  const lines = findings.flatMap(({ severity, where, found, fix }) => [
    `${hasColor ? styleText(colors[severity], severity, { validateStream: false }) : severity}: ${maskControls(`${where}: ${found}`)}`,
    ...(fix === "" ? [] : [`  -> ${maskControls(fix)}`]),
  ]);
  const of = (severity: DoctorFinding["severity"]) =>
    counted(findings.filter((finding) => finding.severity === severity).length, severity);
  const sum = [of("error"), of("warning"), of("note")].join(", ");
  const looked = `looked at: ${counted(targets.length, "process")}, ${counted(services.length, "Service")}`;
  return `${[...lines, `${findings.length === 0 ? "Nothing is wrong" : sum}; ${looked}.`].join("\n")}\n`;
}

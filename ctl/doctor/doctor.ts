import { counted } from "#pkg/text";
import { clusterCommand } from "../cluster/cluster-command.ts";
import type { Screen } from "../io.ts";
import { type Examined, examine } from "./examine.ts";
import { type Finding, findingLines, sumOf, withPage, worstFirst } from "./finding.ts";
import { findingsOf } from "./findings.ts";
import { type WireRound, wireRound } from "./wire.ts";

export const doctor = clusterCommand({
  name: "doctor",
  summary: "Look for problems, the worst first, each with a remedy",
  takes: 0,
  worksWithoutPods: true,
  help: `Looks at all processes, their versions and configurations, whether the speakers see each other, every node's settings, BGP
peers, pools and Services, and lists problems, one for each cause, with the Services that are not well because of it. Errors are parts
that do not work, warnings parts that do not work as they should. "ingotctl check" also lists what is well. With --wire the speakers
also try every address that another node announces, 100 at a time on each node, and those that fail as "ingotctl probe" does.`,
  options: { wire: { help: "also try all addresses on the wire" } },
  examples: ["ingotctl doctor", "ingotctl doctor --wire", "ingotctl doctor -o json"],
  exits: "1 also means that there are errors, and 3 that there are warnings.",
  async find({ processes, api, systemNamespace, screen }, { wire = false }) {
    const examined = await examine(processes, processes.isNodeLocal === true ? undefined : await api(), systemNamespace);
    const round = wire ? await wireRound(processes) : undefined;
    const findings = worstFirst([...findingsOf(examined), ...(round?.findings ?? [])]);
    const value = {
      findings: findings.map(withPage),
      processes: examined.targets.length,
      services: examined.serviceCount,
      ...(round !== undefined && { tried: round.tried }),
    };
    const has = (severity: Finding["severity"]) => findings.some((finding) => finding.severity === severity);
    // Processes that do not answer are among the findings.
    return {
      value,
      text: report(findings, examined, screen, round),
      unreachable: [],
      isMissing: has("error"),
      isLossy: has("warning"),
    };
  },
});

function report(
  findings: readonly Finding[],
  { targets, serviceCount }: Examined,
  screen: Screen,
  round: WireRound | undefined,
): string {
  const lines = findings.flatMap((finding) => findingLines(finding, screen));
  const tried = round === undefined ? "" : `, ${counted(round.tried, "address")} on the wire`;
  const looked = `looked at: ${counted(targets.length, "process")}, ${counted(serviceCount, "Service")}${tried}`;
  return `${[...lines, `${findings.length === 0 ? "Nothing is wrong" : sumOf(findings)}; ${looked}.`].join("\n")}\n`;
}

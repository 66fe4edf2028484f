import { counted, list } from "#pkg/text";
import { type BriefVerdict, remedyFor } from "#pkg/verdict";
import { checkedAnswer, type ProbeAttempt, type ProbeRoundAnswer } from "../cluster/answers.ts";
import { askServicesBriefly } from "../cluster/ask-services.ts";
import type { MergedService } from "../cluster/merge.ts";
import { isOtherVersion, type Processes, type Target } from "../cluster/processes.ts";
import { probeAddress } from "../probe/probe.ts";
import type { Finding } from "./finding.ts";

/** The result of a round on the wire through all addresses. */
export interface WireRound {
  readonly tried: number;
  readonly findings: readonly Finding[];
}

// Each takes up to 3 s; more causes at once are one that is elsewhere.
const maxTold = 20;

/**
 * Has the speakers try all addresses, each by one other node, all speakers at a time. Where several fail for one reason at one node, all speakers
 * try the first of them again, which tells what is in the way.
 */
export async function wireRound(processes: Processes): Promise<WireRound> {
  const speakers = processes.targets.filter(({ program, notRunning }) => program === "speaker" && notRunning === undefined);
  const rounds = await Promise.all(speakers.map((target) => roundOf(processes, target)));
  const tried = rounds.reduce((sum, round) => sum + round.tried, 0);
  const faults = rounds.flatMap((round) => round.faults);
  const groups = [...Map.groupBy(faults, ({ owner, verdict }) => `${owner} ${verdict?.cause}`).values()];
  const findings: Finding[] = rounds.flatMap(({ failed }) => failed);
  const { services } = groups.length > 0 ? await askServicesBriefly(processes) : { services: [] };
  for (const group of groups.slice(0, maxTold)) findings.push(...(await findingsOf(processes, group, services)));
  if (groups.length > maxTold) {
    const found = `${counted(groups.length - maxTold, "other cause")} on the wire`;
    findings.push({ check: "self-test", severity: "error", where: "addresses", found, fix: "mend these, and look again" });
  }
  if (tried === 0 && findings.length === 0) {
    const found = "no address could be tried: that takes a second node on a link with one that announces it";
    findings.push({ check: "self-test", severity: "note", where: "addresses", found, fix: "" });
  }
  return { tried, findings };
}

async function roundOf(processes: Processes, target: Target) {
  const faults: ProbeAttempt[] = [];
  const failed: Finding[] = [];
  let tried = 0;
  for (let from: number | null = 0; from !== null; ) {
    try {
      const path = `/v1/probe?from=${from}`;
      const part = checkedAnswer(target.program, path, await processes.get(target, path)) as ProbeRoundAnswer;
      if (part.tried === undefined) throw new Error(part.why ?? "it does not say what it tried");
      tried += part.tried;
      faults.push(...(part.faults ?? []));
      from = (part.next ?? 0) > from ? (part.next ?? null) : null; // No answer makes it go round for ever.
    } catch (error) {
      const why = (error as Error).message;
      const found = isOtherVersion(why) ? "its version cannot try all addresses" : `it could not try all addresses: ${why}`;
      failed.push({ check: "self-test", severity: "note", where: `speaker ${target.pod} on ${target.node}`, found, fix: "" });
      break;
    }
  }
  return { tried, faults, failed };
}

async function findingsOf(
  processes: Processes,
  group: readonly ProbeAttempt[],
  services: readonly MergedService<BriefVerdict>[],
): Promise<Finding[]> {
  const [first] = group;
  if (first?.address === undefined || first.verdict == null) return [];
  const addresses = [...new Set(group.flatMap(({ address = "" }) => address))];
  const { probed } = await probeAddress(processes, first.address);
  const held = services.filter((one) => one.addresses.some(({ address }) => addresses.includes(address)));
  const once = { what: "once", found: first.verdict.message, fix: remedyFor(first.verdict, "service", held[0]?.service ?? "") };
  // It may be well again, or not tell what it was.
  const causes = probed.conclusions.length > 0 ? probed.conclusions : [once];
  return causes.map(({ what, found, fix }) => ({
    check: "self-test",
    severity: "error",
    where: `${addresses.length === 1 ? "address" : counted(addresses.length, "address")} ${list(addresses)}`,
    found: `${what}: ${found}`,
    fix,
    services: held.map(({ service }) => service),
  }));
}

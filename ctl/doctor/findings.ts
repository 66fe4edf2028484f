import { list, listOf, plural } from "#pkg/text";
import { isProblem, type VerdictAnswer } from "#pkg/verdict";
import {
  type ConfigurationAnswer,
  type ConflictsAnswer,
  type MembersAnswer,
  titleOf,
  type VerdictsAnswer,
} from "../cluster/answers.ts";
import type { MergedService } from "../cluster/merge.ts";
import type { Answer, Processes, Unreachable } from "../cluster/processes.ts";
import { lagging } from "../views/lagging.ts";

/** One thing that is not well. */
export interface DoctorFinding {
  /** `error`: something does not work; `warning`: it works, but not as it should; `note`: worth to know. */
  readonly severity: "error" | "warning" | "note";
  /** What it is about, such as `pool lan` or `node node1, node2`. */
  readonly where: string;
  readonly found: string;
  /** The remedy. */
  readonly fix: string;
}

/** Answers of all processes and of the API server. */
export interface Examined {
  readonly namespace: string;
  readonly targets: Processes["targets"];
  readonly unreachable: readonly Unreachable[];
  readonly configurations: readonly Answer<ConfigurationAnswer>[];
  readonly verdicts: readonly Answer<VerdictsAnswer>[];
  readonly members: readonly Answer<MembersAnswer>[];
  readonly conflicts: readonly Answer<ConflictsAnswer>[];
  readonly services: readonly MergedService[];
  /** Names of the nodes that are Ready; undefined where they may not be listed. */
  readonly nodes: readonly string[] | undefined;
}

const severities: readonly DoctorFinding["severity"][] = ["error", "warning", "note"];

/** Everything that is wrong, the worst first. Equal things are one finding, and what follows from a NIC that is down is left out. */
export function findingsOf(all: Examined): DoctorFinding[] {
  return findingsWithout(
    all,
    new Set(all.verdicts.filter(({ body }) => body.verdicts.some(isNicDown)).map(({ target }) => target.node)),
  );
}

/** Findings without the statements that these nodes see no other node, and can announce nothing, or that others do not see them. */
function findingsWithout({ members, verdicts, ...rest }: Examined, cutOff: ReadonlySet<string>): DoctorFinding[] {
  const examined: Examined = {
    ...rest,
    members: members.filter(({ target }) => !cutOff.has(target.node)),
    verdicts: verdicts.map(({ target, body }) => {
      const kept = body.verdicts.filter((verdict) => !cutOff.has(target.node) || isNicDown(verdict) || !followsFromNic(verdict));
      return { target, body: { ...body, verdicts: kept } };
    }),
  };
  const all = [
    ...processFindings(examined),
    ...configurationFindings(examined),
    ...ringFindings(examined),
    ...nodeFindings(examined),
    ...occupantFindings(examined),
    ...verdictFindings(examined),
  ];
  return all.sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity));
}

function isNicDown({ kind, cause }: VerdictsAnswer["verdicts"][number]): boolean {
  return kind === "node" && cause === "noCarrier";
}

/** Whether the cause concerns the ring, or pools on the LAN. */
function followsFromNic({ kind, cause }: VerdictsAnswer["verdicts"][number]): boolean {
  if (kind === "pool") return cause === "noInterface" || cause === "noActiveSpeaker";
  return kind === "node" && ["waiting", "ringPacketsLost", "apiViewOld", "apiUnreachable"].includes(cause);
}

function processFindings({ namespace, targets, unreachable, configurations }: Examined): DoctorFinding[] {
  const findings: DoctorFinding[] = [];
  for (const { target, why } of unreachable)
    findings.push({
      severity: "error",
      where: `${target.program} ${target.pod}${target.node === "" ? "" : ` on ${target.node}`}`,
      found: `it does not answer: ${why}`,
      fix: `kubectl -n ${namespace} describe pod ${target.pod}, and its logs`,
    });
  for (const program of ["controller", "speaker"] as const)
    if (!targets.some((target) => target.program === program))
      findings.push({
        severity: "error",
        where: program,
        found: `there is no Pod of a ${program} in namespace ${namespace}`,
        fix:
          program === "controller"
            ? "see the Deployment: no Service gets an address"
            : "see the DaemonSet: no address is announced",
      });
  const leaders = configurations.filter(({ body }) => body.leader === true);
  const controllers = configurations.filter(({ body }) => body.leader !== undefined);
  if (controllers.length > 0 && leaders.length !== 1)
    findings.push({
      severity: "error",
      where: `controllers ${list(controllers.map(({ target }) => target.pod))}`,
      found:
        leaders.length === 0 ? "none of them leads: no Service gets an address" : "more than one takes itself for the leader",
      fix:
        leaders.length === 0
          ? "see their logs for the Lease, and their rights to it"
          : "see whether all have the same --leader-elect-resource-name, and the Lease",
    });
  const versions = Map.groupBy(configurations, ({ body }) => body.version);
  if (versions.size > 1)
    findings.push({
      severity: "note",
      where: "versions",
      found: [...versions].map(([version, those]) => `${version}: ${list(those.map(({ target }) => target.pod))}`).join("; "),
      fix: "wait for the end of the rollout, or see why it does not go on",
    });
  return findings;
}

function configurationFindings({ configurations }: Examined): DoctorFinding[] {
  const behind = lagging(configurations);
  if (behind.length === 0) return [];
  const found = listOf(behind, ({ pod, node, what }) => `${pod} on ${node} ${what}`);
  const fix = "wait some seconds; if it stays so, see whether they reach the API server";
  return [{ severity: "warning", where: "configuration", found, fix }];
}

/** Speakers that answer here and do not see one another. */
function ringFindings({ members }: Examined): DoctorFinding[] {
  const findings: DoctorFinding[] = [];
  const known = members.map(({ target }) => target.node);
  for (const { target, body } of members) {
    const seen = new Set(body.members.filter(({ active }) => active).map(({ node }) => node));
    const missed = known.filter((node) => !seen.has(node));
    if (missed.length === 0) continue;
    findings.push({
      severity: "error",
      where: `speaker on ${target.node}`,
      found: `it does not see the ${plural(missed.length, "speaker")} on ${list(missed)}: both may announce the same address`,
      fix: "let TCP and UDP of the ring (port 7946) pass between the nodes, and give all speakers the same key (Secret memberlist)",
    });
  }
  if (members.some(({ body }) => body.source === "pods"))
    findings.push({
      severity: "note",
      where: "speakers",
      found: "they have no ring: failover waits for Kubernetes to see that a node is gone",
      fix: "give them the key of one: METALLB_ML_SECRET_KEY and METALLB_ML_BIND_ADDR, as the manifests do",
    });
  return findings;
}

function nodeFindings({ nodes, targets }: Examined): DoctorFinding[] {
  const without = nodes?.filter((node) => !targets.some((target) => target.program === "speaker" && target.node === node)) ?? [];
  if (without.length === 0) return [];
  const found = `no speaker runs there: ${without.length === 1 ? "it announces" : "they announce"} nothing`;
  const fix = "if they are to announce, see the node selector and the tolerations of the DaemonSet";
  return [{ severity: "note", where: `node ${list(without)}`, found, fix }];
}

/** Addresses of pools that other hosts have: no Service gets one. */
function occupantFindings({ conflicts }: Examined): DoctorFinding[] {
  const occupied = new Map(conflicts.flatMap(({ body }) => body.occupied.map((one) => [one.address, one])));
  return [...occupied.values()].map(({ address, mac, node }) => ({
    severity: "note",
    where: `address ${address}`,
    found: `the host with MAC address ${mac}, seen from ${node}, has it: no Service gets it`,
    fix: "give that host another address, or take this one out of its pool",
  }));
}

interface Problem {
  readonly kind: string;
  readonly name: string;
  readonly verdict: VerdictAnswer;
}

/**
 * Problems that processes report themselves. Equal causes with equal messages are one finding, and so is each cause of many
 * Services.
 */
function verdictFindings({ verdicts, services }: Examined): DoctorFinding[] {
  const problems: Problem[] = [
    ...verdicts.flatMap(({ target, body }) =>
      body.verdicts.filter(isProblem).map(({ kind, name, peerName, ...verdict }): Problem => {
        if (kind === "configuration") return { kind, name: "", verdict };
        return { kind, name: kind === "peer" ? `${titleOf({ name, peerName })} of ${target.node}` : name, verdict };
      }),
    ),
    ...services
      .filter(({ verdict }) => isProblem(verdict))
      .map(({ service: name, verdict }) => ({ kind: "Service", name, verdict })),
  ];
  const same = Map.groupBy(problems, ({ kind, name, verdict: { state, cause, message } }) =>
    kind === "configuration" || kind === "pool" ? `${kind} ${name} ${message}` : `${kind} ${state} ${cause}`,
  );
  return [...same.values()].flatMap((those): DoctorFinding[] => {
    const [first] = those;
    if (first === undefined) return [];
    const { kind, verdict } = first;
    const all = [...new Set(those.map(({ name }) => name))].filter((name) => name !== "");
    const more = all.length > 1 ? ` (${verdict.cause}; of the first one)` : ` (${verdict.cause})`;
    return [
      {
        severity: verdict.state === "Pending" ? "error" : "warning",
        where: all.length === 0 ? kind : `${kind} ${list(all)}`,
        found: `${verdict.message}${more}`,
        fix: verdict.next,
      },
    ];
  });
}

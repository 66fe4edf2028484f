import { isCentral } from "#pkg/gossip";
import { age, counted, list, listOf, plural } from "#pkg/text";
import type { CauseOf } from "#pkg/verdict";
import { otherHostHasIt } from "../cluster/answers.ts";
import type { MergedService } from "../cluster/merge.ts";
import { type Ending, isOtherVersion, isWithoutSpeakers, type Target } from "../cluster/processes.ts";
import { lagging } from "../views/lagging.ts";
import { visible } from "../views/members.ts";
import type { Examined } from "./examine.ts";
import { type Finding, worstFirst } from "./finding.ts";
import type { Missing } from "./missing-pods.ts";
import { isNicDown, undecided, verdictFindings, withoutConsequences } from "./roots.ts";

/** Everything that is wrong, one finding for each cause. A NIC that is down is one cause, without its consequences. */
export function findingsOf(all: Examined): Finding[] {
  return findingsWithout(
    all,
    new Set(all.verdicts.filter(({ body }) => body.verdicts.some(isNicDown)).map(({ target }) => target.node)),
  );
}

/** Findings without the statements that follow from a NIC of these nodes, or that others do not see them. */
function findingsWithout({ members, verdicts, ...rest }: Examined, cutOff: ReadonlySet<string>): Finding[] {
  const examined: Examined = {
    ...rest,
    members: members.filter(({ target }) => !cutOff.has(target.node)),
    verdicts: withoutBlind(members, verdicts).map(({ target, body }) => {
      return { target, body: { ...body, verdicts: withoutConsequences(body.verdicts) } };
    }),
  };
  const isOrphan = ({ verdict }: MergedService) => verdict.cause === noSpeaker && isWithoutSpeakers(examined);
  const orphans = examined.services.filter(isOrphan).map(({ service }) => service);
  const isWaiting = ({ verdict }: MergedService) => verdict.cause === noAddress && isWithoutController(examined);
  const waiting = examined.services.filter(isWaiting).map(({ service }) => service);
  return worstFirst([
    ...processFindings(examined, { controller: waiting, speaker: orphans }),
    ...endingFindings(examined),
    ...configurationFindings(examined),
    ...ringFindings(examined),
    ...nodeFindings(examined),
    ...occupantFindings(examined),
    ...verdictFindings({
      ...examined,
      services: examined.services.flatMap((one) => (isOrphan(one) || isWaiting(one) ? besides(one) : one)),
    }),
  ]);
}

/** Nobody works for the Service, and the controller has a problem with it. */
function besides({ service, also }: MergedService): MergedService[] {
  return also === undefined ? [] : [{ service, addresses: [], verdict: also }];
}

const noSpeaker: CauseOf<"service"> = "noActiveSpeaker";
const noAddress: CauseOf<"service"> = "noIPAllocated";

/** Nobody gives addresses: neither a controller that leads and answers nor one of MetalLB. */
function isWithoutController({ isNodeLocal = false, configurations, unreachable }: Examined): boolean {
  const silent = new Set(unreachable.map(({ target }) => target));
  const leads = configurations.some(({ target, body }) => body.leader === true && !silent.has(target));
  const isForeign = unreachable.some(({ target, why }) => target.program === "controller" && isOtherVersion(why));
  return !isNodeLocal && !leads && !isForeign;
}

/** Without pools that no node may announce in the sight of a speaker that sees fewer speakers than another one does. */
function withoutBlind(members: Examined["members"], verdicts: Examined["verdicts"]): Examined["verdicts"] {
  const seen = new Map(members.map(({ target, body }) => [target.pod, body.members.filter(({ active }) => active).length]));
  const most = Math.max(...seen.values());
  return verdicts.map(({ target, body }) => {
    const isBlind = (seen.get(target.pod) ?? most) < most;
    const told = body.verdicts.filter(({ kind, cause }) => !(isBlind && kind === "pool" && inSight.includes(cause)));
    return { target, body: { ...body, verdicts: told } };
  });
}

const inSight: readonly string[] = [
  "noActiveSpeaker",
  "noNodeSelected",
  "nodeExcluded",
  "noInterface",
] satisfies CauseOf<"pool">[];

/** @param affected Services that lack the work of all processes of a program */
function processFindings(
  { namespace, targets, isNodeLocal = false, unreachable, configurations, missing = {} }: Examined,
  affected: Readonly<Record<Target["program"], readonly string[]>>,
): Finding[] {
  const check = "processes";
  const severity = "error";
  const named = new Set<Target["program"]>(); // Programs with a finding: the first one names the Services.
  const hurt = (program: Target["program"]) => {
    const isFirst = !named.has(program);
    named.add(program);
    return isFirst && affected[program].length > 0 && { services: affected[program] };
  };
  const findings: Finding[] = [...Map.groupBy(unreachable, ({ target, why }) => `${target.program} ${why}`).values()].flatMap(
    (those): Finding[] => {
      const [first] = those;
      if (first === undefined) return [];
      const { target, why } = first;
      const nodes = those.flatMap(({ target: { node } }) => (node === "" ? [] : [node]));
      const isForbidden = why.startsWith("you may not ");
      return [
        {
          check: isForbidden ? "rights" : check,
          severity,
          where: `${plural(those.length, target.program)} ${listOf(those, (one) => one.target.pod)}${nodes.length === 0 ? "" : ` on ${list(nodes)}`}`,
          found: `${those.length === 1 ? "it does" : "they do"} not answer: ${why}`,
          fix: isForbidden
            ? `kubectl auth can-i get pods --subresource=portforward -n ${namespace}, and create likewise; docs/ingotctl.md has a Role that is enough`
            : fixOf(target, namespace),
          ...hurt(target.program),
        },
      ];
    },
  );
  for (const [program, kind, effect] of programs) {
    if (isNodeLocal || targets.some((target) => target.program === program)) continue;
    const why = missing[program];
    const scale = `kubectl -n ${namespace} scale deployment`;
    const orScale = program === "controller" ? `, and ${scale} NAME --replicas=1 where it asks for 0` : "";
    findings.push({
      check,
      severity,
      where: program,
      found:
        why === undefined
          ? `there is no Pod of a ${program} in namespace ${namespace}: ${effect}`
          : `no ${program} runs, because ${why.because}: ${effect}${inItsWords(why)}`,
      fix:
        why?.fix ??
        `kubectl -n ${namespace} describe ${kind}${orScale}; or name the namespace that they run in by --system-namespace`,
      ...hurt(program),
    });
  }
  const leaders = configurations.filter(({ body }) => body.leader === true);
  const controllers = configurations.filter(({ body }) => body.leader !== undefined);
  const answering = new Set(controllers.map(({ target }) => target));
  const mayLead = ({ program, notRunning }: Target) => program === "controller" && notRunning === undefined;
  const isOneSilent = unreachable.some(({ target }) => mayLead(target) && !answering.has(target));
  const none = `none of them leads: no Service gets an address${isOneSilent ? ", unless one that does not answer leads" : ""}`;
  if (controllers.length > 0 && leaders.length !== 1)
    findings.push({
      check,
      severity: leaders.length === 0 && isOneSilent ? "warning" : severity,
      where: `controllers ${list(controllers.map(({ target }) => target.pod))}`,
      found: leaders.length === 0 ? none : "more than one takes itself for the leader",
      fix:
        leaders.length === 0
          ? `wait for --leader-elect-lease-duration (4s by default), for which a leader that died holds its Lease; then kubectl -n ${namespace} get leases, and see the controllers' logs for their rights to it`
          : `kubectl -n ${namespace} get leases, and see whether all have the same --leader-elect-resource-name`,
      ...hurt("controller"),
    });
  const versions = Map.groupBy(configurations, ({ body }) => body.version);
  if (versions.size > 1)
    findings.push({
      check: "versions",
      severity: "note",
      where: "versions",
      found: [...versions].map(([version, those]) => `${version}: ${list(those.map(({ target }) => target.pod))}`).join("; "),
      fix: `kubectl -n ${namespace} rollout status daemonset`,
    });
  return findings;
}

/** Processes that ended lately and run again. */
function endingFindings({ targets, namespace, now }: Examined): Finding[] {
  const ended = targets.flatMap((target) => {
    const { ending, notRunning } = target;
    const isLately = ending !== undefined && Date.parse(now) - Date.parse(ending.at) < latelyMs;
    return isLately && notRunning === undefined && ending.restarts > 0 ? [{ target, ending }] : [];
  });
  return [...Map.groupBy(ended, ({ target, ending }) => `${target.program} ${ending.how}`).values()].flatMap((those) => {
    const [first] = those;
    if (first === undefined) return [];
    const { target, ending } = first;
    const again = listOf(
      those,
      (one) => `${one.target.pod} ${counted(one.ending.restarts, "time")}, ${age(one.ending.at, new Date(now))} ago`,
    );
    return {
      check: "processes",
      severity: those.some((one) => isLikelyAgain(one.ending)) ? "warning" : "note",
      where: `${plural(those.length, target.program)} ${listOf(those, (one) => one.target.pod)}`,
      found: `${ending.how}; started again: ${again}`,
      fix: fixOf(target, namespace),
    };
  });
}

const latelyMs = 3_600_000;

/** Whether the process may end of the same again. Once, it may have been killed by hand. */
function isLikelyAgain({ cause, restarts }: Ending): boolean {
  return cause === "memory" || (cause === "fault" && restarts > 2);
}

function fixOf({ program, pod, ending }: Target, namespace: string): string {
  if (ending?.cause === "memory")
    return `let the ${program} have more memory (the manifests: 1Gi): resources.limits.memory of its container`;
  const logs = `kubectl -n ${namespace} logs ${pod}`;
  if (ending !== undefined) return `${logs} --previous; kubectl -n ${namespace} describe pod ${pod}`;
  return `kubectl -n ${namespace} describe pod ${pod}; ${logs}`;
}

function inItsWords({ said }: Missing): string {
  return said === undefined ? "" : ` (it says: ${said})`;
}

const programs = [
  ["controller", "deployment", "no Service gets an address"],
  ["speaker", "daemonset", "no address is announced"],
] as const;

function configurationFindings({ configurations }: Examined): Finding[] {
  const behind = lagging(configurations.filter(({ body }) => body.verdict.cause !== undecided));
  if (behind.length === 0) return [];
  const found = listOf(behind, ({ pod, node, what }) => `${pod} on ${node} ${what}`);
  const fix = "wait some seconds; if it stays so, see whether they reach the API server";
  return [{ check: "configuration", severity: "warning", where: "configuration", found, fix }];
}

/**
 * Speakers that answer here and of which one does not see the other. The node that lacks most others, or is lacking there, comes first, and
 * is the cause as far as it goes: where one node of many is cut off, it is one finding.
 */
function ringFindings(examined: Examined): Finding[] {
  const all = examined.members;
  const without = all.filter(({ body }) => body.source === "pods");
  const members = without.length === all.length ? all : all.filter((one) => !without.includes(one));
  const known = visible(members);
  const apart = new Map(known.map((node) => [node, new Set<string>()])); // node -> nodes that it does not see, or that do not see it
  for (const { target, body } of members.filter((one) => apart.has(one.target.node))) {
    const seen = new Set(body.members.filter(({ active }) => active).map(({ node }) => node));
    for (const other of known.filter((node) => !seen.has(node) && node !== target.node)) {
      apart.get(target.node)?.add(other);
      apart.get(other)?.add(target.node);
    }
  }
  const findings = new Map<string, { readonly nodes: string[]; readonly others: readonly string[] }>(); // others -> those without them
  for (;;) {
    const [[node, others] = ["", new Set<string>()]] = [...apart].sort(([, a], [, b]) => b.size - a.size);
    if (others.size === 0) break;
    const same = findings.get([...others].join()) ?? { nodes: [], others: [...others] };
    findings.set([...others].join(), same);
    same.nodes.push(node);
    apart.delete(node);
    for (const other of apart.values()) other.delete(node);
  }
  return [
    ...[...findings.values()].map(
      ({ nodes, others }): Finding => ({
        check: "ring",
        severity: "error",
        where: `${plural(nodes.length, "speaker")} on ${list(nodes)}`,
        found: `${nodes.length === 1 ? "it" : "they"} and the ${plural(others.length, "speaker")} on ${list(others)} do not see each other: both may announce the same address`,
        fix: "let TCP and UDP of the ring (port 7946 by default, the next one of central speakers) pass between the nodes, and give all speakers the same key, from one Secret",
      }),
    ),
    ...noRing(examined, without),
  ];
}

function noRing({ members, verdicts }: Examined, without: Examined["members"]): Finding[] {
  // A speaker that cannot announce on layer 2 stays out of the ring, so that nobody leaves addresses to it.
  const cannot = (node: string) =>
    verdicts.some(({ target, body }) => target.node === node && body.verdicts.some(({ cause }) => cause === "layer2Unavailable"));
  const outside = without.filter(({ target }) => !cannot(target.node));
  const where = (those: typeof without) =>
    `${plural(those.length, "speaker")} on ${list(those.map(({ target }) => target.node))}`;
  const fix =
    "give them the key of one: METALLB_ML_SECRET_KEY and METALLB_ML_BIND_ADDR, as the manifests do, or Helm's speaker.memberlist.enabled: true";
  const found = "they have no ring: failover waits for Kubernetes to see that a node is gone";
  if (without.length === members.length)
    return outside.length === 0 ? [] : [{ check: "ring", severity: "note", where: "speakers", found, fix }];
  const { central = [], others = [] } = Object.groupBy(outside, ({ target: { node } }) =>
    isCentral(node) ? "central" : "others",
  );
  const apart =
    "they have no ring, and the others have one: both may announce the same address, or the others wait for these without becoming ready";
  const apartFix = `${fix}; then delete the Pods of all speakers at once`;
  const findings: Finding[] = [
    { check: "ring", severity: "error", where: where(others), found: apart, fix: apartFix },
    { check: "ring", severity: "note", where: where(central), found, fix }, // They answer for no address.
  ];
  return findings.filter(({ severity }) => (severity === "error" ? others : central).length > 0);
}

function nodeFindings({ nodes, targets, namespace, missing = {} }: Examined): Finding[] {
  if ("unread" in nodes) {
    const found = `they cannot be listed: ${nodes.unread}; a node without a speaker is not noticed`;
    return [{ check: "rights", severity: "note", where: "nodes", found, fix: "kubectl auth can-i list nodes" }];
  }
  const without = nodes.filter((node) => !targets.some((target) => target.program === "speaker" && target.node === node));
  if (without.length === 0) return [];
  const why = missing.speaker;
  const found = `no speaker runs there: ${without.length === 1 ? "it announces" : "they announce"} nothing${why === undefined ? "" : `, because ${why.because}${inItsWords(why)}`}`;
  const fix = `if they are to announce: kubectl -n ${namespace} describe daemonset, for its node selector and tolerations`;
  const severity = why === undefined ? "note" : "error";
  return [{ check: "nodes", severity, where: `node ${list(without)}`, found, fix: why?.fix ?? fix }];
}

/** Addresses of pools that other hosts have: no Service gets one. */
function occupantFindings({ conflicts }: Examined): Finding[] {
  const occupied = new Map(conflicts.flatMap(({ body }) => body.occupied.map((one) => [one.address, one])));
  return [...occupied.values()].map((one) => ({
    check: "pools",
    severity: "note",
    where: `address ${one.address}`,
    found: `${otherHostHasIt(one)}: no Service gets it`,
    fix: "give that host another address, or take this one out of its pool",
  }));
}

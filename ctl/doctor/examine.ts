import { fields, list } from "#pkg/untrusted";
import type { ConfigurationAnswer, ConflictsAnswer, MembersAnswer, VerdictsAnswer } from "../cluster/answers.ts";
import type { Api, ApiAnswer, RawObject } from "../cluster/api.ts";
import { askProblems } from "../cluster/ask-services.ts";
import type { MergedService } from "../cluster/merge.ts";
import { type Answer, askAll, eachOnce, isOtherVersion, type Processes, type Unreachable } from "../cluster/processes.ts";
import { type MissingPods, missingPods } from "./missing-pods.ts";

/** Answers of all processes and of the API server. */
export interface Examined {
  readonly namespace: string;
  readonly targets: Processes["targets"];
  /** The speaker of one node alone was asked. */
  readonly isNodeLocal?: boolean;
  readonly unreachable: readonly Unreachable[];
  readonly configurations: readonly Answer<ConfigurationAnswer>[];
  readonly verdicts: readonly Answer<VerdictsAnswer>[];
  readonly members: readonly Answer<MembersAnswer>[];
  readonly conflicts: readonly Answer<ConflictsAnswer>[];
  /** All Services that are not well, and maybe others. */
  readonly services: readonly MergedService[];
  /** The number of all Services. */
  readonly serviceCount: number;
  /** Names of the nodes that are Ready, or why they cannot be listed. */
  readonly nodes: readonly string[] | { readonly unread: string };
  readonly missing?: MissingPods;
  /** ISO 8601. */
  readonly now: string;
}

export async function examine(processes: Processes, api: Api | undefined, namespace: string): Promise<Examined> {
  const [configurations, verdicts, members, conflicts, asked, nodes] = await Promise.all([
    askAll<ConfigurationAnswer>(processes, "/v1/configuration"),
    askAll<VerdictsAnswer>(processes, "/v1/verdicts?problems&service=-"), // No Service has this name.
    askAll<MembersAnswer>(processes, "/v1/members", "speaker"),
    askAll<ConflictsAnswer>(processes, "/v1/conflicts", "speaker"),
    askProblems(processes),
    api?.list("/api/v1/nodes"),
  ]);
  const ready = nodesOf(nodes);
  return {
    namespace,
    targets: processes.targets,
    isNodeLocal: processes.isNodeLocal === true,
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
    serviceCount: Object.values(asked.states).reduce((sum, count) => sum + count, 0),
    nodes: ready,
    missing: await missingPods(processes, api, namespace, "unread" in ready ? [] : ready),
    now: new Date().toISOString(),
  };
}

function nodesOf(nodes: ApiAnswer | undefined): Examined["nodes"] {
  if (nodes === undefined) return [];
  return nodes.type === "found"
    ? (nodes.value as readonly RawObject[]).filter(isReady).map(({ metadata }) => metadata?.name ?? "")
    : { unread: nodes.type === "unread" ? nodes.why : "there are none" };
}

function isReady({ status }: RawObject): boolean {
  return list(fields(status).conditions).some((one) => fields(one).type === "Ready" && fields(one).status === "True");
}

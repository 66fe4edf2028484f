import { worst } from "#pkg/verdict";
import type { PoolsAnswer, VerdictAnswer } from "../cluster/answers.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import { age, table } from "../cluster/output.ts";
import { askAll, type Processes, type Unreachable } from "../cluster/processes.ts";

/** A pool by all that were asked. */
export interface MergedPool {
  readonly pool: string;
  readonly protocol: string;
  /** By the controller; undefined where it does not answer. */
  readonly total: number | undefined;
  readonly inUse: number | undefined;
  readonly verdict: VerdictAnswer;
}

export async function askPools(
  processes: Processes,
): Promise<{ pools: readonly MergedPool[]; unreachable: readonly Unreachable[] }> {
  const { answers, unreachable } = await askAll<PoolsAnswer>(processes, "/v1/pools");
  const byName = new Map<string, PoolsAnswer["pools"][number][]>();
  // The controller's come first, in the order of the configuration.
  const ordered = answers.toSorted((a, b) => a.target.program.localeCompare(b.target.program));
  for (const { body } of ordered) for (const one of body.pools) byName.set(one.pool, [...(byName.get(one.pool) ?? []), one]);
  const pools = [...byName].flatMap(([pool, all]): MergedPool[] => {
    const [first, ...rest] = all;
    if (first === undefined) return [];
    const { total, inUse } = all.find((one) => one.total !== undefined) ?? {};
    return [
      {
        pool,
        protocol: first.protocol,
        total,
        inUse,
        verdict: mergedVerdict([first.verdict, ...rest.map((one) => one.verdict)]),
      },
    ];
  });
  return { pools, unreachable };
}

/** By BGP each node speaks for itself: what is not for one node is of no matter while it is for another. */
function mergedVerdict(all: readonly [VerdictAnswer, ...VerdictAnswer[]]): VerdictAnswer {
  const [first, ...rest] = all.filter(({ state }) => state !== "NotOurs");
  return first === undefined ? all[0] : worst([first, ...rest]);
}

export const pools = clusterCommand({
  name: "pools",
  summary: "Pools, how full they are and whether they can be announced",
  usage: "",
  takes: 0,
  help: "Lists the pools of the configuration in force, in its order. The worst of what controller and speakers say is shown.",
  async find({ processes, screen, now, isWide }) {
    const { pools: all, unreachable } = await askPools(processes);
    const heading = ["POOL", "PROTOCOL", "IN-USE", "TOTAL", "STATE", "SINCE", "CAUSE", ...(isWide ? ["MESSAGE"] : [])];
    const rows = all.map(({ pool, protocol, inUse, total, verdict }) => [
      pool,
      protocol,
      `${inUse ?? "-"}`,
      `${total ?? "-"}`,
      verdict.state,
      age(verdict.since, now),
      verdict.cause,
      ...(isWide ? [verdict.message] : []),
    ]);
    return { value: { pools: all }, text: all.length === 0 ? "there is no pool\n" : table(heading, rows, screen), unreachable };
  },
});

import { age } from "#pkg/text";
import type { PoolAnswer, PoolsAnswer } from "../cluster/answers.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import { mergePools } from "../cluster/merge.ts";
import { table } from "../cluster/output.ts";
import { askAll, type Processes, type Unreachable } from "../cluster/processes.ts";

export async function askPools(
  processes: Processes,
): Promise<{ pools: readonly PoolAnswer[]; unreachable: readonly Unreachable[] }> {
  const { answers, unreachable } = await askAll<PoolsAnswer>(processes, "/v1/pools");
  return { pools: mergePools(answers), unreachable };
}

export const pools = clusterCommand({
  name: "pools",
  summary: "Pools, how full they are and whether they can be announced",
  takes: 0,
  help: "Lists the pools of the configuration in force, in its order. The worst verdict of controller and speakers is shown.",
  async find({ processes, screen, now, format }) {
    const { pools: all, unreachable } = await askPools(processes);
    const heading = ["POOL", "PROTOCOL", "IN-USE", "TOTAL", "STATE", "SINCE", "CAUSE", ...(format === "wide" ? ["MESSAGE"] : [])];
    const rows = all.map(({ pool, protocol, inUse, total, verdict }) => [
      pool,
      protocol,
      `${inUse ?? "-"}`,
      `${total ?? "-"}`,
      verdict.state,
      age(verdict.since, now),
      verdict.cause,
      ...(format === "wide" ? [verdict.message] : []),
    ]);
    return { value: { pools: all }, text: all.length === 0 ? "there is no pool\n" : table(heading, rows, screen), unreachable };
  },
});

import type { Family } from "#pkg/net";
import { count } from "#pkg/text";
import type { PoolAnswer, PoolsAnswer } from "../cluster/answers.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import { mergePools } from "../cluster/merge.ts";
import { asFarAsKnown, askAll, type Processes, type Unreachable } from "../cluster/processes.ts";
import { type Column, listing, listOptions, sinceAndCause } from "./listing.ts";

export async function askPools(
  processes: Processes,
): Promise<{ pools: readonly PoolAnswer[]; unreachable: readonly Unreachable[] }> {
  const { answers, unreachable } = await askAll<PoolsAnswer>(processes, "/v1/pools");
  return {
    pools: mergePools(answers, { targets: processes.targets, isNodeLocal: processes.isNodeLocal === true, unreachable }),
    unreachable,
  };
}

/** How many of a pool's addresses of a family are in use: one family may be full while the other has billions. */
function usage(heading: string, family: Family): Column<PoolAnswer> {
  const of = ({ families = [] }: PoolAnswer) => families.find((one) => one.family === family);
  return {
    heading,
    cell: (pool) => {
      const found = of(pool);
      return found === undefined ? "-" : `${count(found.inUse)}/${count(found.total)}`;
    },
    key: (pool) => of(pool)?.inUse ?? -1,
  };
}

const columns: readonly Column<PoolAnswer>[] = [
  { heading: "POOL", cell: ({ pool }) => pool },
  { heading: "PROTOCOL", cell: ({ protocol }) => protocol },
  usage("IPV4", "IPv4"),
  usage("IPV6", "IPv6"),
  { heading: "STATE", cell: ({ verdict }) => verdict.state },
  ...sinceAndCause,
  { heading: "MESSAGE", cell: ({ verdict }) => verdict.message, isWide: true },
];

export const pools = clusterCommand({
  name: "pools",
  summary: "Pools, how full they are and whether they can be announced",
  usage: "[NAME…]",
  takes: "any",
  completes: "pool",
  options: listOptions,
  help: `Lists the pools of the configuration in force, in its order. The worst verdict of controller and speakers is shown,
but a pool that some node may announce is Degraded at most.`,
  examples: ["ingotctl pools", "ingotctl pools lan -o wide", "ingotctl pools --cause=full --sort-by=ipv4"],
  async find(question, filters) {
    const { pools: all, unreachable } = await askPools(question.processes);
    return listing(question, filters, {
      kind: "pools",
      all,
      columns,
      isNamed: ({ pool }, name) => pool === name,
      verdicts: ({ verdict }) => [verdict],
      none: `there is no pool${asFarAsKnown(unreachable)}`,
      unreachable,
    });
  },
});

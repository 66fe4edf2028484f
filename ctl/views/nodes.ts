import type { VerdictAnswer } from "#pkg/verdict";
import type { NodeAnswer } from "../cluster/answers.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import { askAll } from "../cluster/processes.ts";
import { type Column, listing, listOptions, sinceAndCause } from "./listing.ts";

interface NodeVerdict {
  readonly node: string;
  readonly verdict: VerdictAnswer;
}

const columns: readonly Column<NodeVerdict>[] = [
  { heading: "NODE", cell: ({ node }) => node },
  { heading: "STATE", cell: ({ verdict }) => verdict.state },
  ...sinceAndCause,
  { heading: "MESSAGE", cell: ({ verdict }) => verdict.message },
];

export const nodes = clusterCommand({
  name: "nodes",
  summary: "Nodes with a speaker, and problems of their settings",
  usage: "[NAME…]",
  takes: "any",
  completes: "node",
  options: listOptions,
  help: "Lists each speaker's verdicts on its node, the worst first.",
  examples: ["ingotctl nodes", "ingotctl nodes node1 -o json", "ingotctl nodes --state=Degraded"],
  async find(question, filters) {
    const { answers, unreachable } = await askAll<NodeAnswer>(question.processes, "/v1/node", "speaker");
    const all = answers.map(({ body: { node, verdicts } }) => ({ node, verdicts })).sort((a, b) => (a.node < b.node ? -1 : 1));
    const listed = listing<NodeVerdict>(question, filters, {
      kind: "nodes",
      all: all.flatMap(({ node, verdicts }) => verdicts.map((verdict) => ({ node, verdict }))),
      columns,
      isNamed: ({ node }, name) => node === name,
      verdicts: ({ verdict }) => [verdict],
      none: "no speaker answers",
      unreachable,
    });
    const chosen = Map.groupBy((listed.value as { readonly nodes: readonly NodeVerdict[] }).nodes, ({ node }) => node);
    const value = { nodes: [...chosen].map(([node, those]) => ({ node, verdicts: those.map(({ verdict }) => verdict) })) };
    return { ...listed, value };
  },
});

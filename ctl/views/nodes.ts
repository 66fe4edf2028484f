import { age } from "#pkg/text";
import type { NodeAnswer } from "../cluster/answers.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import { table } from "../cluster/output.ts";
import { askAll } from "../cluster/processes.ts";

export const nodes = clusterCommand({
  name: "nodes",
  summary: "Nodes with a speaker, and problems of their settings",
  takes: 0,
  help: "Lists each speaker's verdicts on its node, the worst first.",
  async find({ processes, screen, now }) {
    const { answers, unreachable } = await askAll<NodeAnswer>(processes, "/v1/node", "speaker");
    const all = answers.map(({ body: { node, verdicts } }) => ({ node, verdicts })).sort((a, b) => (a.node < b.node ? -1 : 1));
    const rows = all.flatMap(({ node, verdicts }) =>
      verdicts.map(({ state, cause, since, message }) => [node, state, age(since, now), cause, message]),
    );
    const text = rows.length === 0 ? "no speaker answers\n" : table(["NODE", "STATE", "SINCE", "CAUSE", "MESSAGE"], rows, screen);
    return { value: { nodes: all }, text, unreachable };
  },
});

import { isCentral } from "#pkg/gossip";
import type { MembersAnswer } from "../cluster/answers.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import { table } from "../cluster/output.ts";
import { type Answer, askAll } from "../cluster/processes.ts";

export const members = clusterCommand({
  name: "members",
  summary: "Speakers, and the others that each sees",
  takes: 0,
  help: "Lists for each speaker the number of speakers that it sees, itself among them, and speakers that answer here and that it does not see.",
  examples: ["ingotctl members"],
  async find({ processes, screen }) {
    const { answers, unreachable } = await askAll<MembersAnswer>(processes, "/v1/members", "speaker");
    const known = visible(answers);
    const all = answers.map(({ target: { node }, body: { source, timing, members: seen } }) => {
      const active = seen.filter((one) => one.active).map((one) => one.node);
      return { node, source, timing, sees: active, misses: known.filter((other) => !active.includes(other)) };
    });
    const rows = all.map(({ node, source, timing, sees, misses }) => [
      node,
      source,
      timing ?? "-",
      `${sees.length}`,
      misses.join(",") || "none",
    ]);
    const text =
      rows.length === 0 ? "no speaker answers\n" : table(["NODE", "SOURCE", "TIMING", "SEES", "DOES NOT SEE"], rows, screen);
    return { value: { members: all }, text, unreachable };
  },
});

/** The members that others can see: without a ring, central speakers are seen by nobody. */
export function visible(answers: readonly Answer<MembersAnswer>[]): string[] {
  return answers.flatMap(({ target: { node }, body }) => (body.source === "pods" && isCentral(node) ? [] : [node]));
}

import { counted, list, maskControls } from "#pkg/text";
import type { ConfigurationAnswer } from "../cluster/answers.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import { table } from "../cluster/output.ts";
import { askAll } from "../cluster/processes.ts";
import { version as own } from "../command.ts";

export const version = clusterCommand({
  name: "version",
  summary: "Versions of this program and of all processes",
  takes: 0,
  help: `Prints the versions of ingotctl, the controllers and the speakers, with the number of processes that have each. "ingotctl --version" asks
nobody.`,
  examples: ["ingotctl version", "ingotctl version -o json"],
  async find({ processes, screen }) {
    const { answers, unreachable } = await askAll<ConfigurationAnswer>(processes, "/v1/configuration");
    const all = answers.map(({ target: { program, pod, node }, body }) => ({ program, pod, node, version: body.version }));
    const same = [...Map.groupBy(all, ({ program, version }) => `${program}\n${version}`).values()];
    const rows = same.map((those) => [
      those[0]?.program ?? "",
      `${those[0]?.version}`,
      maskControls(`${counted(those.length, "process")}: ${list(those.map(({ pod }) => pod))}`),
    ]);
    const text = table(["PROGRAM", "VERSION", "PROCESSES"], [["ingotctl", own, "this one"], ...rows], screen);
    return { value: { ingotctl: own, processes: all }, text, unreachable };
  },
});

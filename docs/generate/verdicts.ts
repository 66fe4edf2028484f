import { type Cause, causes, type Kind, kinds, states } from "#pkg/verdict";

const titles: Readonly<Record<Kind, string>> = {
  service: "Services and addresses",
  pool: "Pools",
  node: "Nodes",
  peer: "BGP peers",
  configuration: "Configuration",
};

/** Markdown: a row for each state. */
export function statesTable(): string {
  const rows = Object.entries(states).map(([state, means]) => `| \`${state}\` | ${means} |`);
  return `${["| state | |", "|---|---|", ...rows].join("\n")}\n`;
}

/** Markdown: for each kind a section with a row for each cause. */
export function causesTables(): string {
  return kinds.map((kind) => `### ${titles[kind]}\n\n${causesTable(causes[kind])}`).join("\n");
}

function causesTable(table: Readonly<Record<string, Cause>>): string {
  const rows = Object.entries(table).map(
    ([code, row]) => `| \`${code}\` | ${row.states.join(", ")} | ${row.means} | ${row.next.replaceAll("|", "\\|")} |`,
  );
  return `${["| cause | state | meaning | what to do |", "|---|---|---|---|", ...rows].join("\n")}\n`;
}

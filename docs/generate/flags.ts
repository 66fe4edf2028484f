import type { FlagSet } from "#pkg/flags";

/** Markdown: a row for each flag. */
export function flagsTable(flags: FlagSet): string {
  const rows = Object.entries(flags).map(([name, { help, env, fallback, standard, expects }]) => {
    const text = standard ?? fallback;
    const value = text === "" ? "" : `\`${text}\``;
    const choices = expects.startsWith("one of") ? ` (${expects})` : "";
    return `| \`--${name}\` | ${env === undefined ? "" : `\`${env}\``} | ${value} | ${help}${choices} |`;
  });
  return `${["| flag | environment | default | |", "|---|---|---|---|", ...rows].join("\n")}\n`;
}

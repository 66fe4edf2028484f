import { plantedFaults, subjectOf, undescribed, unfound } from "#e2e/planted-faults";

/** Markdown: a row for each fault that a test plants. */
export function faultsTable(): string {
  const rows = Object.entries(plantedFaults).map(([name, fault]) => {
    const cause = Object.hasOwn(unfound, name) ? `nothing: ${unfound[name]}` : `\`${fault.causes[0]}\``;
    const shown = undescribed.has(name) ? "" : `\`kubectl describe ${subjectOf(fault)}\``;
    return `| ${fault.symptom.replaceAll("<pending>", "`<pending>`")} | \`ingotctl ${fault.find}\` | ${cause} | ${shown} |`;
  });
  return `${["| what you see | ask | it names | also shown by |", "|---|---|---|---|", ...rows].join("\n")}\n`;
}

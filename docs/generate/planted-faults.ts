import { plantedFaults, subjectOf, undescribed, unfound } from "#e2e/planted-faults";

/** Markdown: a row for each fault that a test plants. */
export function faultsTable(): string {
  const rows = Object.entries(plantedFaults).map(([name, fault]) => {
    const [code] = fault.causes;
    const named = code === undefined ? "the process that does not answer" : `\`${code}\``;
    const cause = Object.hasOwn(unfound, name) ? `nothing: ${unfound[name]}` : named;
    const subject = subjectOf(fault);
    const namespace = /^(configmap|ipaddresspool|pod)\//.test(subject) ? " -n metallb-system" : "";
    const shown = undescribed.has(name) ? "" : `\`kubectl${namespace} describe ${subject}\``;
    return `| ${fault.symptom.replaceAll("<pending>", "`<pending>`")} | \`ingotctl ${fault.find}\` | ${cause} | ${shown} |`;
  });
  return `${["| what you see | ask | it names | also shown by |", "|---|---|---|---|", ...rows].join("\n")}\n`;
}

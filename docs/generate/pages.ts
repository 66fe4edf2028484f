import { flags as controllerFlags } from "../../controller/flags.ts";
import schema from "../../pkg/config/schema.json" with { type: "json" };
import { flags as speakerFlags } from "../../speaker/flags.ts";
import { configurationTables, type Schema } from "./configuration.ts";
import { flagsTable } from "./flags.ts";
import { read } from "./markdown.ts";
import { metricsTable } from "./metrics.ts";
import { faultsTable } from "./planted-faults.ts";
import { causesTables, statesTable } from "./verdicts.ts";

/** The text between `<!-- begin NAME` and `<!-- end NAME` of a page. */
interface Section {
  readonly file: string;
  readonly name: string;
  readonly text: () => string;
}

const sections: readonly Section[] = [
  { file: "docs/configuration.md", name: "fields", text: () => configurationTables(schema as unknown as Schema) },
  { file: "docs/operations.md", name: "flags of the controller", text: () => flagsTable(controllerFlags) },
  { file: "docs/operations.md", name: "flags of the speaker", text: () => flagsTable(speakerFlags) },
  { file: "docs/operations.md", name: "metrics of the controller", text: () => metricsTable("controller") },
  { file: "docs/operations.md", name: "metrics of the speaker", text: () => metricsTable("speaker") },
  { file: "docs/troubleshooting.md", name: "faults", text: faultsTable },
  { file: "docs/verdicts.md", name: "states", text: statesTable },
  { file: "docs/verdicts.md", name: "causes", text: causesTables },
];

/** The pages with generated parts: as they are, and as they have to be. */
export function generatedPages(): { readonly file: string; readonly now: string; readonly wanted: string }[] {
  return [...Map.groupBy(sections, ({ file }) => file)].map(([file, those]) => {
    const now = read(file);
    return { file, now, wanted: those.reduce((text, section) => withSection(text, section), now) };
  });
}

function withSection(page: string, { file, name, text }: Section): string {
  const begin = `<!-- begin ${name} (make docs) -->\n`;
  const end = `<!-- end ${name} -->`;
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new Error(`Cannot generate ${file}: it has no place for ${name}`);
  return `${page.slice(0, from + begin.length)}\n${text()}\n${page.slice(to)}`;
}

import { breaks } from "./breaks/index.ts";
import { Workshop } from "./workshop.ts";

/** `make mutation`: makes each fault of the list in a copy of the sources, and sees whether the tests notice. */
const only = process.env.ONLY ?? "";
const chosen = breaks.filter(({ file, before }) => file.includes(only) || before.includes(only));
using workshop = new Workshop();

const files = [...new Set(chosen.flatMap(({ tests }) => tests))];
const sound = await workshop.test(files);
if (sound.failed) throw new Error(`Cannot try faults: without one, this test fails: ${sound.first}`);

const survivors: string[] = [];
for (const fault of chosen) {
  const { failed, first } = await workshop.try(fault);
  const what = `${fault.file}: ${oneLine(fault.before)} -> ${oneLine(fault.after) || "nothing"}`;
  console.log(`${failed ? "caught" : "SURVIVED"}  ${what}${failed ? `\n        by: ${first ?? "the end of the process"}` : ""}`);
  if (!failed) survivors.push(what);
}
console.log(`\n${chosen.length - survivors.length} of ${chosen.length} faults caught`);
if (survivors.length > 0) {
  console.error(`Not caught:\n${survivors.join("\n")}`);
  process.exitCode = 1;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}

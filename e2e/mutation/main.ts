import { type Break, type Broken, broken, productSources } from "./break.ts";
import { breaks } from "./breaks/index.ts";
import { limitOf, type Outcome, Workshop } from "./workshop.ts";

/**
 * `make mutation`: makes each fault of the list in a copy of the sources, and sees whether the tests notice. Tests that do not end have noticed, too:
 * nobody waits for them. A fault whose text is not in the sources any more counts as one that no test notices.
 */
const only = process.env.ONLY ?? "";
const sources = productSources();
const faults: { readonly fault: Break; readonly made: Broken; readonly what: string }[] = [];
const lost: string[] = [];
for (const fault of breaks) {
  try {
    const made = broken(fault, sources);
    const what = `${made.file}: ${oneLine(fault.before)} -> ${oneLine(fault.after) || "nothing"}`;
    if (what.includes(only)) faults.push({ fault, made, what });
  } catch (error) {
    lost.push(`${error instanceof Error ? error.message : error}`);
  }
}
for (const message of lost) console.log(`LOST  ${message}`);

using workshop = new Workshop();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    workshop[Symbol.dispose]();
    process.kill(process.pid, signal);
  });

const files = [...new Set(faults.flatMap(({ fault }) => fault.tests))];
const startedAt = performance.now();
const sound = await workshop.test(files);
if (sound.type === "failed") throw new Error(`Cannot try faults: without one, this test fails: ${sound.first}`);
const limitMs = limitOf(performance.now() - startedAt);

const survivors: string[] = [];
for (const { fault, made, what } of faults) {
  const outcome = await workshop.try(made, fault.tests, AbortSignal.timeout(limitMs));
  if (outcome.type === "passed") survivors.push(what);
  console.log(outcome.type === "passed" ? `SURVIVED  ${what}` : `caught  ${what}\n        by: ${noticedBy(outcome)}`);
}
console.log(`\n${faults.length - survivors.length} of ${faults.length + lost.length} faults caught`);
if (survivors.length + lost.length > 0) {
  console.error(`Not caught:\n${[...lost, ...survivors].join("\n")}`);
  process.exitCode = 1;
}

function noticedBy(outcome: Outcome): string {
  if (outcome.type === "failed") return outcome.first;
  return `tests that do not end; they were killed after ${Math.round(limitMs / 1000)} s`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}

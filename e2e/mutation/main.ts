import { breaks } from "./breaks/index.ts";
import { limitOf, type Verdict, Workshop } from "./workshop.ts";

/**
 * `make mutation`: makes each fault of the list in a copy of the sources, and sees whether the tests notice. Tests that no longer end do: whoever
 * runs them does not wait for ever either.
 */
const only = process.env.ONLY ?? "";
const chosen = breaks.filter(({ file, before }) => file.includes(only) || before.includes(only));
using workshop = new Workshop();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    workshop[Symbol.dispose]();
    process.kill(process.pid, signal);
  });

const files = [...new Set(chosen.flatMap(({ tests }) => tests))];
const startedAt = performance.now();
const sound = await workshop.test(files);
if (sound.outcome === "failed") throw new Error(`Cannot try faults: without one, this test fails: ${sound.first}`);
const limitMs = limitOf(performance.now() - startedAt);

const survivors: string[] = [];
for (const fault of chosen) {
  const verdict = await workshop.try(fault, AbortSignal.timeout(limitMs));
  const what = `${fault.file}: ${oneLine(fault.before)} -> ${oneLine(fault.after) || "nothing"}`;
  if (verdict.outcome === "passed") survivors.push(what);
  console.log(verdict.outcome === "passed" ? `SURVIVED  ${what}` : `caught  ${what}\n        by: ${noticedBy(verdict)}`);
}
console.log(`\n${chosen.length - survivors.length} of ${chosen.length} faults caught`);
if (survivors.length > 0) {
  console.error(`Not caught:\n${survivors.join("\n")}`);
  process.exitCode = 1;
}

function noticedBy(verdict: Verdict): string {
  if (verdict.outcome === "failed") return verdict.first;
  return `tests that do not end; they were killed after ${Math.round(limitMs / 1000)} s`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}

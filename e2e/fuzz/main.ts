import { availableParallelism } from "node:os";
import { cacheFile, inputText, keptFile, readInputs, worthKeeping, writeInputs } from "./corpus.ts";
import { fuzzInThread } from "./parser-thread.ts";
import { targetNames } from "./targets/index.ts";
import type { Report } from "./task.ts";

/** `make fuzz`: looks for inputs that parsers do not survive, or that cost more than they may. */
const seconds = Number(process.env.TIME || 60);
const wanted = process.env.TARGET ?? "";
const seed = Number(process.env.SEED || Date.now() % 1_000_000);
const isKept = (process.env.KEEP ?? "") !== "";
const maxSeconds = 20;

if (!(seconds > 0)) fail(`TIME has to be seconds, but is ${process.env.TIME}`);
if (wanted !== "" && !targetNames.includes(wanted)) fail(`There is no parser ${wanted}; there are ${targetNames.join(", ")}`);
const names = wanted === "" ? targetNames : [wanted];
console.log(`${names.length} parsers, ${seconds} s of processor time each, seed ${seed}`);
console.log(`on ${availableParallelism()} processors; inputs that do something new are kept in .cache/fuzz/\n`);

let faults = 0;
for (const name of names) {
  const inputs = [...readInputs(keptFile(name)), ...readInputs(cacheFile(name))];
  const options = { name, inputs, seconds, seed, maxSeconds, file: new URL("worker.ts", import.meta.url) };
  await fuzzInThread(options, (report) => {
    if (report.inputs.length > 0) writeInputs(cacheFile(name), report.inputs);
    if (report.isLast) tell(name, report);
  });
  if (isKept) writeInputs(keptFile(name), worthKeeping(readInputs(cacheFile(name))));
}
if (faults > 0) fail(`\n${faults} faults found`);

function tell(name: string, { executions, reached, maxLoad, findings, inputs, seconds: spent }: Report): void {
  faults += findings.length;
  const done = `${executions} inputs in ${Math.round(spent)} s, ${reached} blocks and counts reached by ${inputs.length} of them`;
  console.log(
    `${name}: ${done}, the costliest took ${Math.round(maxLoad * 100)} % of its bound; ${findings.length || "no"} faults`,
  );
  for (const { input, problem } of findings) {
    console.log(`\n${name} ${problem}`);
    console.log(`  The input. As a line of e2e/fuzz/corpus/${name}.txt it is tried by "make test":\n${inputText(input)}\n`);
  }
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}

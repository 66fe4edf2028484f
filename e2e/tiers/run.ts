/**
 * `node e2e/tiers/run.ts quick|test|scenarios|root`: runs the tests of a tier, many files in one process where they allow that, and prints what failed,
 * what was skipped and totals. With `COSTS=20` also the 20 files that took most of the processors; with `EACH=1` each test.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Outcome } from "./reporter.ts";
import { type Selection, select, type TestFile, testFiles } from "./tiers.ts";

/** Files that one process runs, one after another. */
type Job = readonly TestFile[];

const selection = process.argv[2] as Selection;
const all = testFiles();
const chosen = select(all, selection);
const processors = Math.min(availableParallelism(), 4);

/** `count` jobs of about the same size. */
function shared(files: readonly TestFile[], count: number): Job[] {
  return Array.from({ length: count }, (_, index) => files.filter((_, position) => position % count === index));
}

// Files that wait come first, and files that only compute fill the processors beside them.
const together = Map.groupBy(
  chosen.filter(({ alone }) => !alone),
  (file) => file.tier,
);
const jobs: readonly Job[] = [
  ...chosen.filter(({ alone }) => alone).map((file) => [file]),
  ...shared(together.get("scenarios") ?? [], processors),
  ...shared(together.get("test") ?? [], 2 * processors),
  ...shared(together.get("quick") ?? [], processors),
].filter((job) => job.length > 0);

const preloads = ["same-examples.ts", ...(selection === "quick" ? ["fewer-examples.ts"] : [])].map(
  (file) => `--import=./e2e/tiers/${file}`,
);
const reports = mkdtempSync(join(tmpdir(), "ingot-tests-"));

/** Prints failures. @returns what its tests came to */
async function run(job: Job, index: number): Promise<readonly Outcome[]> {
  const report = join(reports, `${index}`);
  const options = [
    "--test",
    "--test-isolation=none",
    "--test-reporter=./e2e/tiers/reporter.ts",
    `--test-reporter-destination=${report}`,
  ];
  const child = spawn(process.execPath, [...preloads, ...options, ...job.map(({ path }) => path)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err, [status, signal]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  const lines = existsSync(report) ? readFileSync(report, "utf8").split("\n").filter(Boolean) : [];
  const outcomes: Outcome[] = lines.map((line) => JSON.parse(line));
  const failed = outcomes.filter(({ failure }) => failure !== undefined);
  for (const { file, line, name, failure } of failed) console.log(`\n✖ ${file}:${line}: ${name}\n${failure}`);
  const [{ path } = { path: "" }] = job;
  if (failed.length === 0 && (status !== 0 || outcomes.length === 0)) {
    const failure = `the process of ${path} ended with ${signal ?? `status ${status}`} after ${outcomes.length} tests`;
    console.log(`\n✖ ${failure}\n${err}`);
    outcomes.push({ file: path, line: 0, name: "the process of the tests", failure, cpuMs: 0 });
  } else if (failed.length > 0) console.log(`${out}${err}`);
  return outcomes;
}

const outcomes: Outcome[] = [];
let next = 0;
async function work(): Promise<void> {
  for (let job = jobs[next]; job !== undefined; job = jobs[next]) outcomes.push(...(await run(job, next++)));
}
// While some tests wait, others compute. Beside clusters of real processes there is often a real one: see .ci/run.
const atOnce: Readonly<Record<Selection, number>> = {
  quick: processors,
  test: 2 * processors,
  scenarios: processors + 1,
  root: processors + 1,
};
await Promise.all(Array.from({ length: atOnce[selection] }, work));
rmSync(reports, { recursive: true });

/** Processor time by file, the most first. */
function costs(): readonly (readonly [file: string, cpuMs: number])[] {
  const byFile = Map.groupBy(outcomes, ({ file }) => file);
  const sums = [...byFile].map(([file, tests]) => [file, tests.reduce((sum, { cpuMs }) => sum + cpuMs, 0)] as const);
  return sums.sort(([, one], [, other]) => other - one);
}

const { EACH: each, COSTS: shown } = process.env;
for (const { file, name, skipped, failure } of outcomes) {
  if (skipped !== undefined) console.log(`﹣ ${file}: ${name} # ${skipped}`);
  else if (each) console.log(`${failure === undefined ? "✔" : "✖"} ${file}: ${name}`);
}
for (const [file, ms] of costs().slice(0, Number(shown ?? 0))) console.log(`${(ms / 1000).toFixed(2).padStart(8)} s  ${file}`);
const failed = outcomes.filter(({ failure }) => failure !== undefined).length;
const skipped = outcomes.filter((outcome) => outcome.skipped !== undefined).length;
const seconds = Math.round(performance.now() / 1000);
console.log(
  `${outcomes.length - failed - skipped} passed, ${failed} failed, ${skipped} skipped: ${chosen.length} files in ${jobs.length} processes, ${seconds} s`,
);
if (selection === "quick") console.log(`make test has the other ${all.length - chosen.length} files, and all examples.`);
process.exitCode = failed === 0 ? 0 : 1;

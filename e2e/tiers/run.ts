/**
 * `node e2e/tiers/run.ts SELECTION [FILE...]`: runs the tests of a selection (`tiers.ts` has them), or only some files of it, many in one process where
 * they allow that. Prints failures, skipped tests and totals. With `COSTS=20` also the 20 files that took longest; with `EACH=1` each test.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { Contention } from "./contention.ts";
import type { Cost, Outcome } from "./reporter.ts";
import { type Selection, select, type TestFile, testFiles } from "./tiers.ts";

/** Files that one process runs, one after another. */
type Job = readonly TestFile[];

const [selection, ...patterns] = process.argv.slice(2) as [Selection, ...string[]];
const all = testFiles();
const wanted = new Set(globSync(patterns));
const chosen = select(all, selection).filter(({ path }) => patterns.length === 0 || wanted.has(path));
if (chosen.length === 0) throw new Error(`Cannot run tests: no file of ${selection} is among ${patterns.join(" ")}`);
const processors = Math.min(availableParallelism(), 4);

/** `count` jobs of about the same size. */
function shared(files: readonly TestFile[], count: number): Job[] {
  const jobs = Array.from({ length: count }, (_, index) => files.filter((_, position) => position % count === index));
  return jobs.filter((job) => job.length > 0);
}

/** The longest first, so that all end at about the same time: files that say so, then processes of many files. */
function jobsOf(files: readonly TestFile[], count: number): Job[] {
  const alone = (isLong: boolean) => files.filter(({ alone, long }) => alone && long === isLong).map((file) => [file]);
  const together = shared(
    files.filter(({ alone }) => !alone),
    count,
  );
  return [...alone(true), ...together, ...alone(false)];
}

const computing = jobsOf(
  chosen.filter(({ computes }) => computes),
  selection === "quick" ? processors : 2 * processors,
);
const waiting = jobsOf(
  chosen.filter(({ computes }) => !computes),
  2 * processors,
);

const preloads = ["same-examples.ts", ...(selection === "quick" ? ["fewer-examples.ts"] : [])].map(
  (file) => `--import=./e2e/tiers/${file}`,
);
const reports = mkdtempSync(join(tmpdir(), "ingot-tests-"));
if (selection === "quick") process.env.EXAMPLES ??= "0.1";
const { EACH: each, COSTS: shown } = process.env;
const outcomes: Outcome[] = [];
const costs: (Cost & { readonly file: string })[] = [];
let started = 0;

/** Runs a job, and prints failures. @param by a command before that of Node */
async function run(job: Job, by: readonly string[]): Promise<void> {
  const report = join(reports, `${started++}`);
  const untracked = job.every(({ computes }) => computes) ? ["--import=./pkg/clock/testing/untracked-promises.ts"] : [];
  const tests = ["e2e/tiers/in-one-process.ts", report, ...job.map(({ path }) => path)];
  const [program = "", ...argv] = [...by, process.execPath, ...preloads, ...untracked, ...tests];
  const child = spawn(program, argv, { stdio: ["ignore", "pipe", "pipe"] });
  const [out, err, [status, signal]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  const lines = existsSync(report) ? readFileSync(report, "utf8").split("\n").filter(Boolean) : [];
  const reported: (Outcome | Cost)[] = lines.map((line) => JSON.parse(line));
  const results = reported.filter((each) => "name" in each);
  const failed = results.filter(({ failure }) => failure !== undefined);
  for (const { file, line, name, failure } of failed) console.log(`\n✖ ${file}:${line}: ${name}\n${failure}`);
  const [{ path } = { path: "" }] = job;
  if (failed.length === 0 && (status !== 0 || results.length === 0)) {
    const failure = `the process of ${path} ended with ${signal ?? `status ${status}`} after ${results.length} tests`;
    console.log(`\n✖ ${failure}\n${err}`);
    results.push({ file: path, line: 0, name: "the process of the tests", failure, ms: 0 });
  } else if (failed.length > 0) console.log(`${out}${err}`);
  else if (each) process.stdout.write(out);
  outcomes.push(...results);
  const cost = reported.find((each) => "cpuMs" in each);
  if (cost !== undefined) costs.push(...costOfEach(job, results, cost));
}

/** Files share the time of their process in proportion to their tests. */
function costOfEach(job: Job, results: readonly Outcome[], { ms, cpuMs }: Cost): typeof costs {
  const sum = (those: readonly Outcome[]) => those.reduce((total, outcome) => total + outcome.ms, 0);
  const all = sum(results);
  return job.map(({ path: file }) => {
    const share = job.length === 1 ? 1 : sum(results.filter((outcome) => outcome.file === file)) / all;
    return { file, ms: ms * share, cpuMs: cpuMs * share };
  });
}

/** Runs jobs one after another until the list is empty. @param isExtra begins none while the processors are busy */
async function lane(jobs: Job[], by: readonly string[], isExtra: boolean): Promise<void> {
  for (;;) {
    while (isExtra && jobs.length > 0 && contention.isHigh()) await sleep(1_000);
    const job = jobs.shift();
    if (job === undefined) return;
    if (isExtra) contention.forget(); // Others wait until the effect of this one is seen.
    await run(job, by);
  }
}
/** @param atLeast so many run also where the processors are busy */
function lanes(count: number, jobs: Job[], by: readonly string[] = [], atLeast = count): readonly Promise<void>[] {
  return Array.from({ length: count }, (_, index) => lane(jobs, by, index >= atLeast));
}

// Tests of real processes mostly wait. Computing files get the processor time that is left over: rings and routers that wake up go on at once. Where
// they do not, as on a slow machine, fewer run at a time: with BFD a neighbour that is late counts as gone.
const waitingAtOnce: Readonly<Record<Selection, number>> = {
  quick: 0,
  test: processors + 1,
  scenarios: processors + 1,
  root: processors + 3,
  computing: 0,
  waiting: processors + 3,
  kubernetes: processors, // Each has a control plane.
  nightly: processors,
};
const politely = selection === "quick" ? [] : ["chrt", "--idle", "0"];
const contention = new Contention();
await Promise.all([...lanes(processors, computing, politely), ...lanes(waitingAtOnce[selection], waiting, [], processors)]);
contention.stop();
rmSync(reports, { recursive: true });

/** In `quick` those are skipped that take long, and the totals have their number. */
const isTold = ({ skipped }: Outcome) => each !== undefined || (skipped !== undefined && selection !== "quick");
for (const { file, name, skipped, failure, ms } of outcomes.filter(isTold)) {
  if (skipped !== undefined) console.log(`﹣ ${file}: ${name} # ${skipped}`);
  else console.log(`${failure === undefined ? "✔" : "✖"} ${file}: ${name} (${(ms / 1000).toFixed(1)} s)`);
}
for (const { file, ms, cpuMs } of costs.sort((a, b) => b.ms - a.ms).slice(0, Number(shown ?? 0)))
  console.log(`${(ms / 1000).toFixed(1).padStart(8)} s, ${(cpuMs / 1000).toFixed(1).padStart(6)} s of the processors: ${file}`);
const failed = outcomes.filter(({ failure }) => failure !== undefined).length;
const skipped = outcomes.filter((outcome) => outcome.skipped !== undefined).length;
console.log(
  `${outcomes.length - failed - skipped} passed, ${failed} failed, ${skipped} skipped: ${chosen.length} files in ${started} processes, ${Math.round(performance.now() / 1000)} s`,
);
if (selection === "quick")
  console.log(`make test has the other ${select(all, "test").length - chosen.length} files, and all examples.`);
process.exitCode = failed === 0 ? 0 : 1;

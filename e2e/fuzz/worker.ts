import { threadCpuUsage } from "node:process";
import { parentPort, workerData } from "node:worker_threads";
import { seededRandom } from "#pkg/clock/testing";
import { Coverage } from "./coverage.ts";
import { Fuzzer } from "./fuzzer.ts";
import { targetNamed } from "./targets/index.ts";
import { CurrentInput, type Report, type Task } from "./task.ts";

// How often what was found is passed on, so that it is not lost with the thread.
const reportSeconds = 30;

/** Fuzzes one parser until its time is up. */
const { name, inputs, seconds, seed, shared } = workerData as Task;
const current = new CurrentInput(shared);
const coverage = new Coverage();
const target = await targetNamed(name);
const fuzzer = new Fuzzer(target, coverage, seededRandom(seed));

function attempt(input: Uint8Array): void {
  current.set(input);
  fuzzer.try(input);
}

function spentSeconds(): number {
  const { user, system } = threadCpuUsage();
  return (user + system) / 1e6;
}

function report(isLast: boolean): void {
  const { executions, reached, findings, maxLoad } = fuzzer;
  const smallest = isLast ? fuzzer.smallest() : fuzzer.inputs;
  const message: Report = { isLast, executions, reached, maxLoad, findings, inputs: smallest, seconds: spentSeconds() };
  parentPort?.postMessage(message);
}

let reportAt = spentSeconds() + reportSeconds;
for (const input of [...target.seeds, ...inputs]) attempt(input);
while (spentSeconds() < seconds && !fuzzer.isDone) {
  attempt(fuzzer.next());
  if (spentSeconds() < reportAt) continue;
  reportAt = spentSeconds() + reportSeconds;
  report(false);
}
report(true);

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

interface State {
  /** Numbers of `man 7 sched`: 0 is SCHED_OTHER, 2 SCHED_RR. */
  readonly policy: number;
  readonly priority: number;
}

/** Runs a script in a process of its own, whose priority it changes. `note()` keeps the state of its main thread. @returns what was kept */
function states(script: string): readonly State[] {
  const preface = `
    const { readFileSync } = await import("node:fs");
    const { setTimeout: sleep } = await import("node:timers/promises");
    const linux = await import("#pkg/linux");
    const { SimulatedClock } = await import("#pkg/clock/testing");
    const { calmDownSoon, Hurry } = await import("#pkg/threads");
    const states = [];
    const note = () => {
      const fields = readFileSync("/proc/self/task/" + process.pid + "/stat", "utf8").split(") ")[1].split(" ");
      states.push({ policy: Number(fields[38]), priority: Number(fields[37]) });
    };`;
  const whole = `${preface}${script} console.log(JSON.stringify(states)); process.exit();`;
  return JSON.parse(execFileSync(process.execPath, ["--input-type=module", "--eval", whole], { encoding: "utf8" }));
}

const ordinary: State = { policy: 0, priority: 0 };
const [mayHurry] = states("linux.hurryMainThread(); note();").map(({ policy }) => policy === 2);
/** After threads whose work takes microseconds. */
const hurried: State = mayHurry ? { policy: 2, priority: 1 } : ordinary;
const prompt: State = mayHurry ? { policy: 2, priority: 2 } : ordinary;

test("the main thread hurries until it has calmed down, a tenth of a second after the last reason", () => {
  const script = `
    const hurry = new Hurry(new SimulatedClock());
    hurry.begin(); calmDownSoon(); note();
    await sleep(60); calmDownSoon(); await sleep(60); note();
    await sleep(100); note();`;
  assert.deepEqual(states(script), [hurried, hurried, ordinary]);
});

test("a thread has the main thread hurry once a second at most", () => {
  const script = `
    const clock = new SimulatedClock();
    const hurry = new Hurry(clock);
    const begin = () => { hurry.begin(); note(); linux.becomeOrdinary(); };
    begin(); begin(); clock.advanceTo(999); begin(); clock.advanceTo(1_000); begin();`;
  assert.deepEqual(states(script), [hurried, ordinary, ordinary, hurried]);
});

test("a thread that reports urgently has the main thread hurry, and stays as it is", () => {
  const script = `
    const { Worker } = await import("node:worker_threads");
    const code = \`
      import { readFileSync } from "node:fs";
      import { parentPort } from "node:worker_threads";
      import { SystemClock } from "#pkg/clock";
      import { Hurry } from "#pkg/threads";
      new Hurry(new SystemClock()).begin();
      const fields = readFileSync("/proc/thread-self/stat", "utf8").split(") ")[1].split(" ");
      parentPort.postMessage({ policy: Number(fields[38]), priority: Number(fields[37]) });\`;
    const worker = new Worker(code, { eval: true });
    await new Promise((resolve) => worker.on("message", (own) => resolve(states.push(own))));
    note();`;
  assert.deepEqual(states(script), [ordinary, hurried]);
});

test("threads and processes that begin while the main thread hurries are as others", () => {
  const script = `
    const { Worker } = await import("node:worker_threads");
    const { execFileSync } = await import("node:child_process");
    const code = \`
      import { readFileSync } from "node:fs";
      import { parentPort } from "node:worker_threads";
      const fields = readFileSync("/proc/thread-self/stat", "utf8").split(") ")[1].split(" ");
      parentPort.postMessage({ policy: Number(fields[38]), priority: Number(fields[37]) });\`;
    const ofWorker = () => new Promise((resolve) => new Worker(code, { eval: true }).on("message", (own) => resolve(states.push(own))));
    linux.hurryMainThread();
    await ofWorker();
    const fields = execFileSync("cat", ["/proc/self/stat"], { encoding: "utf8" }).split(") ")[1].split(" ");
    states.push({ policy: Number(fields[38]), priority: Number(fields[37]) });
    linux.withoutInterruption(() => {});
    await ofWorker();
    linux.becomeOrdinary();
    note();`;
  assert.deepEqual(states(script), [ordinary, ordinary, ordinary, ordinary]);
});

test("work that must not be interrupted leaves a main thread in a hurry in it", () => {
  const script = "linux.hurryMainThread(); linux.withoutInterruption(note); note();";
  assert.deepEqual(states(script), [prompt, hurried]);
});

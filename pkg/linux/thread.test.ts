import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { getPriority } from "node:os";
import { test } from "node:test";
import { SystemCallError } from "./libc.ts";
import { cgroupWithoutRealTime, noCgroupWithoutRealTime } from "./testing/index.ts";
import { EventFd, PollSet } from "./thread.ts";

test("an event descriptor is ready from the first signal until it is cleared", () => {
  using event = EventFd.create();
  using other = EventFd.create();
  const poll = new PollSet();
  poll.watch([other.fd, event.fd]);
  assert.deepEqual(poll.wait(0), []);
  event.signal();
  event.signal();
  assert.deepEqual(poll.wait(10_000), [event.fd]);
  event.clear();
  event.clear();
  assert.deepEqual(poll.wait(0), []);
});

test("a wait aside lets this thread go on, and ends with a signal", async () => {
  using event = EventFd.create();
  const poll = new PollSet();
  poll.watch([event.fd]);
  assert.deepEqual(await poll.waitAside(0), []);
  const waiting = poll.waitAside(60_000);
  event.signal();
  assert.deepEqual(await waiting, [event.fd]);
});

test("a wait aside for a descriptor that is not open is an error", async () => {
  const poll = new PollSet();
  poll.watch([0x7fff_fff0]);
  await assert.rejects(poll.waitAside(60_000), { code: "EBADF", call: "ppoll" });
});

test("a descriptor that is not open is an error, not an endless loop", () => {
  const poll = new PollSet();
  poll.watch([0x7fff_fff0]);
  assert.throws(
    () => poll.wait(10_000),
    (error) => error instanceof SystemCallError && error.code === "EBADF" && error.call === "ppoll",
  );
});

test("a failed call is told with what was attempted, the call, and the kernel's reason", () => {
  assert.throws(() => new EventFd(0x7fff_fff0).signal(), {
    message: "Cannot signal an event descriptor: write: EBADF, bad file descriptor",
  });
});

interface Seen {
  readonly may: boolean;
  /** Numbers of `man 7 sched`: 0 is SCHED_OTHER, 2 SCHED_RR. */
  readonly policy: number;
  readonly nice: number;
}

type Become = "becomeRealTime" | "becomeUrgent" | "becomePrompt" | "mayBeRealTime";

/**
 * Runs a thread that calls the functions in turn, in a process of its own, since they have effect for good. @returns the thread's state
 * afterwards
 */
function seen(names: Become | readonly Become[], launcher: readonly string[] = []): Seen {
  const script = `import("#pkg/linux").then((linux) => {
    const may = ${JSON.stringify([names].flat())}.every((name) => linux[name]());
    const fields = require("node:fs").readFileSync("/proc/thread-self/stat", "utf8").split(") ")[1].split(" ");
    console.log(JSON.stringify({ may, policy: Number(fields[38]), nice: Number(fields[16]) }));
  })`;
  const [program = "", ...rest] = [...launcher, process.execPath, "--eval", script];
  return JSON.parse(execFileSync(program, rest, { encoding: "utf8" }));
}

const ordinary = seen("becomeUrgent").may ? ["setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice"] : [];

test("a thread that may become real-time is, and one that may not stays as it is", () => {
  const { may, policy } = seen("becomeRealTime");
  assert.equal(policy, may ? 2 : 0);
  assert.deepEqual(seen("becomeRealTime", ordinary), { may: false, policy: 0, nice: getPriority() });
});

test("a thread that may become urgent is, and one that may not stays as it is", () => {
  const { may, policy, nice } = seen("becomeUrgent");
  assert.deepEqual({ policy, nice }, { policy: 0, nice: may ? -20 : getPriority() });
  assert.deepEqual(seen("becomeUrgent", ordinary), { may: false, policy: 0, nice: getPriority() });
});

test("a thread that is to be prompt is real-time, or as it was where it may not be", () => {
  assert.equal(seen("becomePrompt").policy, seen("becomeRealTime").policy);
  assert.deepEqual(seen("becomePrompt", ordinary), { may: false, policy: 0, nice: getPriority() });
});

test("a thread that is to be prompt is urgent in a cgroup without real time", (context) => {
  using cgroup = cgroupWithoutRealTime();
  if (cgroup === undefined) {
    context.skip(noCgroupWithoutRealTime); // It needs root.
    return;
  }
  assert.deepEqual(seen("becomePrompt", cgroup.launcher), { may: true, policy: 0, nice: -20 });
  assert.deepEqual(seen("mayBeRealTime", cgroup.launcher), { may: false, policy: 0, nice: getPriority() });
});

test("to ask whether a thread may be real-time leaves it as it is", () => {
  const { may } = seen("becomeRealTime");
  assert.deepEqual(seen("mayBeRealTime"), { may, policy: 0, nice: getPriority() });
});

test("work that must not be interrupted is real-time where it may be, and the thread is as before in the end, also when it throws", () => {
  const { may } = seen("becomeRealTime");
  const script = `import("#pkg/linux").then(({ withoutInterruption }) => {
    const stat = () => require("node:fs").readFileSync("/proc/thread-self/stat", "utf8").split(") ")[1].split(" ");
    const policy = () => Number(stat()[38]);
    const policies = [];
    try {
      withoutInterruption(() => {
        policies.push(policy());
        throw new Error();
      });
    } catch {
      policies.push(policy());
    }
    console.log(JSON.stringify([policies, Number(stat()[16])]));
  })`;
  const [policies, nice] = JSON.parse(execFileSync(process.execPath, ["--eval", script], { encoding: "utf8" }));
  assert.deepEqual(policies, [may ? 2 : 0, 0]);
  assert.equal(nice, getPriority());
});

test("another thread becomes real-time by its number", () => {
  const script = `const { Worker } = require("node:worker_threads");
  const worker = new Worker(
    'const fs = require("fs"); const post = (x) => require("worker_threads").parentPort.postMessage(x);' +
    'post(Number(fs.readlinkSync("/proc/thread-self").split("/").at(-1)));' +
    'require("worker_threads").parentPort.once("message", () => {})', { eval: true });
  worker.once("message", async (thread) => {
    const may = (await import("#pkg/linux")).becomeRealTime(thread);
    const policy = (of) => Number(require("node:fs").readFileSync(of + "/stat", "utf8").split(") ")[1].split(" ")[38]);
    console.log(JSON.stringify([may, policy("/proc/self/task/" + thread), policy("/proc/thread-self")]));
    process.exit();
  });`;
  const [may, its, own] = JSON.parse(execFileSync(process.execPath, ["--eval", script], { encoding: "utf8" }));
  assert.deepEqual([its, own], [may ? 2 : 0, 0]);
});

test("a thread may be real-time and urgent in turn", () => {
  const { may, policy, nice } = seen(["becomeRealTime", "becomeUrgent"]);
  assert.deepEqual({ policy, nice }, { policy: 0, nice: may ? -20 : getPriority() });
  assert.equal(seen(["becomeUrgent", "becomeRealTime"]).policy, may ? 2 : 0);
});

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

// In a process of its own, since it is for good.
const script = `import("#pkg/linux").then(({ becomeRealTime }) => {
  const may = becomeRealTime();
  const fields = require("node:fs").readFileSync("/proc/thread-self/stat", "utf8").split(") ")[1].split(" ");
  console.log(JSON.stringify({ may, policy: Number(fields[38]) }));
})`;

test("a thread that may become real-time is, and one that may not stays as it is", () => {
  const { may, policy } = JSON.parse(execFileSync(process.execPath, ["--eval", script], { encoding: "utf8" }));
  assert.equal(policy, may ? 2 : 0); // SCHED_RR, SCHED_OTHER
});

test("without the capability a thread may not", () => {
  const argv = ["--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice", process.execPath, "--eval", script];
  const unprivileged = process.getuid?.() === 0 ? ["setpriv", ...argv] : [process.execPath, "--eval", script];
  const [program = "", ...rest] = unprivileged;
  assert.deepEqual(JSON.parse(execFileSync(program, rest, { encoding: "utf8" })), { may: false, policy: 0 });
});

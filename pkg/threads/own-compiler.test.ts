import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

/** How V8 compiles what each thread of a process calls often: a thread that has its own compiler, then the main one. */
const script = `
const { once } = await import("node:events");
const { Worker } = await import("node:worker_threads");
const { withOwnCompiler } = await import("#pkg/threads");
const hot = (name) => "function " + name + "(n) { let s = 0; for (let i = 0; i < n; i++) s += i % 7; return s; }" +
  " for (let k = 0; k < 20000; k++) " + name + "(300);";
await once(withOwnCompiler(() => new Worker(hot("inThread"), { eval: true })), "exit");
new Function(hot("inMain"))();`;

test("a thread with its own compiler hands V8's helpers nothing, and the main thread still does", () => {
  const output = execFileSync(process.execPath, ["--trace-opt", "--input-type=module", "--eval", script], { encoding: "utf8" });
  const modes = (name: string) =>
    new Set(
      [...output.matchAll(new RegExp(`compiling method .*JSFunction ${name} .*ConcurrencyMode::(\\w+)`, "g"))].map(
        ([, mode]) => mode,
      ),
    );
  assert.deepEqual([...modes("inThread")], ["kSynchronous"]);
  assert.deepEqual([...modes("inMain")], ["kConcurrent"]);
});

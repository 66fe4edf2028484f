import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

for (const isSooner of [true, false])
  test(`what is called a thousand times is ${isSooner ? "" : "not "}compiled for speed ${isSooner ? "once that is to be sooner" : "by itself"}`, () => {
    const script = `
      const { compileSooner } = await import("#pkg/threads");
      if (${isSooner}) compileSooner();
      const { setTimeout: sleep } = await import("node:timers/promises");
      function calledOften(n) {
        let sum = 0;
        for (let i = 0; i < 10; i++) sum += n ^ i;
        return sum;
      }
      // With rests, in which other threads compile.
      for (let call = 0; call < 1000; call++) {
        calledOften(call);
        if (call % 10 === 0) await sleep(1);
      }`;
    const flags = ["--trace-opt", "--input-type=module", "--eval", script];
    const output = execFileSync(process.execPath, flags, { encoding: "utf8", maxBuffer: 64 << 20 });
    assert.equal(
      /completed compiling .*calledOften.*TURBOFAN/.test(output),
      isSooner,
      output.match(/.*calledOften.*/g)?.join("\n"),
    );
  });

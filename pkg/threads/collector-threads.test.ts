import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { getPriority } from "node:os";
import { test } from "node:test";

test("the threads that collect garbage are as nice as they may be, and no other thread is", () => {
  const script = `
    const { readdirSync, readFileSync } = await import("node:fs");
    const { becomeUrgent } = await import("#pkg/linux");
    const { hurryGarbageCollection } = await import("#pkg/threads");
    hurryGarbageCollection();
    const read = (thread, file) => readFileSync("/proc/self/task/" + thread + "/" + file, "utf8");
    const threads = readdirSync("/proc/self/task").map((thread) => ({
      name: read(thread, "comm").trim(),
      nice: Number(read(thread, "stat").split(") ")[1].split(" ")[16]),
    }));
    console.log(JSON.stringify({ threads, may: becomeUrgent() }));`;
  const output = execFileSync(process.execPath, ["--input-type=module", "--eval", script], { encoding: "utf8" });
  const { threads, may }: { threads: { name: string; nice: number }[]; may: boolean } = JSON.parse(output);
  assert.ok(
    threads.some(({ name }) => name === "V8Worker"),
    `${threads.map(({ name }) => name)}`,
  );
  for (const { name, nice } of threads) assert.equal(nice, may && name === "V8Worker" ? -20 : getPriority(), name);
});

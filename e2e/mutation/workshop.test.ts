// Scenario: tests run in copies of the sources.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { waitFor } from "#e2e/lab";
import { broken, productSources } from "./break.ts";
import { Workshop } from "./workshop.ts";

const folder = mkdtempSync(join(tmpdir(), "ingot-workshop-"));
const workshop = new Workshop();
after(() => {
  workshop[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

const never = new AbortController().signal;
const sources = productSources();
/** The tests' verdict on a source in which `after` stands for `before`. */
const tried = (before: string, after: string, tests: readonly string[], tooLong = never) =>
  workshop.try(broken({ before, after, tests }, sources), tests, tooLong);
const withLimit = (after: string, tooLong = never) => tried("const maxListed = 5;", after, ["pkg/text/text.test.ts"], tooLong);

test("a fault is noticed by the first test that fails for it, and by the end of the process; it is undone then", async () => {
  assert.deepEqual(await withLimit("const maxListed = 4;"), {
    type: "failed",
    first: "of many items the first five are listed, and how many more there are",
  });
  assert.equal((await withLimit("process.exit(1);\nconst maxListed = 5;")).type, "failed");
  assert.deepEqual(await withLimit("const maxListed = 2 + 3;"), { type: "passed" });
});

test("tests that hold the source against docs, manifests and charts run in the copy", async () => {
  const tests = ["docs/truth.test.ts", "manifests/manifests.test.ts", "ctl/takeover/checks/leftovers.test.ts"];
  assert.deepEqual(await workshop.test(tests), { type: "passed" });
  assert.equal((await tried('"metallb_bfd_zebra_notifications",', "", tests.slice(2))).type, "failed");
});

test("tests that compute for ever are killed with all that they started, and no test is blamed", async () => {
  const told = join(folder, "pids");
  const spins = `
import { spawn } from "node:child_process";
import { renameSync, writeFileSync } from "node:fs";
writeFileSync("${told}.new", [process.pid, spawn("sleep", ["infinity"], { stdio: "inherit" }).pid].join(" "));
renameSync("${told}.new", "${told}");
for (;;);
const maxListed = 5;`;
  const tooLong = new AbortController();
  const verdict = withLimit(spins, tooLong.signal);
  const pids = await waitFor("the endless test", () => readText(told)?.split(" "));
  tooLong.abort();
  assert.deepEqual(await verdict, { type: "endless" });
  assert.equal(pids.length, 2);
  await waitFor("the end of its processes", () => pids.every((pid) => !isRunning(pid)));
});

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined; // It is not there, or no longer.
  }
}

/** Not one that has ended and that nobody has reaped. */
function isRunning(pid: string): boolean {
  const state = readText(`/proc/${pid}/stat`)?.split(") ").at(-1)?.[0];
  return state !== undefined && state !== "Z";
}

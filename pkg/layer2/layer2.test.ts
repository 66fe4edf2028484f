import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { workerFile } from "./layer2.ts";

// A namespace of each kind, so that it runs for an ordinary user and leaves nothing behind, even if it is killed.
const unshare = ["--user", "--map-root-user", "--net", "--mount", "--mount-proc", "--pid", "--fork", "--kill-child"];
const available = spawnSync("unshare", [...unshare, "ip", "link"]).status === 0;

test("layer 2 on a LAN of network namespaces", { skip: !available && "needs unshare, ip and user namespaces" }, (t) => {
  const file = new URL("./netns/scenarios.ts", import.meta.url).pathname;
  const { NODE_TEST_CONTEXT: _, ...env } = process.env; // It is a run of its own, not a part of this one.
  const run = spawnSync("unshare", [...unshare, process.execPath, file], {
    encoding: "utf8",
    env,
    timeout: 180_000,
    killSignal: "SIGKILL",
  });
  if (run.status !== 0) t.diagnostic(run.stdout + run.stderr);
  assert.equal(run.status, 0);
});

test("the thread's file is beside the source in a checkout, and beside the bundle in an image", () => {
  assert.equal(workerFile("file:///src/pkg/layer2/layer2.ts").href, "file:///src/pkg/layer2/worker.ts");
  assert.equal(workerFile("file:///app/speaker.js").href, "file:///app/worker.js");
});

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { EventFd, SystemCallError } from "#pkg/linux";
import { silentLog } from "#pkg/log/testing";
import { WorkerThread, workerFile } from "./worker-thread.ts";

const errnoManyFiles = 24;

test("the thread's file is beside the source in a checkout, and beside the bundle in an image", () => {
  assert.equal(workerFile("file:///src/pkg/bfd/bfd.ts", "bfd-worker.js").href, "file:///src/pkg/bfd/worker.ts");
  assert.equal(workerFile("file:///app/speaker.js", "bfd-worker.js").href, "file:///app/bfd-worker.js");
});

/** A thread that echoes commands with its arguments, and dies of the command "die". */
function echo() {
  const messages: string[] = [];
  const deaths: string[] = [];
  const waiting: (() => void)[] = [];
  let started = 0;
  const thread = new WorkerThread<number, string, string>({
    name: "echo",
    file: new URL("./testing/echo-worker.ts", import.meta.url),
    start: () => ++started,
    onMessage: (message) => {
      messages.push(message);
      for (const resolve of waiting.splice(0)) resolve();
    },
    title: "the echo",
    op: "echo",
    log: { ...silentLog, error: (_message, { error } = {}) => void deaths.push(String(error)) },
    onDeath: () => {},
  });
  const message = async (wanted: string): Promise<void> => {
    while (!messages.includes(wanted)) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return { thread, messages, deaths, message };
}

test("commands reach a thread that blocks in the kernel, and its messages come back", async () => {
  const { thread, message } = echo();
  await using _ = thread;
  thread.start();
  await message("1 started");
  thread.send("hello");
  await message("1 hello");
});

test("a thread that dies is followed by one that starts with what is wanted by then", async () => {
  const { thread, deaths, message } = echo();
  await using _ = thread;
  thread.start();
  await message("1 started");
  thread.send("die");
  await message("2 started");
  assert.deepEqual(deaths, ["Error: died as told"]);
});

test("a thread for which the process has no descriptor is tried again until it starts", async (t) => {
  const { thread, deaths, message } = echo();
  await using _ = thread;
  const refused = t.mock.method(EventFd, "create", () => {
    throw new SystemCallError("eventfd", errnoManyFiles, "create an event descriptor");
  });
  thread.start();
  thread.send("nobody hears it");
  refused.mock.restore();
  await message("1 started");
  assert.match(`${deaths}`, /EMFILE/);
});

test("disposing ends a thread that waits for ever, also one that was never started", async () => {
  const { thread, message, deaths } = echo();
  thread.start();
  await message("1 started");
  await thread[Symbol.asyncDispose]();
  await echo().thread[Symbol.asyncDispose]();
  assert.deepEqual(deaths, []);
});

test("a process that exits does not wait for the thread", async () => {
  const script = `Promise.all([import("#pkg/threads"), import("#pkg/log/testing")]).then(([{ WorkerThread }, { silentLog }]) => {
    const file = new URL(${JSON.stringify(new URL("./testing/echo-worker.ts", import.meta.url).href)});
    const common = { name: "echo", title: "the echo", op: "echo", log: silentLog, file, start: () => 0 };
    new WorkerThread({ ...common, onMessage: () => process.exit(7), onDeath: () => process.exit(8) }).start();
  })`;
  const child = spawn(process.execPath, ["--eval", script], { stdio: "inherit", timeout: 30_000 });
  assert.deepEqual(await once(child, "exit"), [7, null]);
});

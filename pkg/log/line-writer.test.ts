import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { LineWriter } from "./line-writer.ts";

const program = new URL("testing/many-lines.ts", import.meta.url).pathname;
const full = openSync("/dev/full", "w");

/** A process that writes lines, and says on standard error what became of them. */
function start(lines: number, stdout: "pipe" | number) {
  const child = spawn(process.execPath, [program, String(lines)], { stdio: ["pipe", stdout, "pipe"] });
  const errors = createInterface({ input: child.stderr ?? assert.fail() })[Symbol.asyncIterator]();
  const complaints: { msg: string; reason: string }[] = [];
  const untilLine = async (field: string) => {
    for (let next = await errors.next(); !next.done; next = await errors.next()) {
      const line = JSON.parse(next.value);
      if (field in line) return line;
      complaints.push(line);
    }
    throw new Error(`Cannot find ${field} on standard error: it has ended`);
  };
  return {
    child,
    complaints,
    /** All lines but the last one have been written. */
    began: () => untilLine("waiting"),
    /** The last line too. */
    finish: async (): Promise<{ lost: number }> => {
      child.stdin?.end();
      return untilLine("lost");
    },
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
}

const limit = { timeout: 300_000 };

test("10,000 lines that come at once reach a slow reader, each and in order", limit, async () => {
  using process = start(10_000, "pipe");
  await process.began(); // Nobody has read any by then.
  const output = text(process.child.stdout ?? assert.fail());
  assert.deepEqual(await process.finish(), { lost: 0 });
  const lines = (await output)
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const written = Array.from({ length: 10_000 }, (_, i) => i);
  assert.deepEqual(
    lines.slice(0, -1).map(({ i }) => i),
    written,
  );
});

test("the lines of the turn that ends the process are written", limit, async () => {
  const script = `import { createLog } from "#pkg/log";
    const log = createLog("info");
    for (let i = 0; i < 100; i++) log.info("line", { i });
    process.exit(1);`;
  const args = ["--input-type=module", "-e", script];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"], cwd: import.meta.dirname });
  assert.equal((await text(child.stdout)).trim().split("\n").length, 100);
});

test("lines of turns that follow one another go into a pipe together", limit, async () => {
  const directory = mkdtempSync(join(tmpdir(), "ingot-log-"));
  const pipe = join(directory, "pipe");
  execFileSync("mkfifo", [pipe]);
  const fd = openSync(pipe, "r+");
  rmSync(directory, { recursive: true });
  const written: string[] = [];
  const stream = Object.assign(new PassThrough(), { fd, write: (text: string) => written.push(text) > 0 });
  const writer = new LineWriter(stream, { lossBegan: assert.fail, lossEnded: () => assert.fail() });
  const lines = Array.from({ length: 100 }, (_, i) => `line ${i}`);
  for (const line of lines) {
    writer.write(line);
    await setImmediate();
  }
  assert.equal(written[0], "line 0\n", "the first at the end of its turn");
  while (written.join("").split("\n").length <= lines.length) await sleep(5);
  closeSync(fd);
  assert.equal(written.join(""), `${lines.join("\n")}\n`);
  assert.ok(written.length < lines.length, `${written.length} writes`);
});

test("a reader that is stuck costs lines, not memory or the process, and the log says so when it goes on", limit, async () => {
  using process = start(60_000, "pipe");
  const { waiting } = await process.began();
  assert.ok(waiting > 3 << 20 && waiting < 5 << 20, `${waiting} bytes wait`);
  const output = text(process.child.stdout ?? assert.fail());
  const { lost } = await process.finish();
  assert.ok(lost > 10_000, `${lost} lines lost`);
  assert.deepEqual(
    process.complaints.map(({ msg, reason }) => [msg, reason]),
    [["log lines are lost", "nobody reads it"]],
  );
  const [said, last] = (await output)
    .trim()
    .split("\n")
    .slice(-2)
    .map((line) => JSON.parse(line));
  assert.deepEqual([said.msg, said.lines, last.msg], ["log lines were lost", lost, "last"]);
});

test("a reader that is gone costs lines, not the process", limit, async () => {
  using process = start(100, "pipe");
  process.child.stdout?.destroy();
  await process.began();
  const { lost } = await process.finish();
  assert.ok(lost > 0);
  assert.equal(process.complaints.length, 1);
  assert.match(process.complaints[0]?.reason ?? "", /EPIPE/);
});

test("a full disk costs lines, not the process", limit, async () => {
  using process = start(100, full);
  await process.began();
  const { lost } = await process.finish();
  assert.equal(lost, 101);
  assert.equal(process.complaints.length, 1);
  assert.match(process.complaints[0]?.reason ?? "", /ENOSPC/);
});

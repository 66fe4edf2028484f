import assert from "node:assert/strict";
import { PassThrough, Writable } from "node:stream";
import { test } from "node:test";
import { createLog, type Log, type LogLevel } from "#pkg/log";

function lines(level: LogLevel, write: (log: Log) => void): Record<string, unknown>[] {
  const stream = new PassThrough();
  write(createLog(level, stream));
  const text = (stream.read() as Buffer | null)?.toString() ?? "";
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

test("a line is JSON with ts, level, msg, then fields", () => {
  const [line] = lines("info", (log) => log.with({ service: "a/b" }).info("service withdrawn", { ips: ["192.0.2.1"] }));
  assert.deepEqual(Object.keys(line ?? {}), ["ts", "level", "msg", "service", "ips"]);
  assert.match(String(line?.ts), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(line?.level, "info");
  assert.equal(line?.msg, "service withdrawn");
});

test("an error is written with its causes", () => {
  const error = new Error("Cannot list services", { cause: new Error("connection refused") });
  const [line] = lines("info", (log) => log.error("sync failed", { error }));
  assert.equal(line?.error, "Cannot list services: connection refused");
});

const levels: { level: LogLevel; shown: number }[] = [
  { level: "all", shown: 4 },
  { level: "debug", shown: 4 },
  { level: "info", shown: 3 },
  { level: "warn", shown: 2 },
  { level: "error", shown: 1 },
  { level: "none", shown: 0 },
];
for (const { level, shown } of levels) {
  test(`level ${level} shows ${shown} of 4 severities`, () => {
    const written = lines(level, (log) => {
      log.debug("d");
      log.info("i");
      log.warn("w");
      log.error("e");
    });
    assert.equal(written.length, shown);
  });
}

test("what is not shown is not made into text either", () => {
  const costly = { toJSON: () => assert.fail("was written") };
  assert.deepEqual(
    lines("info", (log) => log.debug("d", { costly })),
    [],
  );
});

test("a line is bounded, whatever is in it, and stays JSON", () => {
  const long = "x".repeat(250_000);
  const [text, many, deep] = lines("info", (log) => {
    log.info("long text", { annotation: long, error: new Error(long) });
    log.info("long list", { nodes: Array.from({ length: 5000 }, (_, i) => `node${i}`), set: new Set(Array(200).keys()) });
    log.info("many fields", Object.fromEntries(Array.from({ length: 9000 }, (_, i) => [`field${i}`, '"'])));
  });
  assert.match(String(text?.annotation), /^x{1024}… \(250000 characters\)$/);
  assert.match(String(text?.error), /^x{1024}… \(250000 characters\)$/);
  assert.deepEqual([...((many?.nodes as string[] | undefined) ?? [])].slice(99), ["node99", "and 4900 more"]);
  assert.deepEqual([...((many?.set as unknown[] | undefined) ?? [])].slice(99), [99, "and 100 more"]);
  assert.ok(JSON.stringify(deep).length <= 16 << 10);
  assert.equal(deep?.msg, "many fields");
  const [both] = lines("info", (log) => log.info(long, { [long]: 1 }));
  assert.ok(JSON.stringify(both).length <= 16 << 10);
});

test("no control character stands in a line as it is", () => {
  const stream = new PassThrough();
  const name = "a\u0000\u001b[2J\u007f\u009b\u2028\u202e\u2066b";
  createLog("info", stream).info("service named", { name });
  const line = String(stream.read());
  assert.doesNotMatch(line.trimEnd(), /[\p{Cc}\u2028-\u202e\u2066-\u2069]/u);
  assert.equal(JSON.parse(line).name, name);
});

test("10,000 lines that come at once are passed on within their calls, so that nothing piles up before the stream", () => {
  let written = 0;
  const stream = new Writable({ write: (_chunk, _encoding, done) => done(void written++) });
  const log = createLog("info", stream);
  for (let line = 1; line <= 10_000; line++) {
    log.info("service has addresses", { line });
    assert.equal(written, line);
  }
});

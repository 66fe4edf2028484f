import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
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

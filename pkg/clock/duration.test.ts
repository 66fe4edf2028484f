import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDuration } from "#pkg/clock";

const cases: [text: string, nanoseconds: number | undefined][] = [
  ["0", 0],
  ["+0", 0],
  ["-0", 0],
  ["90s", 90e9],
  ["1m30s", 90e9],
  ["1500ms", 1.5e9],
  ["1.5h", 5400e9],
  [".5m", 30e9],
  ["1.s", 1e9],
  ["1m.5s", 60.5e9],
  ["1h1h", 7200e9],
  ["+5s", 5e9],
  ["-3s", -3e9],
  ["5us", 5000],
  ["5µs", 5000],
  ["5μs", 5000],
  ["2.9999999999s", 2999999999],
  ["0.5ns", 0],
  ["18h12m15.999999999s", 65535_999_999_999],
  ["", undefined],
  ["90", undefined],
  ["s", undefined],
  [".s", undefined],
  ["1d", undefined],
  ["1S", undefined],
  [" 1s", undefined],
  ["1s ", undefined],
  ["1 s", undefined],
  ["--1s", undefined],
  ["1s-1s", undefined],
  ["1e3s", undefined],
  ["00", undefined],
  ["2562048h", undefined], // 292 years: more than 63 bits of nanoseconds.
];
for (const [text, want] of cases)
  test(`parseDuration: ${JSON.stringify(text)} is ${want ?? "none"}`, () =>
    assert.ok(Object.is((parseDuration(text) ?? NaN) + 0, (want ?? NaN) + 0)));

import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveScalar } from "./scalar.ts";

/** The value that gopkg.in/yaml.v2 v2.4.0 makes of each plain scalar, taken from running it. */
const cases: [text: string, want: null | boolean | number | string][] = [
  ...["", "~", "null", "Null", "NULL"].map((text): [string, null] => [text, null]),
  ...["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"].map((text): [string, boolean] => [text, true]),
  ...["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"].map((text): [string, boolean] => [text, false]),
  ...["tRue", "yEs", "nULL", "=", "<<", "a b", "1:30", "190:20:30", "64512:1"].map((text): [string, string] => [text, text]),
  ...["_1", "0b", "0x", "0o8", "0b2", "1e400", "1,000", "2001-12-14", "1.2.3", "+", "-", ".", "--1"].map(
    (text): [string, string] => [text, text],
  ),
  ["179", 179],
  ["+5", 5],
  ["-5", -5],
  ["0644", 420],
  ["0o17", 15],
  ["0O7", 7],
  ["-017", -15],
  ["089", 89],
  ["0_8", 8],
  ["0x1F", 31],
  ["0XFF", 255],
  ["+0x10", 16],
  ["0x_f", 15],
  ["0b101", 5],
  ["0B1", 1],
  ["-0b1", -1],
  ["1_000", 1000],
  ["1__0_", 10],
  ["1.10", 1.1],
  ["1.", 1],
  [".5", 0.5],
  ["1e3", 1000],
  ["1.5E+3", 1500],
  ["4294967296", 4294967296],
  ["18446744073709551616", 18446744073709552000],
  [".inf", Number.POSITIVE_INFINITY],
  ["-.INF", Number.NEGATIVE_INFINITY],
  [".NaN", Number.NaN],
];
for (const [text, want] of cases) {
  test(`resolveScalar: ${JSON.stringify(text)} is ${typeof want === "string" ? "text" : want}`, () =>
    assert.deepEqual(resolveScalar(text), want));
}

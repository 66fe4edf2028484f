import assert from "node:assert/strict";
import { test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { controllerCore } from "#controller/core";
import { savedState } from "#pkg/core/testing";
import { ingotctl } from "../testing/ingotctl.ts";

const fields = { event: "ipamWorking", pool: "a" };
const decisions = [{ type: "log", level: "info", message: "NetBox is as it should be again", fields }];
const entry = { at: 5, input: { type: "ipamProblem", pool: "a" }, decisions };
const entries = gzipSync(`${JSON.stringify(entry)}\n`).toString("base64");
const options = { seed: 1, configMap: "metallb-system/config" };
const recording = { program: "controller", format: 3, version: "0.0.9", options, epoch: "2026-01-02T03:04:00.000Z", entries };
const { format } = controllerCore;
const state = savedState(controllerCore.begin(options));
const checkpoint = (more: object) =>
  brotliCompressSync(JSON.stringify({ format, entries: 7, otherwise: 0, state, ...more })).toString("base64");

const cases: { name: string; recording: object; status: number; out: RegExp }[] = [
  { name: "from the beginning", recording: { dropped: 0 }, status: 0, out: /1 inputs.*\nAll decisions are the same/ },
  {
    name: "from a checkpoint",
    recording: { dropped: 7, checkpoint: checkpoint({}) },
    status: 0,
    out: /\nIt begins with a checkpoint of the state after the first 7 inputs\.\nAll decisions are the same/,
  },
  {
    name: "from a checkpoint that is not certain",
    recording: { dropped: 7, checkpoint: checkpoint({ otherwise: 2 }) },
    status: 3,
    out: /The checkpoint is not certain: 2 inputs before it were decided otherwise/,
  },
  {
    name: "with a checkpoint of another format",
    recording: { dropped: 7, checkpoint: checkpoint({ format: format + 1 }) },
    status: 3,
    out: new RegExp(`format ${format + 1}, and this version reads ${format}; the ingotctl of version 0\\.0\\.9 can`),
  },
  {
    name: "of a version without checkpoints",
    recording: { format: undefined, dropped: 7 },
    status: 3,
    out: /lost its first 7 inputs, and the others cannot be run without: version 0\.0\.9 made no checkpoints\.\n"ingotctl history"/,
  },
  {
    name: "of a controller of a version that recorded other inputs",
    recording: { format: 2, options: {}, dropped: 0 },
    status: 3,
    out: /\nIt cannot be run: a controller of version 0\.0\.9 recorded other inputs; the ingotctl of version 0\.0\.9 can run them\.\n/,
  },
  {
    name: "that says why it has none",
    recording: { dropped: 7, whyLost: "a checkpoint takes too much" },
    status: 3,
    out: /without: a checkpoint takes too much\.\n/,
  },
];
for (const { name, recording: more, status, out } of cases)
  test(`a recording is replayed, or it is said why not: ${name}`, async () => {
    const found = await ingotctl("replay -", { stdin: JSON.stringify({ ...recording, ...more }) });
    assert.match(found.out, out);
    assert.equal(found.status, status);
  });

const packed = (line: string) => ({ dropped: 0, entries: gzipSync(`${line}\n`).toString("base64") });
const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
const refused: { name: string; recording: object; text?: (json: string) => string; want: RegExp }[] = [
  {
    name: "decisions that are nested too deep",
    recording: packed(`{"at":1,"input":1,"decisions":[${deep}]}`),
    want: /entry 1 is broken/,
  },
  { name: "an input that is", recording: packed(`{"at":1,"input":{"type":${deep}},"decisions":[]}`), want: /entry 1 is broken/ },
  { name: "an instant without a date", recording: packed(`{"at":1e300,"input":1,"decisions":[1]}`), want: /entry 1 is broken/ },
  { name: "an epoch that is no date", recording: { epoch: "never" }, want: /epoch is no date/ },
  { name: "options of no core", recording: { options: { "@ip": "x" } }, want: /options cannot be read/ },
  {
    name: "options that are nested too deep",
    recording: { options: "DEEP" },
    text: (json) => json.replace('"DEEP"', deep),
    want: /nested deeper/,
  },
];
for (const { name, recording: more, text = String, want } of refused)
  test(`no recording is what has ${name}`, async () => {
    const found = await ingotctl("replay -", { stdin: text(JSON.stringify({ ...recording, ...more })) });
    assert.match(found.err, want);
    assert.equal(found.status, 2);
  });

test("an input whose type is no text is one that is decided otherwise", async () => {
  const more = packed('{"at":1,"input":{"type":{"toString":1}},"decisions":[1]}');
  const found = await ingotctl("replay -", { stdin: JSON.stringify({ ...recording, ...more }) });
  assert.match(found.out, /input 1 \(unknown\)/);
  assert.equal(found.status, 1);
});

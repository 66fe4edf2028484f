import assert from "node:assert/strict";
import { test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { assignmentCore } from "#pkg/assignment";
import { ingotctl } from "../testing/ingotctl.ts";

const entry = { at: 5, input: { type: "release", service: "default/web" }, decisions: [{ type: "released", released: false }] };
const entries = gzipSync(`${JSON.stringify(entry)}\n`).toString("base64");
const recording = { program: "controller", version: "0.0.9", options: {}, epoch: "2026-01-02T03:04:00.000Z", entries };
const { format } = assignmentCore;
const state = assignmentCore.begin({}).save();
const checkpoint = (more: object) =>
  brotliCompressSync(JSON.stringify({ format, entries: 7, otherwise: 0, state, ...more })).toString("base64");

const cases: { name: string; recording: object; status: number; out: RegExp }[] = [
  { name: "from the beginning", recording: { dropped: 0 }, status: 0, out: /1 inputs.*\nAll decisions are the same/ },
  {
    name: "from a checkpoint",
    recording: { format: 2, dropped: 7, checkpoint: checkpoint({}) },
    status: 0,
    out: /\nIt begins with a checkpoint of the state after the first 7 inputs\.\nAll decisions are the same/,
  },
  {
    name: "from a checkpoint that is not certain",
    recording: { format: 2, dropped: 7, checkpoint: checkpoint({ otherwise: 2 }) },
    status: 3,
    out: /The checkpoint is not certain: 2 inputs before it were decided otherwise/,
  },
  {
    name: "with a checkpoint of another format",
    recording: { format: 2, dropped: 7, checkpoint: checkpoint({ format: 9 }) },
    status: 3,
    out: new RegExp(`format 9, and this version reads ${format}; the ingotctl of version 0\\.0\\.9 can`),
  },
  {
    name: "of a version without checkpoints",
    recording: { dropped: 7 },
    status: 3,
    out: /lost its first 7 inputs, and the others cannot be run without: version 0\.0\.9 made no checkpoints\.\n"ingotctl history"/,
  },
  {
    name: "that says why it has none",
    recording: { format: 2, dropped: 7, whyLost: "a checkpoint takes too much" },
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

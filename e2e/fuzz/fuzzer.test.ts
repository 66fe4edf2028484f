// Scenario: the fuzzer finds faults by itself.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "#pkg/clock/testing";
import { Writer } from "../../pkg/memberlist/codec/memberlist-error.ts";
import { MessageType } from "../../pkg/memberlist/codec/messages.ts";
import { compressLzw, encodeCompressed } from "../../pkg/memberlist/testing/compress.ts";
import { writeMap } from "../../pkg/memberlist/testing/write-map.ts";
import { Coverage } from "./coverage.ts";
import { execute } from "./execution.ts";
import { Fuzzer } from "./fuzzer.ts";
import { mutate } from "./mutations.ts";
import { fuzzInThread } from "./parser-thread.ts";
import { octetsOf, type Target } from "./target.ts";
import { targetNamed, targetNames } from "./targets/index.ts";
import type { Report } from "./task.ts";
import { backtracking, believedLength, deepFault, expanding, scribbler, squareWork } from "./testing/planted.ts";

const isPlanted = (url: string) => url.endsWith("/planted.ts");

function fuzzed(target: Target, executions: number): Fuzzer {
  const coverage = new Coverage(isPlanted);
  const fuzzer = new Fuzzer(target, coverage, seededRandom(1));
  for (const input of target.seeds) fuzzer.try(input);
  for (let i = 0; i < executions && fuzzer.findings.length === 0; i++) fuzzer.try(fuzzer.next());
  return fuzzer;
}

test("a fault behind three octets is found step by step", () => {
  const fuzzer = fuzzed(deepFault, 20_000);
  assert.match(fuzzer.findings[0]?.problem ?? "", /^throws Error: found/);
  assert.deepEqual([...(fuzzer.findings[0]?.input.subarray(0, 3) ?? [])], [0x7f, 0xfd, 0xc0]);
  assert.ok(fuzzer.smallest().length < fuzzer.inputs.length, "fewer inputs do as much");
});

test("the same seed tries the same inputs", () => {
  const [one, other] = [fuzzed(deepFault, 700), fuzzed(deepFault, 700)];
  assert.ok(one.inputs.length > 1);
  assert.deepEqual(other.inputs, one.inputs);
});

test("work that grows with the square of the length is found", () => {
  assert.match(fuzzed(squareWork, 20_000).findings[0]?.problem ?? "", /^runs \d+ blocks for \d+ octets, of \d+ at most$/);
});

test("a length that is believed is found by the memory that it takes", () => {
  assert.match(fuzzed(believedLength, 2_000).findings[0]?.problem ?? "", /^allocates [\d.]+ MiB for \d+ octets, of 4 at most$/);
});

test("an input that stands for more than it has may cost as much as that, and no more", () => {
  const coverage = new Coverage(isPlanted);
  assert.equal(execute(expanding, coverage, Uint8Array.of(50, 5)).problem, undefined);
  assert.match(
    execute(expanding, coverage, Uint8Array.of(50, 20)).problem ?? "",
    /^runs \d+ blocks for 2 octets, of 500300 at most$/,
  );
});

test("of a text with aliases, and of a compressed stream, what they stand for is counted", async () => {
  const { size } = await targetNamed("yaml");
  const text = `a: &a [${"x,".repeat(100)}]\nb: [${"*a,".repeat(50)}]`;
  const inConfigMap = `kind: ConfigMap\ndata:\n  config: |\n${text.replaceAll(/^/gm, "    ")}`;
  for (const each of [text, inConfigMap]) {
    const octets = size?.(octetsOf(each)) ?? 0;
    assert.ok(octets > each.length + 50 * 50 && octets < each.length + 60 * 60, `${octets}`);
  }
  assert.equal(size?.(octetsOf("a: [x, y]")), 9);
  const stream = Buffer.concat([Uint8Array.of(0), encodeCompressed(new Uint8Array(9_999))]);
  const compressed = await targetNamed("memberlist-stream");
  assert.equal(compressed.size?.(stream), stream.length + 3_333);
  assert.equal(compressed.size?.(stream.subarray(0, 50)), 50);
  const endless = new Writer().u8(0).u8(MessageType.compress);
  writeMap(endless, { Algo: 0, Buf: compressLzw(new Uint8Array(9_999)).subarray(0, -2) });
  const octets = (compressed.size?.(endless.finish()) ?? 0) - endless.finish().length;
  assert.ok(octets > 9_000 / 3 && octets < 20_000 / 3, `${octets} for what has no end`);
});

for (const name of ["memberlist-packet", "memberlist-stream"])
  test(`${name}: what is inside the seal is reached`, async () => {
    const target = await targetNamed(name);
    const coverage = new Coverage();
    const ping = target.seeds.find(([mode, type]) => mode === 1 && type === MessageType.ping) ?? new Uint8Array();
    target.run(ping);
    coverage.take();
    const [sealed, broken] = [ping, ping.with(1, 0x0e)].map((input) => execute(target, coverage, input).load);
    assert.ok(sealed !== undefined && broken !== undefined && sealed > broken, `${sealed} and ${broken}`);
  });

test("time that no block shows is found, and input that is written into", () => {
  const coverage = new Coverage(isPlanted);
  const slow = execute(backtracking, coverage, octetsOf(`${"a".repeat(26)}!`));
  assert.match(slow.problem ?? "", /^takes \d+ times the reference for 27 octets, of 25 at most$/);
  assert.equal(execute(backtracking, coverage, octetsOf("aaaa")).problem, undefined);
  assert.equal(execute(scribbler, coverage, octetsOf("a")).problem, "writes into what it parses");
});

for (const [name, maxSeconds, problem] of [
  ["endless", 1, /^does not end within 1 s of processor time$/],
  ["greedy", 30, /^ends the thread: .*memory/], // Collecting garbage takes time.
] as const)
  test(`a parser that is ${name} becomes a finding with its input`, async () => {
    const reports: Report[] = [];
    const file = new URL("testing/endless-worker.ts", import.meta.url);
    const input = octetsOf("the input");
    await fuzzInThread({ name, inputs: [input], seconds: 60, seed: 1, maxSeconds, file }, (report) => reports.push(report));
    const [finding] = reports.at(-1)?.findings ?? [];
    assert.match(finding?.problem ?? "", problem);
    assert.deepEqual(finding?.input, input);
  });

test("mutations keep to the longest input, and leave the one they begin with as it is", async () => {
  const random = seededRandom(1);
  for (const { seeds, words, isText, maxLength } of await Promise.all(targetNames.map(targetNamed)))
    for (const seed of seeds) {
      const before = seed.slice();
      const other = seeds[0] ?? seed;
      for (let i = 0; i < 50; i++)
        assert.ok(mutate(seed, { random, words, isText, maxLength, other }).length <= Math.max(maxLength, seed.length));
      assert.deepEqual(seed, before);
    }
});

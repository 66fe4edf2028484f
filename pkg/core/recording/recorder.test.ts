// Long: recordings of megabytes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { seededRandom } from "#pkg/clock/testing";
import {
  coreOf,
  decode,
  describeRecording,
  type Entry,
  encode,
  entryLine,
  findEntries,
  hideByKey,
  type Plain,
  Recorder,
  RecordingError,
  type ReplayedCore,
  readRecording,
} from "#pkg/core";
import { decodeGraph, encodeGraph, entryPieces } from "#pkg/core/testing";
import { Address, AddressRange, Prefix, parseAddress } from "#pkg/net";
import type { CoreKind } from "./checkpoint.ts";
import { checkpointAfter, parseCheckpoint, type Segment } from "./checkpoint.ts";
import { encodePieces } from "./codec.ts";
import type { Savable } from "./graph.ts";
import type { MakeCheckpoint } from "./recorder.ts";

const hide = hideByKey(new Uint8Array(32));
const ip = (text: string) => parseAddress(text) as Address;
const again = (value: unknown): unknown => decode(JSON.parse(JSON.stringify(encode(value, hide))) as Plain);

const values: { name: string; value: unknown }[] = [
  { name: "addresses of both families", value: [ip("192.0.2.1"), ip("2001:db8::1")] },
  { name: "an IPv6 address that reads as IPv4", value: new Address("IPv6", 0xffff_c000_0201n) },
  { name: "prefixes and ranges", value: { a: new Prefix(ip("10.0.0.0"), 8), b: new AddressRange(ip("::1"), ip("::9")) } },
  {
    name: "maps, sets and octets",
    value: new Map<unknown, unknown>([
      ["a", new Set([1])],
      [2, new Uint8Array([0, 255])],
    ]),
  },
  { name: "numbers that JSON lacks", value: [Infinity, -Infinity, Number.NaN, 12345678901234567890n] },
  { name: "what looks like a tag", value: { "@ip": "no address", "": { "@map": 1 } } },
  { name: "undefined in a list", value: [undefined, null] },
];
for (const { name, value } of values) test(`decode gives back ${name}`, () => assert.deepEqual(again(value), value));

test("decode gives back any plain value", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => assert.deepEqual(again(value), JSON.parse(JSON.stringify(value)))));
});

test("decode of anything gives a value or its own error", () => {
  const tags = fc.constantFrom("@ip", "@net", "@range", "@map", "@set", "@hex", "@big", "@num", "@object", "@more");
  const tagged = fc.tuple(tags, fc.jsonValue()).map(([tag, value]) => ({ [tag]: value }));
  fc.assert(
    fc.property(fc.oneof(tagged, fc.jsonValue()), (value) => {
      try {
        decode(value as Plain);
      } catch (error) {
        assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
      }
    }),
  );
});

test("a value that cannot be recorded keeps nobody from recording, and is found out when it is read", () => {
  const plain = encode({ url: new URL("http://a"), call: () => {} }, hide);
  assert.deepEqual(plain, { url: { "@other": "URL" }, call: { "@other": "function" } });
  assert.throws(() => decode(plain), /found @other "URL"/);
});

test("a password is hidden wherever it is, the same one always alike, and by another key otherwise", () => {
  const plain = JSON.stringify(
    encode({ peers: [{ password: "planted" }, { password: "planted" }, { password: "other" }] }, hide),
  );
  assert.ok(!plain.includes("planted") && !plain.includes("other"), plain);
  const [a, b, c] = JSON.parse(plain).peers.map(({ password }: { password: string }) => password);
  assert.equal(a, b);
  assert.notEqual(a, c);
  assert.notEqual(hideByKey(new Uint8Array([1]))("planted"), a);
});

const entry = (at: number, text = ""): Entry => ({ at, input: { type: "timer", text }, decisions: [{ type: "wake" }] });
const answer = (recorder: Recorder) =>
  JSON.stringify({ program: "speaker", version: "1", options: {}, epoch: new Date(0), ...describeRecording(recorder) });

test("what was added is read back in its order", () => {
  const recorder = new Recorder();
  const entries = Array.from({ length: 5_000 }, (_, at) => entry(at));
  for (const one of entries) recorder.add(entryLine(one));
  const recording = readRecording(answer(recorder));
  assert.deepEqual(recording.entries, entries);
  assert.deepEqual([recorder.size, recorder.dropped, recording.dropped], [5_000, 0, 0]);
  assert.deepEqual([...recorder.lines()].flat(), entries.map(entryLine));
});

test("of an input that matters to all nothing is left out, however much was decided on it", () => {
  const recorder = new Recorder({ makeCheckpoint: async () => new Uint8Array() });
  const about = "192.0.2.1";
  const decisions = Array.from({ length: 100 }, (_, index) => ({ type: "announce", address: `192.0.2.${index}` }));
  const input = { type: "apiLost", since: { "@num": "Infinity" } };
  const long = { type: "config", text: "x".repeat(2_000) };
  for (const one of [input, long]) recorder.add(entryLine({ at: 1, input: one, decisions }));
  const found = [...findEntries(recorder, about, new Set(["apiLost", "config"]), String)].map((one) => one?.input);
  assert.deepEqual(found, [input, { type: "config" }]);
});

test("a value in pieces is the same text, whatever is in it", () => {
  const list = (length: number, of: (index: number) => unknown) => Array.from({ length }, (_, index) => of(index));
  const pool = (index: number) => ({ name: `p${index}`, first: ip("192.0.2.1"), "@ip": index, more: undefined, password: "a" });
  const value = {
    pools: list(3, pool),
    none: [],
    empty: {},
    password: "b",
    deep: [[[[[{ password: "c" }]]]]],
    map: new Map([[1, 2]]),
  };
  const text = JSON.stringify(encode(value, hide));
  assert.equal([...encodePieces(value, hide)].join(""), text);
  assert.ok(!/"[abc]"/.test(text), text);
  fc.assert(
    fc.property(fc.jsonValue(), (any) => assert.equal([...encodePieces(any, hide)].join(""), JSON.stringify(encode(any, hide)))),
  );
});

test("a turn of the event loop makes 64 KiB of a long line, and of the next one where the first ends; what is added meanwhile follows", async () => {
  const recorder = new Recorder();
  const made: number[] = [];
  let inTurn = 0;
  function* long(at: number): Generator<string, void> {
    const pieces = entryPieces({ at, input: Array.from({ length: 20_000 }, () => "0123456789"), decisions: [] }, hide);
    for (const piece of pieces) {
      inTurn += piece.length;
      yield piece;
    }
  }
  recorder.add(entryLine(entry(0)));
  recorder.add(entryPieces(entry(1), hide)); // Not long.
  assert.equal(recorder.size, 2);
  for (const at of [2, 4]) {
    recorder.add(long(at));
    recorder.add(entryLine(entry(at + 1)));
  }
  for (let turns = 0; turns < 20 && recorder.size < 6; turns++) {
    made.push(inTurn);
    inTurn = 0;
    await new Promise(setImmediate);
  }
  assert.ok(made.every((chars) => chars <= 140_000) && made.length >= 6, `${made}`);
  const { entries } = readRecording(answer(recorder));
  assert.deepEqual(
    entries.map(({ at }) => at),
    [0, 1, 2, 3, 4, 5],
  );
  assert.ok(Array.isArray(entries[4]?.input) && entries[4].input.length === 20_000);
});

test("what waited for a long line is added a chunk in a turn", async () => {
  const recorder = new Recorder();
  recorder.add(entryPieces({ at: 0, input: "x".repeat(200).repeat(1_000).match(/x{10}/g), decisions: [] }, hide));
  for (let at = 1; at <= 1_000; at++) recorder.add(entryLine(entry(at, "y".repeat(1_000))));
  const sizes: number[] = [];
  for (let turns = 0; turns < 100 && recorder.size < 1_001; turns++) {
    sizes.push(recorder.size);
    await new Promise(setImmediate);
  }
  assert.equal(recorder.size, 1_001);
  assert.ok(
    sizes.every((size, index) => size - (sizes[index - 1] ?? 0) <= 70),
    `${sizes}`,
  );
  assert.deepEqual(
    readRecording(answer(recorder)).entries.map(({ at }) => at),
    Array.from({ length: 1_001 }, (_, at) => at),
  );
});

test("memory stays within the bound, and what is dropped is the oldest", () => {
  const recorder = new Recorder({ maxBytes: 256 << 10 });
  const random = fc.sample(fc.string({ minLength: 500, maxLength: 500, unit: "binary-ascii" }), { numRuns: 4_000, seed: 1 });
  for (const [at, text] of random.entries()) recorder.add(entryLine(entry(at, text)));
  assert.ok(recorder.octets().length <= 256 << 10, `${recorder.octets().length} octets`);
  const { entries, dropped } = readRecording(answer(recorder));
  assert.ok(dropped > 0 && entries.length > 0);
  assert.deepEqual([entries[0]?.at, entries.at(-1)?.at], [dropped, 3_999]);
});

/** A core that adds up what it gets, and decides on the sum. */
const sums: CoreKind = { format: 7, begin: (start) => new Sum(Number(start)), restore: (saved) => new Sum(Number(saved)) };

class Sum implements ReplayedCore {
  #sum: number;

  constructor(sum: number) {
    this.#sum = sum;
  }

  run({ at }: Pick<Entry, "at">): readonly Plain[] {
    this.#sum += at;
    return [this.#sum];
  }

  save(): Iterable<string> {
    return [`${this.#sum}`];
  }
}

/** Adds this many inputs that do not compress, and calls `meanwhile` after each. */
function fill(recorder: Recorder, count: number, meanwhile = () => {}): void {
  const random = seededRandom(1);
  const noise = () => Array.from({ length: 300 }, () => Math.trunc(random() * 65_536).toString(36)).join("");
  const core = sums.begin(100);
  for (let at = 1; at <= count; at++) {
    recorder.add(entryLine({ at, input: { type: "timer", noise: noise() }, decisions: core.run({ at, input: null }) }));
    meanwhile();
  }
}

/** The rest can be run again, with the recorded results. @returns how many lines that were */
function assertRunsAgain(recorder: Recorder): number {
  const { entries, checkpoint } = readRecording(answer(recorder));
  const core = coreOf(sums, 100, checkpoint);
  for (const entry of entries) assert.deepEqual(core.run(entry), entry.decisions);
  return entries.length;
}

function madeNow(segment: Segment): Uint8Array {
  return brotliCompressSync([...checkpointAfter(sums, 100, segment)].join(""));
}

type Done = Parameters<MakeCheckpoint>[1];

test("what is left of a recording can be run again from a checkpoint, in the same memory", () => {
  const maxBytes = 512 << 10;
  let made = 0;
  const recorder = new Recorder({
    maxBytes,
    makeCheckpoint: (segment, done) => {
      made++;
      done(madeNow(segment));
    },
  });
  let longest = 0;
  fill(recorder, 3_000, () => {
    longest = Math.max(longest, recorder.octets().length + (recorder.checkpoint?.length ?? 0));
  });
  assert.ok(made > 3 && recorder.dropped > 1_000, `${made} checkpoints, ${recorder.dropped} dropped`);
  assert.ok(longest <= maxBytes, `${longest} octets`);
  assert.equal(recorder.whyLost, undefined);
  assert.equal(assertRunsAgain(recorder) + recorder.dropped, 3_000);
});

test("no checkpoint is made before nine tenths of the memory are in use", () => {
  const maxBytes = 2 << 20;
  const begunAt: number[] = [];
  const recorder = new Recorder({ maxBytes, makeCheckpoint: () => begunAt.push(recorder.octets().length) });
  fill(recorder, 3_000, () => {});
  const [octets = 0] = begunAt;
  assert.ok(octets > 0.85 * maxBytes && octets < maxBytes, `it began at ${octets} octets`);
});

test("a checkpoint that comes late is right all the same, and until then the recording says that it cannot be run", () => {
  let pending: (() => void) | undefined;
  let asked = 0;
  const recorder = new Recorder({
    maxBytes: 512 << 10,
    makeCheckpoint: (segment, done) => {
      asked++;
      pending = () => done(madeNow(segment));
    },
  });
  let isWaiting = false;
  fill(recorder, 1_200, () => {
    if (recorder.dropped === 0 || isWaiting) return;
    isWaiting = true; // The oldest chunk had to go before the checkpoint is there.
    assert.match(recorder.whyLost ?? "", /is being made/);
    assert.equal(recorder.checkpoint, undefined);
    pending?.();
    assert.equal(recorder.whyLost, undefined);
    assertRunsAgain(recorder);
  });
  assert.ok(isWaiting && asked > 1);
});

const lost: { name: string; make: (segment: Segment, done: Done) => void; message: RegExp }[] = [
  {
    name: "it is too large",
    make: (_segment, done) => done(new Uint8Array(300 << 10)),
    message: /takes 307200 octets, and may take half of 524288/,
  },
  { name: "it is not made in time", make: () => {}, message: /more was recorded than/ },
  { name: "it cannot be made", make: (_segment, done) => done(new Error("no memory")), message: /could be made: no memory/ },
];
for (const { name, make, message } of lost)
  test(`a recording without a checkpoint says why, and keeps what it has: ${name}`, () => {
    const recorder = new Recorder({ maxBytes: 512 << 10, makeCheckpoint: make });
    fill(recorder, 1_500);
    assert.match(recorder.whyLost ?? "", message);
    const { whyLost, checkpoint, entries } = readRecording(answer(recorder));
    assert.match(whyLost ?? "", message);
    assert.equal(checkpoint, undefined);
    assert.ok(entries.length > 100);
  });

test("a checkpoint counts the inputs that were decided otherwise when it was made", () => {
  const lines = [1, 2, 3].map((at) => entryLine({ at, input: null, decisions: [at === 3 ? 99 : 100 + (at * (at + 1)) / 2] }));
  const entries = [gzipSync(`${lines[0]}\n`), gzipSync(lines.slice(1).join("\n"))];
  const first = parseCheckpoint(madeNow({ checkpoint: undefined, entries }));
  assert.deepEqual(first, { format: 7, entries: 3, otherwise: 1, state: 106 });
});

test("a checkpoint of another format, or of none, is refused", () => {
  const checkpoint = { format: 8, entries: 1, otherwise: 0, state: 1 };
  assert.throws(() => coreOf(sums, 0, checkpoint), /format 8, and this version reads 7/);
  assert.throws(() => parseCheckpoint(new Uint8Array([1, 2, 3])), RecordingError);
});

class Shelf implements Savable {
  readonly #things: Set<object>;

  constructor(things: Set<object>) {
    this.#things = things;
  }

  save() {
    return { things: this.#things };
  }

  static restore({ things }: ReturnType<Shelf["save"]>): Shelf {
    return new Shelf(things);
  }

  has(thing: object): boolean {
    return this.#things.has(thing);
  }
}

const encodedGraph = (root: unknown): Plain => JSON.parse([...encodeGraph(root, { Shelf })].join(""));

test("a large graph comes in pieces, and keeps empty, absent and tagged values", () => {
  const rows = Array.from({ length: 10_000 }, (_, i) => ({
    i,
    text: `row ${i}`,
    none: undefined,
    "@set": i % 2 === 0 ? [] : undefined,
  }));
  const graph = { rows, empty: [[], {}, new Map(), new Set(), { none: undefined }], absent: [undefined, null, Number.NaN, 3n] };
  const pieces = [...encodeGraph(graph, {})];
  assert.ok(pieces.length > 5);
  assert.ok(pieces.every((piece) => piece.length < 130 << 10));
  const wanted = {
    rows: rows.map(({ i, text }) => (i % 2 === 0 ? { i, text, "@set": [] } : { i, text })),
    empty: [[], {}, new Map(), new Set(), {}],
    absent: graph.absent,
  };
  assert.deepEqual(decodeGraph(JSON.parse(pieces.join("")), {}), wanted);
});

test("a graph keeps what is shared, and instances with private fields", () => {
  const thing = { address: ip("192.0.2.1"), list: [1, 2] };
  const other = { list: thing.list, "@ref": 0 };
  const map = new Map<object, unknown>([[thing, other]]);
  const saved = encodedGraph({ map, shelf: new Shelf(new Set([thing])), thing, none: undefined });
  const again = decodeGraph(saved, { Shelf }) as {
    map: typeof map;
    shelf: Shelf;
    thing: typeof thing;
  };
  assert.deepEqual(again.map, map);
  assert.ok(again.map.has(again.thing) && again.shelf.has(again.thing));
  assert.equal((again.map.get(again.thing) as typeof other).list, again.thing.list);
  assert.throws(() => [...encodeGraph({ shelf: new Shelf(new Set()) }, {})], /Cannot save an instance of Shelf/);
  const circle: { self?: object } = {};
  circle.self = circle;
  assert.throws(() => [...encodeGraph(circle, {})], /within itself/);
});

test("decodeGraph of anything gives a value or its own error", () => {
  const tagged = fc.oneof(
    fc.nat(3).map((number) => ({ "@ref": number })),
    fc.tuple(fc.constantFrom("Shelf", "toString"), fc.jsonValue()).map((of) => ({ "@new": of })),
    fc.jsonValue().map((of) => ({ "@new": of })),
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(tagged, fc.jsonValue())), (value) => {
      try {
        decodeGraph(value as Plain, { Shelf });
      } catch (error) {
        assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
      }
    }),
  );
});

const broken: { name: string; text: string; message: RegExp }[] = [
  { name: "no JSON", text: "{", message: /no answer of \/v1\/recorder/ },
  { name: "other JSON", text: "[]", message: /which program/ },
  { name: "no entries", text: '{"program":"speaker"}', message: /no entries/ },
  { name: "a later format", text: '{"program":"speaker","format":4,"entries":""}', message: /format 4, and this version/ },
  { name: "a broken checkpoint", text: '{"program":"speaker","checkpoint":"YWJj","entries":""}', message: /checkpoint cannot/ },
  { name: "entries of another kind", text: '{"program":"speaker","entries":"YWJj"}', message: /cannot be unpacked/ },
];
for (const { name, text, message } of broken)
  test(`a recording is refused: ${name}`, () =>
    assert.throws(
      () => readRecording(text),
      (error: Error) => error instanceof RecordingError && message.test(error.message),
    ));

test("lines that are squeezed to little take no more memory than their squeezed bytes", () => {
  // zlib answers with the beginning of a buffer many times as long, and who keeps the beginning keeps all of it.
  const kept: Uint8Array[] = [];
  const recorder = new Recorder({ maxBytes: 256 << 10, makeCheckpoint: ({ entries }) => kept.push(...entries) });
  for (let at = 0; kept.length === 0; at++) recorder.add(entryLine({ at: at % 7, input: "the same again", decisions: [] }));
  assert.ok(kept.length > 10);
  for (const { buffer, length } of kept) assert.equal(buffer.byteLength, length);
});

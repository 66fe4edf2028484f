import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Board } from "./board.ts";

const octets = (text: string) => new Uint8Array(Buffer.from(text));
/** What `board` has of a writer, as `key=value`. */
function said(board: Board, writer: string): string[] {
  return [...board.of(writer).values()]
    .filter(({ value }) => value.length > 0)
    .map(({ key, value }) => `${key}=${Buffer.from(value)}`)
    .sort();
}
const payloads = (board: Board) => board.takeNews().map(({ payload }) => payload);

test("what one posts another has, and passes on once", () => {
  const [a, b, c] = [new Board("a"), new Board("b"), new Board("c")];
  a.post("k", octets("1"));
  const [payload = new Uint8Array(), ...more] = payloads(a);
  assert.deepEqual(more, []);
  assert.deepEqual(
    b.merge(payload).map(({ writer, key }) => [writer, key]),
    [["a", "k"]],
  );
  const [passedOn = new Uint8Array()] = payloads(b);
  c.merge(passedOn);
  assert.deepEqual(said(c, "a"), ["k=1"]);
  assert.deepEqual([b.merge(payload), payloads(b)], [[], []]);
});

test("the same again is no news", () => {
  const a = new Board("a");
  a.post("k", octets("1"));
  a.takeNews();
  a.post("k", octets("1"));
  a.post("none", octets(""));
  assert.deepEqual(a.takeNews(), []);
});

test("news that come late change nothing", () => {
  const [a, b] = [new Board("a"), new Board("b")];
  a.post("k", octets("1"));
  const early = payloads(a);
  a.post("k", octets("2"));
  for (const payload of [...payloads(a), ...early]) b.merge(payload);
  assert.deepEqual(said(b, "a"), ["k=2"]);
});

test("one that starts again outbids what it said in its earlier life", () => {
  const [b, c] = [new Board("b"), new Board("c")];
  const before = new Board("a");
  for (const value of ["1", "2", "3"]) before.post("kept", octets(value));
  before.post("gone", octets("4"));
  for (const payload of payloads(before)) b.merge(payload);
  const after = new Board("a");
  after.post("kept", octets("new"));
  for (const payload of payloads(after)) c.merge(payload);
  c.merge(b.state(["a"]));
  assert.deepEqual(said(c, "a"), ["gone=4", "kept=3"], "until it hears of it");
  after.merge(c.state(["a"]));
  for (const payload of payloads(after)) c.merge(payload);
  assert.deepEqual(said(c, "a"), ["kept=new"]);
  after.post("kept", octets("newer"));
  for (const payload of payloads(after)) c.merge(payload);
  assert.deepEqual(said(c, "a"), ["kept=newer"]);
});

test("a board says what is asked for, and forgets others alone", () => {
  const a = new Board("a");
  assert.deepEqual(a.state([]), new Uint8Array());
  const b = new Board("b");
  b.post("k", octets("1"));
  a.merge(b.state([]));
  assert.deepEqual(a.state(["c"]), new Uint8Array());
  assert.deepEqual(a.state(["b"]), b.state([]));
  a.post("k", octets("2"));
  a.forget("b");
  a.forget("a");
  assert.deepEqual([said(a, "a"), said(a, "b")], [["k=2"], []]);
});

test("notices that get lost, are repeated and overtake one another end in the same board everywhere once all have been compared", () => {
  const act = fc.record({
    who: fc.nat({ max: 2 }),
    key: fc.constantFrom("x", "y"),
    value: fc.constantFrom("", "1", "2", "3"),
    restarts: fc.nat({ max: 9 }).map((chance) => chance === 0),
    reaches: fc.array(fc.nat({ max: 2 }), { maxLength: 3 }),
  });
  const names = ["a", "b", "c"];
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), fc.array(fc.nat({ max: 2 }), { maxLength: 40 }), (acts, order) => {
      const boards = names.map((name) => new Board(name));
      const sent: Uint8Array[] = [];
      for (const { who, key, value, restarts, reaches } of acts) {
        if (restarts) boards[who] = new Board(names[who] ?? "");
        boards[who]?.post(key, octets(value));
        sent.push(...boards.flatMap((board) => payloads(board)));
        for (const other of reaches) boards[other]?.merge(sent[other % Math.max(1, sent.length)] ?? new Uint8Array());
      }
      for (const who of order) boards[who]?.merge(boards[(who + 1) % 3]?.state(names) ?? new Uint8Array());
      // All compare with all; what one outbids, the others have to hear.
      for (let round = 0; round < 3; round++) for (const one of boards) for (const other of boards) one.merge(other.state(names));
      for (const [index, name] of names.entries())
        for (const board of boards) assert.deepEqual(said(board, name), said(boards[index] ?? board, name));
    }),
  );
});

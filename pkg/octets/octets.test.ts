import assert from "node:assert/strict";
import { test } from "node:test";
import { Reader, Writer } from "#pkg/octets";

class Short extends Error {}
const reader = (text: string, offset?: number) =>
  new Reader(Buffer.from(text.replaceAll(" ", ""), "hex"), (found) => new Short(found), offset);
const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex");

test("integers are big-endian and unsigned", () => {
  const all = reader("ff fffe fffffffd");
  assert.deepEqual([all.u8(), all.u16(), all.u32(), all.remaining], [0xff, 0xfffe, 0xffff_fffd, 0]);
  assert.equal(hex(new Writer().u8(0xff).u16(0xfffe).u32(0xffff_fffd).finish()), "fffffefffffffd");
});

test("integers of other widths are signed or unsigned, as they are asked for", () => {
  assert.equal(reader("fffffe").unsigned(3), 0xff_fffe);
  assert.deepEqual(
    ["ff", "fffe", "80000000", "7fff"].map((text) => reader(text).signed(text.length / 2)),
    [-1, -2, -(2 ** 31), 32_767],
  );
  assert.equal(hex(new Writer().unsigned(0xfffefd, 3).finish()), "fffefd");
});

test("reading begins where it is told to, and goes on where it is put", () => {
  const all = reader("010203", 1);
  assert.deepEqual([all.remaining, all.u8()], [2, 2]);
  all.offset = 0;
  assert.equal(all.u8(), 1);
});

test("a string of octets is one octet a character, and no other string is written", () => {
  assert.equal(hex(new Writer().latin1("a\u00ff").finish()), "61ff");
  assert.throws(() => new Writer().latin1("\u0100"), RangeError);
});

test("a copy has memory of its own, whatever it is of, and a string of octets may be long", () => {
  const whole = Buffer.from(Array.from({ length: 300 }, (_, i) => i & 0xff));
  for (const octets of [whole, new Uint8Array(whole), whole.subarray(10)]) {
    const all = new Reader(octets, (found) => new Short(found), 5);
    const [copy, short, long] = [all.copy(3), all.latin1(3), all.latin1(200)];
    const text = (from: number, length: number) => Buffer.from(octets.subarray(from, from + length)).toString("latin1");
    assert.deepEqual([short, long, all.remaining], [text(8, 3), text(11, 200), octets.length - 211]);
    const before = [...copy];
    octets.fill(0xff);
    assert.deepEqual([...copy], before);
    assert.equal(copy.buffer.byteLength, 3);
    whole.forEach((_, i) => {
      whole[i] = i & 0xff;
    });
  }
});

const beyond: [name: string, read: (from: Reader) => unknown][] = [
  ["an octet", (from) => [from.take(3), from.u8()]],
  ["two", (from) => [from.take(2), from.u16()]],
  ["four", (from) => from.u32()],
  ["a signed one", (from) => from.signed(4)],
  ["any number", (from) => from.take(4)],
];
for (const [name, read] of beyond)
  test(`reading ${name} beyond the end raises the protocol's own error, which says where`, () => {
    assert.throws(() => read(reader("010203")), {
      constructor: Short,
      message: /^\d octets are wanted at offset \d of 3, \d are left$/,
    });
  });

test("a view of the rest may be empty", () => {
  const all = reader("01 02");
  assert.equal(hex(all.rest()), "0102");
  assert.equal(all.rest().length, 0);
});

const unwritable: [name: string, write: (to: Writer) => unknown][] = [
  ["an octet of 256", (to) => to.u8(256)],
  ["two of 65,536", (to) => to.u16(0x1_0000)],
  ["four of 2^32", (to) => to.u32(2 ** 32)],
  ["a negative number", (to) => to.u32(-1)],
  ["a fraction", (to) => to.u8(0.5)],
  ["no number", (to) => to.u8(Number.NaN)],
];
for (const [name, write] of unwritable)
  test(`the writer refuses ${name}`, () => {
    assert.throws(() => write(new Writer()), RangeError);
  });

test("the writer grows", () => {
  const writer = new Writer();
  for (let index = 0; index < 1000; index++) writer.put(Uint8Array.of(index, index >>> 8));
  const all = writer.finish();
  assert.equal(all.length, 2000);
  assert.deepEqual([all[1998], all[1999]], [999 & 255, 3]);
});

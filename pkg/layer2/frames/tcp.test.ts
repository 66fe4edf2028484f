import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeTcpReply, encodeSyn, type SynFrame } from "./tcp.ts";

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
const v4: SynFrame = {
  destinationMac: 0x0200_0000_0001,
  sourceMac: 0x0200_0000_0002,
  source: 0xc000_0264,
  destination: 0xc000_0201,
  sourcePort: 61_000,
  destinationPort: 80,
  sequence: 0x0102_0304,
};
const v6: SynFrame = { ...v4, source: (0x2001_0db8n << 96n) | 0x64n, destination: (0x2001_0db8n << 96n) | 1n };

/** The sum of 16-bit words as its receiver forms it: all ones where the checksum is right. */
function sum(bytes: Uint8Array, from: number, more = 0): number {
  let total = more;
  for (let at = from; at < bytes.length; at += 2) total += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

test("a SYN over IPv4 has its headers and right checksums", () => {
  const frame = encodeSyn(v4);
  const ip = "4500 0028 0000 4000 4006 b66a c0000264 c0000201";
  assert.deepEqual(frame.subarray(0, 34), hex(`020000000001 020000000002 0800 ${ip}`));
  assert.deepEqual(frame.subarray(34, 50), hex("ee48 0050 01020304 00000000 5002 ffff"));
  assert.equal(sum(frame.subarray(0, 34), 14), 0xffff);
  assert.equal(sum(frame, 26, 6 + 20), 0xffff);
});

test("a SYN over IPv6 has its headers and right checksum", () => {
  const frame = encodeSyn(v6);
  assert.deepEqual(frame.subarray(12, 22), hex("86dd 60000000 0014 06 40"));
  assert.equal(frame.length, 74);
  assert.equal(sum(frame, 22, 6 + 20), 0xffff);
});

test("a SYN with data says how much, and its checksums are right", () => {
  const [four, six] = [encodeSyn({ ...v4, data: 1_460 }), encodeSyn({ ...v6, data: 1_441 })];
  assert.deepEqual([four.length, six.length], [14 + 1_500, 14 + 1_501]);
  assert.deepEqual([four.subarray(16, 18), six.subarray(18, 20)], [hex("05dc"), hex("05b5")]);
  assert.equal(sum(four.subarray(0, 34), 14), 0xffff);
  assert.equal(sum(four, 26, 6 + 1_480), 0xffff);
  assert.equal(sum(Uint8Array.of(...six, 0), 22, 6 + 1_461), 0xffff);
});

const options: { name: string; hex: string; want: number | undefined }[] = [
  { name: "first", hex: "020405b4 0402080a", want: 1_460 },
  { name: "after others", hex: "01010402 020405b4", want: 1_460 },
  { name: "after the end", hex: "00000000 020405b4", want: undefined },
  { name: "of another length", hex: "020305b4 01010101", want: undefined },
  { name: "behind one of no length", hex: "08000000 020405b4", want: undefined },
  { name: "cut short", hex: "01010101 01010204", want: undefined },
];
for (const { name, hex: text, want } of options)
  test(`how much data a segment may have: ${name}`, () => {
    const frame = Uint8Array.of(...reply("12"), ...hex(text));
    frame[46] = 0x70; // Two words of options.
    assert.equal(decodeTcpReply(frame)?.maxSegment, want);
    frame[46] = 0xf0; // More than there are.
    assert.equal(decodeTcpReply(frame)?.maxSegment, want);
  });

const reply = (flags: string) =>
  hex(
    `020000000002 020000000001 0800 45000028000040004006b66a c0000201 c0000264 0050 ee48 00000000 01020305 50${flags} ffff 0000 0000`,
  );
const replies: { name: string; frame: Uint8Array; want: "accepts" | "refuses" | undefined }[] = [
  { name: "SYN and ACK accept", frame: reply("12"), want: "accepts" },
  { name: "SYN and ACK with ECN accept", frame: reply("52"), want: "accepts" },
  { name: "RST and ACK refuse", frame: reply("14"), want: "refuses" },
  { name: "a RST alone is for another segment", frame: reply("04"), want: undefined },
  { name: "an ACK alone is none", frame: reply("10"), want: undefined },
  { name: "a frame cut short is none", frame: reply("12").subarray(0, 53), want: undefined },
];
for (const { name, frame, want } of replies)
  test(`of what answers a SYN: ${name}`, () => {
    const decoded = decodeTcpReply(frame);
    assert.equal(decoded?.answer, want);
    if (decoded !== undefined)
      assert.deepEqual(decoded, {
        sourceMac: 0x0200_0000_0001,
        source: 0xc000_0201,
        sourcePort: 80,
        destinationPort: 61_000,
        acknowledgment: 0x0102_0305,
        answer: want,
        maxSegment: undefined,
      });
  });

test("a reply over IPv6 is one, and a fragment over IPv4 that is not the first is none", () => {
  const ends = { ...v6, source: v6.destination, destination: v6.source, sourcePort: 80, destinationPort: 61_000 };
  const frame = encodeSyn(ends);
  frame[67] = 0x12; // SYN and ACK.
  assert.deepEqual([decodeTcpReply(frame)?.answer, decodeTcpReply(frame)?.source], ["accepts", v6.destination]);
  const fragment = reply("12");
  fragment[21] = 1;
  assert.equal(decodeTcpReply(fragment), undefined);
});

test("arbitrary octets are a reply or none", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.constantFrom("0800", "86dd"), (bytes, type) => {
      bytes.set(hex(type).subarray(0, Math.max(0, Math.min(2, bytes.length - 12))), Math.min(12, bytes.length));
      decodeTcpReply(bytes);
    }),
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { broadcastMac } from "#pkg/net";
import { capturedFrame, clientAddress, clientMac, ourAddress, ourMac, request, requestBytes } from "../testing/frames.ts";
import { type ArpFrame, ArpOperation, arpFrameLength, decodeArp, encodeArp } from "./arp.ts";

const reply = {
  destination: clientMac,
  source: ourMac,
  operation: ArpOperation.reply,
  senderMac: ourMac,
  senderAddress: ourAddress,
  targetMac: clientMac,
  targetAddress: clientAddress,
};
const gratuitous = request({ targetMac: broadcastMac, targetAddress: clientAddress });
const captures: { name: string; want: ArpFrame }[] = [
  { name: "kernel-request", want: request() },
  { name: "kernel-reply", want: reply },
  { name: "kernel-reply-to-probe", want: { ...reply, targetAddress: 0 } },
  { name: "kernel-gratuitous-request", want: request({ targetAddress: clientAddress }) },
  { name: "arping-gratuitous-request", want: gratuitous },
  { name: "arping-gratuitous-reply", want: { ...gratuitous, operation: ArpOperation.reply } },
];
for (const { name, want } of captures)
  test(`decodeArp reads a captured ${name}, and encodeArp writes it but for the padding`, () => {
    const bytes = capturedFrame(name);
    assert.deepEqual(decodeArp(bytes), want);
    assert.deepEqual(encodeArp(want), bytes.subarray(0, arpFrameLength));
  });

const refused: { name: string; offset: number; octets: number[] }[] = [
  { name: "another EtherType", offset: 12, octets: [0x08, 0x00] },
  { name: "a VLAN tag", offset: 12, octets: [0x81, 0x00] },
  { name: "hardware other than Ethernet", offset: 14, octets: [0, 6] },
  { name: "a protocol other than IPv4", offset: 16, octets: [0x86, 0xdd] },
  { name: "hardware addresses that are not 6 octets", offset: 18, octets: [8] },
  { name: "protocol addresses that are not 4 octets", offset: 19, octets: [16] },
];
for (const { name, offset, octets } of refused)
  test(`decodeArp refuses ${name}`, () => {
    const bytes = requestBytes();
    bytes.set(octets, offset);
    assert.equal(decodeArp(bytes), undefined);
  });

test("decodeArp refuses a frame cut short at any octet", () => {
  const bytes = requestBytes();
  for (let length = 0; length < arpFrameLength; length++) assert.equal(decodeArp(bytes.subarray(0, length)), undefined);
});

const mac = fc.integer({ min: 0, max: broadcastMac });
const address = fc.integer({ min: 0, max: 0xffff_ffff });

test("property: decoding undoes encoding, also inside a larger buffer", () => {
  const operation = fc.integer({ min: 0, max: 0xffff });
  const frame = fc.record(
    { destination: mac, source: mac, operation, senderMac: mac, senderAddress: address, targetMac: mac, targetAddress: address },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(frame, fc.nat(20), fc.uint8Array({ maxLength: 20, size: "max" }), (frame, offset, padding) => {
      const buffer = new Uint8Array([...new Uint8Array(offset), ...encodeArp(frame), ...padding]);
      assert.deepEqual(decodeArp(buffer.subarray(offset)), frame);
    }),
  );
});

test("property: arbitrary octets are a frame that encodes to the same octets, or nothing", () => {
  const damaged = fc
    .tuple(fc.nat(41), fc.integer({ min: 0, max: 255 }))
    .map(([offset, octet]) => requestBytes().fill(octet, offset, offset + 1));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 64, size: "max" }), damaged), (bytes) => {
      const frame = decodeArp(bytes);
      if (frame !== undefined) assert.deepEqual(encodeArp(frame), bytes.subarray(0, arpFrameLength));
    }),
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Arrival } from "#pkg/linux";
import { broadcastMac, type Mac } from "#pkg/net";
import { capturedFrame, clientAddress, clientMac, ourAddress, ourMac, requestBytes } from "../testing/frames.ts";
import { answerArp, type IgnoredReason, ignoredReasons } from "./answers.ts";
import { type ArpFrame, ArpOperation, decodeArp } from "./arp.ts";

const announced = new Map([[ourAddress, "ours"]]);

function answer(frame: Uint8Array, { mac = ourMac, arrival = "broadcast" }: { mac?: Mac; arrival?: Arrival } = {}) {
  const request = decodeArp(frame);
  return request === undefined ? "malformed" : answerArp(request, arrival, mac, (address) => announced.get(address));
}

test("the answer to a captured request is octet for octet that of the Linux kernel", () => {
  assert.deepEqual(answer(capturedFrame("kernel-request")), { announcement: "ours", frame: capturedFrame("kernel-reply") });
});

const answered: { name: string; changes: Partial<ArpFrame>; arrival?: Arrival; to?: Partial<ArpFrame> }[] = [
  { name: "a broadcast request", changes: {} },
  { name: "a unicast poll (RFC 1122, section 2.3.2.1)", changes: { destination: ourMac }, arrival: "host" },
  { name: "a sender in another subnet", changes: { senderAddress: 0x0a000001 }, to: { targetAddress: 0x0a000001 } },
  {
    name: "a probe, whose sender has no address (RFC 5227, section 2.1.1)",
    changes: { senderAddress: 0 },
    to: { targetAddress: 0 },
  },
  { name: "a target MAC address of any value, which RFC 826 leaves open", changes: { targetMac: broadcastMac } },
  {
    name: "a sender behind a bridge that sends with its own MAC address: to the MAC address that ARP names",
    changes: { source: 0x020000000009 },
  },
];
for (const { name, changes, arrival, to } of answered)
  test(`answers ${name}`, () => {
    const result = answer(requestBytes(changes), arrival && { arrival });
    assert.ok(typeof result === "object", String(result));
    assert.deepEqual(decodeArp(result.frame), {
      destination: clientMac,
      source: ourMac,
      operation: ArpOperation.reply,
      senderMac: ourMac,
      senderAddress: ourAddress,
      targetMac: clientMac,
      targetAddress: clientAddress,
      ...to,
    });
  });

const ignored: { name: string; frame: Uint8Array; arrival?: Arrival; want: IgnoredReason }[] = [
  { name: "an address that is not announced", frame: requestBytes({ targetAddress: 0xc0000263 }), want: "notAnnounced" },
  { name: "a reply", frame: requestBytes({ operation: ArpOperation.reply }), want: "notRequest" },
  { name: "an unknown operation", frame: requestBytes({ operation: 25 }), want: "notRequest" },
  { name: "a frame to another machine", frame: requestBytes({ destination: 0x020000000009 }), want: "notForUs" },
  {
    name: "a sender that is everyone",
    frame: requestBytes({ senderMac: broadcastMac, source: broadcastMac }),
    want: "senderNotUnicast",
  },
  { name: "a sender that is a group", frame: requestBytes({ senderMac: 0x03bfc0000201 }), want: "senderNotUnicast" },
  { name: "a sender without a MAC address", frame: requestBytes({ senderMac: 0 }), want: "senderNotUnicast" },
  { name: "a frame to a group", frame: requestBytes({ destination: 0x01005e000001 }), arrival: "multicast", want: "notForUs" },
  { name: "a broadcast in a VLAN that the machine does not know", frame: requestBytes(), arrival: "otherHost", want: "notForUs" },
  { name: "a frame that this machine sent", frame: requestBytes(), arrival: "outgoing", want: "own" },
  { name: "a frame of ours that a switch sent back", frame: requestBytes({ source: ourMac }), want: "own" },
  { name: "an announcement of another as a request", frame: requestBytes({ senderAddress: ourAddress }), want: "gratuitous" },
  { name: "the kernel's own kind of it", frame: capturedFrame("kernel-gratuitous-request"), want: "gratuitous" },
  { name: "an announcement of another as a reply", frame: capturedFrame("arping-gratuitous-reply"), want: "notRequest" },
  { name: "a frame cut short", frame: requestBytes().subarray(0, 41), want: "malformed" },
  { name: "an empty frame", frame: new Uint8Array(0), want: "malformed" },
];
for (const { name, frame, arrival, want } of ignored)
  test(`ignores ${name}: ${want}`, () => {
    assert.equal(answer(frame, arrival && { arrival }), want);
  });

test("property: whatever comes is answered to its sender alone, about an announced address, or ignored for a reason", () => {
  const arrival = fc.constantFrom<Arrival>("host", "broadcast", "multicast", "otherHost", "outgoing");
  const mac = fc.constantFrom(ourMac, clientMac, broadcastMac, 0);
  const address = fc.constantFrom(ourAddress, clientAddress, 0);
  const frame = fc
    .record({
      destination: mac,
      source: mac,
      operation: fc.nat(3),
      senderMac: mac,
      senderAddress: address,
      targetAddress: address,
    })
    .map((changes) => requestBytes(changes));
  fc.assert(
    fc.property(fc.oneof(frame, fc.uint8Array({ maxLength: 64, size: "max" })), arrival, (frame, arrival) => {
      const result = answer(frame, { arrival });
      if (typeof result === "string") return assert.ok(ignoredReasons.includes(result));
      const asked = decodeArp(frame);
      const reply = decodeArp(result.frame);
      assert.ok(asked && reply);
      const told = {
        senderMac: ourMac,
        senderAddress: asked.targetAddress,
        targetMac: asked.senderMac,
        targetAddress: asked.senderAddress,
      };
      assert.deepEqual(reply, { destination: asked.senderMac, source: ourMac, operation: ArpOperation.reply, ...told });
      assert.equal(announced.has(reply.senderAddress), true);
    }),
  );
});

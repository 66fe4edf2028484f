import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Arrival } from "#pkg/linux";
import { allNodesGroup, broadcastMac, unspecifiedAddress } from "#pkg/net";
import { capturedFrame, clientAddress6, clientMac, ourAddress6, ourMac, solicitation } from "../testing/frames.ts";
import { answerNeighbor, type IgnoredReason, ignoredReasons, unsolicited } from "./answers.ts";
import { decodeNeighbor, encodeNeighbor, isMulticast, type NeighborFrame, NeighborType } from "./ndp.ts";

const announced = new Map([[ourAddress6, "ours"]]);
const otherMac = 0x020000000009;
const allNodesMac = 0x3333_0000_0001;

function answer(frame: Uint8Array, arrival: Arrival = "multicast") {
  const asked = decodeNeighbor(frame);
  return asked === undefined ? "malformed" : answerNeighbor(asked, arrival, ourMac, (address) => announced.get(address));
}

for (const [asked, answered] of [
  ["kernel-solicitation", "kernel-advertisement"],
  ["kernel-duplicate-detection", "kernel-defence"],
] as const)
  test(`the answer to a captured ${asked} is octet for octet that of the Linux kernel`, () => {
    const frame = capturedFrame(answered, "ndp.hex");
    assert.deepEqual(answer(capturedFrame(asked, "ndp.hex")), { announcement: "ours", frame });
  });

test("an unasked advertisement is octet for octet that of the Linux kernel", () => {
  const frame = capturedFrame("kernel-unsolicited-advertisement", "ndp.hex");
  assert.deepEqual(encodeNeighbor(unsolicited(ourMac, ourAddress6)), frame);
});

const toSelf = { destinationMac: ourMac, destination: ourAddress6 };
const answered: { name: string; changes: Partial<NeighborFrame>; arrival?: Arrival; to?: Partial<NeighborFrame> }[] = [
  { name: "a solicitation to the group", changes: {} },
  { name: "one to the address itself (RFC 4861, section 7.3.3)", changes: toSelf, arrival: "host" },
  { name: "one from a source of another subnet", changes: { source: 0xfd00n << 112n }, to: { destination: 0xfd00n << 112n } },
  { name: "one without a link-layer address: to where the frame came from", changes: { linkLayerAddress: undefined } },
  {
    name: "one sent by another machine than the one to answer",
    changes: { sourceMac: otherMac },
    to: { destinationMac: clientMac },
  },
  {
    name: "one whose link-layer address is a group's: to where the frame came from",
    changes: { linkLayerAddress: broadcastMac, sourceMac: otherMac },
    to: { destinationMac: otherMac },
  },
  {
    name: "one whose link-layer address is zero: to where the frame came from",
    changes: { linkLayerAddress: 0, sourceMac: otherMac },
    to: { destinationMac: otherMac },
  },
  { name: "one to all nodes", changes: { destination: allNodesGroup, destinationMac: allNodesMac } },
  {
    name: "a duplicate address detection: to all nodes, as not solicited (RFC 4861, section 7.2.4)",
    changes: { source: unspecifiedAddress, linkLayerAddress: undefined },
    to: { destination: allNodesGroup, destinationMac: allNodesMac, solicited: false },
  },
];
for (const { name, changes, arrival, to } of answered)
  test(`answers ${name}`, () => {
    const result = answer(encodeNeighbor(solicitation(changes)), arrival);
    assert.ok(typeof result === "object", String(result));
    assert.deepEqual(decodeNeighbor(result.frame), {
      destinationMac: clientMac,
      sourceMac: ourMac,
      source: ourAddress6,
      destination: clientAddress6,
      type: NeighborType.advertisement,
      router: false,
      solicited: true,
      override: true,
      target: ourAddress6,
      linkLayerAddress: ourMac,
      ...to,
    });
  });

const ignored: { name: string; changes: Partial<NeighborFrame>; arrival?: Arrival; want: IgnoredReason }[] = [
  { name: "an address that is not announced", changes: { target: clientAddress6 + 1n }, want: "notAnnounced" },
  {
    name: "the duplicate address detection of another address",
    changes: { source: unspecifiedAddress, linkLayerAddress: undefined, target: clientAddress6 },
    want: "notAnnounced",
  },
  { name: "an advertisement", changes: { type: NeighborType.advertisement }, want: "notRequest" },
  {
    name: "a frame to another machine",
    changes: { ...toSelf, destinationMac: otherMac },
    arrival: "otherHost",
    want: "notForUs",
  },
  { name: "a frame in a VLAN that the machine does not know", changes: {}, arrival: "otherHost", want: "notForUs" },
  { name: "a packet to another address of this machine", changes: { ...toSelf, destination: clientAddress6 }, want: "notForUs" },
  { name: "a frame that this machine sent", changes: {}, arrival: "outgoing", want: "own" },
  { name: "a frame of this machine that came back", changes: { sourceMac: ourMac }, want: "own" },
  { name: "one who asks from the address itself", changes: { source: ourAddress6 }, want: "gratuitous" },
  { name: "one who names no machine to answer", changes: { sourceMac: 0, linkLayerAddress: broadcastMac }, want: "malformed" },
];
for (const { name, changes, arrival, want } of ignored)
  test(`ignores ${name}: ${want}`, () => {
    assert.equal(answer(encodeNeighbor(solicitation(changes)), arrival), want);
  });

test("ignores what cannot be decoded: malformed", () => {
  assert.equal(answer(encodeNeighbor(solicitation()).subarray(0, 85)), "malformed");
  assert.equal(answer(new Uint8Array(0)), "malformed");
});

test("property: whatever comes is answered about an announced address, to the one who asks or to all nodes, or ignored for a reason", () => {
  const mac = fc.constantFrom(ourMac, clientMac, broadcastMac, allNodesMac, 0);
  const address = fc.constantFrom(ourAddress6, clientAddress6, unspecifiedAddress, allNodesGroup, solicitation().destination);
  const frame = fc
    .record({
      destinationMac: mac,
      sourceMac: mac,
      source: address,
      destination: address,
      target: address,
      linkLayerAddress: fc.option(mac, { nil: undefined }),
      type: fc.constantFrom(NeighborType.solicitation, NeighborType.advertisement),
    })
    .map((changes) => encodeNeighbor(solicitation(changes)));
  const arrival = fc.constantFrom<Arrival>("host", "broadcast", "multicast", "otherHost", "outgoing");
  fc.assert(
    fc.property(fc.oneof(frame, fc.uint8Array({ maxLength: 100, size: "max" })), arrival, (frame, arrival) => {
      const result = answer(frame, arrival);
      if (typeof result === "string") return assert.ok(ignoredReasons.includes(result));
      const asked = decodeNeighbor(frame);
      const reply = decodeNeighbor(result.frame);
      assert.ok(asked && reply);
      assert.deepEqual([reply.target, reply.source, reply.linkLayerAddress], [asked.target, asked.target, ourMac]);
      assert.ok(announced.has(reply.target));
      assert.equal(reply.destination, asked.source === unspecifiedAddress ? allNodesGroup : asked.source);
      assert.equal(reply.solicited, !isMulticast(reply.destination));
    }),
    { numRuns: 1000 },
  );
});

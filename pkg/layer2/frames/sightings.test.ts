import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { broadcastMac, isUnicastMac, unspecifiedAddress } from "#pkg/net";
import {
  capturedFrame,
  clientAddress,
  clientAddress6,
  clientMac,
  ourAddress,
  ourAddress6,
  request,
  solicitation,
} from "../testing/frames.ts";
import { probeFrame, solicitationFrom } from "./announcements.ts";
import { type ArpFrame, ArpOperation, decodeArp, encodeArp } from "./arp.ts";
import { decodeNeighbor, type NeighborFrame, NeighborType } from "./ndp.ts";
import { type IgnoredSighting, type Sighting, sightingInArp, sightingInNeighbor } from "./sightings.ts";

const other = 0x020000000009;

const notUnicast = { address: clientAddress, ignored: "senderNotUnicast" } as const;

const inArp: { name: string; changes: Partial<ArpFrame>; want: Sighting | IgnoredSighting | undefined }[] = [
  {
    name: "a request is from one who has its address",
    changes: {},
    want: { address: clientAddress, mac: clientMac, kind: "uses" },
  },
  {
    name: "a reply is, too",
    changes: { operation: ArpOperation.reply },
    want: { address: clientAddress, mac: clientMac, kind: "uses" },
  },
  {
    name: "a sender that the Ethernet header does not name is ignored",
    changes: { source: other },
    want: { address: clientAddress, ignored: "senderMismatch" },
  },
  {
    name: "an announcement, as a request",
    changes: { senderAddress: ourAddress },
    want: { address: ourAddress, mac: clientMac, kind: "announces" },
  },
  {
    name: "an announcement, as a reply",
    changes: { senderAddress: ourAddress, operation: ArpOperation.reply },
    want: { address: ourAddress, mac: clientMac, kind: "announces" },
  },
  {
    name: "a probe has no address yet",
    changes: { senderAddress: 0 },
    want: { address: ourAddress, mac: clientMac, kind: "probes" },
  },
  { name: "a reply from no address", changes: { senderAddress: 0, operation: ArpOperation.reply }, want: undefined },
  { name: "another operation", changes: { operation: 25 }, want: undefined },
  { name: "a sender without a MAC address", changes: { senderMac: 0 }, want: notUnicast },
  { name: "a sender that is everyone", changes: { senderMac: broadcastMac, source: broadcastMac }, want: notUnicast },
  {
    name: "a cluster of hosts that answers with the MAC address of its group",
    changes: { senderMac: 0x03bfc0000201, operation: ArpOperation.reply },
    want: notUnicast,
  },
];
for (const { name, changes, want } of inArp) test(`ARP: ${name}`, () => assert.deepEqual(sightingInArp(request(changes)), want));

const advertised = { type: NeighborType.advertisement };
const inNdp: { name: string; changes: Partial<NeighborFrame>; want: Sighting | IgnoredSighting | undefined }[] = [
  {
    name: "a solicitation is from one who has its source",
    changes: {},
    want: { address: clientAddress6, mac: clientMac, kind: "uses" },
  },
  {
    name: "without an option the Ethernet header names the sender",
    changes: { linkLayerAddress: undefined, sourceMac: other },
    want: { address: clientAddress6, mac: other, kind: "uses" },
  },
  {
    name: "duplicate address detection is a probe",
    changes: { source: unspecifiedAddress, linkLayerAddress: undefined },
    want: { address: ourAddress6, mac: clientMac, kind: "probes" },
  },
  {
    name: "an advertisement that answers is from one who has its target",
    changes: { ...advertised, solicited: true },
    want: { address: ourAddress6, mac: clientMac, kind: "uses" },
  },
  {
    name: "an unsolicited one announces",
    changes: advertised,
    want: { address: ourAddress6, mac: clientMac, kind: "announces" },
  },
  {
    name: "an option that the Ethernet header does not agree with is ignored",
    changes: { ...advertised, sourceMac: other },
    want: { address: ourAddress6, ignored: "senderMismatch" },
  },
  {
    name: "one whose sender has no MAC address",
    changes: { ...advertised, linkLayerAddress: 0 },
    want: { address: ourAddress6, ignored: "senderNotUnicast" },
  },
];
for (const { name, changes, want } of inNdp)
  test(`NDP: ${name}`, () => assert.deepEqual(sightingInNeighbor(solicitation(changes)), want));

test("what the Linux kernel sends when it gets an address, looks for duplicates and defends", () => {
  const arp = decodeArp(capturedFrame("kernel-gratuitous-request"));
  assert.ok(arp);
  assert.deepEqual(sightingInArp(arp), { address: arp.senderAddress, mac: arp.senderMac, kind: "announces" });
  const kinds = ["kernel-duplicate-detection", "kernel-defence", "kernel-unsolicited-advertisement"].map((name) => {
    const frame = decodeNeighbor(capturedFrame(name, "ndp.hex"));
    const sighting = frame && sightingInNeighbor(frame);
    return sighting !== undefined && "kind" in sighting ? sighting.kind : sighting;
  });
  assert.deepEqual(kinds, ["probes", "announces", "announces"]);
});

test("a probe of ours is a probe to others, whether to all or to one", () => {
  for (const to of [undefined, other]) {
    const arp = decodeArp(probeFrame(clientMac, ourAddress, to));
    assert.deepEqual(arp && sightingInArp(arp), { address: ourAddress, mac: clientMac, kind: "probes" });
    assert.equal(arp?.destination, to ?? broadcastMac);
    const ndp = decodeNeighbor(probeFrame(clientMac, ourAddress6, to));
    assert.deepEqual(ndp && sightingInNeighbor(ndp), { address: ourAddress6, mac: clientMac, kind: "probes" });
  }
  const open = decodeNeighbor(solicitationFrom(clientAddress6, clientMac, ourAddress6, other));
  assert.deepEqual(open, solicitation({ destinationMac: other }));
});

test("property: whatever decodes is a sighting of one host, or ignored", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 42, maxLength: 42 }), (bytes) => {
      const valid = encodeArp(request());
      valid.set(bytes.subarray(20), 20); // From the operation on.
      valid.set(bytes.subarray(22, 28), 6); // The Ethernet header agrees.
      const frame = decodeArp(valid);
      const sighting = frame && sightingInArp(frame);
      if (sighting !== undefined && "mac" in sighting) assert.ok(isUnicastMac(sighting.mac));
    }),
  );
});

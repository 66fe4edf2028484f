import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { allNodesGroup, broadcastMac, multicastMac, unspecifiedAddress } from "#pkg/net";
import { capturedFrame, clientAddress6, clientMac, ourAddress6, ourMac, solicitation } from "../testing/frames.ts";
import { decodeNeighbor, encodeNeighbor, isMulticast, type NeighborFrame, NeighborType, solicitedNodeGroup } from "./ndp.ts";

const linkLocal = 0xfe80_0000_0000_0000_d0cb_02ff_fe3c_7b97n;
const probe = { source: unspecifiedAddress, linkLayerAddress: undefined };
const advertisement = solicitation({
  destinationMac: clientMac,
  sourceMac: ourMac,
  source: ourAddress6,
  destination: clientAddress6,
  type: NeighborType.advertisement,
  solicited: true,
  override: true,
  linkLayerAddress: ourMac,
});
const toAll = { ...advertisement, destinationMac: 0x3333_0000_0001, destination: allNodesGroup, solicited: false };

/** `more`: our encoder writes less, or otherwise: options and labels that we do not know. */
const captures: { name: string; want: NeighborFrame; more?: true }[] = [
  { name: "kernel-solicitation", want: solicitation() },
  { name: "kernel-advertisement", want: advertisement },
  {
    name: "kernel-unicast-solicitation",
    want: solicitation({ destinationMac: ourMac, destination: ourAddress6, source: linkLocal }),
  },
  {
    name: "kernel-advertisement-to-unicast",
    want: { ...advertisement, destination: linkLocal, override: false, linkLayerAddress: undefined },
  },
  { name: "kernel-duplicate-detection", want: solicitation(probe), more: true },
  { name: "kernel-defence", want: toAll },
  { name: "kernel-unsolicited-advertisement", want: toAll },
  { name: "ndisc6-solicitation", want: solicitation({ source: linkLocal }), more: true },
];
for (const { name, want, more } of captures)
  test(`decodeNeighbor reads a captured ${name}${more ? "" : ", and encodeNeighbor writes it"}`, () => {
    const bytes = capturedFrame(name, "ndp.hex");
    assert.deepEqual(decodeNeighbor(bytes), want);
    if (!more) assert.deepEqual(encodeNeighbor(want), bytes);
  });

test("a solicited-node group holds the last 24 bits of an address (RFC 4291, section 2.7.1)", () => {
  assert.equal(solicitedNodeGroup(0x4037_0000_0000_0000_0001_0800_200e_8c6cn), 0xff02_0000_0000_0000_0000_0001_ff0e_8c6cn);
  assert.equal(multicastMac(0xff02_0000_0000_0000_0000_0001_ff0e_8c6cn), 0x3333_ff0e_8c6c);
});

/** A frame with the octets at an offset replaced, and its checksum made right again. */
function changed(bytes: Uint8Array, offset: number, octets: readonly number[]): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy.set(octets, offset);
  const view = new DataView(copy.buffer);
  view.setUint16(56, 0);
  let sum = 58 + view.getUint16(18);
  for (let at = 22; at + 1 < copy.length; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(56, ~sum & 0xffff);
  return copy;
}

/** A frame with more octets after its message, as part of it. */
function extended(bytes: Uint8Array, octets: readonly number[]): Uint8Array {
  const longer = new Uint8Array([...bytes, ...octets]);
  return changed(longer, 18, [0, longer.length - 54]);
}

const plain = encodeNeighbor(solicitation({ linkLayerAddress: undefined }));
const good = encodeNeighbor(solicitation());
const group = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

test("RFC 4861, section 7.1.1: what is not a valid solicitation is refused", () => {
  const badChecksum = new Uint8Array(good).fill(good[57] ? 0 : 1, 57, 58);
  const cases: [string, Uint8Array][] = [
    ["hop limit 254: it came through a router", changed(good, 21, [254])],
    ["a checksum that is not right", badChecksum],
    ["an ICMP code other than 0", changed(good, 55, [1])],
    ["an ICMP length below 24", changed(plain.subarray(0, 70), 18, [0, 16])],
    ["a target that is a group", changed(good, 62, group)],
    ["an option of length 0", changed(good, 79, [0])],
    ["an unknown option of length 0 after a good one", extended(good, [14, 0, 0, 0, 0, 0, 0, 0])],
    [
      "an unspecified source, sent to another group than a solicited-node one",
      encodeNeighbor(solicitation({ ...probe, destination: allNodesGroup })),
    ],
    ["an unspecified source, sent to the address itself", encodeNeighbor(solicitation({ ...probe, destination: ourAddress6 }))],
    ["an unspecified source with a link-layer address", encodeNeighbor(solicitation({ source: unspecifiedAddress }))],
    [
      "the same with an address of another length",
      changed(extended(encodeNeighbor(solicitation({ ...probe, linkLayerAddress: clientMac })), Array(8).fill(0)), 79, [2]),
    ],
  ];
  for (const [name, bytes] of cases) assert.equal(decodeNeighbor(bytes), undefined, name);
});

test("RFC 4861, section 7.1.2: what is not a valid advertisement is refused", () => {
  const cases: [string, Uint8Array][] = [
    ["a solicited one to a group", encodeNeighbor({ ...toAll, solicited: true })],
    ["hop limit 254", changed(encodeNeighbor(toAll), 21, [254])],
    ["a target that is a group", changed(encodeNeighbor(toAll), 62, group)],
    ["an option of length 0", changed(encodeNeighbor(toAll), 79, [0])],
  ];
  for (const [name, bytes] of cases) assert.equal(decodeNeighbor(bytes), undefined, name);
});

test("frames that are something else are refused", () => {
  const extension = new Uint8Array([...good.subarray(0, 54), 58, 0, 1, 4, 0, 0, 0, 0, ...good.subarray(54)]);
  extension[20] = 0; // Hop-by-hop options come first.
  extension[19] = good.length - 54 + 8;
  const cases: [string, Uint8Array][] = [
    ["another EtherType", changed(good, 12, [0x08, 0x00])],
    ["a VLAN tag", new Uint8Array([...good.subarray(0, 12), 0x81, 0, 0, 5, ...good.subarray(12)])],
    ["a version other than 6", changed(good, 14, [0x40])],
    ["UDP", changed(good, 20, [17])],
    ["an extension header before the message", extension],
    ["a router solicitation", capturedFrame("kernel-router-solicitation", "ndp.hex")],
    ["a router solicitation as long as ours", changed(good, 54, [133])],
    ["a redirect", changed(good, 54, [137])],
    ["a source that is a group", changed(good, 22, group)],
    ["a payload that is longer than the frame", changed(good, 18, [0, 40])],
    ["a payload length that leaves a part of an option", changed(good, 18, [0, 28])],
    ["a jumbogram", changed(good, 18, [0, 0])],
    ["an option that is longer than the message", changed(good, 79, [2])],
  ];
  for (const [name, bytes] of cases) assert.equal(decodeNeighbor(bytes), undefined, name);
});

test("a frame cut short at any octet is refused", () => {
  for (let length = 0; length < good.length; length++) assert.equal(decodeNeighbor(good.subarray(0, length)), undefined);
});

const tolerated: { name: string; bytes: Uint8Array; linkLayerAddress: number | undefined }[] = [
  { name: "no link-layer address", bytes: plain, linkLayerAddress: undefined },
  { name: "octets after the packet", bytes: new Uint8Array([...good, 1, 2, 3]), linkLayerAddress: clientMac },
  { name: "reserved bits that are set", bytes: changed(good, 58, [0xff, 0xff, 0xff, 0xff]), linkLayerAddress: clientMac },
  { name: "a traffic class and a flow label", bytes: changed(good, 14, [0x6e, 0x0c, 0x9b, 0xba]), linkLayerAddress: clientMac },
  {
    name: "an unknown option, and one that only advertisements have, before the link-layer address",
    bytes: extended(plain, [14, 1, 1, 2, 3, 4, 5, 6, 2, 1, 9, 9, 9, 9, 9, 9, 1, 1, 0, 0, 0, 0, 0, 7]),
    linkLayerAddress: 7,
  },
  {
    name: "two link-layer addresses: the first counts",
    bytes: extended(good, [1, 1, 0, 0, 0, 0, 0, 7]),
    linkLayerAddress: clientMac,
  },
  {
    name: "a link-layer address of another length",
    bytes: extended(plain, [1, 2, ...Array(14).fill(7)]),
    linkLayerAddress: undefined,
  },
];
for (const { name, bytes, linkLayerAddress } of tolerated)
  test(`decodeNeighbor takes ${name}`, () => {
    assert.deepEqual(decodeNeighbor(bytes), solicitation({ linkLayerAddress }));
  });

const mac = fc.integer({ min: 0, max: broadcastMac });
const address = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n });
const unicast = address.filter((address) => !isMulticast(address));
const flags = fc.constantFrom(
  { type: NeighborType.solicitation, router: false, solicited: false, override: false },
  { type: NeighborType.advertisement, router: true, solicited: false, override: false },
  { type: NeighborType.advertisement, router: false, solicited: false, override: true },
);

test("property: decoding undoes encoding, also inside a larger buffer and over what was there before", () => {
  const frame = fc
    .record({
      kind: flags,
      destinationMac: mac,
      sourceMac: mac,
      source: unicast.filter((source) => source !== unspecifiedAddress),
      destination: address,
      target: unicast,
      linkLayerAddress: fc.option(mac, { nil: undefined }),
    })
    .map(({ kind, ...frame }): NeighborFrame => ({ ...frame, ...kind }));
  fc.assert(
    fc.property(frame, fc.nat(20), fc.integer({ min: 0, max: 255 }), (frame, offset, before) => {
      const buffer = new Uint8Array(150).fill(before);
      const bytes = encodeNeighbor(frame, buffer.subarray(offset));
      assert.equal(bytes.byteOffset, offset);
      assert.deepEqual(decodeNeighbor(buffer.subarray(offset)), frame);
      assert.deepEqual(decodeNeighbor(bytes), frame);
    }),
  );
});

test("property: arbitrary octets and damaged frames decode to nothing, or to what encodes to a frame that says the same", () => {
  const damaged = fc
    .record({
      frame: fc.constantFrom(good, plain, encodeNeighbor(toAll)),
      offset: fc.nat(85),
      octet: fc.integer({ min: 0, max: 255 }),
    })
    .map(({ frame, offset, octet }) => changed(frame, Math.min(offset, frame.length - 1), [octet]));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200, size: "max" }), damaged), (bytes) => {
      const frame = decodeNeighbor(bytes);
      if (frame !== undefined) assert.deepEqual(decodeNeighbor(encodeNeighbor(frame)), frame);
    }),
    { numRuns: 2000 },
  );
});

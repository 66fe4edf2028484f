import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { allNodesGroup, internetChecksum, multicastMac } from "#pkg/net";
import { decodeRouterFrame, encodeRouterFrame, type RouterFrame, RouterMessage } from "./router-frames.ts";

const linkLocal = 0xfe80_0000_0000_0000_0000_00ff_fe00_0001n;
const mac = 0x0200_0000_0001;

function frame(differences: Partial<RouterFrame> = {}): RouterFrame {
  return {
    destinationMac: multicastMac(allNodesGroup),
    sourceMac: mac,
    source: linkLocal,
    destination: allNodesGroup,
    type: RouterMessage.advertisement,
    lifetimeSeconds: 0,
    linkLayerAddress: mac,
    ...differences,
  };
}

/** With its checksum made right again, as an attacker would. */
function changed(change: (view: DataView) => void, of: Partial<RouterFrame> = {}): Uint8Array {
  const bytes = encodeRouterFrame(frame(of));
  const view = new DataView(bytes.buffer);
  change(view);
  view.setUint16(56, 0);
  const length = bytes.length - 54;
  view.setUint16(56, internetChecksum(view, 22, 54 + length, length + 58));
  return bytes;
}

// FRR 8.4: `neighbor eth0 interface`.
const fromFrr =
  "333300000001 0200000000f1 86dd 6000000000183aff fe80000000000000000000fffe0000f1 ff020000000000000000000000000001" +
  "8600 0000 4000 0000 00000000 00000000 0101 0200000000f1";

test("decodeRouterFrame reads an advertisement as FRR sends it", () => {
  const bytes = changed((view) => Buffer.from(fromFrr.replaceAll(" ", ""), "hex").copy(new Uint8Array(view.buffer)));
  const { source, type, lifetimeSeconds, linkLayerAddress } = decodeRouterFrame(bytes) ?? assert.fail();
  assert.deepEqual(
    [source, type, lifetimeSeconds, linkLayerAddress],
    [0xfe80_0000_0000_0000_0000_00ff_fe00_00f1n, RouterMessage.advertisement, 0, 0x0200_0000_00f1],
  );
});

const refused: [string, Uint8Array][] = [
  ["hop limit 254: it came through a router", changed((view) => view.setUint8(21, 254))],
  ["a code", changed((view) => view.setUint8(55, 1))],
  ["an advertisement from a global address", changed(() => {}, { source: 0x2001n << 112n })],
  ["an advertisement from a site-local address", changed(() => {}, { source: 0xfec0n << 112n })],
  [
    "a solicitation without an address that names its MAC address",
    changed(() => {}, { source: 0n, type: RouterMessage.solicitation }),
  ],
  ["an option of length 0", changed((view) => view.setUint8(71, 0))],
  ["an option that does not fit", changed((view) => view.setUint8(71, 2))],
  ["a payload that is longer than the frame", changed((view) => view.setUint16(18, 32))],
  ["a payload that is shorter than an advertisement", changed((view) => view.setUint16(18, 8))],
  ["a wrong checksum", encodeRouterFrame(frame()).fill(0xff, 56, 58)],
  ["a neighbor solicitation", changed((view) => view.setUint8(54, 135))],
  ["IPv4", changed((view) => view.setUint16(12, 0x0800))],
  ["nothing", new Uint8Array()],
];
for (const [name, bytes] of refused)
  test(`decodeRouterFrame refuses ${name}`, () => assert.equal(decodeRouterFrame(bytes), undefined));

test("a solicitation without an address is one", () => {
  const asked = frame({ type: RouterMessage.solicitation, source: 0n, linkLayerAddress: undefined });
  assert.deepEqual(decodeRouterFrame(encodeRouterFrame(asked)), asked);
});

test("decoding undoes encoding, and arbitrary octets raise nothing", () => {
  const macs = fc.integer({ min: 0, max: 0xffff_ffff_ffff });
  const frames = fc.record({
    destinationMac: macs,
    sourceMac: macs,
    source: fc.bigInt(0n, (1n << 64n) - 1n).map((low) => (0xfe80n << 112n) | low),
    destination: fc.bigInt(0n, (1n << 128n) - 1n),
    type: fc.constantFrom(RouterMessage.advertisement, RouterMessage.solicitation),
    lifetimeSeconds: fc.integer({ min: 0, max: 0xffff }),
    linkLayerAddress: fc.option(macs, { nil: undefined }),
  });
  fc.assert(
    fc.property(frames, (one) => {
      const lifetimeSeconds = one.type === RouterMessage.advertisement ? one.lifetimeSeconds : 0;
      assert.deepEqual(decodeRouterFrame(encodeRouterFrame(one)), { ...one, lifetimeSeconds });
    }),
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 128 }), (bytes) => decodeRouterFrame(bytes) === undefined));
});

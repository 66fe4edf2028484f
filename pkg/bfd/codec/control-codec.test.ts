import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { packet } from "../testing/bench.ts";
import { type ControlPacket, decodeControl, encodeControl, malformations, states } from "./control-codec.ts";

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));

const up = "20c00318 00000009 00000007 0000c350 0000ea60 00000000";
const cases: { name: string; hex: string; want: ControlPacket | (typeof malformations)[number] }[] = [
  { name: "a packet of a session that is up", hex: up, want: packet({ multiplier: 3, desiredMinTx: 50, requiredMinRx: 60 }) },
  {
    name: "what follows the packet is ignored",
    hex: `${up} ffff`,
    want: packet({ multiplier: 3, desiredMinTx: 50, requiredMinRx: 60 }),
  },
  {
    name: "all flags that are allowed, a diagnostic, and fractions of milliseconds",
    hex: "27fa0418 00000009 00000007 00000001 000003e9 ffffffff",
    want: packet({
      diagnostic: 7,
      poll: true,
      final: true,
      controlPlaneIndependent: true,
      demand: true,
      desiredMinTx: 0.001,
      requiredMinRx: 1.001,
      requiredMinEchoRx: 4294967.295,
    }),
  },
  { name: "nothing at all is of no version", hex: "", want: "version" },
  { name: "version 0 is refused, whatever else is wrong", hex: "00", want: "version" },
  { name: "version 2 is refused", hex: `40${up.slice(2)}`, want: "version" },
  { name: "a packet cut short is refused", hex: up.slice(0, -3), want: "length" },
  { name: "a length below 24 is refused", hex: up.replace("0318", "0317"), want: "length" },
  { name: "a length below 26 with authentication is refused", hex: `${up.replace("20c0", "20c4")} 0102`, want: "length" },
  { name: "a length beyond the datagram is refused", hex: up.replace("0318", "0319"), want: "length" },
  { name: "multiplier 0 is refused, before what is wrong behind it", hex: up.replace("c003", "c100"), want: "multiplier" },
  { name: "multipoint is refused", hex: up.replace("20c0", "20c1"), want: "multipoint" },
  { name: "no discriminator of the sender is refused", hex: up.replace("00000009", "00000000"), want: "noMyDiscriminator" },
  { name: "up without our discriminator is refused", hex: up.replace("00000007", "00000000"), want: "noYourDiscriminator" },
  {
    name: "authentication is refused, since no session has a key",
    hex: `${up.replace("20c00318", "20c4031a")} 0102`,
    want: "authentication",
  },
];
for (const { name, hex, want } of cases)
  test(`decodeControl: ${name}`, () => {
    assert.deepEqual(decodeControl(bytes(hex)), want);
  });

test("down and administratively down need not know our discriminator", () => {
  for (const state of ["down", "adminDown"] as const) {
    const first = packet({ state, yourDiscriminator: 0 });
    assert.deepEqual(decodeControl(encodeControl(first)), first);
  }
});

const anyUint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const anyMillis = anyUint32.map((micros) => micros / 1000);
const anyFields = {
  diagnostic: fc.integer({ min: 0, max: 31 }),
  state: fc.constantFrom(...states),
  poll: fc.boolean(),
  final: fc.boolean(),
  controlPlaneIndependent: fc.boolean(),
  demand: fc.boolean(),
  multiplier: fc.integer({ min: 1, max: 255 }),
  myDiscriminator: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  yourDiscriminator: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  desiredMinTx: anyMillis,
  requiredMinRx: anyMillis,
  requiredMinEchoRx: anyMillis,
};
const anyPacket: fc.Arbitrary<ControlPacket> = fc.record(anyFields, { noNullPrototype: true });

test("property: decoding undoes encoding", () => {
  fc.assert(fc.property(anyPacket, (any) => assert.deepEqual(decodeControl(encodeControl(any)), any)));
});

test("property: arbitrary bytes are a packet or one of the refusals", () => {
  const damaged = fc.tuple(anyPacket, fc.nat(23), fc.nat(255)).map(([any, at, octet]) => encodeControl(any).with(at, octet));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 80, size: "max" }), damaged), (any) => {
      const decoded = decodeControl(any);
      if (typeof decoded === "string") assert.ok(malformations.includes(decoded));
      else assert.deepEqual(decodeControl(encodeControl(decoded)), decoded);
    }),
  );
});

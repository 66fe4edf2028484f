import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeEcho, type EchoPacket, encodeEcho } from "./echo-codec.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const v4: EchoPacket = { address: Uint8Array.of(10, 0, 0, 1), discriminator: 0x01020304, token: 0x05060708 };

test("encodeEcho: IPv4, octet by octet", () => {
  const ip = "45c000240000 0000 ff11 a707 0a000001 0a000001";
  const udp = "0ec9 0ec9 0010 be26 01020304 05060708";
  assert.equal(hex(encodeEcho(v4)), (ip + udp).replaceAll(" ", ""));
});

/** The packet that the peer's forwarding returns. */
function forwarded(packet: EchoPacket): Uint8Array {
  const bytes = encodeEcho(packet);
  return bytes.with(packet.address.length === 4 ? 8 : 7, 254);
}

const anyUint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const anyAddress = fc.constantFrom(4, 16).chain((octets) => fc.uint8Array({ minLength: octets, maxLength: octets }));
const anyEcho: fc.Arbitrary<EchoPacket> = fc.record(
  { address: anyAddress, discriminator: anyUint32, token: anyUint32 },
  { noNullPrototype: true },
);

test("property: decoding undoes encoding and forwarding, whatever follows", () => {
  fc.assert(
    fc.property(anyEcho, fc.uint8Array({ maxLength: 20, size: "max" }), (echo, padding) => {
      const decoded = decodeEcho(new Uint8Array([...forwarded(echo), ...padding]));
      assert.deepEqual(decoded && { ...decoded, address: hex(decoded.address) }, { ...echo, address: hex(echo.address) });
    }),
  );
});

test("property: the checksums are right, whatever is in the packet", () => {
  const sumOf = (bytes: Uint8Array): number => {
    let sum = 0;
    for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    return sum;
  };
  fc.assert(
    fc.property(anyEcho, (echo) => {
      const bytes = encodeEcho(echo);
      const header = echo.address.length === 4 ? 20 : 40;
      if (header === 20) assert.equal(sumOf(bytes.subarray(0, 20)), 0xffff);
      const pseudoHeader = [...echo.address, ...echo.address, 0, 17, 0, 16];
      assert.equal(sumOf(new Uint8Array([...pseudoHeader, ...bytes.subarray(header)])), 0xffff);
    }),
  );
});

const refused = [
  { name: "one that nobody forwarded", bytes: encodeEcho(v4) },
  { name: "one that was forwarded twice", bytes: encodeEcho(v4).with(8, 253) },
  { name: "one from elsewhere", bytes: forwarded(v4).with(15, 9) },
  { name: "one to another port", bytes: forwarded(v4).with(23, 0xc8) },
  { name: "another protocol", bytes: forwarded(v4).with(9, 6) },
  { name: "IP options", bytes: forwarded(v4).with(0, 0x46) },
  { name: "one cut short", bytes: forwarded(v4).subarray(0, 35) },
  { name: "nothing", bytes: new Uint8Array(0) },
];
for (const { name, bytes } of refused)
  test(`decodeEcho refuses ${name}`, () => {
    assert.equal(decodeEcho(bytes), undefined);
  });

test("property: arbitrary bytes, and packets with arbitrary damage, raise nothing", () => {
  const damaged = fc.tuple(anyEcho, fc.nat(35), fc.nat(255)).map(([echo, at, octet]) => forwarded(echo).with(at, octet));
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 80, size: "max" }), damaged), (any) => void decodeEcho(any)));
});

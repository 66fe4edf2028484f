import assert from "node:assert/strict";
import { test } from "node:test";
import { endpoint, parseSocketAddress, socketAddress } from "./transport.ts";

const cases = [
  { text: "192.0.2.1", want: { address: "192.0.2.1", port: 7946 } },
  { text: "192.0.2.1:80", want: { address: "192.0.2.1", port: 80 } },
  { text: "2001:db8::1", want: { address: "2001:db8::1", port: 7946 } },
  { text: "[2001:db8::1]", want: { address: "2001:db8::1", port: 7946 } },
  { text: "[2001:db8::1]:80", want: { address: "2001:db8::1", port: 80 } },
  { text: "::ffff:192.0.2.1", want: { address: "192.0.2.1", port: 7946 } },
  { text: "192.0.2.1:0", want: undefined },
  { text: "192.0.2.1:65536", want: undefined },
  { text: "192.0.2.1:", want: undefined },
  { text: "[192.0.2.1", want: undefined },
  { text: "fe80::1%eth0", want: undefined },
  { text: "node-1", want: undefined },
  { text: "", want: undefined },
];
for (const { text, want } of cases)
  test(`parseSocketAddress: ${JSON.stringify(text)} is ${want === undefined ? "refused" : `${want.address} port ${want.port}`}`, () => {
    assert.deepEqual(parseSocketAddress(text, 7946), want);
  });

test("IPv4 goes on the wire in 4 octets, IPv6 in 16", () => {
  assert.deepEqual(endpoint({ address: "192.0.2.1", port: 80 }), { address: Uint8Array.of(192, 0, 2, 1), port: 80 });
  assert.equal(endpoint({ address: "2001:db8::1", port: 80 }).address.length, 16);
});

test("an address is the same however often it is read, and none is refused however often", () => {
  for (let time = 0; time < 2; time++) {
    assert.deepEqual(endpoint({ address: "192.0.2.7", port: time }), { address: Uint8Array.of(192, 0, 2, 7), port: time });
    assert.throws(() => endpoint({ address: "192.0.2.256", port: time }), RangeError);
  }
});

test("an IPv4 address in 16 octets is where the one in 4 is", () => {
  const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1);
  assert.deepEqual(socketAddress({ address: mapped, port: 80 }), { address: "192.0.2.1", port: 80 });
});

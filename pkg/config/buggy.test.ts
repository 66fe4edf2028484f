import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "#pkg/net";
import { isBuggy, soundAt, soundBelow } from "./buggy.ts";

const cases = [
  { text: "192.0.2.0", buggy: true },
  { text: "192.0.2.1", buggy: false },
  { text: "192.0.2.254", buggy: false },
  { text: "192.0.2.255", buggy: true },
  { text: "192.0.0.7", buggy: false },
  { text: "2001:db8::", buggy: false },
  { text: "2001:db8::ff", buggy: false },
];
for (const { text, buggy } of cases) {
  test(`${text} is ${buggy ? "" : "not "}buggy`, () => {
    const address = parseAddress(text);
    assert.equal(address && isBuggy(address), buggy);
  });
}

test("the count of sound addresses below and the sound address at a count agree over several /24", () => {
  let count = soundBelow(0x0a00_0000n);
  for (let value = 0x0a00_0000n; value < 0x0a00_0400n; value++) {
    assert.equal(soundBelow(value), count, `below ${value}`);
    const octet = value & 255n;
    if (octet === 0n || octet === 255n) continue;
    assert.equal(soundAt(count), value);
    count++;
  }
  assert.equal(count - soundBelow(0x0a00_0000n), 4n * 254n);
});

test("the whole of IPv4 has 254 sound addresses in each /24", () => {
  assert.equal(soundBelow(1n << 32n), 254n << 24n);
  assert.equal(soundAt((254n << 24n) - 1n), 0xffff_fffen);
});

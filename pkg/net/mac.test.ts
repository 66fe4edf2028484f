import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatMac, getMac, macBytes, parseMac } from "./mac.ts";

test("property: a MAC address as text or bytes is the same address again", () => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 48 - 1 }), (mac) => {
      assert.equal(parseMac(formatMac(mac)), mac);
      const bytes = macBytes(mac);
      assert.equal(getMac(new DataView(bytes.buffer), 0), mac);
      assert.equal(formatMac(bytes), formatMac(mac));
    }),
  );
  assert.equal(formatMac(0x0a0b0c), "00:00:00:0a:0b:0c");
  assert.equal(formatMac(new Uint8Array()), "");
});

test("what is not six bytes is no MAC address", () => {
  for (const text of ["", "02:00:00:00:00", "02:00:00:00:00:0g", "02:00:00:00:00:01:02", "020000000001"])
    assert.equal(parseMac(text), undefined);
});

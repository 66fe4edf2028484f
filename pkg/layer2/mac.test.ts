import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatMac, parseMac } from "./mac.ts";

test("property: what is formatted is read again as the same", () => {
  fc.assert(fc.property(fc.nat({ max: 2 ** 48 - 1 }), (mac) => assert.equal(parseMac(formatMac(mac)), mac)));
  assert.equal(formatMac(0x0a0b0c), "00:00:00:0a:0b:0c");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { etherTypeFilter } from "./filter.ts";

test("etherTypeFilter compiles to what libpcap compiles", () => {
  // `tcpdump -dd -s 128 arp` prints { 0x28, 0, 0, 0xc }, { 0x15, 0, 1, 0x806 }, { 0x6, 0, 0, 0x80 }, { 0x6, 0, 0, 0 }.
  const want = ["280000000c000000", "1500000106080000", "0600000080000000", "0600000000000000"].join("");
  assert.equal(Buffer.from(etherTypeFilter(0x0806, 128)).toString("hex"), want);
});

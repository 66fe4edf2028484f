import assert from "node:assert/strict";
import { test } from "node:test";
import { Nonces } from "./nonces.ts";

test("a nonce is eight octets of chance, drawn once, and a counter", () => {
  const drawn: number[] = [];
  const nonces = new Nonces((length) => {
    drawn.push(length);
    return new Uint8Array(length).fill(0xab);
  });
  const texts = Array.from({ length: 3 }, () => Buffer.from(nonces.next()).toString("hex"));
  assert.deepEqual(texts, ["abababababababab00000000", "abababababababab00000001", "abababababababab00000002"]);
  assert.deepEqual(drawn, [8]);
});

test("chance is drawn anew before the counter repeats", () => {
  const drawn = [0x01, 0x02];
  const nonces = new Nonces((length) => new Uint8Array(length).fill(drawn.shift() ?? 0), 0xffff_ffff);
  const texts = Array.from({ length: 3 }, () => Buffer.from(nonces.next()).toString("hex"));
  assert.deepEqual(texts, ["0101010101010101ffffffff", "020202020202020200000000", "020202020202020200000001"]);
});

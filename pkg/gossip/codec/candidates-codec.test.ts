import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { address } from "#pkg/net/testing";
import { type Candidates, decodeCandidates, encodeCandidates } from "./candidates-codec.ts";
import { candidatesKey, mostAddresses, pageOfCandidates } from "./value-codec.ts";

const key = candidatesKey(address("192.0.2.0"));
const of = (last: number, ...nodes: number[]): Candidates => ({ address: address(`192.0.2.${last}`), nodes });
const shown = (page: readonly Candidates[]) =>
  page.map((each) => `${each.address}: ${each.nodes.toSorted((a, b) => a - b)}`).sort();

const nodes = fc.uniqueArray(fc.nat(0xffff_ffff), { minLength: 1, maxLength: 4 });
const page = fc
  .tuple(nodes, fc.uniqueArray(fc.nat(255), { maxLength: 256, size: "max" }))
  .map(([some, lasts]) => lasts.map((last, index) => of(last, ...some.slice(0, 1 + (index % some.length)))));

test("property: decoding undoes encoding, and it fits into an entry", () => {
  fc.assert(
    fc.property(page, (all) => {
      const value = encodeCandidates(all);
      assert.ok(value.length <= 600 && mostAddresses({ key, value }) >= decodeCandidates(key, value).length);
      assert.deepEqual(shown(decodeCandidates(key, value)), shown(all));
    }),
  );
});

test("property: arbitrary octets raise nothing", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600, size: "max" }), (octets) => void decodeCandidates(key, octets)));
});

test("a page of more nodes than fit has the first ones", () => {
  const many = Array.from({ length: 200 }, (_, index) => of(index, 1000 + index));
  assert.deepEqual(shown(decodeCandidates(key, encodeCandidates(many))), shown(many.slice(0, 99)));
});

test("what is cut short is left out, and so is a value of another version", () => {
  const value = encodeCandidates([of(1, 7), of(2, 8)]);
  assert.deepEqual(shown(decodeCandidates(key, value.slice(0, -1))), ["192.0.2.1: 7"]);
  assert.deepEqual(decodeCandidates(key, value.with(0, 2)), []);
  assert.deepEqual(encodeCandidates([]), new Uint8Array());
});

test("a key is one of candidates, of a family, and of nothing else", () => {
  assert.equal(pageOfCandidates(key)?.[0], "4");
  assert.equal(pageOfCandidates(candidatesKey(address("2001:db8::1")))?.[0], "6");
  for (const other of ["o", "o4", "n", "h", key.slice(1), `q${key.slice(1)}`, `oq${key.slice(1)}`, `${key}x`])
    assert.equal(pageOfCandidates(other), undefined, other);
});

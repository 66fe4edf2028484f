import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseAddress } from "#pkg/net";
import { decodeQuarantine, encodeQuarantine, quarantineKey } from "./quarantine.ts";

const occupant = { mac: "02:00:00:00:00:42", node: "node1", interface: "eth0", since: "2025-01-01T00:00:00.000Z" };
const nothing = { mac: "", node: "", interface: "", since: "" };

for (const text of ["192.0.2.1", "fd00:30::200", "::1", "2001:db8::"])
  test(`an entry about ${text} is read as it was written, under a key that a ConfigMap may have`, () => {
    const address = parseAddress(text);
    assert.ok(address);
    const key = quarantineKey(address);
    assert.match(key, /^[-._a-zA-Z0-9]+$/);
    assert.deepEqual([...decodeQuarantine({ [key]: encodeQuarantine(occupant) })], [[text, occupant]]);
  });

test("what someone wrote by hand counts by its key", () => {
  for (const value of ["", "the printer", "null", "[]", '{"mac": 1}'])
    assert.deepEqual([...decodeQuarantine({ "192.0.2.1": value, printer: value })], [["192.0.2.1", nothing]]);
});

test("property: any data is read without an error", () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.string()), (data) => void decodeQuarantine(data)));
});

test("a value that is longer than any entry is not parsed", (t) => {
  const { mock } = t.mock.method(JSON, "parse");
  assert.deepEqual([...decodeQuarantine({ "192.0.2.1": `{"mac":${"[".repeat(900_000)}` })], [["192.0.2.1", nothing]]);
  assert.equal(mock.callCount(), 0);
});

test("of entries that somebody made up the first 1,000 count, and little of each", () => {
  const value = JSON.stringify({
    mac: "m".repeat(1000),
    node: "n".repeat(1000),
    interface: "i".repeat(1000),
    since: "s".repeat(1000),
  });
  const data = Object.fromEntries(Array.from({ length: 30_000 }, (_, i) => [`10.0.${i >> 8}.${i & 255}`, value]));
  const occupants = decodeQuarantine(data);
  assert.equal(occupants.size, 1000);
  for (const texts of occupants.values()) for (const text of Object.values(texts)) assert.ok(text.length <= 253);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { address } from "#pkg/net/testing";
import { sourceFor } from "./asker.ts";

test("a question leaves from an address in its subnet from which new packets may be sent", () => {
  const addresses = ["192.0.2.1/24", "2001:db8::1/64", "2001:db8::5/64", "2001:db8:1::1/64"];
  const from = (to: string, unfit?: readonly string[]) =>
    sourceFor({ addresses, ...(unfit && { unfit }) }, address(to))?.toString();
  assert.equal(from("2001:db8::9"), "2001:db8::1");
  assert.equal(from("2001:db8::9", ["2001:db8::1/64"]), "2001:db8::5", "another host has it, or it goes soon");
  assert.equal(from("2001:db8:1::9", ["2001:db8:1::1/64"]), undefined);
  assert.equal(from("192.0.2.9", ["2001:db8::1/64"]), "192.0.2.1");
  assert.equal(from("198.51.100.1"), undefined);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { FirstOwner } from "./first-owner.ts";

test("the first owner of an address is told from its successors, and so is that of one that was free in between", () => {
  const first = new FirstOwner();
  const steps: [held: boolean, owned: boolean, want: boolean][] = [
    [true, false, false], // No endpoint yet.
    [true, true, true],
    [true, true, false],
    [true, false, false],
    [true, true, false], // Its endpoints were away.
    [false, false, false],
    [true, true, true],
  ];
  for (const [held, owned, want] of steps) assert.equal(first.placed("192.0.2.1", { held, owned }), want);
});

test("an address that was there before this process has had its first owner", () => {
  const first = new FirstOwner();
  first.wasThere("192.0.2.1");
  assert.equal(first.placed("192.0.2.1", { held: true, owned: true }), false);
});

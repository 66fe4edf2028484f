import assert from "node:assert/strict";
import { test } from "node:test";
import { FirstOwner } from "./first-owner.ts";

test("the first announcement of an address is told apart from later ones, also after the address was free in between", () => {
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

test("an address that a Service held before this process has been announced before", () => {
  const first = new FirstOwner();
  first.wasThere("192.0.2.1");
  assert.equal(first.placed("192.0.2.1", { held: true, owned: true }), false);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import { Regulars, regularLimits } from "./regulars.ts";

const hostOf = (index: number) => `127.1.${index >> 8}.${index & 255}`;

test("sixteen hosts that asked keep their places from other hosts until they have not asked for five minutes", () => {
  const clock = new SimulatedClock();
  const regulars = new Regulars(clock, "192.0.2.1");
  for (let index = 0; index < 100; index++) regulars.note(hostOf(index));
  assert.deepEqual(
    [0, 15, 16].map((index) => regulars.has(hostOf(index))),
    [true, true, false],
  );
  assert.deepEqual(regulars.addresses.slice(0, 3), ["192.0.2.1", "127.0.0.1", "::1"]);
  assert.equal(regulars.addresses.length, 3 + regularLimits.count);
  clock.advanceBy(regularLimits.keptMs - 1);
  for (let index = 1; index < 16; index++) regulars.note(hostOf(index));
  clock.advanceBy(1);
  regulars.note(hostOf(16));
  regulars.note(hostOf(17));
  assert.deepEqual(
    [0, 1, 15, 16, 17].map((index) => regulars.has(hostOf(index))),
    [false, true, true, true, false],
  );
});

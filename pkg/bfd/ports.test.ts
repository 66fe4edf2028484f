import assert from "node:assert/strict";
import { test } from "node:test";
import { arrival } from "./ports.ts";

test("a packet arrived when the kernel says, also where the date has been set since", () => {
  const day = 86_400_000;
  const date = 1_800_000_000_000;
  const port = { now: 5_000, emptyAt: 4_990 };
  assert.equal(arrival(date - 4, date, port), 4_996);
  assert.equal(arrival(date + 0.7, date, port), 5_000); // The date has whole milliseconds.
  assert.equal(arrival(date - 4 - day, date, port), 4_990);
  assert.equal(arrival(date - 4 + day, date, port), 5_000);
});

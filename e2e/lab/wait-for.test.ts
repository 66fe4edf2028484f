import assert from "node:assert/strict";
import { test } from "node:test";
import { waitFor } from "#e2e/lab";

test("waitFor returns the first truthy value", async () => {
  const values = [undefined, 0, "", "here", "later"];
  assert.equal(await waitFor("a value", () => values.shift(), { every: 0 }), "here");
});

test("waitFor takes a thrown error for not yet", async () => {
  let attempts = 0;
  const value = await waitFor(
    "the third attempt",
    async () => {
      if (++attempts < 3) throw new Error("not yet");
      return attempts;
    },
    { every: 0 },
  );
  assert.equal(value, 3);
});

test("when time is up, the message says what was waited for and the last value", async () => {
  await assert.rejects(
    waitFor("an address", () => null, { timeout: 0 }),
    { message: "Waited 0 ms for an address: the last value was null" },
  );
});

test("when time is up and the last attempt threw, the message says so and keeps the cause", async () => {
  const cause = new Error("connection refused");
  await assert.rejects(
    waitFor("the API", () => Promise.reject(cause), { timeout: 0 }),
    {
      message: "Waited 0 ms for the API: the last attempt failed: connection refused",
      cause,
    },
  );
});

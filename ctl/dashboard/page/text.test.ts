import assert from "node:assert/strict";
import { test } from "node:test";
import { reason } from "./text.ts";

test("a reason begins with what tells it from others", () => {
  for (const [message, wanted] of [
    ["192.0.2.1 of pool a is announced by no node: the pool's node-selectors match none", "the pool's node-selectors match none"],
    [
      "no endpoint is ready (the Service has 1), so that fd00::1 is announced by no node",
      "no endpoint is ready (the Service has 1)",
    ],
    ['pool "lan" has no free IPv4 address', 'pool "lan" has no free IPv4 address'],
  ] as const)
    assert.equal(reason(message), wanted);
});

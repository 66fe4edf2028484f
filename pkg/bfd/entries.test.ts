import assert from "node:assert/strict";
import { test } from "node:test";
import { isDue } from "./entries.ts";
import { Bench } from "./testing/bench.ts";

test("a session without sockets is due when they are tried again, and not whenever a packet of it might leave", () => {
  const { session } = new Bench();
  const socket = { destination: new Uint8Array(), interfaceIndex: 0, [Symbol.dispose]() {} };
  assert.deepEqual(
    [undefined, socket].map((one) => [500, 1_000].map((now) => isDue({ nextAt: 1_000, socket: one as never, session }, now))),
    [
      [false, true],
      [true, true],
    ],
  );
});

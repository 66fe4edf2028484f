import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import { PeerConnection } from "./peer-connection.ts";
import type { ConnectionEvents } from "./transport.ts";

function bench() {
  const clock = new SimulatedClock();
  const calls: string[] = [];
  let events: ConnectionEvents | undefined;
  const connection = new PeerConnection(
    (given) => {
      events = given;
      return {
        write() {},
        pause: () => calls.push("pause"),
        resume: () => calls.push("resume"),
        end: () => calls.push("end"),
        destroy: () => calls.push("destroy"),
      };
    },
    {
      connected() {},
      received: ({ length }) => calls.push(`${length}`),
      closed: (because) => calls.push(because),
    },
    clock,
  );
  const done = () => calls.splice(0);
  return { clock, connection, events: events ?? assert.fail(), done };
}

test("what arrives at once is reported in slices of 8 KiB, one in a turn, while the peer waits", () => {
  const { clock, events, done } = bench();
  events.received(new Uint8Array(20_000));
  assert.deepEqual(done(), ["pause", "8192"]);
  clock.advanceToNext();
  assert.deepEqual(done(), ["8192"]);
  events.received(new Uint8Array(100));
  clock.advanceToNext();
  assert.deepEqual(done(), ["3716", "resume"]);
  events.received(new Uint8Array(8_192));
  assert.deepEqual(done(), ["8192"]);
});

test("a connection that ends meanwhile is reported as closed after its last slice", () => {
  const { clock, events, done } = bench();
  events.received(new Uint8Array(10_000));
  events.closed("the peer closed the connection");
  assert.deepEqual(done(), ["pause", "8192"]);
  clock.advanceToNext();
  assert.deepEqual(done(), ["1808", "the peer closed the connection"]);
});

test("after close nothing more is reported, and the rest of what arrives is read for the end of it", () => {
  const { clock, connection, events, done } = bench();
  events.connected({ address: undefined } as never);
  events.received(new Uint8Array(20_000));
  done();
  let isGone = false;
  connection.close(() => {
    isGone = true;
  });
  assert.deepEqual(done(), ["resume", "end"]);
  events.received(new Uint8Array(20_000));
  assert.equal(isGone, false);
  events.closed("both sides closed it");
  assert.equal(isGone, true);
  clock.advanceBy(10_000);
  assert.deepEqual(done(), []);
});

import assert from "node:assert/strict";
import { type Duplex, duplexPair } from "node:stream";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock";
import { exchange } from "./exchange.ts";
import type { StreamMessage } from "./messages.ts";
import { encodeStream, StreamDecoder } from "./stream-codec.ts";
import { defaultWire } from "./wire.ts";

const nonce = new Uint8Array(12);
const request = Buffer.from("request");
const ack: StreamMessage = { type: "ack", sequence: 7, payload: undefined };
const reply = encodeStream(ack, defaultWire, { from: "listener", nonce });

function begin() {
  const clock = new SimulatedClock();
  const [near, far] = duplexPair({ allowHalfOpen: true });
  const options = { clock, deadline: 10_000 };
  return { clock, near, far, answer: exchange(near, request, new StreamDecoder(defaultWire, "listener"), options) };
}

test("the request is sent and the reply taken, in pieces of any size; then the stream is closed", async () => {
  const { clock, near, far, answer } = begin();
  far.once("data", (sent) => {
    assert.deepEqual(sent, request);
    for (const octet of reply) far.write(Uint8Array.of(octet));
  });
  assert.deepEqual((await answer).message, ack);
  assert.equal(near.destroyed, true);
  assert.deepEqual(clock.pending(), []);
});

const failures: { name: string; cause: (far: Duplex, near: Duplex, clock: SimulatedClock) => void; error: object }[] = [
  { name: "no reply by the deadline", cause: (_far, _near, clock) => clock.advanceBy(10_000), error: /did not answer in time/ },
  { name: "a connection closed without a reply", cause: (far) => far.end(), error: /closed the connection without an answer/ },
  { name: "a reply cut short", cause: (far) => far.end(reply.subarray(0, 5)), error: { reason: "malformed" } },
  { name: "a reply that is none", cause: (far) => far.end("HTTP/1.1 400\r\n"), error: { reason: "unsupported" } },
  { name: "a refused connection", cause: (_far, near) => near.destroy(new Error("connect ECONNREFUSED")), error: /ECONNREFUSED/ },
  { name: "the end of this member", cause: (_far, near) => near.destroy(), error: /the connection was closed/ },
];
for (const { name, cause, error } of failures)
  test(`${name} is an error, and the stream is closed`, async () => {
    const { clock, near, far, answer } = begin();
    cause(far, near, clock);
    await assert.rejects(answer, error);
    assert.equal(near.destroyed, true);
    assert.deepEqual(clock.pending(), []);
  });

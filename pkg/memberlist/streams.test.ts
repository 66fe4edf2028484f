import assert from "node:assert/strict";
import { once } from "node:events";
import { type Duplex, duplexPair } from "node:stream";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import { Keyring, Nonces } from "./codec/keyring.ts";
import type { StreamMessage } from "./codec/messages.ts";
import { encodeStream, StreamDecoder } from "./codec/stream.ts";
import { encodeStreamMessage } from "./codec/stream-message.ts";
import { newNetworkCounters } from "./counters.ts";
import type { MemberParts } from "./member-parts.ts";
import { replyTo } from "./outgoing.ts";
import { IncomingStreams } from "./streams.ts";
import { silentRingLog } from "./testing/member-parts.ts";

const nonce = new Uint8Array(12);
const encrypted = new Keyring([new Uint8Array(16)]);
const ping: StreamMessage = { type: "ping", sequence: 7, node: "a", source: undefined };
const ack: StreamMessage = { type: "ack", sequence: 7, payload: undefined };
const from = { address: "192.0.2.7", port: 40_000 };

/** Answers every ping, and closes on everything else. */
function harness(known: ReadonlySet<string> = new Set([from.address])) {
  const clock = new SimulatedClock();
  const problems: string[] = [];
  const requests: StreamMessage[] = [];
  const evicted: string[] = [];
  const parts: MemberParts = {
    keyring: encrypted,
    nonces: new Nonces((length) => new Uint8Array(length)),
    clock,
    counters: newNetworkCounters(),
    log: {
      ...silentRingLog,
      evicted: (address) => evicted.push(address),
      refused: (address, transport, { reason }) => problems.push(`${address} ${transport} ${reason}`),
    },
    push(event) {
      assert.ok(event.type === "request");
      requests.push(event.message);
      if (event.message.type === "ping") streams.reply(event.stream, ack);
      else streams.close(event.stream);
    },
  };
  const streams = new IncomingStreams(parts, known);
  const dial = (source: { address: string; port: number } = from): Duplex => {
    const [near, far] = duplexPair({ allowHalfOpen: true });
    near.on("error", () => {});
    far.on("close", () => near.destroy()); // As a connection does.
    streams.accept(far, source);
    return near;
  };
  return { clock, problems, requests, streams, evicted, dial };
}

/** The answer until the other end closes. */
async function answer(near: Duplex): Promise<StreamMessage | undefined> {
  const result = new StreamDecoder(encrypted).push(await buffer(near));
  return result?.type === "message" ? result.message : undefined;
}

const pinging = encodeStream(ping, encrypted, nonce);

test("a request is answered", async () => {
  const { dial, requests, problems } = harness();
  const near = dial();
  near.write(pinging);
  assert.deepEqual(await answer(near), ack);
  assert.deepEqual([requests, problems], [[ping], []]);
});

test("a request of one octet at a time whose sender then closes its half is answered", async () => {
  const { dial } = harness();
  const near = dial();
  for (const octet of pinging) near.write(Uint8Array.of(octet));
  near.end();
  assert.deepEqual(await answer(near), ack);
});

test("a second request on the same stream is not read", async () => {
  const { dial, requests, problems } = harness();
  const near = dial();
  near.write(Buffer.concat([pinging, pinging]));
  near.end(pinging);
  assert.deepEqual(await answer(near), ack);
  assert.deepEqual([requests.length, problems], [1, []]);
});

test("a request that breaks off is a problem", async () => {
  const { dial, problems } = harness();
  const near = dial();
  near.end(pinging.subarray(0, -1));
  await buffer(near);
  assert.deepEqual(problems, ["192.0.2.7 TCP malformed"]);
});

test("plaintext is closed at its first byte, without a reply", async () => {
  const { dial, problems, requests } = harness();
  const near = dial();
  near.write(encodeStreamMessage(ping).subarray(0, 1));
  assert.equal((await buffer(near)).length, 0);
  assert.deepEqual([problems, requests], [["192.0.2.7 TCP plaintext"], []]);
});

test("what is no message is closed without a reply", async () => {
  const { dial, problems } = harness();
  const near = dial();
  near.write("GET / HTTP/1.1\r\n\r\n");
  assert.equal((await buffer(near)).length, 0);
  assert.deepEqual(problems, ["192.0.2.7 TCP plaintext"]);
});

test("a connection that closes without a word is nothing to speak of", async () => {
  const { dial, problems } = harness();
  const near = dial();
  near.end();
  assert.equal((await buffer(near)).length, 0);
  assert.deepEqual(problems, []);
});

test("a connection that is reset is forgotten, and a reply to it goes nowhere", async () => {
  const { clock, problems, streams } = harness();
  const [, far] = duplexPair();
  streams.accept(far, from);
  far.destroy(new Error("read ECONNRESET"));
  await new Promise((resolve) => far.once("close", resolve));
  streams.reply(1, ack);
  assert.deepEqual([clock.pending(), problems], [[], []]);
});

test("who does not say all of it within 10 s is cut off", async () => {
  const { clock, dial } = harness();
  const near = dial();
  near.write(Uint8Array.of(10));
  const closed = once(near, "close");
  clock.advanceBy(9_999);
  assert.equal(near.destroyed, false);
  clock.advanceBy(1);
  await closed;
  assert.deepEqual(clock.pending(), []);
});

test("who does not take the reply within another 10 s is cut off", async () => {
  const { clock, dial } = harness();
  const near = dial();
  clock.advanceBy(9_000);
  near.write(pinging);
  await once(near, "data");
  clock.advanceBy(9_999);
  assert.equal(near.destroyed, false);
  clock.advanceBy(1);
  assert.deepEqual(clock.pending(), []);
});

test("all streams together hold 64 MiB at most", async () => {
  const { dial, problems } = harness();
  const length = 20 * 1024 * 1024;
  const frame = Buffer.alloc(5 + length - 1); // It never becomes complete.
  frame[0] = 10;
  frame.writeUInt32BE(length, 1);
  const all = Array.from({ length: 4 }, () => dial());
  for (const near of all.slice(0, 3)) await new Promise((resolve) => near.write(frame, resolve));
  assert.deepEqual(problems, []);
  const last = all[3] ?? assert.fail();
  last.write(frame);
  await Promise.race(all.map((near) => once(near, "close")));
  assert.deepEqual(problems, ["192.0.2.7 TCP tooLarge"]);
  assert.equal(all.filter(({ destroyed }) => destroyed).length, 1);
});

test("a source that is not known has a second for its request, however slowly it comes", async () => {
  const { clock, dial } = harness(new Set());
  const near = dial();
  near.write(Uint8Array.of(10));
  const closed = once(near, "close");
  clock.advanceBy(999);
  assert.equal(near.destroyed, false);
  clock.advanceBy(1);
  await closed;
});

for (const [connections, sources] of [
  [600, 1],
  [600, 600],
  [3000, 1],
  [3000, 3000],
] as const)
  test(`${connections} idle connections of ${sources} sources stop neither a member nor one that joins`, async () => {
    const { dial, evicted, requests } = harness();
    for (let i = 0; i < connections; i++) dial({ address: `198.51.${(i % sources) >> 8}.${(i % sources) & 255}`, port: 1 });
    assert.equal(evicted.length, Math.max(0, connections - 1024));
    for (const source of [from, { address: "203.0.113.1", port: 1 }]) {
      const near = dial(source);
      near.write(pinging);
      assert.deepEqual(await answer(near), ack);
    }
    assert.equal(requests.length, 2);
  });

test("idle connections of a member's address take the reserve of no other member, and go after their time", async () => {
  const other = { address: "192.0.2.8", port: 1 };
  const { clock, dial, evicted } = harness(new Set([from.address, other.address]));
  const idle = Array.from({ length: 600 }, () => dial());
  const near = dial(other);
  near.write(pinging);
  assert.deepEqual([await answer(near), evicted], [ack, []]);
  clock.advanceBy(10_000);
  await new Promise(setImmediate);
  assert.ok(idle.every(({ destroyed }) => destroyed));
});

test("the eight newest connections of a source are read", async () => {
  const { dial, requests } = harness();
  const all = Array.from({ length: 10 }, () => dial({ address: "203.0.113.1", port: 1 }));
  for (const near of all) near.write(pinging);
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  assert.equal(requests.length, 8);
});

test("of sources that are not known the 64 newest connections are read, and those of members beside them", async () => {
  const members = new Set(Array.from({ length: 60 }, (_, i) => `192.0.2.${i}`));
  const { dial, requests } = harness(members);
  const strangers = Array.from({ length: 70 }, (_, i) => dial({ address: `198.51.100.${i}`, port: 1 }));
  const known = [...members].map((address) => dial({ address, port: 1 }));
  const readOf = async (all: readonly Duplex[]) => {
    const before = requests.length;
    for (const near of all) near.write(pinging);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    return requests.length - before;
  };
  assert.equal(await readOf(strangers), 64);
  assert.equal(await readOf(known), 60);
});

test("of all sources together the 128 newest connections are read", async () => {
  const members = Array.from({ length: 130 }, (_, i) => `192.0.2.${i}`);
  const { dial, requests } = harness(new Set(members));
  const all = members.map((address) => dial({ address, port: 1 }));
  for (const near of all) near.write(pinging);
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  assert.equal(requests.length, 128);
});

const request = Buffer.from("request");
const reply = encodeStream(ack, encrypted, nonce);

function begin() {
  const clock = new SimulatedClock();
  const [near, far] = duplexPair({ allowHalfOpen: true });
  const options = { clock, deadline: 10_000 };
  return { clock, near, far, answer: replyTo(request, near, new StreamDecoder(encrypted), options) };
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
  { name: "a reply that is none", cause: (far) => far.end("HTTP/1.1 400\r\n"), error: { reason: "plaintext" } },
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

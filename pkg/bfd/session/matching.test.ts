import assert from "node:assert/strict";
import { test } from "node:test";
import type { SessionConfig } from "../messages.ts";
import { haveSamePeer, isForUs, isFromPeer } from "./matching.ts";

const [us, peer, other] = [Uint8Array.of(10, 0, 0, 1), Uint8Array.of(10, 0, 0, 2), Uint8Array.of(10, 0, 0, 3)];
const config = (changes: Partial<SessionConfig> = {}): SessionConfig =>
  ({ peer, local: undefined, interfaceName: undefined, multihop: false, ...changes }) as SessionConfig;
const way = { source: peer, destination: us, interfaceIndex: 2 };

test("a packet is the peer's by its source, and by its interface where the session has one", () => {
  assert.ok(isFromPeer(config(), 0, way));
  assert.ok(!isFromPeer(config({ peer: other }), 0, way));
  assert.ok(!isFromPeer(config({ peer: new Uint8Array(16) }), 0, way));
  assert.ok(isFromPeer(config({ interfaceName: "eth0" }), 2, way));
  assert.ok(!isFromPeer(config({ interfaceName: "eth0" }), 3, way));
  assert.ok(!isFromPeer(config({ interfaceName: "eth0" }), undefined, way));
});

test("a packet is ours whatever its destination, unless the session has an address of its own", () => {
  assert.ok(isForUs(config(), way));
  assert.ok(isForUs(config({ local: us }), way));
  assert.ok(!isForUs(config({ local: other }), way));
});

test("sessions have the same peer where neither hops nor interfaces tell them apart", () => {
  assert.ok(haveSamePeer(config(), config({ local: us })));
  assert.ok(!haveSamePeer(config(), config({ multihop: true })));
  assert.ok(!haveSamePeer(config(), config({ interfaceName: "eth0" })));
  assert.ok(!haveSamePeer(config(), config({ peer: other })));
});

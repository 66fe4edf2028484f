import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { seededRandom } from "#pkg/clock/testing";
import type { ReceivedDatagram } from "#pkg/linux";
import { SharedCounters } from "#pkg/threads";
import type { ControlPacket } from "../codec/control-codec.ts";
import { Entries } from "../entries.ts";
import { packetNames, type SessionConfig } from "../messages.ts";
import { Bench, packet, parameters } from "../testing/bench.ts";
import { haveSamePeer, isForUs, isFromPeer, isOfSession } from "./matching.ts";

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

test("of two sessions with a peer, a packet without a discriminator is for the one whose address it came to", () => {
  const entries = new Entries();
  const counters = new SharedCounters(packetNames).memory;
  const add = (id: number, local: Uint8Array | undefined) =>
    entries.add(config({ id, local, counters, parameters }), seededRandom(id), 0);
  add(1, undefined);
  add(2, us);
  const to = (destination: Uint8Array) => entries.findByWay({ ...way, destination } as ReceivedDatagram, false)?.config.id;
  assert.deepEqual([to(us), to(other)], [2, 1]);
});

suite("RFC 5880, section 6.8.6: a packet without Your Discriminator", () => {
  const bare = (changes: Partial<ControlPacket> = {}) => packet({ state: "down", yourDiscriminator: 0, ...changes });
  const up = new Bench().up().session;

  test("takes a session down that is up, if it has the peer's discriminator and came over the same interface", () => {
    assert.ok(isOfSession(up, bare(), way, 2));
    assert.ok(isOfSession(up, bare(), way, undefined), "over several hops the interface may change");
  });

  test("does nothing to it with another discriminator, or over another interface", () => {
    assert.ok(!isOfSession(up, bare({ myDiscriminator: 10 }), way, 2));
    assert.ok(!isOfSession(up, bare(), way, 3));
    assert.ok(!isOfSession(up, bare({ state: "adminDown", myDiscriminator: 10 }), way, 2));
  });

  test("begins a session that is not up, whatever was known of the peer before", () => {
    assert.ok(isOfSession(new Bench().session, bare({ myDiscriminator: 10 }), way, undefined));
    const lost = new Bench().up();
    lost.wait(lost.session.detectAt);
    assert.ok(isOfSession(lost.session, bare({ myDiscriminator: 10 }), way, 3));
  });
});

test("sessions have the same peer where neither hops nor interfaces tell them apart", () => {
  assert.ok(haveSamePeer(config(), config({ local: us })));
  assert.ok(!haveSamePeer(config(), config({ multihop: true })));
  assert.ok(!haveSamePeer(config(), config({ interfaceName: "eth0" })));
  assert.ok(!haveSamePeer(config(), config({ peer: other })));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { nonceLength } from "#pkg/aes-gcm";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import { Keyring, Nonces } from "./codec/keyring.ts";
import { encodePacket } from "./codec/packet.ts";
import { newNetworkCounters } from "./counters.ts";
import { IncomingPackets } from "./packets.ts";
import { silentRingLog } from "./testing/member-parts.ts";
import { FakeNetwork } from "./testing/network.ts";

const keyring = new Keyring([Buffer.alloc(16, 7)]);
const here = { address: "192.0.2.1", port: 7946 };
const member = { address: "192.0.2.2", port: 7946 };
const elsewhere = { address: "198.51.100.7", port: 7946 };
const stranger = { address: "203.0.113.1", port: 7946 };

/** A process of a member: each has nonces of its own. */
function sender(process: number) {
  const nonces = new Nonces((length) => Buffer.alloc(length, process));
  return () => encodePacket([{ type: "nack", sequence: 1 }], keyring, { nonce: nonces.next(), checksum: false });
}

/** A process of HashiCorp's, whose nonces are chance throughout. */
function hashicorpSender(seed: number) {
  const random = seededRandom(seed);
  return () => {
    const nonce = Uint8Array.from({ length: nonceLength }, () => 256 * random());
    return encodePacket([{ type: "nack", sequence: 1 }], keyring, { nonce, checksum: false });
  };
}

async function listening() {
  const clock = new SimulatedClock();
  const network = new FakeNetwork(clock);
  const counters = newNetworkCounters();
  const seen = { messages: 0, floods: 0 };
  const packets = new IncomingPackets({
    keyring,
    nonces: new Nonces((length) => new Uint8Array(length)),
    clock,
    counters,
    log: { ...silentRingLog, flooded: () => seen.floods++ },
    push: (event) => {
      if (event.type === "packet") seen.messages += event.messages.length;
    },
  });
  packets.start(
    await network.open(here, {
      packet: (bytes, from) => packets.receive(bytes, from),
      connection: () => true,
      stream: (stream) => stream.destroy(),
      problem: (error) => assert.fail(error),
    }),
  );
  packets.setMembers([here.address, member.address]);
  let forged = 0;
  return {
    clock,
    network,
    counters,
    seen,
    packets,
    /** 40 packets a millisecond that nobody with the key has made. */
    flood(milliseconds: number, from = stranger): void {
      for (let index = 0; index < milliseconds; index++) {
        for (let each = 0; each < 40; each++) {
          const bytes = Buffer.alloc(60, 1);
          bytes.writeUInt32BE(++forged, 1);
          network.send(bytes, from, here);
        }
        clock.advanceBy(1);
      }
    },
    send(bytes: Uint8Array, from = member): void {
      network.send(bytes, from, here);
      clock.advanceBy(1);
    },
  };
}

for (const { title, from } of [
  { title: "of 40,000 packets/s of strangers some 200 a second are read, and all of a member's", from: stranger },
  { title: "some 200 of 40,000 packets/s in the name of a member are read, and all of the member's own", from: member },
])
  test(title, async () => {
    const { packets, counters, seen, flood, send } = await listening();
    using _packets = packets;
    const packet = sender(1);
    send(packet());
    flood(1500, from);
    const before = counters.packetsReceived;
    flood(1500, from);
    assert.ok(counters.packetsReceived - before < 600, `${counters.packetsReceived - before}`);
    for (let index = 0; index < 100; index++) send(packet());
    assert.equal(seen.messages, 101);
    assert.ok(seen.floods > 0);
    assert.ok(counters.packetsDropped > 70_000, `${counters.packetsDropped}`);
  });

for (const { captured, from } of [
  { captured: "a captured packet", from: [sender(1)] },
  { captured: "captured packets of many members", from: [1, 2, 3, 4, 5, 6].map(sender) },
])
  test(`who sends ${captured} gets no more of its flood read than any stranger, and is not known`, async () => {
    const { packets, clock, network, counters, flood, send } = await listening();
    using _packets = packets;
    for (const packet of from) send(packet(), stranger);
    assert.deepEqual([packets.known.has(stranger.address), packets.known.addresses], [false, [here.address, member.address]]);
    flood(1000, member); // So that there is a filter, and has been looked at again since.
    assert.ok(network.samples.size > 0);
    clock.advanceBy(100);
    const before = counters.packetsReceived;
    flood(1500, stranger);
    assert.ok(counters.packetsReceived - before < 900, `${counters.packetsReceived - before}`);
    assert.ok(![...network.samples.values()].some(({ sources }) => sources.includes(stranger.address)));
  });

for (const { whose, packet } of [
  { whose: "a member", packet: sender(1) },
  { whose: "a member of HashiCorp's", packet: hashicorpSender(1) },
])
  test(`${whose} whose packets come from another address than its own is heard in a flood of others`, async () => {
    const { packets, clock, seen, flood, send } = await listening();
    using _packets = packets;
    for (let index = 0; index < 64; index++) {
      send(packet(), elsewhere);
      clock.advanceBy(31);
    }
    for (let index = 0; index < 128; index++) {
      send(packet(), elsewhere);
      flood(31);
    }
    assert.equal(seen.messages, 64 + 128);
  });

test("a member whose packets come from another address than its own is heard in a flood in the name of that", async () => {
  const { packets, seen, flood, send } = await listening();
  using _packets = packets;
  const packet = sender(1);
  send(packet(), elsewhere);
  flood(2000, elsewhere);
  const before = seen.messages;
  for (let index = 0; index < 64; index++) {
    send(packet(), elsewhere);
    flood(31, elsewhere);
  }
  assert.ok(seen.messages - before > 50, `${seen.messages - before}`);
});

test("a member that starts again in a flood in its name is heard as soon as anything becomes known of it", async () => {
  const { packets, seen, flood, send } = await listening();
  using _packets = packets;
  const [first, second] = [sender(1), sender(2)];
  send(first());
  flood(1200, member);
  send(second());
  assert.equal(seen.messages, 1, "it is not told from the flood");
  packets.memberChanged(member.address);
  send(second());
  assert.equal(seen.messages, 2);
  flood(1200, member);
  send(second());
  assert.equal(seen.messages, 3);
});

test("when a flood is over all is read again", async () => {
  const { packets, clock, network, counters, flood } = await listening();
  using _packets = packets;
  flood(1200);
  assert.equal(network.samples.size, 1);
  clock.advanceBy(3000);
  assert.equal(network.samples.size, 0);
  const before = counters.packetsReceived;
  for (let index = 0; index < 100; index++) network.send(Buffer.alloc(60, 1), stranger, here);
  clock.advanceBy(1);
  assert.equal(counters.packetsReceived - before, 100);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock";
import { Keyring, Nonces } from "./codec/keyring.ts";
import { encodePacket } from "./codec/packet.ts";
import { defaultWire } from "./codec/wire.ts";
import { newNetworkCounters } from "./counters.ts";
import { IncomingPackets } from "./packets.ts";
import { FakeNetwork } from "./testing/network.ts";

const wire = { ...defaultWire, keyring: new Keyring([Buffer.alloc(16, 7)]) };
const here = { address: "192.0.2.1", port: 7946 };
const member = { address: "192.0.2.2", port: 7946 };
const stranger = { address: "203.0.113.1", port: 7946 };

/** A process of a member: each has nonces of its own. */
function sender(process: number) {
  const nonces = new Nonces((length) => Buffer.alloc(length, process));
  return () => encodePacket([{ type: "nack", sequence: 1 }], wire, { nonce: nonces.next(), checksum: false });
}

async function listening() {
  const clock = new SimulatedClock();
  const network = new FakeNetwork(clock);
  const counters = newNetworkCounters();
  const seen = { messages: 0, floods: 0 };
  const packets = new IncomingPackets({
    wire,
    clock,
    counters,
    onMessages: (_from, messages) => {
      seen.messages += messages.length;
    },
    onProblem: () => {},
    onFlood: () => seen.floods++,
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
          network.send(bytes, from, here, () => {});
        }
        clock.advanceBy(1);
      }
    },
    send(bytes: Uint8Array, count = 1): void {
      for (let index = 0; index < count; index++) network.send(bytes, member, here, () => {});
      clock.advanceBy(1);
    },
  };
}

for (const { title, from } of [
  { title: "of 40,000 packets/s of strangers some 200 a second are read, and all of a member's", from: stranger },
  { title: "of 40,000 packets/s in the name of a member some 200 a second are read, and all of the member's", from: member },
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
  for (let index = 0; index < 100; index++) network.send(Buffer.alloc(60, 1), stranger, here, () => {});
  clock.advanceBy(1);
  assert.equal(counters.packetsReceived - before, 100);
});

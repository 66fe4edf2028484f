import assert from "node:assert/strict";
import { nonceLength } from "#pkg/aes-gcm";
import { type Random, seededRandom } from "#pkg/clock";
import { Keyring } from "../codec/keyring.ts";
import type { PacketMessage, StreamMessage } from "../codec/messages.ts";
import { decodePacket, encodePacket } from "../codec/packet.ts";
import { encodeStream, StreamDecoder, type StreamEnd } from "../codec/stream.ts";
import { defaultWire, type Wire } from "../codec/wire.ts";
import type { Send } from "../ring/events.ts";

/** How messages get from one simulated node to another. */
export interface Carrier {
  readonly wire: Wire;
  packet(send: Send): readonly PacketMessage[];
  stream<T extends StreamMessage>(message: T, from: StreamEnd): T;
}

/** Hands the values over, which costs least. */
export const valueCarrier: Carrier = { wire: defaultWire, packet: ({ messages }) => messages, stream: (message) => message };

/** The same for a ring with a key, which lets its members trust one another. Nothing is encrypted. */
export const keyedCarrier: Carrier = {
  ...valueCarrier,
  wire: { ...defaultWire, keyring: new Keyring([Buffer.from("0123456789abcdef")]) },
};

/** The largest packet that was measured of HashiCorp's library: the budget ignores the checksum and an entry's length. */
const largestPacket = 1407;

/** Turns everything into octets and back, as a ring with these settings does, and checks that nothing is lost on the way. */
export function encodedCarrier(wire: Wire): Carrier {
  const random = seededRandom(1);
  return {
    wire,
    packet({ messages, checksum }) {
      const octets = encodePacket(messages, wire, { checksum, nonce: nonce(random) });
      assert.ok(octets.length <= largestPacket, `packet of ${octets.length} octets`);
      const decoded = decodePacket(octets, wire);
      assert.deepEqual(decoded, { messages: [...messages], problems: [] });
      return decoded.messages;
    },
    stream<T extends StreamMessage>(message: T, from: StreamEnd): T {
      const result = new StreamDecoder(wire, from).push(encodeStream(message, wire, { from, nonce: nonce(random) }));
      assert.ok(result?.type === "message", `no message but ${JSON.stringify(result)}`);
      assert.equal(result.message.type, message.type);
      return result.message as T;
    },
  };
}

function nonce(random: Random): Uint8Array {
  return Uint8Array.from({ length: nonceLength }, () => Math.floor(random() * 256));
}

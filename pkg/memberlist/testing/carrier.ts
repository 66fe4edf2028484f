import assert from "node:assert/strict";
import { nonceLength } from "#pkg/aes-gcm";
import type { Random } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import type { Keyring } from "../codec/keyring.ts";
import type { PacketMessage, StreamMessage } from "../codec/messages.ts";
import { decodePacket, encodePacket } from "../codec/packet.ts";
import { encodeStream, StreamDecoder } from "../codec/stream.ts";
import type { Send } from "../ring/events.ts";

/** How messages get from one simulated node to another. */
export interface Carrier {
  packet(send: Send): readonly PacketMessage[];
  stream<T extends StreamMessage>(message: T): T;
}

/** Hands the values over, which costs least. */
export const valueCarrier: Carrier = { packet: ({ messages }) => messages, stream: (message) => message };

/** The largest packet that was measured of HashiCorp's library: the budget ignores the checksum and an entry's length. */
const largestPacket = 1407;

/** Turns everything into octets and back, as a ring with these keys does, and checks that nothing is lost on the way. */
export function encodedCarrier(keyring: Keyring): Carrier {
  const random = seededRandom(1);
  return {
    packet({ messages, checksum }) {
      const octets = encodePacket(messages, keyring, { checksum, nonce: nonce(random) });
      assert.ok(octets.length <= largestPacket, `packet of ${octets.length} octets`);
      const decoded = decodePacket(octets, keyring);
      assert.deepEqual(decoded, { messages: [...messages], problems: [] });
      return decoded.messages;
    },
    stream<T extends StreamMessage>(message: T): T {
      const result = new StreamDecoder(keyring).push(encodeStream(message, keyring, nonce(random)));
      assert.ok(result?.type === "message", `no message but ${JSON.stringify(result)}`);
      assert.equal(result.message.type, message.type);
      return result.message as T;
    },
  };
}

function nonce(random: Random): Uint8Array {
  return Uint8Array.from({ length: nonceLength }, () => Math.floor(random() * 256));
}

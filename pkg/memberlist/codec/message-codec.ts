import { Body, boolean, endpoint, latin1, name, octets, optionalLatin1, source, unsigned, versions } from "./body.ts";
import { MemberlistError, Reader, Writer } from "./memberlist-error.ts";
import {
  type Ack,
  type Alive,
  type Dead,
  type IndirectPing,
  MessageType,
  type Nack,
  type PacketMessage,
  type Ping,
} from "./messages.ts";

const sequence = unsigned("SeqNo");
const incarnation = unsigned("Incarnation");
const accusation = new Body<Omit<Dead, "type">>({ incarnation, node: name("Node"), from: latin1("From") });

export const bodies = {
  ping: new Body<Omit<Ping, "type">>({ sequence, node: latin1("Node"), source }),
  indirectPing: new Body<Omit<IndirectPing, "type">>({
    sequence,
    node: latin1("Node"),
    target: endpoint("Target"),
    nack: boolean("Nack"),
    source,
  }),
  ack: new Body<Omit<Ack, "type">>({ sequence, payload: octets("Payload") }),
  nack: new Body<Omit<Nack, "type">>({ sequence }),
  suspect: accusation,
  dead: accusation,
  alive: new Body<Omit<Alive, "type">>({
    incarnation,
    node: name("Node"),
    endpoint: endpoint("Addr"),
    meta: optionalLatin1("Meta"),
    versions,
  }),
} as const;
type WithBody = keyof typeof bodies;
const withBody = new Map((Object.keys(bodies) as WithBody[]).map((type) => [MessageType[type] as number, type]));

/**
 * Encodes a message for a packet, without any wrapper. The length of the result is what the message costs of a packet's budget.
 * @throws {RangeError} for a number that its field cannot hold, and for a name that did not go through `nodeName`
 */
export function encodeMessage(message: PacketMessage): Uint8Array {
  const writer = new Writer().u8(MessageType[message.type]);
  if (message.type === "user") writer.put(message.payload);
  else (bodies[message.type] as Body<object>).write(writer, message);
  return writer.finish();
}

/**
 * Decodes a message without wrappers, as a packet carries it. Octets behind it are ignored, as peers do.
 * @throws {MemberlistError} `unsupported` for a type that is no message of a packet; `malformed` for a body cut short or of other
 * types, a number too large for its field, an address that has neither 4 nor 16 octets, fewer than six versions, and an alive,
 * suspect or dead message about nobody
 */
export function decodeMessage(octets: Uint8Array): PacketMessage {
  const reader = new Reader(octets);
  const number = reader.u8();
  if (number === MessageType.user) return { type: "user", payload: reader.copy(reader.remaining) };
  const type = withBody.get(number);
  if (type === undefined) throw new MemberlistError("unsupported", `Cannot decode a packet's message: its type is ${number}`);
  return bodies[type].read(reader, { type }) as PacketMessage;
}

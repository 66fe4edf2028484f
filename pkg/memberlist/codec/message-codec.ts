import { MemberlistError, Reader, Writer } from "./memberlist-error.ts";
import {
  type Ack,
  type Endpoint,
  MessageType,
  type NodeName,
  type PacketMessage,
  type Ping,
  type Source,
  type Versions,
  type WireAddress,
} from "./messages.ts";
import { FieldNames, type Fields, type FieldValue, readMap, writeMap } from "./msgpack.ts";

/** The largest incarnation and sequence number. */
const maxU32 = 0xffff_ffff;

/**
 * Encodes a message for a packet, without any wrapper. The length of the result is what the message costs of a packet's budget.
 * @throws {RangeError} for a number that its field cannot hold, and for a name that did not go through `nodeName`
 */
export function encodeMessage(message: PacketMessage): Uint8Array {
  const writer = new Writer().u8(MessageType[message.type]);
  if (message.type === "user") writer.put(message.payload);
  else writeMap(writer, messageFields(message));
  return writer.finish();
}

function messageFields(message: Exclude<PacketMessage, { type: "user" }>): Record<string, FieldValue> {
  switch (message.type) {
    case "ping":
      return { Node: message.node, SeqNo: message.sequence, ...sourceFields(message.source) };
    case "indirectPing":
      return {
        Nack: message.nack,
        Node: message.node,
        Port: message.target.port,
        SeqNo: message.sequence,
        ...sourceFields(message.source),
        Target: message.target.address,
      };
    case "ack":
      return { Payload: message.payload, SeqNo: message.sequence };
    case "nack":
      return { SeqNo: message.sequence };
    case "suspect":
    case "dead":
      return { From: message.from, Incarnation: message.incarnation, Node: message.node };
    case "alive":
      return {
        Addr: message.endpoint.address,
        Incarnation: message.incarnation,
        Meta: message.meta,
        Node: message.node,
        Port: message.endpoint.port,
        Vsn: Uint8Array.from(message.versions),
      };
    default:
      message satisfies never;
      throw new Error("Cannot encode a message: its type is unknown");
  }
}

const sourceNames = ["SourceAddr", "SourceNode", "SourcePort"];
const pingNames = new FieldNames("Node", "SeqNo", ...sourceNames);
const indirectPingNames = new FieldNames("Nack", "Node", "Port", "SeqNo", "Target", ...sourceNames);
const ackNames = new FieldNames("Payload", "SeqNo");
const accusationNames = new FieldNames("From", "Incarnation", "Node");
const aliveNames = new FieldNames("Addr", "Incarnation", "Meta", "Node", "Port", "Vsn");

/**
 * Decodes a message without wrappers, as a packet carries it. Octets behind it are ignored, as peers do.
 * @throws {MemberlistError} `unsupported` for a type that is no message of a packet; `malformed` for a body cut short or of other
 * types, a number too large for its field, an address that has neither 4 nor 16 octets, fewer than six versions, and an alive,
 * suspect or dead message about nobody
 */
export function decodeMessage(octets: Uint8Array): PacketMessage {
  const reader = new Reader(octets);
  const type = reader.u8();
  switch (type) {
    case MessageType.ping:
      return readPing(reader);
    case MessageType.indirectPing: {
      const fields = readMap(reader, indirectPingNames);
      return {
        type: "indirectPing",
        sequence: sequence(fields),
        node: fields.latin1("Node"),
        target: readEndpoint(fields, "Target"),
        nack: fields.boolean("Nack"),
        source: readSource(fields),
      };
    }
    case MessageType.ack:
      return readAck(reader);
    case MessageType.nack:
      return { type: "nack", sequence: sequence(readMap(reader, ackNames)) };
    case MessageType.suspect:
      return { type: "suspect", ...readAccusation(reader) };
    case MessageType.dead:
      return { type: "dead", ...readAccusation(reader) };
    case MessageType.alive: {
      const fields = readMap(reader, aliveNames);
      return {
        type: "alive",
        incarnation: incarnation(fields),
        node: readName(fields, "Node"),
        endpoint: readEndpoint(fields, "Addr"),
        meta: fields.octets("Meta"),
        versions: readVersions(fields),
      };
    }
    case MessageType.user:
      return { type: "user", payload: reader.copy(reader.remaining) };
    default:
      throw new MemberlistError("unsupported", `Cannot decode a packet's message: its type is ${type}`);
  }
}

/** The body of a ping, in a packet or a stream. */
export function readPing(reader: Reader): Ping {
  const fields = readMap(reader, pingNames);
  return { type: "ping", sequence: sequence(fields), node: fields.latin1("Node"), source: readSource(fields) };
}

/** The body of an ack, in a packet or a stream. */
export function readAck(reader: Reader): Ack {
  const fields = readMap(reader, ackNames);
  return { type: "ack", sequence: sequence(fields), payload: fields.octets("Payload") };
}

function readAccusation(reader: Reader): { incarnation: number; node: string; from: string } {
  const fields = readMap(reader, accusationNames);
  return { incarnation: incarnation(fields), node: readName(fields, "Node"), from: fields.latin1("From") };
}

function sequence(fields: Fields): number {
  return fields.unsigned("SeqNo", maxU32);
}

function incarnation(fields: Fields): number {
  return fields.unsigned("Incarnation", maxU32);
}

export function readName(fields: Fields, key: string): NodeName {
  const name = fields.latin1(key);
  if (name === "") throw new MemberlistError("malformed", `Cannot decode ${key} as a node's name: it is empty`);
  return name;
}

/** The port may be 0: the receiver then takes its own. */
export function readEndpoint(fields: Fields, addressKey: string): Endpoint {
  const address = fields.octets(addressKey) ?? new Uint8Array();
  if (!isAddress(address))
    throw new MemberlistError("malformed", `Cannot decode ${addressKey} as an address: it has ${address.length} octets`);
  return { address, port: fields.unsigned("Port", 0xffff) };
}

/**
 * Six octets. Fewer end the process of every peer that learns of them, so that nobody may pass them on; more are ignored, as
 * peers do.
 */
export function readVersions(fields: Fields): Versions {
  const [a, b, c, d, e, f] = fields.octets("Vsn") ?? [];
  if (a === undefined || b === undefined || c === undefined || d === undefined || e === undefined || f === undefined)
    throw new MemberlistError("malformed", "Cannot decode Vsn as six versions: it is shorter");
  return [a, b, c, d, e, f];
}

/** Undefined unless both address and port are usable, as peers do: the answer then goes to where the packet came from. */
export function readSource(fields: Fields): Source | undefined {
  const address: WireAddress | undefined = fields.octets("SourceAddr");
  const port = fields.unsigned("SourcePort", 0xffff);
  const node = fields.latin1("SourceNode");
  return address !== undefined && isAddress(address) && port !== 0 ? { address, port, node } : undefined;
}

export function sourceFields(source: Source | undefined): Record<string, FieldValue> {
  if (source === undefined) return {};
  const node: Record<string, FieldValue> = source.node === "" ? {} : { SourceNode: source.node };
  return { SourceAddr: source.address, ...node, SourcePort: source.port };
}

export function isAddress(octets: WireAddress): boolean {
  return octets.length === 4 || octets.length === 16;
}

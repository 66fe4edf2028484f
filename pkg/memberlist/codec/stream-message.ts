import { MemberlistError, Reader, Writer } from "./memberlist-error.ts";
import { encodeMessage, isAddress, readAck, readPing, readVersions } from "./message-codec.ts";
import {
  type MemberState,
  type MemberStatus,
  MessageType,
  nodeName,
  nodeNameText,
  type PushPull,
  type StreamMessage,
} from "./messages.ts";
import { FieldNames, type Fields, readMap, scanItems, writeMap } from "./msgpack.ts";

/** Octets of user state and of a user message, as v0.6.0 limits the first. */
const maxUserBytes = 20 * 1024 * 1024;
/** States in one exchange, as v0.6.0 limits them. */
const maxNodes = 1_048_576;
/** Octets kept of the text of an error, which is for logs only. */
const maxErrorText = 1024;
/** The number of each on the wire is its index. */
const statuses: readonly MemberStatus[] = ["alive", "suspect", "dead", "left"];

/** Encodes a message for a stream, without any wrapper. @throws {RangeError} as `encodeMessage` does */
export function encodeStreamMessage(message: StreamMessage): Uint8Array {
  switch (message.type) {
    case "ping":
    case "ack":
      return encodeMessage(message);
    case "user": {
      const writer = new Writer().u8(MessageType.user);
      writeMap(writer, { UserMsgLen: message.payload.length });
      return writer.put(message.payload).finish();
    }
    case "error": {
      const writer = new Writer().u8(MessageType.error);
      writeMap(writer, { Error: nodeName(message.message) });
      return writer.finish();
    }
    case "pushPull": {
      const { join, states, userState } = message;
      const writer = new Writer().put(encodePushPullHeader({ join, nodes: states.length, userStateLength: userState.length }));
      for (const state of states) writer.put(encodeMemberState(state));
      return writer.put(userState).finish();
    }
    default:
      message satisfies never;
      throw new Error("Cannot encode a message: its type is unknown");
  }
}

interface PushPullHeader {
  readonly join: boolean;
  readonly nodes: number;
  readonly userStateLength: number;
}

/** With the type's octet. Lengths are written as v0.1.7 does; v0.6.0 writes signed forms, and each reads both. */
export function encodePushPullHeader({ join, nodes, userStateLength }: PushPullHeader): Uint8Array {
  const writer = new Writer().u8(MessageType.pushPull);
  writeMap(writer, { Join: join, Nodes: nodes, UserStateLen: userStateLength });
  return writer.finish();
}

export function encodeMemberState(state: MemberState): Uint8Array {
  const writer = new Writer();
  writeMap(writer, {
    Addr: state.endpoint.address,
    Incarnation: state.incarnation,
    Meta: state.meta,
    Name: state.node,
    Port: state.endpoint.port,
    State: statuses.indexOf(state.status),
    Vsn: Uint8Array.from(state.versions),
  });
  return writer.finish();
}

/** Octets that arrive in pieces. */
export interface Input {
  /** All octets that have arrived so far. */
  readonly octets: Uint8Array;
}

export interface ReceivedMessage {
  readonly message: StreamMessage;
  /** Parts of the message that were left out. */
  readonly problems: readonly MemberlistError[];
}

/**
 * Decodes one message without wrappers that begins at `offset`. Yields how many octets of the input there must be before it can get
 * any further; each octet is looked at a fixed number of times, however small the pieces are.
 *
 * A state of a push/pull that no member can have, without name or address, is left out with a problem: peers keep such members,
 * and one of them must not keep this node out of the ring. One with fewer than six versions ends processes of peers, and the exchange.
 * @throws {MemberlistError} `unsupported` for a type that is no message of a stream; `malformed`, also for lengths out of range
 */
export function* readStreamMessage(input: Input, offset: number): Generator<number, ReceivedMessage> {
  yield offset + 1;
  const type = input.octets[offset];
  switch (type) {
    case MessageType.ping:
      yield* passItems(input, offset + 1, 1);
      return { message: readPing(new Reader(input.octets, offset + 1)), problems: [] };
    case MessageType.ack:
      yield* passItems(input, offset + 1, 1);
      return { message: readAck(new Reader(input.octets, offset + 1)), problems: [] };
    case MessageType.error: {
      yield* passItems(input, offset + 1, 1);
      const text = readMap(new Reader(input.octets, offset + 1), errorNames).latin1("Error");
      return { message: { type: "error", message: nodeNameText(text.slice(0, maxErrorText)) }, problems: [] };
    }
    case MessageType.user: {
      const end = yield* passItems(input, offset + 1, 1);
      const length = readMap(new Reader(input.octets, offset + 1), userNames).unsigned("UserMsgLen", maxUserBytes);
      yield end + length;
      return { message: { type: "user", payload: new Uint8Array(input.octets.subarray(end, end + length)) }, problems: [] };
    }
    case MessageType.pushPull:
      return yield* readPushPull(input, offset + 1);
    default:
      throw new MemberlistError("unsupported", `Cannot decode a stream's message: its type is ${type}`);
  }
}

const errorNames = new FieldNames("Error");
const userNames = new FieldNames("UserMsgLen");
const headerNames = new FieldNames("Join", "Nodes", "UserStateLen");
const stateNames = new FieldNames("Addr", "Incarnation", "Meta", "Name", "Port", "State", "Vsn");

function* readPushPull(input: Input, offset: number): Generator<number, ReceivedMessage> {
  const statesAt = yield* passItems(input, offset, 1);
  const header = readMap(new Reader(input.octets, offset), headerNames);
  const nodes = header.unsigned("Nodes", maxNodes);
  const userStateLength = header.unsigned("UserStateLen", maxUserBytes);
  const userStateAt = yield* passItems(input, statesAt, nodes);
  yield userStateAt + userStateLength;
  const reader = new Reader(input.octets, statesAt);
  const states: MemberState[] = [];
  for (let node = 0; node < nodes; node++) {
    const state = memberState(readMap(reader, stateNames));
    if (state !== undefined) states.push(state);
  }
  const userState = reader.copy(userStateLength);
  const message: PushPull = { type: "pushPull", join: header.boolean("Join"), states, userState };
  const unusable = nodes - states.length;
  if (unusable === 0) return { message, problems: [] };
  const text = `Cannot use ${unusable} of ${nodes} states: a name, an address of 4 or 16 octets or a known status is missing`;
  return { message, problems: [new MemberlistError("malformed", text)] };
}

/** Undefined for a state that no member can have. */
function memberState(fields: Fields): MemberState | undefined {
  const versions = readVersions(fields);
  const node = fields.latin1("Name");
  const address = fields.octets("Addr");
  const status = statuses[fields.unsigned("State", Number.MAX_SAFE_INTEGER)];
  const incarnation = fields.unsigned("Incarnation", 0xffff_ffff);
  const port = fields.unsigned("Port", 0xffff);
  const meta = fields.octets("Meta");
  if (node === "" || address === undefined || !isAddress(address) || status === undefined) return undefined;
  return { node, status, incarnation, endpoint: { address, port }, meta, versions };
}

/** Waits for items of MessagePack. @returns the offset behind them */
export function* passItems(input: Input, offset: number, items: number): Generator<number, number> {
  const cursor = { offset, pending: items };
  for (let needed = scanItems(input.octets, cursor); needed > 0; needed = scanItems(input.octets, cursor)) yield needed;
  return cursor.offset;
}

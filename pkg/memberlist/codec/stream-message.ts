import { address, Body, boolean, latin1, optionalLatin1, unsigned, versions } from "./body.ts";
import { MemberlistError, Reader, Writer } from "./memberlist-error.ts";
import { bodies, encodeMessage } from "./message-codec.ts";
import {
  type AddressOctets,
  isAddress,
  type MemberState,
  type MemberStatus,
  MessageType,
  nodeName,
  nodeNameText,
  type PushPull,
  type StreamMessage,
} from "./messages.ts";

/** Octets of user state, as v0.6.0 limits it. */
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
    case "error": {
      const writer = new Writer().u8(MessageType.error);
      errorBody.write(writer, { text: nodeName(message.message) });
      return writer.finish();
    }
    case "pushPull": {
      const { join, states, userState } = message;
      const writer = new Writer().put(encodePushPullHeader({ join, nodes: states.length, userStateLength: userState.length }));
      for (const state of states) writeMemberState(writer, state);
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

const errorBody = new Body<{ text: string }>({ text: latin1("Error") });
const headerBody = new Body<PushPullHeader>({
  join: boolean("Join"),
  nodes: unsigned("Nodes", maxNodes),
  userStateLength: unsigned("UserStateLen", maxUserBytes),
});

interface StateBody extends Pick<MemberState, "node" | "incarnation" | "meta" | "versions"> {
  readonly address: AddressOctets;
  readonly port: number;
  readonly status: number;
}

const stateBody = new Body<StateBody>({
  address: address("Addr"),
  incarnation: unsigned("Incarnation"),
  meta: optionalLatin1("Meta"),
  node: latin1("Name"),
  port: unsigned("Port", 0xffff),
  status: unsigned("State", Number.MAX_SAFE_INTEGER),
  versions,
});

/** With the type's octet. Lengths are written as v0.1.7 does; v0.6.0 writes signed forms, and each reads both. */
export function encodePushPullHeader(header: PushPullHeader): Uint8Array {
  const writer = new Writer().u8(MessageType.pushPull);
  headerBody.write(writer, header);
  return writer.finish();
}

export function writeMemberState(writer: Writer, { status, endpoint, ...state }: MemberState): void {
  stateBody.write(writer, { ...state, ...endpoint, status: statuses.indexOf(status) });
}

export interface ReceivedMessage {
  readonly message: StreamMessage;
  /** Parts of the message that were left out. */
  readonly problems: readonly MemberlistError[];
}

/**
 * Decodes a message without wrappers. Octets behind it are ignored, as peers do.
 *
 * A state of a push/pull that no member can have, without name or address, is left out with a problem: peers keep such members,
 * and one of them must not keep this node out of the ring. One with fewer than six versions ends processes of peers, and the exchange.
 * @throws {MemberlistError} `unsupported` for a type that is no message of a stream; `malformed`, also for lengths out of range
 */
export function decodeStreamMessage(octets: Uint8Array): ReceivedMessage {
  const reader = new Reader(octets);
  const type = reader.u8();
  switch (type) {
    case MessageType.ping:
      return { message: bodies.ping.read(reader, { type: "ping" }), problems: [] };
    case MessageType.ack:
      return { message: bodies.ack.read(reader, { type: "ack" }), problems: [] };
    case MessageType.error: {
      const { text } = errorBody.read(reader, {});
      return { message: { type: "error", message: nodeNameText(text.slice(0, maxErrorText)) }, problems: [] };
    }
    case MessageType.pushPull:
      return decodePushPull(reader);
    default:
      throw new MemberlistError("unsupported", `Cannot decode a stream's message: its type is ${type}`);
  }
}

function decodePushPull(reader: Reader): ReceivedMessage {
  const { join, nodes, userStateLength } = headerBody.read(reader, {});
  const states: MemberState[] = [];
  for (let node = 0; node < nodes; node++) {
    const state = memberStateOf(stateBody.read(reader, {}));
    if (state !== undefined) states.push(state);
  }
  const userState = reader.copy(userStateLength);
  const message: PushPull = { type: "pushPull", join, states, userState };
  const unusable = nodes - states.length;
  if (unusable === 0) return { message, problems: [] };
  const text = `Cannot use ${unusable} of ${nodes} states: a name, an address of 4 or 16 octets or a known status is missing`;
  return { message, problems: [new MemberlistError("malformed", text)] };
}

/** Undefined for a state that no member can have. */
function memberStateOf({ address, port, status: number, ...state }: StateBody): MemberState | undefined {
  const status = statuses[number];
  if (state.node === "" || !isAddress(address) || status === undefined) return undefined;
  return { ...state, status, endpoint: { address, port } };
}

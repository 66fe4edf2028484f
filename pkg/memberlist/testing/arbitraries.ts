/** Any message, for the property tests. */
import fc from "fast-check";
import type {
  Ack,
  Alive,
  Dead,
  Endpoint,
  IndirectPing,
  MemberState,
  MemberStatus,
  Nack,
  PacketMessage,
  Ping,
  PushPull,
  Source,
  StreamMessage,
  Suspect,
  User,
  Versions,
} from "../codec/messages.ts";

/** A message whose fields are any of these. */
function message<T>(fields: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

const number32 = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.nat(300),
  fc.constantFrom(127, 128, 65_535, 65_536, 0xffff_ffff),
);
const port = fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constant(7946));
const octets = fc.oneof(
  fc.uint8Array({ maxLength: 40, size: "max" }),
  fc.uint8Array({ minLength: 500, maxLength: 600, size: "max" }),
);
const optionalOctets = fc.option(octets, { nil: undefined });
const optionalText = fc.option(
  octets.map((all) => Buffer.from(all).toString("latin1")),
  { nil: undefined },
);
const anyName = octets.map((name) => Buffer.from(name).toString("latin1"));
const name = anyName.map((text) => text || "node-a");
const address = fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }));
const endpoint = message<Endpoint>({ address, port });
const version = fc.integer({ min: 0, max: 255 });
const versions: fc.Arbitrary<Versions> = fc.tuple(version, version, version, version, version, version);
const source = fc.option(message<Source>({ address, port: port.map((value) => value || 1), node: anyName }), { nil: undefined });

const ping = message<Ping>({ type: fc.constant("ping"), sequence: number32, node: anyName, source });
const ack = message<Ack>({ type: fc.constant("ack"), sequence: number32, payload: optionalOctets });
const user = message<User>({ type: fc.constant("user"), payload: octets });
const accusation = { incarnation: number32, node: name, from: anyName };
const record = { incarnation: number32, node: name, endpoint, meta: optionalText, versions };

export const anyPacketMessage: fc.Arbitrary<PacketMessage> = fc.oneof(
  ping,
  message<IndirectPing>({
    type: fc.constant("indirectPing"),
    sequence: number32,
    node: anyName,
    target: endpoint,
    nack: fc.boolean(),
    source,
  }),
  ack,
  message<Nack>({ type: fc.constant("nack"), sequence: number32 }),
  message<Suspect>({ type: fc.constant("suspect"), ...accusation }),
  message<Dead>({ type: fc.constant("dead"), ...accusation }),
  message<Alive>({ type: fc.constant("alive"), ...record }),
  user,
);

const status = fc.constantFrom<MemberStatus>("alive", "suspect", "dead", "left");

export const anyStreamMessage: fc.Arbitrary<StreamMessage> = fc.oneof(
  ping,
  ack,
  message<PushPull>({
    type: fc.constant("pushPull"),
    join: fc.boolean(),
    states: fc.array(message<MemberState>({ ...record, status }), { maxLength: 20 }),
    userState: octets,
  }),
  fc.string({ unit: "grapheme", maxLength: 40 }).map((text) => ({ type: "error" as const, message: text.toWellFormed() })),
);

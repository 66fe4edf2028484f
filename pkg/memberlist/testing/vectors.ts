/** What HashiCorp's own encoders made; see the note beside the file. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Keyring } from "../codec/keyring.ts";
import type { MemberState, MemberStatus, PacketMessage, Source, StreamMessage, Versions } from "../codec/messages.ts";
import { framed, keyring, sealed } from "./keyrings.ts";

type Body = Readonly<Record<string, string | number | boolean | null>>;

/** A message or wrapper in the words of the wire. */
export interface Decoded {
  readonly type?: string;
  readonly body?: Body;
  readonly header?: Body;
  readonly payload?: string;
  readonly states?: readonly Body[];
  readonly userState?: string;
  readonly parts?: readonly Decoded[];
  readonly plain?: Decoded;
  readonly inner?: Decoded;
  readonly encryptionVersion?: 0 | 1;
  readonly label?: string;
}

export interface Vector {
  readonly name: string;
  readonly hex: string;
  readonly decoded: Decoded;
  readonly key?: string;
  readonly nonce?: string;
  readonly label?: string;
}

/** A vector that is no message. */
export interface RawVector {
  readonly name: string;
  readonly hex: string;
  readonly decoded: {
    readonly plain?: string;
    readonly plainLength?: number;
    readonly plainSha256?: string;
    readonly secret?: string;
  };
}

const all: readonly (Vector & RawVector)[] = JSON.parse(
  readFileSync(new URL("../testdata/memberlist-vectors.json", import.meta.url), "utf8"),
);

/** Vectors whose names begin so. */
export function vectors(...prefixes: string[]): readonly Vector[] {
  return all.filter(({ name }) => prefixes.some((prefix) => name.startsWith(prefix)));
}

export function rawVectors(prefix: string): readonly RawVector[] {
  return all.filter(({ name }) => name.startsWith(prefix));
}

export function vector(name: string): Vector {
  const found = all.find((one) => one.name === name);
  assert.ok(found, `there is no vector ${name}`);
  return found;
}

export const vectorCount = all.length;

export function octets(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replace(/^0x|\s/g, ""), "hex"));
}

export function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}

/** The keys of the ring that a vector is from, or another ring's where it is plaintext. */
export function keyringOf({ key }: Vector): Keyring {
  return key === undefined ? keyring : new Keyring([octets(key)]);
}

/** The packet that a vector is, sealed where the vector is plaintext. */
export function packetOf({ hex, key }: Vector): Uint8Array {
  return key === undefined ? sealed(octets(hex)) : octets(hex);
}

/** The stream that a vector is, as a frame where the vector is plaintext. */
export function streamOf({ hex, key }: Vector): Uint8Array {
  return key === undefined ? framed(octets(hex)) : octets(hex);
}

/** Inside all wrappers. */
export function innermost(decoded: Decoded): readonly Decoded[] {
  if (decoded.parts !== undefined) return decoded.parts.flatMap(innermost);
  const inside = decoded.plain ?? decoded.inner;
  return inside === undefined ? [decoded] : innermost(inside);
}

/** A message of a packet as a value. */
export function packetMessage({ type, body = {}, payload }: Decoded): PacketMessage {
  const sequence = Number(body.SeqNo);
  const accusation = { incarnation: Number(body.Incarnation), node: String(body.Node), from: String(body.From) };
  switch (type) {
    case "ping":
      return { type, sequence, node: String(body.Node), source: source(body) };
    case "indirectPing": {
      const target = { address: octets(String(body.Target)), port: Number(body.Port) };
      return { type, sequence, node: String(body.Node), target, nack: body.Nack === true, source: source(body) };
    }
    case "ackResp":
      return { type: "ack", sequence, payload: optionalOctets(body.Payload) };
    case "nackResp":
      return { type: "nack", sequence };
    case "suspect":
      return { type, ...accusation };
    case "dead":
      return { type, ...accusation };
    case "alive":
      return { type, node: String(body.Node), ...record(body) };
    case "user":
      return { type, payload: octets(payload ?? "") };
    default:
      throw new Error(`${type} is no message of a packet`);
  }
}

/** A message of a stream as a value. */
export function streamMessage(decoded: Decoded): StreamMessage {
  const { type, body = {}, header = {}, states = [], userState = "" } = decoded;
  if (type === "err") return { type: "error", message: String(body.Error) };
  if (type === "pushPull")
    return { type, join: header.Join === true, states: states.map(memberState), userState: octets(userState) };
  const message = packetMessage(decoded);
  assert.ok(message.type === "ping" || message.type === "ack");
  return message;
}

const statuses: readonly MemberStatus[] = ["alive", "suspect", "dead", "left"];

export function memberState(body: Body): MemberState {
  return { node: String(body.Name), status: statuses[Number(body.State)] ?? "left", ...record(body) };
}

function record(body: Body): Pick<MemberState, "incarnation" | "endpoint" | "meta" | "versions"> {
  return {
    incarnation: Number(body.Incarnation),
    endpoint: { address: octets(String(body.Addr)), port: Number(body.Port) },
    meta: typeof body.Meta === "string" ? Buffer.from(octets(body.Meta)).toString("latin1") : undefined,
    versions: [...octets(String(body.Vsn))] as unknown as Versions,
  };
}

function source(body: Body): Source | undefined {
  if (body.SourceAddr === undefined) return undefined;
  return { address: octets(String(body.SourceAddr)), port: Number(body.SourcePort), node: String(body.SourceNode) };
}

function optionalOctets(value: string | number | boolean | null | undefined): Uint8Array | undefined {
  return typeof value === "string" ? octets(value) : undefined;
}

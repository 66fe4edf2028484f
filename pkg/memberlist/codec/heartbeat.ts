import { Reader, Writer } from "./memberlist-error.ts";
import type { Ack, NodeName } from "./messages.ts";

/**
 * A member sends its neighbor this message at the fast pace. Between two heartbeats of one node, the later one has the greater
 * `life`, or else `count`.
 */
export interface Heartbeat {
  readonly node: NodeName;
  /** The incarnation with which this life of the node began. */
  readonly life: number;
  /** How many it has sent in this life. */
  readonly count: number;
  /** 32 bits of all that it knows of members, and of their gossip; the same where two know the same. */
  readonly digest: number;
}

/** No probe has this number, so that a member that knows no heartbeats takes a heartbeat for a late ack. */
const sequence = 0;
const version = 1;
const headerLength = 13;
const digestLength = 5;

/** An ack that answers nothing, with a payload: a version, life, count and digest of 32 bits, then the node's name. */
export function encodeHeartbeat({ node, life, count, digest }: Heartbeat): Ack {
  const payload = new Writer().u8(version).u32(life).u32(count).u32(digest).latin1(node).finish();
  return { type: "ack", sequence, payload };
}

/** @returns undefined for any other ack */
export function decodeHeartbeat({ sequence: number, payload }: Ack): Heartbeat | undefined {
  if (number !== sequence || payload === undefined || payload.length <= headerLength || payload[0] !== version) return undefined;
  const reader = new Reader(payload, 1);
  const [life, count, digest] = [reader.u32(), reader.u32(), reader.u32()];
  return { node: reader.latin1(reader.remaining), life, count, digest };
}

/** The payload of an answer to a ping in a large ring: a version, and the digest that heartbeats have. Peers of other kinds ignore it. */
export function encodeDigest(digest: number): Uint8Array {
  return new Writer().u8(version).u32(digest).finish();
}

/** @returns undefined for an answer that tells no digest */
export function decodeDigest(payload: Uint8Array | undefined): number | undefined {
  return payload?.length === digestLength && payload[0] === version ? new Reader(payload, 1).u32() : undefined;
}

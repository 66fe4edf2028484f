/** Lines that programs of a ring print, and the text in their metadata. */
import { decodeMetadata, type MemberlistCounters } from "#pkg/memberlist";

export interface RingMember {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** Hex. */
  readonly meta: string;
}

/** One line that a program prints; `at` is microseconds since 1970. */
export interface RingLine {
  readonly event: string;
  readonly at: number;
  readonly member?: RingMember;
  readonly members?: readonly RingMember[];
  readonly joined?: number;
  readonly error?: string;
  readonly counters?: MemberlistCounters;
  /** One that arrived, in hex. */
  readonly packet?: string;
}

/** The field of our metadata that the tests put their text into; nothing else uses it. */
export const textKey = 255;

/** The text that a node was given as its meta, from its meta in hex: theirs is the text itself, ours a field. */
export function metaText(hex: string): string {
  const bytes = Buffer.from(hex, "hex");
  const fields = decodeMetadata(bytes.toString("latin1"));
  return Buffer.from(fields === undefined ? bytes : (fields.get(textKey) ?? [])).toString();
}

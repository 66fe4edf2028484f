import { Reader as OctetReader, UntracedError } from "#pkg/octets";

/**
 * Why something that arrived was not understood. A metric's label and the key of once-per-peer logs, so a closed set:
 * - `label`: it carries another cluster's label, or none where one is expected;
 * - `plaintext`: it is not encrypted;
 * - `wrongKey`: no key of this node opens it;
 * - `unknownVersion`: it is neither plaintext nor encrypted in a version that this node knows;
 * - `checksum`: it was damaged on the way;
 * - `unsupported`: a type of message, or a value, that has no meaning here;
 * - `tooLarge`: it would exceed a limit on octets, parts or nesting;
 * - `malformed`: it contradicts the protocol in any other way, or ends too early.
 */
export type MemberlistProblem =
  | "label"
  | "plaintext"
  | "wrongKey"
  | "unknownVersion"
  | "checksum"
  | "unsupported"
  | "tooLarge"
  | "malformed";

/** Octets that cannot be understood. The one error that the decoders of this package raise, for any input. */
export class MemberlistError extends UntracedError {
  override readonly name = "MemberlistError";
  readonly reason: MemberlistProblem;

  constructor(reason: MemberlistProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

export { Writer } from "#pkg/octets";

/** Reads octets in order; what is not there is `malformed`. A number above 2^53 is rounded, and so above every limit of this protocol. */
export class Reader extends OctetReader {
  constructor(octets: Uint8Array, offset = 0) {
    super(octets, cutShort, offset);
  }
}

function cutShort(found: string): MemberlistError {
  return new MemberlistError("malformed", `Cannot read a message: ${found}`);
}

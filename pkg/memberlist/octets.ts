import { Reader as OctetReader } from "#pkg/octets";
import { MemberlistError } from "./memberlist-error.ts";

export { Writer } from "#pkg/octets";

/** Reads octets in order; what is not there is `malformed`. A number above 2^53 is rounded, and so above every limit of this protocol. */
export class Reader extends OctetReader {
  constructor(octets: Uint8Array, offset = 0) {
    super(octets, (found) => new MemberlistError("malformed", `Cannot read a message: ${found}`), offset);
  }
}

/** For tests that write certificates of other kinds: authorities, clients, servers at addresses. */
export { bitString, boolean, context, integer, objectId, octetString, sequence, set, time, utf8String } from "../der.ts";

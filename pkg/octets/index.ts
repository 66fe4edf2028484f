/**
 * Octets read and written in order, for the codecs of protocols: all integers are big-endian, every read is checked, and a short read
 * becomes the error that the protocol names for it, which has a base class here. Not here: varying byte orders, fields of bits, strings
 * other than of octets.
 */
export { Reader } from "./reader.ts";
export { UntracedError } from "./untraced-error.ts";
export { Writer } from "./writer.ts";

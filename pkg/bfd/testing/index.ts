/** What tests need of BFD: the codec, for a peer that they make up themselves. */
export { type ControlPacket, decodeControl, encodeControl } from "../codec/control-codec.ts";

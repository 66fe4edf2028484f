/** What tests need of BGP: the codec, for a router of their own. */
export { decodeMessage, encodeMessage, encodeRouteRefresh } from "../codec/message-codec.ts";
export { MessageReader } from "../codec/message-reader.ts";

/** What tests need of BGP: the codec, for a router of their own, and one that keeps the routes that it is told. */
export { decodeMessage, encodeMessage, encodeRouteRefresh } from "../codec/message-codec.ts";
export { MessageReader } from "../codec/message-reader.ts";
export { localEnd, negotiated } from "../routes/testing/fixtures.ts";
export { Listener } from "../routes/testing/listener.ts";

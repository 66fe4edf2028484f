/** What tests need of BGP: a session without a network, two sessions on a simulated one, and the codec for a peer of their own. */
export { decodeMessage, encodeMessage, encodeRouteRefresh } from "../codec/message-codec.ts";
export { MessageReader } from "../codec/message-reader.ts";
export { LoneSession } from "./lone-session.ts";
export { announce, Pair, RecordingLog } from "./pair.ts";
export { settings } from "./settings.ts";

/** Helpers for tests of BGP: the codec, for a router of the test's own, and a router that keeps the routes that it is told. */
export { decodeMessage, encodeMessage, encodeRouteRefresh } from "../codec/message-codec.ts";
export { MessageReader } from "../codec/message-reader.ts";
export type { Connection, ConnectionEvents, Incoming, Transport } from "../driver/transport.ts";
export { localEnd, negotiated } from "../routes/testing/fixtures.ts";
export { Listener } from "../routes/testing/listener.ts";
export { asnOf } from "../session/negotiation.ts";
export { ModelRouter } from "./model-router.ts";
export type { ModelRoute, Removal } from "./model-routes.ts";
export type { ModelSettings } from "./model-settings.ts";
export { type UpdateShape, updateShapes } from "./model-updates.ts";
export { settings } from "./settings.ts";
export { SimulatedNetwork } from "./simulated-network.ts";
export { type RouterPath, SimulatedRouter } from "./simulated-router.ts";
export { Stall } from "./stall.ts";

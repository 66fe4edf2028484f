/** Helpers for tests of BFD: the codec, for a peer that the test makes up itself, and a session in simulated time. */
export { type ControlPacket, decodeControl, encodeControl } from "../codec/control-codec.ts";
export { type Parameters, parametersOf } from "../session/session.ts";
export { SimulatedSession } from "./simulated-session.ts";

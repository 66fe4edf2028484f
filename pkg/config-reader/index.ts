/**
 * Reads configurations without keeping the main thread busy: a short text is read at once, a long one in a thread of its own, which sends
 * the configuration piece by piece and ends when no other text follows. `pkg/config` and `pkg/convert` define what a configuration is.
 */
export { ConfigReader } from "./config-reader.ts";

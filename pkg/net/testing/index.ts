/** For tests: addresses and prefixes from their text, and any of them for properties. */
import { type Address, type Prefix, parseAddress, parsePrefix } from "#pkg/net";

export { anyAddress, anyRange, borders } from "./arbitraries.ts";

export function address(text: string): Address {
  return parseAddress(text) ?? fail("address", text);
}

export function prefix(text: string): Prefix {
  return parsePrefix(text) ?? fail("prefix", text);
}

function fail(what: string, text: string): never {
  throw new Error(`Cannot read ${what}: ${text}`);
}

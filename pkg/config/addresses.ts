import { AddressRange, parseAddress, parsePrefix, parseRange } from "#pkg/net";
import { quote } from "./problem.ts";

/** Reads an entry of `addresses`: a CIDR, whose host bits are cleared, or `first-last`. Otherwise says what is wrong. */
export function parseAddresses(text: string): AddressRange | string {
  if (!text.includes("-")) {
    const prefix = parsePrefix(text);
    if (prefix !== undefined) return AddressRange.ofPrefix(prefix);
    const single = parseAddress(text);
    if (single === undefined)
      return `must be a CIDR such as "192.0.2.0/24" or a range such as "192.0.2.10-192.0.2.20", but is ${quote(text)}`;
    return `must be a CIDR or a range; for this one address write "${single}/${single.bits}"`;
  }
  const range = parseRange(text);
  if (typeof range !== "string") return range;
  const [first, last] = text.split("-");
  switch (range) {
    case "notARange":
      return `must be one range "first-last", but is ${quote(text)}`;
    case "badFirst":
      return `the range begins with ${quote(first?.trim() ?? "")}, which is not an IP address`;
    case "badLast":
      return `the range ends with ${quote(last?.trim() ?? "")}, which is not an IP address`;
    case "mixedFamilies":
      return `the range ${quote(text)} begins in one address family and ends in the other`;
    case "lastBeforeFirst":
      return `the range ${quote(text)} ends before it begins`;
  }
}

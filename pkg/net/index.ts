/**
 * IP addresses, prefixes and ranges of both families, and MAC addresses, as values. Text is only at the edges and reads and prints as Go's
 * `net.IP` does: `::ffff:192.0.2.1` is the IPv4 address 192.0.2.1, IPv6 is printed as RFC 5952 says, octets have no leading
 * zeros, and zones are refused. Inside, an address is its family and a bigint, so that both families share one code path. Names of
 * interfaces, with wildcards, are compared here too, and the headers and options of Neighbor Discovery (RFC 4861) read and written.
 */
export { Address, type Family, families, isLinkLocal, parseAddress, urlHost } from "./address.ts";
export { equalBytes, getIpv6, internetChecksum, setIpv6 } from "./bytes.ts";
export { canReachPrefix, matchesInterface, serviceHolders } from "./interface-names.ts";
export { broadcastMac, formatMac, getMac, isUnicastMac, type Mac, macBytes, macLength, parseMac, setMac } from "./mac.ts";
export {
  allNodesGroup,
  type DiscoveryHeaders,
  discoveryChecksum,
  discoveryMessageAt,
  discoveryMessageLength,
  findLinkLayerOption,
  getDiscoveryHeaders,
  linkLayerOptionLength,
  multicastMac,
  setDiscoveryChecksum,
  setDiscoveryHeaders,
  setLinkLayerOption,
  unspecifiedAddress,
} from "./neighbor-discovery.ts";
export { Prefix, parsePrefix } from "./prefix.ts";
export { AddressRange, parseRange } from "./range.ts";

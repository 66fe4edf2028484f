/** Short forms of pools and requests. */
import type { Pool } from "#pkg/config";
import { AddressRange, parsePrefix, parseRange } from "#pkg/net";
import type { AddressRequest, Port } from "#pkg/service";

/** A layer-2 pool with auto-assign, of CIDRs and `first-last` ranges. */
export function pool(name: string, addresses: readonly string[], rest: Partial<Pool> = {}): Pool {
  const ranges = addresses.map((text) => {
    const prefix = parsePrefix(text);
    const range = prefix === undefined ? parseRange(text) : AddressRange.ofPrefix(prefix);
    if (typeof range === "string") throw new Error(`Cannot read range: ${text}`);
    return range;
  });
  const cidrs = ranges.flatMap((range) => range.toPrefixes());
  const layer2 = {
    nodeSelectors: [],
    interfaces: [],
    l2Placement: { subnet: false, sticky: false },
    conflictProbe: "report" as const,
  };
  const plain = { autoAssign: true, avoidBuggyIPs: false, advertisements: [], ...layer2 };
  return { name, protocol: "layer2", ranges, cidrs, ...plain, ...rest };
}

/** An IPv4 request on port 80/TCP that shares with nobody and asks for nothing in particular. */
export function request(service: string, rest: Partial<AddressRequest> = {}): AddressRequest {
  return {
    service,
    families: ["IPv4"],
    ports: [port("80/TCP")],
    sharingKey: "",
    backendKey: "",
    requestedAddresses: [],
    requestedPool: undefined,
    ...rest,
  };
}

/** `80/TCP` */
export function port(text: string): Port {
  const [port, protocol = ""] = text.split("/");
  return { protocol, port: Number(port) };
}

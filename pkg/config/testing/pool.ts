import { AddressRange, parsePrefix, parseRange } from "#pkg/net";
import type { Pool } from "../config.ts";

/** A pool for layer 2 with auto-assign, of CIDRs and `first-last` ranges, without any rule but those of `rest`. */
export function pool(name: string, addresses: readonly string[], rest: Partial<Pool> = {}): Pool {
  const ranges = addresses.map((text) => {
    const prefix = parsePrefix(text);
    const range = prefix === undefined ? parseRange(text) : AddressRange.ofPrefix(prefix);
    if (typeof range === "string") throw new Error(`Cannot read range: ${text}`);
    return range;
  });
  return {
    name,
    protocols: ["layer2"],
    ranges,
    autoAssign: true,
    avoidBuggyIPs: false,
    fence: { namespaces: [], namespaceSelectors: [], serviceSelectors: [] },
    priority: undefined,
    closed: false,
    sharing: "cluster",
    reservations: [],
    netbox: undefined,
    advertisements: [],
    nextHopSlots: [],
    nodeSelectors: [],
    preferredNodes: [],
    interfaces: [],
    layer2Advertisements: [],
    l2Placement: { subnet: false, sticky: false },
    keepConnections: false,
    announceWhen: "delivering",
    conflictProbe: "report",
    kernel: undefined,
    ...rest,
  };
}

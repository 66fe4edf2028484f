import { parseDuration } from "#pkg/clock";
import type { AddressRange } from "#pkg/net";
import { quote } from "#pkg/text";
import type { KernelPlacement, Protocol } from "../config.ts";
import type { Place } from "../problems.ts";
import type { RawPool } from "../shape/raw.ts";
import { narrowestEntries, readLengths } from "./advertisements.ts";
import { isInterfaceName, notAnInterface } from "./interfaces.ts";

const ownFields = [
  "placement",
  "carrier",
  "dummy-interface",
  "aggregation-length",
  "aggregation-length-v6",
  "route-table",
  "route-protocol",
  "address-lifetime",
] as const;

/**
 * RTPROT_* of the kernel, ip and routing daemons. FRR takes routes with one of its own numbers for its own remains, and removes them at its
 * start.
 */
const takenProtocols: readonly (readonly [first: number, last: number])[] = [
  [0, 4],
  [11, 18],
  [42, 42],
  [99, 99],
  [186, 198],
];

/** Reads what only pools with `protocol: interface` have; undefined for a pool without it. `ranges` are its addresses. */
export function readKernel(
  fields: RawPool,
  protocols: readonly Protocol[] | undefined,
  at: Place,
  ranges: readonly AddressRange[],
): KernelPlacement | undefined {
  if (protocols?.includes("interface") !== true) {
    const found = protocols === undefined ? [] : ownFields.filter((field) => fields[field] !== undefined);
    for (const field of found) at.in(field).errorAtKey('only a pool with "protocol: interface" can have this');
    return undefined;
  }
  const placement = fields.placement ?? "routed";
  const carrier = fields.carrier ?? "address";
  if (placement === "lan") checkLan(fields, at);
  else checkCarrier(fields, carrier, placement, at);
  if (protocols.includes("layer2") && placement !== "routed")
    at.in("protocol").error(
      `with "placement: ${placement}" the kernel of one node answers ARP and NDP for an address, which "layer2" would do as well: take one of the two out of the list`,
    );
  else if (protocols.includes("layer2") && carrier === "address")
    at.in("protocol").error(
      'with "carrier: address" the kernel of every node answers ARP and NDP for the addresses, not the owner alone: take "layer2" out of the list, or use "carrier: route"',
    );
  const dummyInterface = fields["dummy-interface"] ?? "kube-lb0";
  if (!isInterfaceName(dummyInterface)) at.in("dummy-interface").error(notAnInterface(dummyInterface));
  const lifetime = fields["address-lifetime"] || undefined;
  const lifetimeSeconds = readLifetime(lifetime ?? "0s", at.in("address-lifetime"));
  return {
    placement,
    carrier,
    dummyInterface,
    ...readLengths(fields, at, narrowestEntries(ranges)),
    routeTable: readTable(fields["route-table"] ?? 198, at.in("route-table")),
    routeProtocol: readProtocol(fields["route-protocol"] ?? 248, at.in("route-protocol")),
    addressLifetimeSeconds: lifetimeSeconds,
    lanLifetimeSeconds: lifetime === undefined ? undefined : lifetimeSeconds,
  };
}

/** Refuses fields for addresses outside every subnet. */
function checkLan(fields: RawPool, at: Place): void {
  for (const field of ["carrier", "dummy-interface", "aggregation-length", "aggregation-length-v6", "route-table"] as const)
    if (fields[field] !== undefined)
      at.in(field).errorAtKey(
        'with "placement: lan" an address is on a NIC, with the length of its subnet: this is for "placement: routed" and "auto"',
      );
}

function checkCarrier(
  fields: RawPool,
  carrier: KernelPlacement["carrier"],
  placement: KernelPlacement["placement"],
  at: Place,
): void {
  const [field, needed] =
    carrier === "address" ? (["route-table", "route"] as const) : (["address-lifetime", "address"] as const);
  if (field === "address-lifetime" && placement === "auto") return; // It is that of the addresses on NICs.
  if (fields[field] !== undefined) at.in(field).errorAtKey(`only a pool with "carrier: ${needed}" can have this`);
}

function readTable(table: number, at: Place): number {
  if (table >= 253 && table <= 255)
    at.error(`must not be 253 to 255, the kernel's own tables default, main and local, but is ${table}`);
  return table;
}

function readProtocol(protocol: number, at: Place): number {
  if (takenProtocols.some(([first, last]) => protocol >= first && protocol <= last))
    at.error(`${protocol} is the number of the kernel or of another routing daemon, which would take routes with it for its own`);
  return protocol;
}

function readLifetime(text: string, at: Place): number {
  const seconds = (parseDuration(text) ?? Number.NaN) / 1e9;
  if (seconds === 0) return Infinity;
  if (!(seconds >= 60 && seconds <= 86_400)) at.error(`must be 0s, or 60s to 24h, but is ${quote(text)}`);
  return Math.trunc(seconds);
}

import type { Address, Prefix } from "#pkg/net";

/** Something that the node's kernel is to have. */
export type Item = AddressItem | RouteItem;

export interface AddressItem {
  readonly type: "address";
  readonly interface: string;
  readonly address: Address;
  /** The kernel makes a route for the subnet of this length. On a NIC it is the address's own. */
  readonly prefixLength: number;
  /** The mark (IFA_PROTO), 1–255. */
  readonly protocol: number;
  /** After which it goes by itself if nobody renews it; Infinity for never; undefined for soon. */
  readonly lifetimeSeconds: number | undefined;
  /** On a NIC, behind the node's own addresses. */
  readonly isOnLan: boolean;
}

/** A route through an interface, in a table of its own. */
export interface RouteItem {
  readonly type: "route";
  readonly interface: string;
  readonly prefix: Prefix;
  readonly table: number;
  /** The mark (RTPROT_*), 1–255. */
  readonly protocol: number;
}

/** Identifies an item: a kernel cannot hold two items with one key. */
export function itemKey(item: Item): string {
  return item.type === "address"
    ? addressKey(item.interface, item.address, item.prefixLength)
    : routeKey(item.table, item.prefix);
}

export function addressKey(interfaceName: string, address: Address, prefixLength: number): string {
  return `${interfaceName} ${address}/${prefixLength}`;
}

export function routeKey(table: number, prefix: Prefix): string {
  return `table ${table} ${prefix}`;
}

/** The item's name in `/v1/kernel` and warnings. */
export function describeItem(item: Item): string {
  if (item.type === "address") return `${item.address}/${item.prefixLength} on ${item.interface}`;
  return `the route to ${item.prefix} in table ${item.table}`;
}

export function isSameItem(a: Item, b: Item): boolean {
  if (a.type === "route" || b.type === "route")
    return a.type === b.type && itemKey(a) === itemKey(b) && a.interface === b.interface && a.protocol === b.protocol;
  return (
    itemKey(a) === itemKey(b) && a.protocol === b.protocol && a.lifetimeSeconds === b.lifetimeSeconds && a.isOnLan === b.isOnLan
  );
}

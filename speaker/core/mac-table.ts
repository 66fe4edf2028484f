// Nodes come and go with autoscaling; who went that long ago is a foreign host.
const maxNodes = 5_000;

/** Which node's speaker a MAC address belongs to, by what the members of the ring say; also of those that are none any more. */
export interface MacTable {
  readonly macs: Map<string, readonly string[]>; // node -> its MAC addresses
  readonly nodes: Map<string, string>; // MAC address -> node
}

/** Undefined for a foreign host, and for this node. */
export function nodeOfMac({ nodes }: MacTable, mac: string): string | undefined {
  return nodes.get(mac);
}

/** A member says that these are its MAC addresses. */
export function learnMacs(table: MacTable, node: string, macs: readonly string[]): void {
  forget(table, node); // The latest is the last.
  table.macs.set(node, macs);
  for (const mac of macs) table.nodes.set(mac, node);
  const [oldest] = table.macs.keys();
  if (table.macs.size > maxNodes && oldest !== undefined) forget(table, oldest);
}

function forget({ macs, nodes }: MacTable, node: string): void {
  for (const mac of macs.get(node) ?? []) if (nodes.get(mac) === node) nodes.delete(mac);
  macs.delete(node);
}

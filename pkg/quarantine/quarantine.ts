import { type Address, parseAddress } from "#pkg/net";
import { fields, parsed, text } from "#pkg/untrusted";

/** In the namespace of controller and speakers. */
export const quarantineConfigMap = "ingot-conflicts";

/**
 * The host that has the address, and the node that saw it. All are texts for people; empty where someone wrote an entry by hand and left
 * it out.
 */
export interface Occupant {
  /** MAC address. */
  readonly mac: string;
  /** The node that saw it, the interface it saw it on, and when. */
  readonly node: string;
  readonly interface: string;
  readonly since: string;
}

/** Far more than hosts have addresses of pools. Writers of the ConfigMap could make many more up. */
export const maxOccupants = 1_000;
const maxText = 253; // Length of a name in Kubernetes.
// Length of an entry. Writers of the ConfigMap could have 900 kB of brackets parsed, by every process at each change.
const maxValue = 4 * maxText;

/** A key may have no colons. */
export function quarantineKey(address: Address): string {
  return address.toString().replaceAll(":", "_");
}

export function encodeQuarantine(occupant: Occupant): string {
  return JSON.stringify(occupant);
}

/**
 * Reads the ConfigMap's data: address as text -> its occupant. A key that is no address is ignored, a value that cannot be read is empty.
 * Only the first `maxOccupants` in the data count.
 */
export function decodeQuarantine(data: Readonly<Record<string, string>>): Map<string, Occupant> {
  const occupants = new Map<string, Occupant>();
  for (const [key, value] of Object.entries(data)) {
    if (occupants.size === maxOccupants) break;
    const address = parseAddress(key.replaceAll("_", ":"));
    if (address !== undefined) occupants.set(address.toString(), decodeOccupant(value));
  }
  return occupants;
}

function decodeOccupant(value: string): Occupant {
  // A value that was written by hand may be any text: the key is what counts.
  const { mac, node, interface: name, since } = fields(value.length > maxValue ? undefined : parsed(value));
  const cut = (field: unknown) => text(field).slice(0, maxText);
  return { mac: cut(mac), node: cut(node), interface: cut(name), since: cut(since) };
}

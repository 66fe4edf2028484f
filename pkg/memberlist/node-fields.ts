import { MemberlistError } from "./memberlist-error.ts";
import type { Endpoint, NodeName, Source, Versions, WireAddress } from "./messages.ts";
import type { Fields, FieldValue } from "./msgpack-codec.ts";

/** Names, addresses and versions, as several messages carry them. */

export function readName(fields: Fields, key: string): NodeName {
  const name = fields.latin1(key);
  if (name === "") throw new MemberlistError("malformed", `Cannot decode ${key} as a node's name: it is empty`);
  return name;
}

/** The port may be 0: the receiver then takes its own. */
export function readEndpoint(fields: Fields, addressKey: string): Endpoint {
  const address = fields.octets(addressKey) ?? new Uint8Array();
  if (!isAddress(address))
    throw new MemberlistError("malformed", `Cannot decode ${addressKey} as an address: it has ${address.length} octets`);
  return { address, port: fields.unsigned("Port", 0xffff) };
}

/**
 * Six octets. Fewer end the process of every peer that learns of them, so that nobody may pass them on; more are ignored, as
 * peers do.
 */
export function readVersions(fields: Fields): Versions {
  const [a, b, c, d, e, f] = fields.octets("Vsn") ?? [];
  if (a === undefined || b === undefined || c === undefined || d === undefined || e === undefined || f === undefined)
    throw new MemberlistError("malformed", "Cannot decode Vsn as six versions: it is shorter");
  return [a, b, c, d, e, f];
}

export const sourceNames = ["SourceAddr", "SourceNode", "SourcePort"];

/** Undefined unless both address and port are usable, as peers do: the answer then goes to where the packet came from. */
export function readSource(fields: Fields): Source | undefined {
  const address: WireAddress | undefined = fields.octets("SourceAddr");
  const port = fields.unsigned("SourcePort", 0xffff);
  const node = fields.latin1("SourceNode");
  return address !== undefined && isAddress(address) && port !== 0 ? { address, port, node } : undefined;
}

export function sourceFields(source: Source | undefined): Record<string, FieldValue> {
  if (source === undefined) return {};
  const node: Record<string, FieldValue> = source.node === "" ? {} : { SourceNode: source.node };
  return { SourceAddr: source.address, ...node, SourcePort: source.port };
}

export function isAddress(octets: WireAddress): boolean {
  return octets.length === 4 || octets.length === 16;
}

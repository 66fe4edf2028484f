import type { Address } from "#pkg/net";
import { Writer } from "#pkg/octets";
import { decodePage, encodePage, pageOfCandidates } from "./value-codec.ts";

/** The nodes that may announce an address, as another node tells it. */
export interface Candidates {
  readonly address: Address;
  /** `fnv1a` of each name. */
  readonly nodes: readonly number[];
}

const version = 1;
const entryOctets = 600; // Limit of an entry.
const headOctets = 5; // Each node takes four octets for its hash, and one for the length of its page.

/** After the version each node with its addresses of the page. The first nodes that fit: 16, or 99 with an address each. */
export function encodeCandidates(page: Iterable<Candidates>): Uint8Array {
  const pairs = [...page].flatMap(({ address, nodes }) => nodes.map((node) => ({ node, address })));
  if (pairs.length === 0) return new Uint8Array();
  const writer = new Writer().u8(version);
  let octets = 1;
  for (const [node, its] of [...Map.groupBy(pairs, (pair) => pair.node)].sort(([a], [b]) => a - b)) {
    const addresses = encodePage(its.map(({ address }) => address));
    octets += headOctets + addresses.length;
    if (octets > entryOctets) break;
    writer.u32(node).u8(addresses.length).put(addresses);
  }
  return writer.finish();
}

/** The addresses of the page with a key that `pageOfCandidates` knows; none for a value of something else. Pages that are cut short are left out. */
export function decodeCandidates(key: string, value: Uint8Array): Candidates[] {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const found = new Map<string, { readonly address: Address; readonly nodes: number[] }>(); // address -> its candidates
  for (let at = 1; bytes[0] === version && at + headOctets <= bytes.length; ) {
    const node = bytes.readUInt32BE(at);
    const from = at + headOctets;
    at = from + bytes.readUInt8(at + 4);
    if (at > bytes.length) break;
    for (const address of decodePage(pageOfCandidates(key) ?? "", bytes.subarray(from, at))) {
      const candidates = found.get(address.toString()) ?? { address, nodes: [] };
      found.set(address.toString(), candidates);
      candidates.nodes.push(node);
    }
  }
  return [...found.values()];
}

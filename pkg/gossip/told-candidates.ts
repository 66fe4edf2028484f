import type { Address } from "#pkg/net";
import { fnv1a } from "#pkg/text";
import { type Candidates, decodeCandidates, encodeCandidates } from "./codec/candidates-codec.ts";
import { candidatesKey } from "./codec/value-codec.ts";
import type { GossipData } from "./gossip-data.ts";

/**
 * Which nodes may announce an address, as nodes tell it that see changes in the API: those that do not see these learn that they have the last
 * endpoints of a `Local` Service. Meant for few addresses.
 */
export class ToldCandidates {
  readonly #node: string;
  readonly #at: GossipData;

  /** @param node this one */
  constructor(node: string, at: GossipData) {
    this.#node = node;
    this.#at = at;
  }

  /** This node tells it of the address; no nodes: nothing. */
  set(address: Address, nodes: readonly string[]): void {
    const page = candidatesKey(address);
    const before = this.#at.candidates.get(this.#node)?.get(page) ?? new Map<string, Candidates>();
    const now = nodes.map(fnv1a);
    if (areSame(before.get(address.toString())?.nodes, now)) return;
    const others = [...before.values()].filter((each) => !each.address.equals(address));
    const all = now.length === 0 ? others : [...others, { address, nodes: now }];
    setPage(this.#at, this.#node, page, all);
    this.#at.entries.set(page, encodeCandidates(all));
  }

  /** Those among the nodes of which one of these others tells it, the first that tells it of the address. */
  of(address: Address, tellers: Iterable<string>, nodes: readonly string[]): readonly string[] {
    for (const teller of tellers) {
      const hashes = this.#at.candidates.get(teller)?.get(candidatesKey(address))?.get(address.toString())?.nodes;
      if (hashes !== undefined) return nodes.filter((node) => hashes.includes(fnv1a(node)));
    }
    return [];
  }

  /** The addresses of which any node tells it. */
  *addresses(): Iterable<Address> {
    for (const teller of this.#at.candidates.keys()) yield* toldBy(this.#at, teller);
  }
}

/** Another node tells it of these addresses of a page. @returns those for which that is new */
export function mergeCandidates(data: GossipData, node: string, page: string, value: Uint8Array): Address[] {
  const before = data.candidates.get(node)?.get(page);
  setPage(data, node, page, decodeCandidates(page, value));
  const now = data.candidates.get(node)?.get(page);
  const all = new Map([...(before ?? []), ...(now ?? [])]);
  const changed = [...all].filter(([key]) => !areSame(before?.get(key)?.nodes, now?.get(key)?.nodes));
  return changed.map(([, { address }]) => address);
}

function areSame(some: readonly number[] = [], others: readonly number[] = []): boolean {
  return some.length === others.length && some.every((hash) => others.includes(hash));
}

/** The addresses of which a node tells it. */
export function* toldBy({ candidates }: GossipData, node: string): Iterable<Address> {
  for (const page of candidates.get(node)?.values() ?? []) for (const { address } of page.values()) yield address;
}

function setPage({ candidates }: GossipData, node: string, page: string, all: readonly Candidates[]): void {
  const pages = candidates.get(node) ?? new Map<string, ReadonlyMap<string, Candidates>>();
  if (all.length === 0) pages.delete(page);
  else pages.set(page, new Map(all.map((each) => [each.address.toString(), each])));
  if (pages.size === 0) candidates.delete(node);
  else candidates.set(node, pages);
}

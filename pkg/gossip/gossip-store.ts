import { decodeEntries, encodeEntries, type GossipEntry } from "./codec/entry-codec.ts";

/** Of one node, and nodes: far above what there is, so that a stranger's flood has an end. */
const maxKeys = 4096;
const maxNodes = 4096;
const maxVersion = 0xffff_ffff;

type Entries = Map<string, GossipEntry>; // key -> entry

/** A message for all members; it replaces an earlier one on the same topic. */
export interface GossipUpdate {
  readonly topic: string;
  readonly payload: Uint8Array;
}

/** The entries of all members as far as they are known here. */
export class GossipStore {
  readonly #node: string;
  readonly #entries = new Map<string, Entries>(); // node -> its entries
  readonly #updates = new Map<string, GossipEntry>(); // topic -> what the others have to be told
  #version = 0;

  /** @param node this member's name */
  constructor(node: string) {
    this.#node = node;
    this.#entries.set(node, new Map());
  }

  /** Says this under the key, in place of what was said before; an empty value takes it away. The same again is no news. */
  set(key: string, value: Uint8Array): void {
    const before = this.of(this.#node).get(key)?.value ?? new Uint8Array();
    if (!sameOctets(before, value)) this.#put({ node: this.#node, key, version: this.#next(), value });
  }

  /** What a member says, by key; empty values are what it no longer says. */
  of(node: string): ReadonlyMap<string, GossipEntry> {
    return this.#entries.get(node) ?? new Map();
  }

  /** Takes in what came from another member. @returns what is new; what is not in the form of entries is passed over */
  merge(payload: Uint8Array): GossipEntry[] {
    return (decodeEntries(payload) ?? []).filter((entry) => this.#merge(entry));
  }

  /** What the others have to be told since the last call, one message for each entry. */
  takeUpdates(): GossipUpdate[] {
    const news = [...this.#updates].map(([topic, entry]) => ({ topic, payload: encodeEntries([entry]) }));
    this.#updates.clear();
    return news;
  }

  /** All that these members and this one say, for a member that may have missed some of it; empty when nobody says anything. */
  state(nodes: Iterable<string>): Uint8Array {
    const entries = [...new Set([this.#node, ...nodes])].flatMap((node) => [...this.of(node).values()]);
    return entries.length === 0 ? new Uint8Array() : encodeEntries(entries);
  }

  /** Forgets what a member said that will not be back. */
  forget(node: string): void {
    if (node !== this.#node) this.#entries.delete(node);
  }

  #merge(entry: GossipEntry): boolean {
    if (entry.node === this.#node) {
      this.#outbid(entry);
      return false;
    }
    const its = this.#entries.get(entry.node);
    const known = its?.get(entry.key);
    if (known === undefined ? this.#isFull(its) : entry.version <= known.version) return false;
    this.#put(entry);
    return true;
  }

  /** What somebody holds for this member's word is from an earlier life of it, unless it is known here. */
  #outbid({ key, version, value }: GossipEntry): void {
    const own = this.of(this.#node).get(key);
    const known = own !== undefined && (version < own.version || (version === own.version && sameOctets(value, own.value)));
    if (known || version >= maxVersion) return;
    this.#version = Math.max(this.#version, version);
    this.#put({ node: this.#node, key, version: this.#next(), value: own?.value ?? new Uint8Array() });
  }

  #isFull(its: Entries | undefined): boolean {
    return its === undefined ? this.#entries.size >= maxNodes : its.size >= maxKeys;
  }

  #put(entry: GossipEntry): void {
    const its = this.#entries.get(entry.node) ?? new Map<string, GossipEntry>();
    this.#entries.set(entry.node, its.set(entry.key, entry));
    this.#updates.set(`${entry.node} ${entry.key}`, entry);
  }

  #next(): number {
    this.#version = Math.min(this.#version + 1, maxVersion);
    return this.#version;
  }
}

function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, index) => octet === b[index]);
}

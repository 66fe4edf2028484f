import { equalBytes } from "#pkg/net";
import { decodeEntries, encodeEntries, type GossipEntry } from "./codec/entry-codec.ts";

/** Of one node, and nodes: far above what there is, so that a flood of them has an end. */
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
  readonly #updates = new Map<string, GossipEntry>(); // topic -> entry to broadcast
  #version = 0;

  /** @param node this member's name */
  constructor(node: string) {
    this.#node = node;
    this.#entries.set(node, new Map());
  }

  /** Sets an own entry, in place of the one before; an empty value takes it away. The same value again is no update. */
  set(key: string, value: Uint8Array): void {
    const before = this.of(this.#node).get(key)?.value ?? new Uint8Array();
    if (!equalBytes(before, value)) this.#put({ node: this.#node, key, version: this.#next(), value });
  }

  /** The entries of a node by key; those with empty values are gone. */
  of(node: string): ReadonlyMap<string, GossipEntry> {
    return this.#entries.get(node) ?? new Map();
  }

  /** Takes in what another member sent. @returns the entries of other nodes that are new; what is no entry is passed over */
  merge(payload: Uint8Array): GossipEntry[] {
    return (decodeEntries(payload) ?? []).filter((entry) => this.#merge(entry));
  }

  /** What to broadcast since the last call, one message for each entry: own ones, and those of others that came. */
  takeUpdates(): GossipUpdate[] {
    const updates = [...this.#updates].map(([topic, entry]) => ({ topic, payload: encodeEntries([entry]) }));
    this.#updates.clear();
    return updates;
  }

  /** All entries of these nodes and of this one, for a member that may have missed some; empty when there are none. */
  state(nodes: Iterable<string>): Uint8Array {
    const entries = [...new Set([this.#node, ...nodes])].flatMap((node) => [...this.of(node).values()]);
    return entries.length === 0 ? new Uint8Array() : encodeEntries(entries);
  }

  /** Forgets the entries of a node that will not be back. */
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

  /** An own entry that is not known here is from an earlier life of this node. */
  #outbid({ key, version, value }: GossipEntry): void {
    const own = this.of(this.#node).get(key);
    const known = own !== undefined && (version < own.version || (version === own.version && equalBytes(value, own.value)));
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

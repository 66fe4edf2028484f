import type { Millis } from "#pkg/clock";
import { fnv1a } from "#pkg/text";
import { decodeEntries, encodeEntries, type GossipEntry, maxLife } from "./codec/entry-codec.ts";

/** Limits of one node's entries, and of nodes beside the members: far above real numbers, so that a flood of them has an end. */
const maxKeys = 4096;
const maxUnknown = 4096;
const maxVersion = 0xffff_ffff;
// A cut that heals finds most entries of the other side still there. They are not needed for what follows: they only make it shorter.
const keepFailedMs: Millis = 10 * 60_000;
// Gossip of a node may overtake that it is a member.
const keepUnknownMs: Millis = 60_000;

/** A message for all members; it replaces an earlier one on the same topic. */
export interface GossipUpdate {
  readonly topic: string;
  readonly payload: Uint8Array;
}

interface NodeEntries {
  life: number;
  readonly entries: Map<string, KeptEntry>; // key -> entry
  /** Sum of the entries' hashes. */
  digest: number;
}

/** The value as text, one character for each octet: an array of octets takes some 450 octets more, and each member has several entries. */
interface KeptEntry {
  readonly version: number;
  readonly value: string;
}

/**
 * The entries of all members as far as they are known here. A node's life is the time at which its process started: entries of a later
 * life replace all of an earlier one, so that what a node set before it started again counts only if it is set again. If the clock
 * was set back since the earlier life, the process receives that life's entries, and takes a later life.
 */
export class GossipStore {
  readonly #node: string;
  readonly #nodes = new Map<string, NodeEntries>(); // node -> its entries
  // Node -> when its entries are forgotten, the next one first. Entries of nodes that were no members yet are neither broadcast nor part
  // of the state, so that entries that all forget are gone.
  readonly #unknown = new Map<string, Millis>();
  readonly #failed = new Map<string, Millis>();
  readonly #updates = new Map<string, GossipEntry>(); // topic -> entry to broadcast
  #version = 0;

  /**
   * @param node this member's name
   * @param life milliseconds since 1970 when this process started
   */
  constructor(node: string, life: number) {
    this.#node = node;
    this.#nodes.set(node, noEntries(life));
  }

  /**
   * Sets an own entry, in place of the one before; an empty value takes it away. The same value again is no update, unless it is to be
   * `repeated` for those that missed it.
   */
  set(key: string, value: Uint8Array, { repeated = false }: { readonly repeated?: boolean | undefined } = {}): void {
    if (repeated || (this.#own.entries.get(key)?.value ?? "") !== textOf(value)) this.#setOwn(key, value);
  }

  /** A member joined, perhaps again, or is another process. @returns its entries that count from now on */
  joined(node: string, life: number): GossipEntry[] {
    if (node === this.#node) return [];
    const known = this.#nodes.get(node);
    if (known === undefined) {
      this.#nodes.set(node, noEntries(life));
      return [];
    }
    this.#failed.delete(node);
    if (life > known.life) clear(known);
    // A clock was set back; while there are entries of the later life, the node receives them.
    if (known.entries.size === 0) known.life = life;
    if (!this.#unknown.delete(node)) return [];
    const entries = entriesOf(node, known);
    for (const entry of entries) this.#update(entry);
    return entries;
  }

  /** A member failed. Its entries are kept for a while. */
  failed(node: string, now: Millis): void {
    if (node === this.#node || !this.#nodes.has(node) || this.#unknown.has(node)) return;
    this.#failed.delete(node); // So that it comes last.
    this.#failed.set(node, now + keepFailedMs);
  }

  /** Forgets the entries of a node that will not be back. A member, whose Node may be made again, tells them once more. */
  forget(node: string): void {
    const known = this.#nodes.get(node);
    if (node === this.#node || known === undefined) return;
    if (this.#unknown.has(node) || this.#failed.has(node)) this.left(node);
    else clear(known);
  }

  /** A member left. */
  left(node: string): void {
    if (node === this.#node) return;
    this.#nodes.delete(node);
    this.#unknown.delete(node);
    this.#failed.delete(node);
  }

  /** When entries are to be forgotten next. */
  get nextDeadline(): Millis {
    const [unknown = Infinity] = this.#unknown.values();
    const [failed = Infinity] = this.#failed.values();
    return Math.min(unknown, failed);
  }

  /** @returns the nodes whose entries are forgotten now */
  expire(now: Millis): string[] {
    const expired: string[] = [];
    for (const nodes of [this.#unknown, this.#failed])
      for (const [node, until] of nodes) {
        if (until > now) break;
        expired.push(node);
        this.forget(node);
      }
    return expired;
  }

  /**
   * Takes in what another member sent, to be passed on if it is news. @returns the entries of other members that are new; what is no entry is passed over
   */
  merge(payload: Uint8Array, now: Millis, isNews = true): GossipEntry[] {
    return (decodeEntries(payload) ?? []).filter((entry) => this.#merge(entry, now, isNews));
  }

  /** Messages to broadcast that were not taken before, one for each entry: own entries, and entries of others that arrived. */
  *takeUpdates(): Generator<GossipUpdate, void> {
    for (const [topic, entry] of this.#updates) {
      this.#updates.delete(topic);
      yield { topic, payload: encodeEntries([entry]) };
    }
  }

  /** All entries of members, for a member that may have missed some; empty if there are no entries. */
  state(): Uint8Array {
    const entries = [...this.#nodes].flatMap(([node, its]) => (this.#unknown.has(node) ? [] : entriesOf(node, its)));
    return entries.length === 0 ? new Uint8Array() : encodeEntries(entries);
  }

  /** 32 bits of which entries there are of members, the same where two stores have the same. */
  digest(): number {
    let sum = 0;
    for (const [node, { digest }] of this.#nodes) if (!this.#unknown.has(node) && !this.#failed.has(node)) sum += digest;
    return sum >>> 0;
  }

  get #own(): NodeEntries {
    const own = this.#nodes.get(this.#node);
    if (own === undefined) throw new Error(`Cannot find the own entries of ${this.#node}`);
    return own;
  }

  #merge(entry: GossipEntry, now: Millis, isNews: boolean): boolean {
    if (entry.node === this.#node) {
      this.#outlive(entry);
      return false;
    }
    const { node, life, key } = entry;
    const its = this.#nodes.get(node) ?? this.#addUnknown(node, life, now);
    if (its === undefined || life < its.life) return false;
    if (life > its.life) {
      its.life = life;
      clear(its);
    }
    const known = its.entries.get(key);
    if (known === undefined ? !makeRoom(its, entry) : entry.version <= known.version) return false;
    put(its, entry);
    if (this.#unknown.has(node)) return false;
    if (isNews) this.#update(entry);
    return true;
  }

  #addUnknown(node: string, life: number, now: Millis): NodeEntries | undefined {
    if (this.#unknown.size >= maxUnknown) return undefined;
    const its = noEntries(life);
    this.#nodes.set(node, its);
    this.#unknown.set(node, now + keepUnknownMs);
    return its;
  }

  /** An own entry that is not known here was set by an earlier process, even if the clocks say otherwise. */
  #outlive({ life, key, version, value }: GossipEntry): void {
    const own = this.#own;
    const known = own.entries.get(key);
    if (known === undefined && life === own.life && value.length === 0) return; // It has no value here either.
    const isKnown =
      known !== undefined && (version < known.version || (version === known.version && textOf(value) === known.value));
    if (life < own.life || (life === own.life && isKnown) || life === maxLife) return; // No life is later than that: it is forged.
    const entries = entriesOf(this.#node, own);
    clear(own); // Its digest is of the earlier life.
    own.life = life + 1;
    for (const { key, value } of entries) this.#setOwn(key, value);
  }

  #setOwn(key: string, value: Uint8Array): void {
    this.#version = Math.min(this.#version + 1, maxVersion);
    const entry = { node: this.#node, life: this.#own.life, key, version: this.#version, value };
    if (!this.#own.entries.has(key)) makeRoom(this.#own, entry);
    put(this.#own, entry);
    this.#update(entry);
  }

  #update(entry: GossipEntry): void {
    this.#updates.set(`${entry.node} ${entry.key}`, entry);
  }
}

function noEntries(life: number): NodeEntries {
  return { life, entries: new Map(), digest: 0 };
}

/** Values in memory that they share. */
function entriesOf(node: string, { life, entries }: NodeEntries): GossipEntry[] {
  return [...entries].map(([key, { version, value }]) => ({ node, life, key, version, value: Buffer.from(value, "latin1") }));
}

function textOf(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString("latin1");
}

/** @param entry of the life that the node's entries have */
function put(its: NodeEntries, { node, life, key, version, value }: GossipEntry): void {
  const before = its.entries.get(key);
  const hashBefore = before === undefined ? 0 : hashOf({ node, life, key, version: before.version });
  its.digest += hashOf({ node, life, key, version }) - hashBefore;
  its.entries.set(key, { version, value: textOf(value) });
}

/** Makes room for one more key: the key that has been without a value for longest is forgotten. @returns whether there is room */
function makeRoom(its: NodeEntries, { node, life, version, value }: GossipEntry): boolean {
  if (its.entries.size < maxKeys) return true;
  let oldest: { readonly key: string; readonly version: number } | undefined;
  for (const [key, kept] of its.entries)
    if (kept.value === "" && kept.version < (oldest?.version ?? Infinity)) oldest = { key, version: kept.version };
  // An even older one was forgotten already: all end with the same keys, in whatever order the entries arrive.
  if (oldest === undefined || (value.length === 0 && version < oldest.version)) return false;
  its.entries.delete(oldest.key);
  its.digest -= hashOf({ node, life, ...oldest });
  return true;
}

function clear(its: NodeEntries): void {
  its.entries.clear();
  its.digest = 0;
}

/** FNV-1a, mixed once more, so that sums of hashes of similar texts differ. */
function hashOf({ node, life, key, version }: Omit<GossipEntry, "value">): number {
  let hash = fnv1a(`${node} ${key} ${life} ${version}`);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

import { hash } from "node:crypto";
import type { Address } from "#pkg/net";
import { fnv1a } from "#pkg/text";

/** The electable nodes of an address, and the elected one. The next election starts from it. */
export interface Election {
  /** Its text is what is hashed with each contender's name. */
  readonly electionAddress: Address;
  readonly contenders: readonly string[];
  /** Undefined without contenders. */
  readonly owner: string | undefined;
}

/**
 * The contender that owns `address`: the smallest SHA-256 of `node#address`, compared as bytes. MetalLB's speakers compute the
 * same, so one ring may hold both. `before` changes no answer; with it the hashes are those of newcomers, unless the owner went.
 * @returns undefined without contenders
 */
export function elect(contenders: readonly string[], address: Address, before?: Election): string | undefined {
  if (before?.owner === undefined || !before.electionAddress.equals(address)) return smallest(contenders, address);
  const { came, gone } = difference(before.contenders, contenders);
  if (gone.has(before.owner)) return smallest(contenders, address);
  return came.length === 0 ? before.owner : smallest([before.owner, ...came], address);
}

/** Digests are compared as hexadecimal text, in which they have the order of their bytes: a buffer for each takes five times as long. */
function smallest(nodes: readonly string[], address: Address): string | undefined {
  const end = `#${address}`;
  let winner: string | undefined;
  let lowest: string | undefined;
  for (const node of nodes) {
    const digest = hash("sha256", node + end, "hex");
    if (lowest === undefined || digest < lowest) [winner, lowest] = [node, digest];
  }
  return winner;
}

interface Difference {
  readonly before: readonly string[];
  readonly now: readonly string[];
  readonly came: readonly string[];
  readonly gone: ReadonlySet<string>;
}

// When a member leaves a large ring, thousands of addresses ask for the same one in turn.
let lastDifference: Difference | undefined;

function difference(before: readonly string[], now: readonly string[]): Difference {
  if (lastDifference?.before === before && lastDifference.now === now) return lastDifference;
  const [those, these] = [new Set(before), new Set(now)];
  lastDifference = { before, now, came: now.filter((node) => !those.has(node)), gone: those.difference(these) };
  return lastDifference;
}

/**
 * How much a node is meant to have an address, among others for the same address: the lowest comes first (rendezvous hashing). Not of
 * use against an adversary, but a hundred times cheaper than the digests of an election, of which no other speaker has to know.
 */
export function rank(node: string, address: string): number {
  return mixed(fnv1a(node) ^ Math.imul(fnv1a(address), 0x9e3779b1));
}

/** The finalizer of MurmurHash3: each bit of the outcome depends on each of the input. */
function mixed(hash: number): number {
  let value = hash;
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/** Compares the ranks of two nodes; equal ranks are ordered by name. */
export function compareRank(address: string, a: string, b: string): number {
  return rank(a, address) - rank(b, address) || (a < b ? -1 : a > b ? 1 : 0);
}

import { hash } from "node:crypto";
import { isIn } from "#pkg/collections";
import type { Address } from "#pkg/net";
import { fnv1a } from "#pkg/text";

/** The electable nodes of an address, and the elected one. The next election starts from it. */
export interface Election {
  /** Its text is what is hashed with each contender's name. */
  readonly electionAddress: Address;
  readonly contenders: readonly string[];
  /** Undefined without contenders, and where `rival` says no more than that it is another node. */
  readonly owner: string | undefined;
  /** Where one node held the election for itself alone: a contender that comes before this node, or any if the node is no contender. */
  readonly rival?: string | undefined;
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
  return came.size === 0 ? before.owner : smallest([before.owner, ...came], address);
}

/**
 * The same as far as one node has to know it: whether it is the owner, or who comes before it. Among thousands that takes some ten hashes, and none
 * while the rival stays.
 */
export function electFor(
  node: string,
  contenders: readonly string[],
  address: Address,
  before?: Election,
): Pick<Election, "owner" | "rival"> {
  const last = before?.electionAddress.equals(address) ? before : undefined;
  const rival = last === undefined ? beats(node, contenders, address) : rivalAfter(node, last, contenders, address);
  return { owner: rival === undefined && contenders.length > 0 ? node : undefined, rival };
}

function rivalAfter(node: string, before: Election, contenders: readonly string[], address: Address): string | undefined {
  const { came, gone } = difference(before.contenders, contenders);
  const known = before.rival ?? before.owner;
  if (known === undefined || gone.has(known) || came.has(node)) return beats(node, contenders, address);
  return known === node ? beats(node, [node, ...came], address) : known;
}

/** The first of them that comes before the node; the first of all where the node is not among them. */
function beats(node: string, contenders: readonly string[], address: Address): string | undefined {
  if (!isIn(contenders, node)) return contenders[0];
  const end = `#${address}`;
  const own = hash("sha256", node + end, "hex");
  return contenders.find((other) => other !== node && hash("sha256", other + end, "hex") < own);
}

const owners = new WeakMap<Election, string>(); // elections by one node for itself -> the owner, where somebody asked

/** The owner of an address, which is elected now where that was not necessary. @returns undefined without one */
export function ownerOf(election: Election): string | undefined {
  if (election.rival === undefined) return election.owner;
  const owner = owners.get(election) ?? elect(election.contenders, election.electionAddress);
  if (owner !== undefined) owners.set(election, owner);
  return owner;
}

/** The same, as if all nodes had to know the owner. */
export function withOwner<T extends Election>(election: T): T {
  return election.rival === undefined ? election : { ...election, owner: ownerOf(election), rival: undefined };
}

/** The owner stays known, where somebody asked for it: it is the one of before, unless that went or a newcomer comes before it. */
export function inheritOwner(election: Election, before: Election): void {
  const owner = before.rival === undefined ? before.owner : owners.get(before);
  if (owner === undefined || !before.electionAddress.equals(election.electionAddress)) return;
  if (difference(before.contenders, election.contenders).gone.has(owner)) return;
  const now = elect(election.contenders, election.electionAddress, { ...before, owner });
  if (now !== undefined) owners.set(election, now);
}

/** Whether the node is the owner, which takes few hashes where it is not. */
export function isOwner(node: string, election: Election): boolean {
  const { owner, rival, contenders, electionAddress } = election;
  if (rival === undefined) return owner === node;
  const known = owners.get(election);
  return known === undefined ? isElected(node, contenders, electionAddress) : known === node;
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

/** Whether `elect` chooses this one of them, which a node asks for itself: among thousands some ten hashes nearly always say that it does not. */
export function isElected(node: string, nodes: readonly string[], address: Address): boolean {
  return nodes.length > 0 && beats(node, nodes, address) === undefined;
}

interface Difference {
  readonly before: readonly string[];
  readonly came: ReadonlySet<string>;
  readonly gone: ReadonlySet<string>;
}

// When a member leaves a large ring, thousands of addresses ask for the same ones in turn.
const differences = new WeakMap<readonly string[], Difference>(); // list of now -> against the list before that was asked for last
const none: ReadonlySet<string> = new Set();

function difference(before: readonly string[], now: readonly string[]): Pick<Difference, "came" | "gone"> {
  if (before === now) return { came: none, gone: none };
  const known = differences.get(now);
  if (known?.before === before) return known;
  const [those, these] = [new Set(before), new Set(now)];
  const found = { before, came: these.difference(those), gone: those.difference(these) };
  differences.set(now, found);
  return found;
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

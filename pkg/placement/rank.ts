/**
 * How much a node is meant to have an address, among others for the same address: the lowest comes first (rendezvous hashing). Not of
 * use against an adversary, but a hundred times cheaper than the digests of an election, of which no other speaker has to know.
 */
export function rank(node: string, address: string): number {
  return mixed(seed(node) ^ Math.imul(seed(address), 0x9e3779b1));
}

/** FNV-1a. */
function seed(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

/** The finalizer of MurmurHash3: each bit of the outcome depends on each of the input. */
function mixed(hash: number): number {
  let value = hash;
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/** Of two nodes, which has the lower rank; by name where they are equal. */
export function compareRank(address: string, a: string, b: string): number {
  return rank(a, address) - rank(b, address) || (a < b ? -1 : a > b ? 1 : 0);
}

/**
 * Bounds on input, so that no text can stall or exhaust a process that has to keep announcing. Each lies well above what a
 * ConfigMap can usefully hold.
 */
export const limits = {
  /** Characters of a configuration; Kubernetes itself refuses a ConfigMap above 1 MiB. */
  textLength: 1024 * 1024,
  /** Characters of a manifest; indentation or JSON escapes make it longer than the configuration inside. */
  manifestLength: 2 * 1024 * 1024,
  /** Characters that can begin or end a YAML value, counted before parsing: the parser takes about 200 octets for each. */
  structure: 250_000,
  /** Values after aliases and merge keys are followed. */
  values: 150_000,
  /** Characters of all keys and values after aliases and merge keys are followed. */
  characters: 2 * 1024 * 1024,
  /** Collections inside one another. */
  depth: 50,
  /** CIDRs of all pools together. A range of IPv6 addresses alone can need 254. */
  cidrs: 50_000,
  /** Peers that a node has sessions with: each gets all routes, at 10,000 of them a megabyte. A node has a few routers. */
  peersOfNode: 256,
  /** Services that may share an address: each of them is looked at when one of them changes. */
  holdersOfAddress: 500,
  /** Steps taken to find out whether two advertisements, or two peers, concern the same node; beyond, they are taken to. */
  comparisons: 1_000_000,
  /** Problems returned; the last one then says how many more there are. */
  problems: 100,
} as const;

/** Aliases or merge keys make the text stand for more than is worth reading. */
export class TooLarge extends Error {
  override readonly name = "TooLarge";
  /** Where in the text the limit was reached. */
  readonly offset: number;

  constructor(offset: number, limit: number, what: "values" | "characters") {
    super(`the text stands for more than ${limit} ${what}`);
    this.offset = offset;
  }
}

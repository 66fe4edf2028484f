import { type Config, isBuggyAddress, type Pool, PoolIndex, type Problem, parseConfig } from "#pkg/config";
import type { Address } from "#pkg/net";

/** Under this key of the ConfigMap `--config` is the configuration. */
export const configKey = "config";
/** The ConfigMap beside it in which the controller keeps what has to survive a restart. */
export const statusConfigMap = "ingot-status";
/** Under this key of `ingot-status` is the text of the last configuration that was accepted. */
export const lastGoodKey = "last-good-config";

/** What the ConfigMap offers. */
export type Candidate = { readonly type: "missing"; readonly what: "configMap" | "key" } | CandidateText;

export interface CandidateText {
  readonly type: "text";
  readonly text: string;
  /** Undefined if the text has errors. */
  readonly usable: InForce | undefined;
  readonly problems: readonly Problem[];
}

/** A configuration that can be used as it stands. */
export interface InForce {
  /** What it was read from. Equal texts are equal configurations. */
  readonly text: string;
  readonly config: Config;
  readonly pools: PoolIndex;
}

/** What became of the candidate. All but `accepted` leave the configuration before it in force, which is then stale. */
export type Verdict =
  | { readonly type: "accepted"; readonly inForce: InForce; readonly warnings: readonly Problem[] }
  | { readonly type: "missing"; readonly what: "configMap" | "key" }
  | { readonly type: "invalid"; readonly problems: readonly Problem[] }
  | { readonly type: "strands"; readonly stranded: Stranded };

/** Services that hold addresses which would have no pool, all of them: service key -> addresses. */
export type Stranded = ReadonlyMap<string, readonly Address[]>;

/** Reads a text that is offered as the configuration. */
export function readCandidate(text: string): CandidateText {
  const { config, problems } = parseConfig(text);
  return { type: "text", text, usable: config && { text, config, pools: new PoolIndex(config.pools) }, problems };
}

/** What is in the way of a candidate that would replace `previous`. */
export function findStranded(
  candidate: Candidate,
  previous: InForce | undefined,
  held: AddressesOf,
): Map<string, readonly Address[]> {
  const all = new Map<string, readonly Address[]>();
  const after = candidate.type === "text" ? candidate.usable : undefined;
  // Its own text strands nothing, and is what is looked at most often: skip the walk over all Services.
  if (after === undefined || previous === undefined || previous.text === after.text) return all;
  for (const [service, addresses] of held) {
    const stranded = strandedAddresses(addresses, previous.pools, after.pools);
    if (stranded.length > 0) all.set(service, stranded);
  }
  return all;
}

/** Decides on a candidate, given what is in its way. */
export function judge(candidate: Candidate, stranded: Stranded): Verdict {
  if (candidate.type === "missing") return candidate;
  const { usable, problems } = candidate;
  if (usable === undefined) return { type: "invalid", problems };
  return stranded.size > 0 ? { type: "strands", stranded } : { type: "accepted", inForce: usable, warnings: problems };
}

/** What each Service holds; Services without an address may be left out. */
export type AddressesOf = Iterable<readonly [service: string, addresses: readonly Address[]]>;

/**
 * Those of one Service's addresses that would have no pool under `after`. Only addresses in a pool of `before` count, so that
 * foreign ones block nothing. A Service holds addresses of one pool: where `after` would part them, all of them are stranded.
 */
export function strandedAddresses(addresses: readonly Address[], before: PoolIndex, after: PoolIndex): readonly Address[] {
  const ours = addresses.filter((address) => poolOf(before, address) !== undefined);
  const homeless = ours.filter((address) => poolOf(after, address) === undefined);
  if (homeless.length > 0) return homeless;
  const areApart = (pools: PoolIndex): boolean => new Set(ours.map((address) => poolOf(pools, address))).size > 1;
  return !areApart(before) && areApart(after) ? ours : [];
}

/** The pool that can hand out an address. */
function poolOf(pools: PoolIndex, address: Address): Pool | undefined {
  const pool = pools.find(address);
  return pool?.avoidBuggyIPs && isBuggyAddress(address) ? undefined : pool;
}

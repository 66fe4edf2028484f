import { type Config, type ParsedConfig, PoolIndex, type Problem } from "#pkg/config";
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

/** What the caller knows of the addresses that Services hold now. */
export interface Holdings {
  /** Keys of all Services that may hold any. */
  services(): Iterable<string>;
  /**
   * Sets of addresses that the Service holds together: by its status and, where that is not the same yet, by what it was given last. None
   * for a Service that does not exist.
   */
  of(service: string): readonly (readonly Address[])[];
}

/** What became of the candidate. All but `accepted` leave the configuration before it in force, which is then stale. */
export type Verdict =
  | { readonly type: "accepted"; readonly inForce: InForce; readonly warnings: readonly Problem[] }
  | { readonly type: "missing"; readonly what: "configMap" | "key" }
  | { readonly type: "invalid"; readonly problems: readonly Problem[] }
  | { readonly type: "strands"; readonly stranded: Stranded };

/** Services that hold addresses which would have no pool, all of them: service key -> addresses. */
export type Stranded = ReadonlyMap<string, readonly Address[]>;

/** A text that is offered as the configuration, and what it says. */
export function candidateText(text: string, { config, problems }: ParsedConfig): CandidateText {
  return { type: "text", text, usable: config && { text, config, pools: new PoolIndex(config.pools) }, problems };
}

/** Whether Services can be in the way of a candidate that would replace `previous`. Its own text strands nothing. */
export function mayStrand(candidate: Candidate, previous: InForce | undefined): boolean {
  const after = candidate.type === "text" ? candidate.usable : undefined;
  return after !== undefined && previous !== undefined && previous.text !== after.text;
}

/** Decides on a candidate, given what is in its way. */
export function judge(candidate: Candidate, stranded: Stranded): Verdict {
  if (candidate.type === "missing") return candidate;
  const { usable, problems } = candidate;
  if (usable === undefined) return { type: "invalid", problems };
  return stranded.size > 0 ? { type: "strands", stranded } : { type: "accepted", inForce: usable, warnings: problems };
}

/**
 * Those of one Service's addresses that would have no pool under `after`. Only what it may hold under `before` counts, so that foreign
 * addresses, and a status that somebody wrote, block nothing. Where `after` would part the addresses, all of them are stranded.
 */
export function strandedAddresses(addresses: readonly Address[], before: PoolIndex, after: PoolIndex): readonly Address[] {
  const { held } = before.place(addresses);
  const { refused } = after.place(held);
  const homeless = refused.filter(({ reason }) => reason !== "severalPools").map(({ address }) => address);
  return homeless.length > 0 || refused.length === 0 ? homeless : held;
}

/** The same of all sets that a Service holds, each by itself: one that somebody wrote into its status excuses no other. */
export function strandedBy(sets: readonly (readonly Address[])[], before: PoolIndex, after: PoolIndex): readonly Address[] {
  const stranded = new Map<string, Address>(); // text -> address
  for (const addresses of sets)
    for (const address of strandedAddresses(addresses, before, after)) stranded.set(address.toString(), address);
  return [...stranded.values()];
}

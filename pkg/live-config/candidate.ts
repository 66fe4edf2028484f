import { type AsksFor, type Config, type ParsedConfig, PoolIndex, type Problem } from "#pkg/config";
import type { Address } from "#pkg/net";

/** Under this key of the ConfigMap `--config` is the configuration. */
export const configKey = "config";
/** The ConfigMap beside it in which the controller keeps data that have to survive a restart. */
export const statusConfigMap = "ingot-status";
/** The ConfigMap with the state of the cluster, for people; speakers do not follow it. */
export const summaryConfigMap = "ingot-summary";
/** Under this key of `ingot-status` is the text of the last configuration that was accepted. */
export const lastGoodKey = "last-good-config";

/** On the ConfigMap, or on any of the custom resources: `"true"` lets a configuration leave no pool for addresses in use, whose Services then get others. */
export const renumberAnnotation = "ingot.dev/allow-renumber";

/** In place of the name of a ConfigMap. */
export const customResources = "custom resources";

/** @param annotations of one of these */
export function mayRenumber(annotations: Readonly<Record<string, unknown>> | undefined): boolean {
  return annotations?.[renumberAnnotation] === "true";
}

/** The configuration that the ConfigMap offers, or that MetalLB's custom resources are. */
export type Candidate = NoCandidate | CandidateText;

interface NoCandidate {
  readonly type: "missing";
  readonly what: Missing;
  /** Of custom resources: the kinds without objects, where others have some. */
  readonly kinds: readonly string[];
}

/** The part that is missing: the ConfigMap or the key in it; of custom resources any object, or some of their definitions. */
export type Missing = "configMap" | "key" | "objects" | "definitions";

export interface CandidateText {
  readonly type: "text";
  readonly text: string;
  /** Undefined if the text has errors. */
  readonly usable: InForce | undefined;
  readonly problems: readonly Problem[];
  /** Where it asks for labels of namespaces, if it does. */
  readonly namespaceLabels?: ParsedConfig["namespaceLabels"];
}

/** Whether labels of namespaces are known; `awaited`: to another process, which decides. */
export type NamespaceLabels = "known" | "awaited" | { readonly missing: string };

/** A configuration that can be used as it stands. */
export interface InForce {
  /** The text that it was read from. Equal texts are equal configurations. */
  readonly text: string;
  readonly config: Config;
  readonly pools: PoolIndex;
}

/** The caller's knowledge of the addresses that Services hold now. */
export interface Holdings {
  /** Keys of all Services that may hold any. */
  services(): Iterable<string>;
  /** Addresses in its status and, while that differs, the addresses that it was given last. Empty for a Service that does not exist. */
  of(service: string): readonly HeldTogether[];
}

/** Addresses that a Service holds together. */
export interface HeldTogether {
  readonly addresses: readonly Address[];
  /** It asks for several addresses or pools: see `placeTogether`. */
  readonly mayHoldSeveral: boolean;
  readonly asksFor?: AsksFor;
}

/** Result for the candidate. All results but `accepted` leave the configuration before it in force, which is then stale. */
export type CandidateResult =
  /** `stranded` are given up, because that is allowed. */
  | {
      readonly type: "accepted";
      readonly inForce: InForce;
      readonly warnings: readonly Problem[];
      readonly stranded: Stranded;
    }
  | NoCandidate
  | { readonly type: "invalid"; readonly problems: readonly Problem[] }
  | { readonly type: "strands"; readonly stranded: Stranded }
  /** It asks for labels of namespaces, which only the process that writes the record has: it is accepted as soon as it is on record. */
  | { readonly type: "awaited" };

/** Services that hold addresses which would have no pool, all of them: service key -> addresses. */
export type Stranded = ReadonlyMap<string, readonly Address[]>;

/** A text that is offered as the configuration, and its content. */
export function candidateText(text: string, { config, problems, namespaceLabels }: ParsedConfig): CandidateText {
  const usable = config && { text, config, pools: new PoolIndex(config.pools) };
  return { type: "text", text, usable, problems, namespaceLabels };
}

/** Whether Services can be in the way of a candidate that would replace `previous`. Its own text strands nothing. */
export function mayStrand(candidate: Candidate, previous: InForce | undefined): boolean {
  const after = candidate.type === "text" ? candidate.usable : undefined;
  return after !== undefined && previous !== undefined && previous.text !== after.text;
}

/** Decides on a candidate, given what is in its way, if that is allowed to be. */
export function judge(candidate: Candidate, stranded: Stranded, labels: NamespaceLabels, mayRenumber: boolean): CandidateResult {
  if (candidate.type === "missing") return candidate;
  const { usable, problems, namespaceLabels } = candidate;
  if (usable === undefined) return { type: "invalid", problems };
  if (namespaceLabels !== undefined && labels !== "known") {
    if (labels === "awaited") return { type: "awaited" };
    return { type: "invalid", problems: [...problems, { severity: "error", ...namespaceLabels, message: labels.missing }] };
  }
  if (stranded.size > 0 && !mayRenumber) return { type: "strands", stranded };
  return { type: "accepted", inForce: usable, warnings: problems, stranded };
}

/**
 * Addresses of one Service that would have no pool under `after`. Only addresses that the Service may hold under `before` count, so
 * that foreign addresses, and a status that somebody wrote, block nothing. If `after` would part the addresses, all of them are
 * stranded.
 */
export function strandedAddresses(
  { addresses, mayHoldSeveral, asksFor }: HeldTogether,
  before: PoolIndex,
  after: PoolIndex,
): readonly Address[] {
  const { held } = before.place(addresses, mayHoldSeveral, asksFor);
  const { refused } = after.place(held, mayHoldSeveral, asksFor);
  const homeless = refused.filter(({ reason }) => reason !== "severalPools").map(({ address }) => address);
  return homeless.length > 0 || refused.length === 0 ? homeless : held;
}

/** The same of all sets that a Service holds, each by itself: one that somebody wrote into its status excuses no other. */
export function strandedBy(sets: readonly HeldTogether[], before: PoolIndex, after: PoolIndex): readonly Address[] {
  const stranded = new Map<string, Address>(); // text -> address
  for (const held of sets)
    for (const address of strandedAddresses(held, before, after)) stranded.set(address.toString(), address);
  return [...stranded.values()];
}

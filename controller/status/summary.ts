import { createHash } from "node:crypto";
import type { PoolFacts } from "#pkg/allocator";
import { type Config, describeRouter, type Peer } from "#pkg/config";
import { fingerprint } from "#pkg/live-config";
import { escapeControls } from "#pkg/text";
import { type Dated, isProblem, type Verdict } from "#pkg/verdict";

/** Limit of all texts together. Configuration, pools and peers take less than that. */
export const maxSummaryBytes = 256 << 10;
/** Limit of Services; the summary says how many more there are. */
export const maxProblems = 1_000;
const maxPools = 200;
const maxPeers = 200;
const maxTextLength = 500;

export type PoolInUse = Pick<PoolFacts, "pool" | "protocol" | "total" | "inUse"> & Dated<number>;

/** A Service with which something is wrong. */
export interface Problem extends Dated<number> {
  readonly service: string;
}

export interface ConfigurationInForce extends Dated<number> {
  readonly inForce: Config | undefined;
}

export interface Summarized {
  readonly configuration: ConfigurationInForce;
  /** In the configuration's order; asked for no more than there is room for. */
  readonly pools: Iterable<PoolInUse>;
  readonly problems: readonly Problem[];
  /** How many Services with problems there are. */
  readonly problemCount: number;
  readonly dateOf: (at: number) => string;
}

/** Keys of `ingot-summary`. */
export const summaryKeys = ["configuration", "pools", "peers", "problems"] as const;
export type Summary = Readonly<Record<(typeof summaryKeys)[number], string>>;

/** Tells the summary in a ConfigMap from others; empty without one. */
export function summaryHash(data: Readonly<Record<string, string>>): string {
  const texts = summaryKeys.map((key) => data[key]);
  return texts.some((text) => text !== undefined) ? createHash("sha256").update(JSON.stringify(texts)).digest("hex") : "";
}

/**
 * State of the cluster as the controller sees it, for people who read `kubectl get configmap ingot-summary -o yaml`: each text is YAML.
 * Lists are cut where they get long, the Services with problems where all would have more than `maxSummaryBytes`.
 */
export function summarize(of: Summarized): Summary {
  const { configuration, pools, problems, problemCount, dateOf } = of;
  const { inForce } = configuration;
  const first = {
    configuration: entry({
      ...(inForce !== undefined && { hash: fingerprint(inForce) }),
      ...said(configuration, dateOf),
      evidence: configuration.verdict.evidence.map(({ name, value }) => `${name}: ${value}`),
    }),
    pools: listed(pools, inForce?.pools.length ?? 0, maxPools, ({ pool, protocol, total, inUse, verdict, since }) => {
      return { pool, protocol, total, inUse, ...(isProblem(verdict) && said({ verdict, since }, dateOf)) };
    }),
    peers: listed(inForce?.peers ?? [], inForce?.peers.length ?? 0, maxPeers, describePeer),
  };
  let left = maxSummaryBytes - Object.values(first).reduce((sum, text) => sum + Buffer.byteLength(text), 0) - 100;
  const items: string[] = [];
  for (const { service, ...dated } of [...problems].sort((a, b) => (a.service < b.service ? -1 : 1))) {
    const item = `- ${indented(entry({ service, ...said(dated, dateOf) }))}`;
    left -= Buffer.byteLength(item);
    if (left < 0) break;
    items.push(item);
  }
  return { ...first, problems: closed(items, problemCount) };
}

function said({ verdict, since }: Dated<number>, dateOf: (at: number) => string) {
  const { state, cause, message, next }: Verdict = verdict;
  return { state, cause, since: dateOf(since), message, ...(next !== "" && { next }) };
}

function describePeer(peer: Peer) {
  const { name, peerAsn, disabled } = peer;
  return { ...(name !== undefined && { name }), address: describeRouter(peer), asn: peerAsn, ...(disabled && { disabled }) };
}

/** @param count how many items there are, of which only the first `max` are asked for */
function listed<T>(
  items: Iterable<T>,
  count: number,
  max: number,
  describe: (item: T) => Readonly<Record<string, unknown>>,
): string {
  const first = Iterator.from(items).take(max);
  return closed(
    Array.from(first, (item) => `- ${indented(entry(describe(item)))}`),
    count,
  );
}

function closed(items: readonly string[], count: number): string {
  return (items.length === 0 ? "[]\n" : items.join("")) + (count > items.length ? `# and ${count - items.length} more\n` : "");
}

/** One line for each field. A text in JSON is one in YAML, and on one line. */
function entry(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}: ${scalar(value)}\n`)
    .join("");
}

function indented(text: string): string {
  return `${text.trimEnd().replaceAll("\n", "\n  ")}\n`;
}

function scalar(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "[]" : value.map((item) => `\n- ${scalar(item)}`).join("");
  if (typeof value !== "string") return JSON.stringify(value);
  const text = value.length > maxTextLength ? `${value.slice(0, maxTextLength)}…` : value;
  return /^[A-Za-z][A-Za-z0-9/-]*$/.test(text) && !/^(y|n|yes|no|on|off|true|false|null)$/i.test(text)
    ? text
    : escapeControls(JSON.stringify(text));
}

import { parseDuration } from "#pkg/clock";
import { quote } from "#pkg/text";
import type { BgpAdvertisement, Config } from "./config.ts";
import { limits, TooLarge } from "./limits.ts";
import { type ParsedConfig, type Path, Place, type Problem, Problems } from "./problems.ts";
import { readAliases } from "./rules/communities.ts";
import { peerNames, readBfdProfiles, readPeers } from "./rules/peers.ts";
import { readPools, warnOfNoPeers } from "./rules/pools.ts";
import { readQuotas } from "./rules/tenancy.ts";
import type { RawConfig } from "./shape/raw.ts";
import { readShape } from "./shape/shape.ts";
import { nodeOf, type YamlNode } from "./yaml/node.ts";
import { LineIndex, type Position } from "./yaml/offsets.ts";
import { parseYaml } from "./yaml/tree.ts";

/**
 * Reads the text under `config` in the ConfigMap. Never throws, and reports every problem it can see, up to a limit; bounded in
 * time and memory for any text. Text without a value is a valid configuration with nothing in it.
 */
export function parseConfig(text: string): ParsedConfig {
  const problems = new Problems();
  return checkedIn(text, readText(text, problems), problems);
}

/** The same of the value that a text would have, without places in it: a text of many pools takes most of the time to write and to read again. */
export function readConfig(value: object): ParsedConfig {
  const problems = new Problems();
  return checkedIn("", readDocument(nodeOf(value), problems), problems);
}

function checkedIn(text: string, config: Config | undefined, problems: Problems): ParsedConfig {
  const lines = new LineIndex(text);
  return checked(config, problems, (offset) => lines.position(offset));
}

/** The configuration is there exactly if nothing refuses it. @param around problems of what it is in */
export function checked(
  config: Config | undefined,
  problems: Problems,
  position: (offset: number) => Position,
  around: readonly Problem[] = [],
): ParsedConfig {
  const all = [...around, ...problems.list(position)];
  if (config === undefined || all.some(({ severity }) => severity === "error")) return { problems: all };
  const asking = pathOfNamespaceSelectors(config);
  return { config, problems: all, ...(asking !== undefined && { namespaceLabels: problems.place(asking, position) }) };
}

/** Where a configuration first asks for labels of namespaces, if it does. */
export function pathOfNamespaceSelectors({ pools, quotas }: Config): Path | undefined {
  const pool = pools.findIndex(({ fence }) => fence.namespaceSelectors.length > 0);
  if (pool >= 0) return ["address-pools", pool, "namespace-selectors"];
  for (const [index, { advertisements, layer2Advertisements }] of pools.entries()) {
    const byBgp = firstAsking(advertisements);
    if (byBgp >= 0) return ["address-pools", index, "bgp-advertisements", byBgp, "namespace-selectors"];
    const onLayer2 = firstAsking(layer2Advertisements);
    if (onLayer2 >= 0) return ["address-pools", index, "layer2-advertisements", onLayer2, "namespace-selectors"];
  }
  const quota = quotas.findIndex(({ namespaceSelectors }) => namespaceSelectors.length > 0);
  return quota < 0 ? undefined : ["quotas", quota, "namespace-selectors"];
}

/** @returns undefined when it cannot be read at all; where only parts of it are wrong, the parts that are left */
export function readText(text: string, problems: Problems): Config | undefined {
  if (!checkLength(text, limits.textLength, problems)) return undefined;
  const end = endOfFirstDocument(text);
  const documents = parseYaml(text.slice(0, end), problems);
  const ignored = /^(?:---(?=[ \t]))?(?!(?:---|\.\.\.)(?:\s|$))[ \t]*[^\s#%]/m.exec(text.slice(end));
  if (ignored !== null)
    problems.warnAt(
      end + ignored.index + ignored[0].length - 1,
      [],
      `only what is above the first "---" is read, so this is ignored`,
    );
  return documents && readDocument(documents[0], problems);
}

/** MetalLB reads the first document and does not look at others, which need not be YAML. */
function endOfFirstDocument(text: string): number {
  const start = text.search(/^[ \t]*[^\s#%]/m);
  const marker = /^(?:---|\.\.\.)(?=\s|$)/gm;
  marker.lastIndex = start + 1; // The first document may begin with one.
  return marker.exec(text)?.index ?? text.length;
}

/** @returns undefined where it is empty, or is not valid YAML */
export function firstDocument(text: string, problems: Problems): YamlNode | undefined {
  return parseYaml(text.slice(0, endOfFirstDocument(text)), problems)?.[0];
}

export function checkLength(text: string, limit: number, problems: Problems): boolean {
  if (text.length > limit) problems.errorAt(0, [], `the text has ${text.length} characters, but at most ${limit} are read`);
  return text.length <= limit;
}

/** The fields of a configuration's text, as they are written. For text that `parseConfig` accepts. */
export function readFields(text: string): RawConfig {
  const problems = new Problems();
  const root = firstDocument(text, problems);
  return root === undefined ? {} : readShape(root, problems);
}

function readDocument(root: YamlNode | undefined, problems: Problems): Config | undefined {
  if (root === undefined) return { pools: [], quotas: [], peers: [], bfdProfiles: new Map() };
  problems.read(root);
  try {
    const raw = readShape(root, problems);
    const at = new Place(problems);
    const aliases = readAliases(raw["bgp-communities"], at.in("bgp-communities"));
    const bfdProfiles = readBfdProfiles(raw["bfd-profiles"], at.in("bfd-profiles"));
    const peers = readPeers(raw.peers, at.in("peers"), bfdProfiles);
    const known = { communities: aliases, peers: peerNames(raw.peers ?? []) };
    const pools = readPools(raw["address-pools"], at.in("address-pools"), known);
    if ((raw.peers ?? []).length === 0) warnOfNoPeers(pools, at.in("address-pools"));
    const quotas = readQuotas(raw.quotas, at.in("quotas"), pools);
    return { pools, quotas, peers, bfdProfiles, ...readFailover(raw.failover, at.in("failover")) };
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    problems.errorAt(error.offset, [], error.message);
    return undefined;
  }
}

function firstAsking(entries: readonly Pick<BgpAdvertisement, "services">[]): number {
  return entries.findIndex(({ services }) => services.namespaceSelectors.length > 0);
}

const millisecond = 1e6; // in nanoseconds
const leastFailoverMs = 10;
const mostFailoverMs = 100;

function readFailover(raw: RawConfig["failover"], at: Place): Pick<Config, "failover"> {
  if (raw?.interval === undefined) return {};
  const time = parseDuration(raw.interval);
  const intervalMs = (time ?? 0) / millisecond;
  if (time !== undefined && intervalMs >= leastFailoverMs && intervalMs <= mostFailoverMs) return { failover: { intervalMs } };
  at.in("interval").error(
    `must be a duration from "${leastFailoverMs}ms" to "${mostFailoverMs}ms", but is ${quote(raw.interval)}`,
  );
  return {};
}

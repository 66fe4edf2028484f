import { readAliases } from "./aliases.ts";
import { readBfdProfiles } from "./bfd-profiles.ts";
import type { Config, ParsedConfig } from "./config.ts";
import { limits, TooManyValues } from "./limits.ts";
import { peerNames, readPeers } from "./peers.ts";
import { readPools } from "./pools.ts";
import { LineIndex } from "./position.ts";
import { Report } from "./report.ts";
import { readShape } from "./shape.ts";
import type { YamlNode } from "./yaml-node.ts";
import { parseYaml } from "./yaml-tree.ts";

/**
 * Reads the text under `config` in the ConfigMap. Never throws, and reports every problem it can see, up to a limit; bounded in
 * time and memory whatever the text. Text without a value is a valid configuration with nothing in it.
 */
export function parseConfig(text: string): ParsedConfig {
  const report = new Report();
  const config = readText(text, report);
  const lines = new LineIndex(text);
  return parsed(
    config,
    report.problems((offset) => lines.position(offset)),
  );
}

/** The configuration is there exactly if nothing refuses it. */
export function parsed(config: Config | undefined, problems: ParsedConfig["problems"]): ParsedConfig {
  return config === undefined || problems.some(({ severity }) => severity === "error") ? { problems } : { config, problems };
}

/** @returns undefined when it cannot be read at all; where only parts of it are wrong, the parts that are left */
export function readText(text: string, report: Report): Config | undefined {
  if (!checkLength(text, limits.textLength, report)) return undefined;
  const documents = parseYaml(text, report);
  return documents && readDocuments(documents, report);
}

export function checkLength(text: string, limit: number, report: Report): boolean {
  if (text.length > limit) report.errorAt(0, [], `the text has ${text.length} characters, but at most ${limit} are read`);
  return text.length <= limit;
}

/** MetalLB reads the first document and does not look at others; they are worth a warning. */
export function readDocuments(documents: readonly (YamlNode | undefined)[], report: Report): Config | undefined {
  const [root, ...others] = documents;
  const ignored = others.find((other) => other !== undefined);
  if (ignored !== undefined) report.warnAt(ignored.offset, [], `only what is above the first "---" is read, so this is ignored`);
  if (root === undefined) return { pools: [], peers: [], bfdProfiles: new Map() };
  report.read(root);
  try {
    const raw = readShape(root, report);
    const aliases = readAliases(raw["bgp-communities"], report);
    const bfdProfiles = readBfdProfiles(raw["bfd-profiles"] ?? [], report);
    const peers = readPeers(raw.peers ?? [], bfdProfiles, report);
    const known = { communities: aliases, peers: peerNames(raw.peers ?? []) };
    return { pools: readPools(raw["address-pools"] ?? [], known, report), peers, bfdProfiles };
  } catch (error) {
    if (!(error instanceof TooManyValues)) throw error;
    report.errorAt(error.offset, [], error.message);
    return undefined;
  }
}

import { communityForms, formatCommunity, parseCommunity } from "./community.ts";
import type { Community } from "./config.ts";
import { quote } from "./problem.ts";
import type { RawConfig } from "./raw.ts";
import type { Report } from "./report.ts";

/** Reads `bgp-communities`: alias -> community. An alias may take a well-known name, or look like a literal, and then wins. */
export function readAliases(raw: RawConfig["bgp-communities"], report: Report): ReadonlyMap<string, Community> {
  const aliases = new Map<string, Community>();
  for (const [alias, text] of Object.entries(raw ?? {})) {
    if (text === undefined) continue;
    const path = ["bgp-communities", alias];
    const community = parseCommunity(text);
    if (community === undefined) {
      report.error(path, `must be ${communityForms}; but is ${quote(text)}`);
      continue;
    }
    aliases.set(alias, community);
    const usual = parseCommunity(alias);
    if (usual === undefined || formatCommunity(usual) === formatCommunity(community)) continue;
    report.warn(path, `makes ${quote(alias)} mean ${formatCommunity(community)} instead of ${formatCommunity(usual)}`);
  }
  return aliases;
}

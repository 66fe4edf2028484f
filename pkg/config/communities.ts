import { communityForms, formatCommunity, parseCommunity } from "./community.ts";
import type { Community } from "./config.ts";
import { type Path, quote } from "./problem.ts";
import type { RawList } from "./raw.ts";
import type { Report } from "./report.ts";

/**
 * Octets of an UPDATE that communities may take. It has at most 4096 (RFC 4271, section 4), of which the fixed parts need 23, ORIGIN,
 * MED, LOCAL_PREF and the link bandwidth 29, the longest AS_PATH and AS4_PATH 76, an IPv6 prefix with two next hops 58, and the
 * community that is added when a speaker shuts down 4.
 */
const room = 4096 - 192;

/** Reads `communities` of one advertisement: aliases first, then literals and well-known names. */
export function readCommunities(
  raw: RawList<string>,
  path: Path,
  aliases: ReadonlyMap<string, Community>,
  report: Report,
): Community[] {
  const texts = new Map<string, number>(); // as written -> index
  const communities = new Map<string, Community>(); // canonical text -> community
  for (const [index, text] of raw.entries()) {
    if (text === undefined) continue;
    const here = [...path, index];
    const same = texts.get(text);
    if (same !== undefined) {
      report.error(here, `${quote(text)} is already listed as communities[${same}]`);
      continue;
    }
    texts.set(text, index);
    const community = aliases.get(text) ?? parseCommunity(text);
    if (community === undefined) {
      report.error(here, `must be an alias from bgp-communities, ${communityForms}; but is ${quote(text)}`);
      continue;
    }
    const canonical = formatCommunity(community);
    if (communities.has(canonical)) report.warn(here, `${quote(text)} is ${canonical}, which is already listed`);
    communities.set(canonical, community);
  }
  const all = [...communities.values()];
  const large = all.filter(({ type }) => type === "large").length;
  const octets = attributeLength(all.length - large, 4) + attributeLength(large, 12);
  if (octets > room)
    report.error(path, `these ${all.length} communities take ${octets} octets, but a BGP UPDATE has room for ${room}`);
  return all;
}

/** Octets of a path attribute with so many values, each of `size` octets (RFC 4271, section 4.3: up to 4 for flags, type and length). */
function attributeLength(values: number, size: number): number {
  return values === 0 ? 0 : 4 + values * size;
}

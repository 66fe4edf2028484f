import { quote } from "#pkg/text";
import type { Community } from "../config.ts";
import { type Place, placesOf } from "../problems.ts";
import type { RawConfig, RawList } from "../shape/raw.ts";

/**
 * Octets of an UPDATE that communities may take. It has at most 4096 (RFC 4271, section 4), of which the fixed parts need 23, ORIGIN,
 * MED, LOCAL_PREF and the link bandwidth 29, the longest AS_PATH and AS4_PATH 76, an IPv6 prefix with two next hops 58, and the
 * community that is added when a speaker shuts down 4.
 */
const room = 4096 - 192;

/**
 * Reads `communities` of one advertisement: aliases first, then literals and well-known names.
 * @param check `room`: they were read before, and it is asked only whether there is room for all
 */
export function readCommunities(
  raw: RawList<string>,
  at: Place,
  aliases: ReadonlyMap<string, Community>,
  check: "all" | "room" = "all",
): Community[] {
  const communities = new Map<string, Community>(); // canonical text -> community
  for (const [text, here] of placesOf(raw, at)) {
    const community = aliases.get(text) ?? parseCommunity(text);
    if (community === undefined) {
      if (check === "room") continue;
      here.error(`must be an alias from bgp-communities, ${communityForms}; but is ${quote(text)}`);
      continue;
    }
    const canonical = formatCommunity(community);
    if (communities.has(canonical) && check === "all") here.warn(`${quote(text)} is ${canonical}, which is already listed`);
    communities.set(canonical, community);
  }
  const all = [...communities.values()];
  const large = all.filter(({ type }) => type === "large").length;
  const octets = Math.max(4, attributeLength(all.length - large, 4)) + attributeLength(large, 12); // The one at a shutdown needs a header.
  if (octets > room) at.error(`these ${all.length} communities take ${octets} octets, but a BGP UPDATE has room for ${room}`);
  return all;
}

/**
 * Octets of a path attribute with this many values, each of `size` octets (RFC 4271, section 4.3: up to 4 for flags, type and length).
 */
function attributeLength(values: number, size: number): number {
  return values === 0 ? 0 : 4 + values * size;
}

/** Reads `bgp-communities`: alias -> community. An alias may take a well-known name, or look like a literal, and then wins. */
export function readAliases(raw: RawConfig["bgp-communities"], places: Place): ReadonlyMap<string, Community> {
  const aliases = new Map<string, Community>();
  for (const [alias, text] of Object.entries(raw ?? {})) {
    if (text === undefined) continue;
    const at = places.in(alias);
    const community = parseCommunity(text);
    if (community === undefined) {
      at.error(`must be ${communityForms}; but is ${quote(text)}`);
      continue;
    }
    aliases.set(alias, community);
    const usual = parseCommunity(alias);
    if (usual === undefined || formatCommunity(usual) === formatCommunity(community)) continue;
    at.warn(`makes ${quote(alias)} mean ${formatCommunity(community)} instead of ${formatCommunity(usual)}`);
  }
  return aliases;
}

/** Communities with a name of their own; all in the block 65535:* that IANA keeps for them. */
const wellKnown: ReadonlyMap<string, number> = new Map([
  ["graceful-shutdown", 0xffff0000], // RFC 8326
  ["blackhole", 0xffff029a], // RFC 7999
  ["no-export", 0xffffff01], // RFC 1997
  ["no-advertise", 0xffffff02], // RFC 1997
  ["no-export-subconfed", 0xffffff03], // RFC 1997
  ["no-peer", 0xffffff04], // RFC 3765
]);

/** Whether a community has this name by its RFC. */
export function isWellKnownCommunity(text: string): boolean {
  return wellKnown.has(text);
}

export const communityForms = `"a:b" with both from 0 to 65535, "large:a:b:c" with each from 0 to 4294967295, or one of ${[...wellKnown.keys()].join(", ")}`;

/** Reads one community as text: RFC 1997 `a:b`, RFC 8092 `large:a:b:c`, or a well-known name. @returns undefined for anything else */
export function parseCommunity(text: string): Community | undefined {
  const named = wellKnown.get(text);
  if (named !== undefined) return { type: "standard", value: named };
  const parts = text.split(":");
  if (parts[0] === "large" && parts.length === 4) {
    const [globalAdministrator, localData1, localData2] = parts.slice(1).map((part) => number(part, 0xffffffff));
    if (globalAdministrator === undefined || localData1 === undefined || localData2 === undefined) return undefined;
    return { type: "large", globalAdministrator, localData1, localData2 };
  }
  if (parts.length !== 2) return undefined;
  const [high, low] = parts.map((part) => number(part, 0xffff));
  return high === undefined || low === undefined ? undefined : { type: "standard", value: high * 65536 + low };
}

/** `a:b` or `large:a:b:c`: equal communities give equal text. */
export function formatCommunity(community: Community): string {
  if (community.type === "standard") return `${Math.floor(community.value / 65536)}:${community.value % 65536}`;
  return `large:${community.globalAdministrator}:${community.localData1}:${community.localData2}`;
}

function number(text: string, maximum: number): number | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  const value = Number(text);
  return value > maximum ? undefined : value;
}

import type { Community } from "./config.ts";

/** Communities with a name of their own; all in the block 65535:* that IANA keeps for them. */
const wellKnown: ReadonlyMap<string, number> = new Map([
  ["graceful-shutdown", 0xffff0000], // RFC 8326
  ["blackhole", 0xffff029a], // RFC 7999
  ["no-export", 0xffffff01], // RFC 1997
  ["no-advertise", 0xffffff02], // RFC 1997
  ["no-export-subconfed", 0xffffff03], // RFC 1997
  ["no-peer", 0xffffff04], // RFC 3765
]);

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

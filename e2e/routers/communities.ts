import type { Route } from "./router.ts";

// IANA's registry of well-known communities, by the letters of the names that routers print.
const wellKnown: Readonly<Record<string, string>> = {
  gracefulshutdown: "65535:0",
  blackhole: "65535:666",
  noexport: "65535:65281",
  noadvertise: "65535:65282",
  noexportsubconfed: "65535:65283",
  localas: "65535:65283",
  nopeer: "65535:65284",
};

/** The two numbers of a community that a router may print by name. */
export function communityText(text: string): string {
  return wellKnown[text.toLowerCase().replaceAll(/[^a-z]/g, "")] ?? text;
}

/** The number of a link-bandwidth extended community: a float in its last four octets. */
export function float32(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, bits);
  return view.getFloat32(0);
}

/** Of the two AS numbers' kinds, transitive or not (draft-ietf-idr-link-bandwidth). */
export function isLinkBandwidth(type: number): boolean {
  return (type & 0xbfff) === 0x0004;
}

export function originOf(text: string): Route["origin"] {
  const lower = text.toLowerCase();
  if (lower === "igp" || lower === "egp" || lower === "incomplete") return lower;
  throw new Error(`Cannot read an origin: ${text}`);
}

import type { Family } from "#pkg/net";
import type { BgpAdvertisement } from "./config.ts";

/** How long the announced prefixes of a family are. */
export function aggregationLength(advertisement: BgpAdvertisement, family: Family): number {
  return family === "IPv4" ? advertisement.aggregationLength : advertisement.aggregationLengthV6;
}

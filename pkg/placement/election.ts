import { hash } from "node:crypto";
import type { Address } from "#pkg/net";

/**
 * The candidate that owns `address`: the smallest SHA-256 of `node#address`, compared as bytes. MetalLB's speakers compute the
 * same, so one ring may hold both. @returns undefined without candidates
 */
export function elect(candidates: Iterable<string>, address: Address): string | undefined {
  let winner: string | undefined;
  let lowest: Buffer | undefined;
  for (const node of candidates) {
    const digest = hash("sha256", `${node}#${address}`, "buffer");
    if (lowest === undefined || digest.compare(lowest) < 0) [winner, lowest] = [node, digest];
  }
  return winner;
}

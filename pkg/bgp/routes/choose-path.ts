import type { Prefix } from "#pkg/net";
import type { RouteAttributes } from "./route.ts";

/**
 * The one of several paths for a session that carries one: for each prefix another, so that traffic for many prefixes spreads, and the same at every
 * speaker and in every session. Only prefixes whose path goes get another (rendezvous hashing). A last resort is chosen where all are. Undefined where there is
 * no path.
 */
export function choosePath(prefix: Prefix, paths: ReadonlyMap<number, RouteAttributes>): RouteAttributes | undefined {
  const { value } = prefix.address;
  const seed = Number(BigInt.asUintN(32, value ^ (value >> 32n) ^ (value >> 64n) ^ (value >> 96n)));
  let best: RouteAttributes | undefined;
  let most = -Infinity;
  for (const [path, attributes] of paths) {
    const weight = mix(mix(seed) ^ path) - (attributes.isLastResort === true ? 2 ** 32 : 0);
    if (weight > most) [best, most] = [attributes, weight];
  }
  return best;
}

/** The last step of MurmurHash3, of 32 bits. */
function mix(value: number): number {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85eb_ca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2_ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

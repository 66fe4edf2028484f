import type { Host } from "#e2e/lab";
import { familyOf } from "./configuration.ts";

/** An entry of a kernel's routing table. */
export interface KernelRoute {
  /** Ascending by address. More than one: each flow takes one of them. */
  readonly nextHops: readonly { readonly address: string; readonly interfaceName: string; readonly weight: number }[];
}

interface Hop {
  readonly gateway?: string;
  readonly via?: { readonly host: string }; // An IPv6 gateway of an IPv4 route.
  readonly dev?: string;
  readonly weight?: number;
}

/** The entry for exactly this prefix. */
export async function kernelRoute(host: Host, prefix: string): Promise<KernelRoute | undefined> {
  const family = familyOf(prefix) === "IPv6" ? "-6" : "-4";
  return parseKernelRoutes(await host.output(["ip", "-json", family, "route", "show", "exact", prefix]));
}

/** Output of `ip -json route show exact`. Old kernels list each next hop of an IPv6 prefix as an entry of its own. */
export function parseKernelRoutes(json: string): KernelRoute | undefined {
  const entries = JSON.parse(json || "[]") as (Hop & { readonly nexthops?: readonly Hop[] })[];
  const nextHops = entries
    .flatMap((entry) => entry.nexthops ?? [entry])
    .map(({ gateway, via, dev = "", weight = 1 }) => ({ address: gateway ?? via?.host ?? "", interfaceName: dev, weight }));
  if (nextHops.length === 0) return undefined;
  return { nextHops: nextHops.sort((a, b) => a.address.localeCompare(b.address, "en", { numeric: true })) };
}

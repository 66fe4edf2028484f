import type { ServiceSpec } from "../api/objects.ts";
import type { SimulatedCluster } from "../simulated-cluster.ts";

/** Whether its addresses are not of the families that it asks for: it is to lose them at once, whatever it gets. */
export function hasWrongFamilies(spec: ServiceSpec, addresses: readonly string[]): boolean {
  const { isDual, prefersDual, firstFamily, pool, wanted } = spec;
  if (wanted?.includes(",")) return false; // A list of wanted addresses may have any families.
  const isSeveral = wanted === undefined && pool.includes(",");
  if (isSeveral) return addresses.length !== pool.split(",").length || addresses.some((address) => address.includes(":"));
  const families = addresses.map((address) => (address.includes(":") ? 6 : 4)).sort();
  const one = (wanted === undefined ? firstFamily === "IPv6" : wanted.includes(":")) ? "6" : "4";
  return !(isDual ? ["4,6", ...(prefersDual ? ["4", "6"] : [])] : [one]).includes(families.join());
}

/** Pools with addresses of both families. */
const withBoth: ReadonlySet<string> = new Set(["lan", "sticky"]);

/** Whether a Service that asks for other families than before may keep this address. */
export function mayKeep({ isDual, firstFamily = "IPv4", pool, wanted }: ServiceSpec, address: string): boolean {
  const family = address.includes(":") ? "IPv6" : "IPv4";
  return wanted === undefined && (pool === "" || poolOf(address) === pool) && (isDual || family === firstFamily);
}

/** Whether it asks for something else than what it has. */
export function asksForOther(spec: ServiceSpec, addresses: readonly string[]): boolean {
  const { wanted, pool } = spec;
  if (wanted !== undefined) return wanted.split(",").some((address) => !addresses.includes(address));
  if (hasWrongFamilies(spec, addresses)) return true;
  if (spec.prefersDual && addresses.length === 1 && withBoth.has(pool)) return true;
  if (pool === "") return false;
  const pools = pool.split(",");
  const has = addresses.map(poolOf).map((each) => (each === "moved" ? "lan" : each));
  return pools.length > 1 ? has.sort().join() !== pools.sort().join() : has.some((each) => each !== pool);
}

/** Whether two Services may be on one address. */
export function mayShare(one: ServiceSpec, other: ServiceSpec): boolean {
  return one.sharing !== undefined && one.sharing === other.sharing && one.port !== other.port;
}

// The last number in the first address of each pool on the LAN.
const beginnings = [
  ["team", 196],
  ["auto", 192],
  ["within", 188],
  ["near", 184],
  ["reached", 180],
  ["second", 176],
  ["strict", 160],
  ["advertised", 148],
  ["moved", 128],
  ["nic", 112],
  ["both", 96],
  ["more", 64],
  ["sticky", 32],
  ["lan", 0],
] as const;

// Addresses outside the LAN of pools that have few.
const besides = [
  [/^198\.51\.100\.1[6-9]$/, "chosen"],
  [/^198\.51\.100\.2[0-3]$/, "teams"],
  [/^203\.0\.113\.3[2-5]$/, "kernel"],
  [/^203\.0\.113\.3[6-9]$/, "far"],
] as const;

/** Pools whose addresses each node has in its kernel by itself. */
export const inKernels: ReadonlySet<string> = new Set(["kernel", "far"]);
/** Pools whose addresses the router has. */
export const byRoutes: ReadonlySet<string> = new Set(["routed", "chosen", "teams", "both"]);
/** Pools whose addresses no node answers for alone. */
export const withoutOwners: ReadonlySet<string> = new Set(["routed", "chosen", "teams", "given", ...inKernels]);

const pools = new Map<string, string>(); // address -> the name of its pool

/** By where the addresses of each pool begin. Those of `moved` are of the pool `lan` in a configuration that moves it. */
export function poolOf(address: string): string {
  const pool = pools.get(address) ?? poolAt(address);
  pools.set(address, pool);
  return pool;
}

function poolAt(address: string): string {
  const [, name] = besides.find(([pattern]) => pattern.test(address)) ?? [];
  if (name !== undefined) return name;
  if (address.startsWith("198.51.100.") || address.startsWith("2001:db8:1:")) return "routed";
  if (address.startsWith("203.0.113.")) return "given";
  const last = address.includes(":") ? Number.parseInt(address.split(":").at(-1) || "0", 16) : Number(address.split(".")[3]);
  return beginnings.find(([, first]) => last >= first)?.[0] ?? "";
}

/** The names of the Services that have an address in their status. */
export function holdersOf(cluster: SimulatedCluster, address: string): readonly string[] {
  return cluster.people.holders(address);
}

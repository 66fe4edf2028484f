import type { Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import type { Reachability } from "#pkg/gossip";
import type { InterfaceState } from "#pkg/layer2";
import { AddressRange, canReachPrefix, isLinkLocal, matchesInterface, type Prefix, parsePrefix } from "#pkg/net";
import type { Carriers } from "../state.ts";

// Hosts that the kernel looked for in vain while there was no carrier it looks for again a second later (RFC 4861 RetransTimer, and
// Linux does the same for ARP): until then the node takes packets in and cannot pass them on to a Pod of another node.
const holdMs: Millis = 1_500;

/**
 * The interfaces as they count. One whose carrier has come back counts as without one for 1.5 s, in which the node that took over goes
 * on: nothing is lost by waiting, and a cable with a loose contact moves nothing.
 * @param canOthersAnswer other nodes can answer in place of this one, as far as it sees. Where none could when the carrier went, nor can
 *   now, it is not waited for: behind a pulled cable the others may seem to be gone.
 */
export function countedInterfaces(carriers: Carriers, canOthersAnswer: boolean, now: Millis): readonly InterfaceState[] {
  const { interfaces, heldUntil } = carriers;
  const before = carriers.lost;
  carriers.lost = new Map();
  for (const { index, running } of interfaces) {
    const isSucceeded = canOthersAnswer || before.get(index) === true || heldUntil.has(index);
    if (!running) {
      heldUntil.delete(index);
      carriers.lost.set(index, isSucceeded);
    } else if (before.has(index) && isSucceeded) heldUntil.set(index, now + holdMs);
  }
  return interfaces.map((each) => (heldUntil.has(each.index) ? { ...each, running: false } : each));
}

/** When an interface counts again. */
export function nextCarrierAt({ heldUntil }: Carriers): Millis {
  return Math.min(Infinity, ...heldUntil.values());
}

/** @returns whether an interface counts again */
export function releaseCarriers({ heldUntil }: Carriers, now: Millis): boolean {
  const due = [...heldUntil].filter(([, until]) => until <= now);
  for (const [index] of due) heldUntil.delete(index);
  return due.length > 0;
}

/** An interface that would serve pools, by their `interfaces` and its subnets, and that does not work. */
export interface DownInterface {
  readonly name: string;
  readonly subnets: readonly Prefix[];
  readonly pools: readonly string[];
}

export function withoutCarrier({ interfaces }: Carriers, pools: readonly Pool[]): DownInterface[] {
  const onLan = pools.filter(({ protocols }) => protocols.includes("layer2") || protocols.includes("interface"));
  return interfaces.flatMap(({ name, status, running, addresses }) => {
    if (running || (status !== "answering" && status !== "down")) return [];
    const subnets = subnetsOf(addresses);
    const served = onLan.filter(
      (pool) =>
        (pool.interfaces.length === 0 || matchesInterface(pool.interfaces, name)) &&
        pool.ranges.some((range) => subnets.some((subnet) => AddressRange.ofPrefix(subnet).overlaps(range))),
    );
    return served.length === 0 ? [] : [{ name, subnets, pools: [...new Set(served.map((pool) => pool.name))] }];
  });
}

/** The name of the interface that a pool names by its second name, or by what it leads to; undefined for all else. */
export function interfaceFor(routes: Carriers["routes"], glob: string): string | undefined {
  return routes.get(glob.startsWith(canReachPrefix) ? glob.slice(canReachPrefix.length) : glob);
}

/** Where this node can announce: what the others have to know of its interfaces, for these pools. */
export function ownReachability(
  interfaces: readonly InterfaceState[],
  pools: readonly Pick<Pool, "interfaces">[],
  routes: Carriers["routes"] = new Map(),
): Omit<Reachability, "hasKernelAccess"> {
  const able = interfaces.filter(({ status, running }) => status === "answering" && running);
  const named = pools.map((pool) => pool.interfaces).filter((globs) => globs.length > 0);
  const reported = new Map<string, readonly Prefix[]>();
  for (const { name, addresses } of able) {
    const subnets = subnetsOf(addresses);
    // A node may have hundreds of interfaces to Pods, of which nobody needs to know.
    if (subnets.length > 0 || named.some((globs) => matchesInterface(globs, name))) reported.set(name, subnets);
  }
  for (const glob of named.flat()) {
    const own = interfaceFor(routes, glob);
    const one = own === undefined ? undefined : able.find(({ name }) => name === own);
    if (one !== undefined) reported.set(glob, subnetsOf(one.addresses)); // Under the name by which the pool asks for it.
  }
  return { answers: able.length > 0, interfaces: reported };
}

/** Subnets of hosts on the LAN: without the subnet of an address alone, and without fe80::/10, in which every interface is. */
function subnetsOf(addresses: readonly string[]): Prefix[] {
  const prefixes = addresses.flatMap((text) => parsePrefix(text) ?? []);
  const useful = prefixes.filter(({ address, length }) => length < address.bits && !isLinkLocal(address));
  return [...new Map(useful.map((prefix) => [prefix.toString(), prefix])).values()];
}

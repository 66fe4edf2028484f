import type { Millis } from "#pkg/clock";
import type { Config, Pool } from "#pkg/config";
import type { AddressItem } from "#pkg/kernel";
import type { InterfaceState } from "#pkg/layer2";
import { type Address, canReachPrefix, matchesInterface, parseAddress } from "#pkg/net";
import type { SpeakerEffect } from "../effects.ts";
import { canOthersAnswer } from "../members/nodes.ts";
import { mayBeGateway } from "../protocols/gateways.ts";
import { isInPool, type SpeakerState } from "../state.ts";
import { countedInterfaces, interfaceFor, ownReachability } from "./carriers.ts";

// The interfaces of this node, and the subnets that it is in by them. An address of a Service that this node has on a NIC makes it no host of
// the subnet: else, without an address of its own, it would go on by those of the Services alone.

/** The interfaces with those of their addresses that no Service has: at these kube-proxy has the Service answer. */
export function withoutServices({ services }: SpeakerState, interfaces: readonly InterfaceState[]): InterfaceState[] {
  return withoutAddresses(interfaces, (address) => services.holders.has(address));
}

/**
 * The interfaces by whose addresses this node is a host: without those that a Service has from a pool, or may have while no pool is known. Another
 * controller may write addresses of nodes into the status of Services, as ServiceLB of k3s does.
 */
export function hostInterfaces(state: SpeakerState, interfaces: readonly InterfaceState[]): InterfaceState[] {
  const mayBeOfPool = (address: string) => state.config === undefined || isInPool(state, address);
  return withoutAddresses(interfaces, (address) => state.services.holders.has(address) && mayBeOfPool(address));
}

function withoutAddresses(interfaces: readonly InterfaceState[], isLeftOut: (address: string) => boolean): InterfaceState[] {
  const isOwn = (text: string) => !isLeftOut(text.slice(0, text.lastIndexOf("/")));
  return interfaces.map((one) => (one.addresses.every(isOwn) ? one : { ...one, addresses: one.addresses.filter(isOwn) }));
}

/** Takes in the present interfaces. @returns whether this node can answer elsewhere than before: in other subnets, or by other interfaces */
export function updateReachability(state: SpeakerState, now: Millis): boolean {
  const { carriers, ownedPools, kernel } = state;
  const before = carriers.reachability;
  const interfaces = hostInterfaces(state, countedInterfaces(carriers, canOthersAnswer(state), now));
  const hasKernelAccess = kernel.found.failure === undefined;
  carriers.reachability = { ...ownReachability(interfaces, ownedPools, carriers.routes), hasKernelAccess };
  return textOf(before) !== textOf(carriers.reachability);
}

/** The addresses in pools by which interfaces are named, and whole names, which may be second ones. */
function namesToFollow({ ownedPools }: SpeakerState): { readonly addresses: Address[]; readonly names: string[] } {
  const globs = [...new Set(ownedPools.flatMap(({ interfaces }) => interfaces))];
  const isByAddress = (glob: string) => glob.startsWith(canReachPrefix);
  return {
    addresses: globs.filter(isByAddress).flatMap((glob) => parseAddress(glob.slice(canReachPrefix.length)) ?? []),
    names: globs.filter((glob) => !isByAddress(glob) && !/[*?]/.test(glob)),
  };
}

/** The pool's interfaces with the names that this node knows them by. An address that leads nowhere names no interface. */
export function interfacesHere(
  { carriers }: Pick<SpeakerState, "carriers">,
  { interfaces }: Pick<Pool, "interfaces">,
): readonly string[] {
  if (carriers.routes.size === 0) return interfaces;
  return interfaces.map((glob) => nameHere(carriers, glob));
}

function nameHere({ routes }: SpeakerState["carriers"], name: string): string {
  return interfaceFor(routes, name) ?? name;
}

/**
 * An address as it belongs on a NIC of this node: on the interface of the pool with the longest subnet that has it, of several the first by
 * name. Undefined without such an interface. Its own length is that of no subnet: a kernel that takes it for one of the subnet's addresses
 * keeps it in place of the node's own when that changes.
 */
export function nicItem({ carriers }: SpeakerState, address: Address, pool: Pool | undefined): AddressItem | undefined {
  if (pool?.kernel === undefined) return undefined;
  const [nic] = [...carriers.reachability.interfaces]
    .filter(([name]) => matchesInterface(pool.interfaces, name))
    .flatMap(([name, subnets]) =>
      subnets.filter((one) => one.contains(address)).map(({ length }) => ({ name: nameHere(carriers, name), length })),
    )
    .sort((a, b) => b.length - a.length || (a.name < b.name ? -1 : 1));
  if (nic === undefined) return undefined;
  const { routeProtocol: protocol, lanLifetimeSeconds: lifetimeSeconds } = pool.kernel;
  return { type: "address", interface: nic.name, address, prefixLength: address.bits, protocol, lifetimeSeconds, isOnLan: true };
}

function textOf({ answers, hasKernelAccess, interfaces }: SpeakerState["carriers"]["reachability"]): string {
  return [answers, hasKernelAccess, ...[...interfaces].map(([name, subnets]) => `${name} ${subnets.join(" ")}`)].join();
}

/** Facts about this node's routes and interfaces that the configuration asks for. */
export function surroundingsToFollow(state: SpeakerState, { pools, peers }: Pick<Config, "pools" | "peers">): SpeakerEffect[] {
  const gateways = peers.some(mayBeGateway);
  const globs = [...pools, ...state.ownedPools, ...peers.flatMap(({ discovery }) => discovery ?? [])].flatMap(
    ({ interfaces }) => interfaces,
  );
  // Any interface may be the one by which an address is reached.
  const names = globs.some((glob) => glob.startsWith(canReachPrefix)) ? ["*"] : [...new Set(globs)];
  return [
    { type: "followRoutes", ...namesToFollow(state), gateways },
    { type: "nameInterfaces", names },
  ];
}

/** Pools whose addresses may be on NICs of this node. */
export function withNics({ ownedPools }: SpeakerState): readonly Pool[] {
  return ownedPools.filter(({ kernel }) => kernel !== undefined);
}

import type { Clock } from "#pkg/clock";
import type { KernelKeeper } from "#pkg/kernel";
import { type Layer2, Layer2Error } from "#pkg/layer2";
import type { Log } from "#pkg/log";
import type { Address, Family } from "#pkg/net";
import { type Kept, NodeChecks } from "#pkg/node-checks";
import { allPlacements, isAnnounced } from "./core/placements.ts";
import { endpointsOf } from "./core/services.ts";
import type { SpeakerState } from "./core/state.ts";

export interface ChecksOptions {
  readonly state: SpeakerState;
  readonly layer2: Pick<Layer2, "interfaces">;
  readonly kernel: Pick<KernelKeeper, "interfaces" | "status">;
  readonly clock: Clock;
  readonly log: Log;
}

/** Checks of the node's settings, against what the core announces. */
export function createChecks({ state, layer2, kernel, clock, log }: ChecksOptions): NodeChecks {
  return new NodeChecks({
    node: state.node,
    log,
    clock,
    interfaces: () => layer2.interfaces(),
    pools: () => state.config?.config.pools ?? [],
    announced: () => announcedAsOwner(state),
    forwarded: (family) => servedElsewhere(state, family),
    kept: () => keptBy(kernel),
    placed: () => placedBy(kernel),
    flannelAddresses: () => state.nodes.flannelAddresses,
  });
}

function* placedBy(kernel: Pick<KernelKeeper, "status">): Iterable<Address> {
  for (const { item, place } of kernel.status()) if (item.type === "address" && place === "placed") yield item.address;
}

/** The interfaces on which anything is kept. */
export function keptBy(kernel: Pick<KernelKeeper, "interfaces" | "status">): Kept[] {
  const dummies = new Set(kernel.interfaces().map(({ name }) => name));
  const found = new Map<string, Kept>();
  for (const { item, place, restored } of kernel.status()) {
    if (place === "held" || place === "foreign") continue; // Nothing of ours is there.
    const name = item.interface;
    const before = found.get(name) ?? { name, isDummy: dummies.has(name), hasSubnets: false, restored: 0 };
    const hasSubnet = item.type === "address" && item.address.family === "IPv4" && item.prefixLength < item.address.bits;
    found.set(name, { ...before, hasSubnets: before.hasSubnets || hasSubnet, restored: before.restored + restored });
  }
  return [...found.values()];
}

/** The addresses of which this node is the owner, with their pools; undefined for each other one, so that whoever asks can pause. */
export function* announcedAsOwner(
  state: SpeakerState,
): Iterable<{ readonly address: Address; readonly pool: string } | undefined> {
  for (const placement of allPlacements(state)) {
    const { address, pool, isOwned } = placement;
    yield isOwned && pool !== undefined && isAnnounced(state, placement) ? { address, pool } : undefined;
  }
}

/**
 * A Service that this node announces under an address of the family and whose packets it has to pass on, because ready endpoints are
 * on other nodes or on none that is known. Under policy Local kube-proxy uses those of this node alone. Yields for each Service that it looks at.
 */
export function* servedElsewhere(state: SpeakerState, family: Family): Generator<undefined, string | undefined> {
  const { node, services, placements } = state;
  // With 10,000 Services on a node that passes nothing on all are looked at: nothing is built for any of them.
  for (const [service, { service: fields, addresses }] of services.rows) {
    yield;
    if (fields.externalTrafficPolicy !== "Cluster") continue;
    if (!endpointsOf(services, service).some(({ ready, nodeName }) => ready > 0 && nodeName !== node)) continue;
    for (const address of addresses) {
      if (address.family !== family) continue;
      for (const placement of placements.get(address.toString()) ?? [])
        if (placement.verdicts.get(service)?.announced && isAnnounced(state, placement)) return service;
    }
  }
  return undefined;
}

/** @returns why this node cannot announce on layer 2: other protocols do without it, and this node is no candidate */
export async function startLayer2(layer2: Pick<Layer2, "start">, log: Log): Promise<string | undefined> {
  try {
    await layer2.start();
    return undefined;
  } catch (error) {
    if (!(error instanceof Layer2Error)) throw error;
    log.error("layer 2 is not available on this node", { op: "startup", error });
    return error.reason;
  }
}

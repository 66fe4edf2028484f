import type { Clock } from "#pkg/clock";
import { interfacesOfPool } from "#pkg/config";
import type { KernelKeeper } from "#pkg/kernel";
import { type Layer2, Layer2Error } from "#pkg/layer2";
import type { Log } from "#pkg/log";
import type { Address } from "#pkg/net";
import { type Kept, NodeChecks } from "#pkg/node-checks";
import type { AnnounceFor, SpeakerView } from "./core/index.ts";

export interface ChecksOptions {
  readonly view: SpeakerView;
  readonly layer2: Pick<Layer2, "interfaces">;
  readonly kernel: Pick<KernelKeeper, "interfaces" | "status">;
  readonly clock: Clock;
  readonly log: Log;
}

/** Checks of the node's settings, against what the core announces. */
export function createChecks({ view, layer2, kernel, clock, log }: ChecksOptions): NodeChecks {
  return new NodeChecks({
    node: view.node,
    log,
    clock,
    interfaces: () => layer2.interfaces(),
    pools: () => view.pools.map((pool) => ({ ...pool, interfaces: view.namesHere(interfacesOfPool(pool)) })),
    announced: () => view.announcedAsOwner(),
    forwarded: (family) => view.servedElsewhere(family),
    kept: () => keptBy(kernel),
    placed: () => placedBy(kernel),
    flannelAddresses: () => view.flannelAddresses,
    podCIDRs: () => view.podCIDRs,
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

/** @returns why this node cannot announce on layer 2: other protocols do without it, and this node is no candidate */
export async function startLayer2(
  layer2: Pick<Layer2, "start">,
  announceFor: AnnounceFor,
  log: Log,
): Promise<string | undefined> {
  try {
    await layer2.start();
    return undefined;
  } catch (error) {
    if (!(error instanceof Layer2Error)) throw error;
    if (announceFor === "all") return undefined; // It watches the interfaces all the same.
    log.error("layer 2 is not available on this node", { op: "startup", error });
    return error.reason;
  }
}

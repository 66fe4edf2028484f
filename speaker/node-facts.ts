import type { Clock } from "#pkg/clock";
import { type Layer2, Layer2Error } from "#pkg/layer2";
import type { Log } from "#pkg/log";
import type { Address, Family } from "#pkg/net";
import { NodeChecks } from "#pkg/node-checks";
import { announcedHere } from "./core/placements.ts";
import { holdersOf } from "./core/services.ts";
import type { SpeakerState } from "./core/state.ts";

export interface ChecksOptions {
  readonly state: SpeakerState;
  readonly layer2: Pick<Layer2, "interfaces">;
  readonly clock: Clock;
  readonly log: Log;
}

/** Checks of the node's settings, against what the core announces. */
export function createChecks({ state, layer2, clock, log }: ChecksOptions): NodeChecks {
  return new NodeChecks({
    node: state.node,
    log,
    clock,
    interfaces: () => layer2.interfaces(),
    pools: () => state.config?.config.pools ?? [],
    announced: () => announcedByLayer2(state),
    forwarded: (family) => servedElsewhere(state, family),
  });
}

/** The addresses that this node announces by layer 2, with their pools. */
export function* announcedByLayer2(state: SpeakerState): Iterable<{ readonly address: Address; readonly pool: string }> {
  for (const { address, pool, protocol } of announcedHere(state))
    if (protocol === "layer2" && pool !== undefined) yield { address, pool };
}

/**
 * A Service that this node announces under an address of the family and whose packets it has to pass on, because ready endpoints are
 * on other nodes or on none that is known. Under policy Local kube-proxy uses those of this node alone.
 */
export function servedElsewhere(state: SpeakerState, family: Family): string | undefined {
  for (const { address, verdicts } of announcedHere(state)) {
    if (address.family !== family) continue;
    const found = holdersOf(state.services, address).find(
      ({ service, externalTrafficPolicy, endpoints }) =>
        verdicts.get(service)?.announced &&
        externalTrafficPolicy === "Cluster" &&
        endpoints.some(({ ready, nodeName }) => ready && nodeName !== state.node),
    );
    if (found !== undefined) return found.service;
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
    return error.message;
  }
}

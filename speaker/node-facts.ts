import type { Address, Family } from "#pkg/net";
import type { Speaker } from "./speaker.ts";

/** The addresses that this node announces by layer 2, with their pools. */
export function* announcedHere(
  speaker: Pick<Speaker, "announced">,
): Iterable<{ readonly address: Address; readonly pool: string }> {
  for (const { address, pool, protocol } of speaker.announced())
    if (protocol === "layer2" && pool !== undefined) yield { address, pool };
}

/**
 * A Service that this node announces under an address of the family and whose packets it has to pass on, because ready endpoints are
 * on other nodes or on none that is known. Under policy Local kube-proxy uses those of this node alone.
 */
export function servedElsewhere(
  speaker: Pick<Speaker, "announced" | "holders">,
  node: string,
  family: Family,
): string | undefined {
  for (const { address, verdicts } of speaker.announced()) {
    if (address.family !== family) continue;
    const found = speaker
      .holders(address)
      .find(
        ({ service, externalTrafficPolicy, endpoints }) =>
          verdicts.get(service)?.announced &&
          externalTrafficPolicy === "Cluster" &&
          endpoints.some(({ ready, nodeName }) => ready && nodeName !== node),
      );
    if (found !== undefined) return found.service;
  }
  return undefined;
}

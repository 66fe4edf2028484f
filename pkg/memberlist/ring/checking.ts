import type { NodeName } from "../messages.ts";
import type { NodeRecord, Ring } from "./ring.ts";
import { wantsAccuser } from "./suspicion.ts";

/**
 * Of those that hear of a suspicion, about so many probe the suspect themselves. Two have to accuse it for the suspicion to be short;
 * and while it lives, each of them tells it what is held against it.
 */
const checkers = 12;

/** Takes note, by chance, of somebody whom others suspect. */
export function considerChecking(ring: Ring, node: NodeName): void {
  if (ring.options.random() * ring.order.length < checkers) ring.toCheck.add(node);
}

/** Takes the next suspect whom too few have accused so far. */
export function nextToCheck({ toCheck, suspicions, records, self }: Ring): NodeRecord | undefined {
  for (const node of toCheck) {
    toCheck.delete(node);
    const suspicion = suspicions.get(node);
    if (suspicion !== undefined && wantsAccuser(suspicion, self.node)) return records.get(node);
  }
  return undefined;
}

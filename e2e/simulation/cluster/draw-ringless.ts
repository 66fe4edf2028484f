import type { Timed } from "#e2e/faults";
import type { ServiceSpec } from "./api/objects.ts";
import { drawEdits } from "./draw-edits.ts";
import { drawSurroundings } from "./draw-surroundings.ts";
import type { Act, History } from "./history.ts";

// Beyond the seeds of histories.
const ringlessSeeds = 13 * 2 ** 27;
/** Acts on the ring alone, or on words that speakers tell one another by it. */
const ofRings: readonly Act["type"][] = ["cut", "cutOneWay", "attack", "otherVersion", "rotateKey", "netAdmin", "loseSubnet"];

/**
 * A history of edits, drawn by its seed, of a cluster whose speakers have no ring; of surroundings, too, where the seed is odd. No pool names NICs:
 * nobody knows those of others.
 */
export function drawRingless(seed: number): History {
  const draw = seed % 2 === 1 ? drawSurroundings : drawEdits;
  const { failoverMs: _, ...history } = draw(seed + ringlessSeeds);
  const acts = history.acts.flatMap(({ at, act }): Timed<Act>[] => {
    if (ofRings.includes(act.type) || (act.type === "configure" && act.text.includes("eth9"))) return [];
    return [{ at, act: act.type === "service" && act.spec !== undefined ? { ...act, spec: near(act.spec) } : act }];
  });
  const services = Object.fromEntries(Object.entries(history.services).map(([name, spec]) => [name, near(spec)]));
  return { ...history, withoutRing: true, services, acts };
}

/** Without a ring nobody knows that no node is in the subnet of the pool `far`. */
function near(spec: ServiceSpec): ServiceSpec {
  return spec.pool === "far" ? { ...spec, pool: "kernel" } : spec;
}

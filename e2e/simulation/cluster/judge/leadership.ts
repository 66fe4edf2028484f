import { LastingWrongs } from "#e2e/ownership";
import type { Millis } from "#pkg/clock";
import { namespace } from "../api/objects.ts";
import type { ControllerProcess } from "../controller-process.ts";
import type { SimulatedCluster } from "../simulated-cluster.ts";

// A restored Lease may be that of another controller, which goes by it while the last one does not know yet.
const restoredMs: Millis = 4_000;
// From when a Lease was given back to when another controller has it, beside what the API takes: an attempt that failed just before is repeated after 1 s.
const handOverMs: Millis = 1_500;
// A controller that stops has ended by then, whatever it was about to write.
const stopMs: Millis = 10_000;
// Read, written, and answered each.
const waysToApi = 4;

/**
 * One controller at most may write; one that has ended in order has given the Lease back, where the API let it; and another one that sees that has it
 * at once, not after the Lease's time.
 */
export class Leadership {
  readonly #givenBack = new LastingWrongs(); // Which controller could take the Lease.
  readonly #stopped = new WeakSet<ControllerProcess>(); // that have been looked at
  #unfairAt: Millis = -Infinity; // When something last kept controllers from writing.

  /** To be called often. @returns what is wrong */
  check(cluster: SimulatedCluster): string | undefined {
    const { now, controllers, restoredAt, weather } = cluster;
    const writers = [...controllers.values()].filter(({ mayWrite }) => mayWrite);
    if (writers.length > 1 && now > restoredAt + restoredMs)
      return `${writers.map(({ process }) => process.name).join(" and ")} may both write`;
    const { holderIdentity } = (cluster.api.get("leases", `${namespace}/controller`)?.spec ?? {}) as {
      readonly holderIdentity?: string;
    };
    const isFair = weather.refusals === 0 && weather.lostAnswers === 0 && weather.forbidden === undefined;
    const all = [...controllers.values()];
    if (!isFair || all.some(({ connection, process }) => connection.isCut || process.isStalled) || now < restoredAt + stopMs)
      this.#unfairAt = now;
    for (const controller of all) {
      if (!controller.hasStopped || this.#stopped.has(controller)) continue;
      this.#stopped.add(controller);
      if (controller.identity === holderIdentity && now > this.#unfairAt + stopMs)
        return `${controller.process.name} has ended in order and kept the Lease`;
    }
    const able = new Map<string, Millis>(); // name -> how long it may take
    const isGivenBack = holderIdentity === "";
    for (const { process, connection, isStopping } of isGivenBack && isFair ? all : []) {
      const lag = connection.isCut ? undefined : connection.lagOf("leases");
      if (!process.isRunning || process.isStalled || isStopping || lag === undefined) continue;
      able.set(process.name, handOverMs + lag + waysToApi * weather.latencyMs);
    }
    for (const [name, { since, lasted }] of this.#givenBack.at(now, able.keys()))
      if (lasted > (able.get(name) ?? Infinity)) return `the Lease is given back since ${since} ms, and ${name} has not taken it`;
    return undefined;
  }
}

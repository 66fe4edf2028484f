import type { ObjectChange } from "#e2e/apiserver";
import type { Millis } from "#pkg/clock";
import type { SimulatedCluster } from "../simulated-cluster.ts";

/** Watches a cluster. Problems are sentences for people. */
export interface Judge {
  readonly problem: string | undefined;
  /** For the API's changes, in their order. */
  changed(cluster: SimulatedCluster, change: ObjectChange, byPeople: boolean): void;
  /** How often it looks; every 100 ms where absent. A second is a whole number of these. */
  readonly checkEveryMs?: Millis;
  check(cluster: SimulatedCluster): void;
  /** Whether what is to be seen at rest has been seen. */
  isAtRest(cluster: SimulatedCluster): boolean;
  /** Faults that remain at the end. */
  checkAtRest(cluster: SimulatedCluster): string | undefined;
}

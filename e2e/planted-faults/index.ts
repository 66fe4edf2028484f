/**
 * Faults as an operator meets them: how each is planted, the one command that names cause and remedy, and the object that `kubectl describe`
 * is asked about. The cheapest place decides where a fault is planted: a simulated world, or a cluster of processes where a kernel, a wire
 * or a router takes part.
 */
import { scenes } from "#e2e/demo-cluster";
import { centralFaults, clusterFaults } from "./cluster-faults.ts";
import { nodeFaults } from "./node-faults.ts";
import { routerFaults } from "./router-faults.ts";
import { objectFaults, worldFaults } from "./world-faults.ts";

export { foreignSpeaker } from "./node-faults.ts";
export { described, falselyNamed, found, type Points, subjectOf, sum } from "./points.ts";
export { startFaultRouter } from "./router-faults.ts";
export { objectsConfiguration, worldConfiguration } from "./world-faults.ts";
export { centralFaults, clusterFaults, nodeFaults, objectFaults, routerFaults, worldFaults };

/** All of them, by name. */
export const plantedFaults = {
  ...scenes,
  ...worldFaults,
  ...objectFaults,
  ...clusterFaults,
  ...nodeFaults,
  ...centralFaults,
  ...routerFaults,
} as const;

/** Faults of which no command names the cause, and why. */
export const unfound: Readonly<Record<string, string>> = {
  "filtered-routes": "BGP does not say what a router does with the routes that it takes",
};

/** Faults of which `kubectl describe` does not show both cause and remedy. */
export const undescribed: ReadonlySet<string> = new Set([
  "api-out",
  "filtered-routes",
  // Pools and peers are no objects that kubectl knows.
  "slots-without-owner",
  "prefix-limit-near",
  // The label is on the Node, because somebody wanted that.
  "forgotten-drain",
  // No Event tells of a ConfigMap that cannot be written.
  "summary-refused",
  // Five minutes later there is an Event: conditions.test.ts has it.
  "no-speakers",
  // A host that is no Node, and has no Events.
  "api-name",
  "api-certificate",
  "api-token",
  // Found when somebody asks.
  "small-mtu",
  "wrong-target-port",
  // The kubelet tells of a process that ended; the lab has none.
  "dead-central-speaker",
]);

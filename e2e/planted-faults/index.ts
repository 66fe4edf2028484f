/**
 * Faults as an operator meets them: how each is planted, the one command that names cause and remedy, and the object that `kubectl describe`
 * is asked about. The cheapest place decides where a fault is planted: a simulated world, or a cluster of processes where a kernel, a wire
 * or a router takes part.
 */
import { scenes } from "#e2e/demo-cluster";
import { clusterFaults, routerFaults } from "./cluster-faults.ts";
import { worldFaults } from "./world-faults.ts";

export { foreignSpeaker, startFaultRouter } from "./cluster-faults.ts";
export { described, falselyNamed, found, type Points, subjectOf, sum } from "./points.ts";
export { worldConfiguration } from "./world-faults.ts";
export { clusterFaults, routerFaults, worldFaults };

/** All of them, by name. */
export const plantedFaults = { ...scenes, ...worldFaults, ...clusterFaults, ...routerFaults } as const;

/** Faults of which no command names the cause, and why. */
export const unfound: Readonly<Record<string, string>> = {
  "filtered-routes": "BGP does not say what a router does with the routes that it takes",
};

/** Faults of which `kubectl describe` does not show both cause and remedy. */
export const undescribed: ReadonlySet<string> = new Set([
  "no-controller",
  "api-out",
  "filtered-routes",
  // Pools and peers are no objects that kubectl knows.
  "slots-without-owner",
  "prefix-limit-near",
  // Events on Nodes are not simulated: speaker/faults.test.ts has them.
  "dead-proxy-of-a-node",
  "conntrack-full",
]);

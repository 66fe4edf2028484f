/**
 * Real routers in a lab, to try BGP against, and routing daemons with any configuration (`startFrr`, `startBird`): FRR, BIRD 2, GoBGP and OpenBGPD, from the Debian packages frr, bird2, gobgpd and openbgpd,
 * with one configuration and one way to look at them. FRR and BIRD give their routes to their host's kernel, the others do not.
 * FRR and OpenBGPD change their user, so that they run only where root runs the lab.
 * Not covered: policies, VPNs, route reflection, what a router announces beyond its own networks.
 */
export { Bfdd, type BfddCounters, type BfddPeer, type BfddStatus } from "./bfdd.ts";
export { Bird } from "./bird.ts";
export { birdConfiguration, parseBirdRoutes } from "./bird-dialect.ts";
export type { Neighbor, RouterConfiguration } from "./configuration.ts";
export { frrConfiguration } from "./frr-dialect.ts";
export { ownVarTmp } from "./frr-programs.ts";
export type { KernelRoute } from "./kernel-routes.ts";
export { kernelRoute, parseKernelRoutes } from "./kernel-routes.ts";
export type { NeighborStatus, Route, Router, RouterKind, SessionState } from "./router.ts";
export { type RoutingDaemon, startBird, startFrr } from "./routing-daemon.ts";
export { routerRefusal, startRouter } from "./start.ts";

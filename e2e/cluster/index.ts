/**
 * A real Kubernetes on one machine, for tests: etcd, API server, controller manager and scheduler on a host of their own, and nodes
 * with containerd, kubelet and kube-proxy, all dual-stack on one LAN with a client. Every host is a network namespace. A cluster
 * shares nothing with another or with the machine, and leaves nothing behind, however it ends.
 * Nodes can be killed in parts or whole, and moved; the control plane can be stopped. `scenarios/` are the tests that do so, with a client
 * that sends all the while and a BGP router.
 * Needs root and the Debian packages that `requirements.ts` names. There is no cluster DNS.
 */
export { CommandError, patience, type RunOptions } from "./command.ts";
export { type ApiRequest, readAuditLog, serviceCidrs } from "./control-plane.ts";
export type { Daemon } from "./daemon.ts";
export { helmIsMissing, installedHelm, isHelm3 } from "./helm.ts";
export { buildIngotImage, ingotImage } from "./ingot-image.ts";
export { findKcp } from "./kcp.ts";
export { Host, podPrefixes } from "./lan.ts";
export type { ClusterNode, NodeProgram } from "./node.ts";
export { RealCluster, type RealClusterOptions } from "./real-cluster.ts";
export { releaseFiles } from "./release-files.ts";

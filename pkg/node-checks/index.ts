/**
 * Finds properties of a node that make it drop the traffic for announced addresses, or make others answer for these addresses too: settings
 * of the kernel (Documentation/networking/ip-sysctl.rst), addresses of interfaces, and routes of the main table. Reads them from /proc of
 * the process's own network namespace, on changes and every minute, because the kernel sends no notification when settings change; changes
 * nothing. Where addresses of protocol interface are kept, it also reads who manages their interfaces, from files of systemd-networkd and
 * NetworkManager under /run, and kube-proxy's configuration at 127.0.0.1. It finds by trying whether the kernel refuses real time to a
 * process that has the capability for it, as in a cgroup without real time. A warning stops no announcement: an operator may know better.
 * Rules are pure functions from `Facts` to findings. Not covered: firewalls, policy routing, all but the first path of multipath routes,
 * and addresses announced by BGP.
 */

export { type LanFaults, NodeChecks } from "./node-checks.ts";
export type { Kept } from "./rules/facts.ts";
export { checkNames, describe, type Finding, findingVerdict, identity, sufferers } from "./rules/findings.ts";

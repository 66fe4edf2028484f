/**
 * Networks to test in: hosts, switches, cables good and bad, and routers made of Linux network namespaces, with real processes in them.
 * Needs unshare and nsenter (util-linux), coreutils, iproute2 and this Node; as root, or as any user where user namespaces are allowed.
 * A lab is private: two at once never see each other, and when the process that started it ends, for any reason, so do all its
 * processes and namespaces. Inside a lab /run is its own, so that names of namespaces are private too. Not covered: VLANs, packet
 * filters. Times are milliseconds.
 */
export { environment as labEnvironment } from "./holder.ts";
export type { Attachment, Host, HostOptions, Link } from "./host.ts";
export { type Impairment, maxLateMs } from "./impairment/impairment.ts";
export { Lab, type LabOptions } from "./lab.ts";
export { CommandError, type CommandResult, type Exit, type LabProcess, type RunOptions, type SpawnOptions } from "./process.ts";
export { labPrograms, programBundles, programFile } from "./programs.ts";
export { LabRefused } from "./refusal.ts";
export { connectByRelay, type HttpAnswer, type Published, Relay, relayPath } from "./relay.ts";
export { Switch, type SwitchNamespace } from "./switch.ts";
export { type WaitOptions, waitFor } from "./wait-for.ts";

import { readFileSync } from "node:fs";

/** The machine does not let this user make a lab; the message says what forbids it and what to do. */
export class LabRefused extends Error {
  override readonly name = "LabRefused";
}

/** Facts known when the namespaces could not be made. */
export interface NamespaceRefusal {
  readonly root: boolean;
  /** A program that is not installed. */
  readonly missing?: string;
  /** What `unshare` wrote to standard error. */
  readonly stderr: string;
  /** Reads a file of /proc/sys; undefined where the kernel has no such setting. */
  readonly sysctl: (name: string) => string | undefined;
}

const packageOf: Readonly<Record<string, string>> = { unshare: "util-linux", nsenter: "util-linux", ip: "iproute2" };

const asRoot = "or run this as root (with sudo)";

/** One sentence with the cause where it is known, then what to do about it. */
export function explain({ root, missing, stderr, sysctl }: NamespaceRefusal): string {
  if (missing !== undefined)
    return `Cannot start a lab: ${missing} is not installed: install the package ${packageOf[missing] ?? missing}`;
  return `Cannot start a lab: ${cause(root, sysctl)} (${stderr.trim() || "nothing on standard error"})`;
}

function cause(root: boolean, sysctl: NamespaceRefusal["sysctl"]): string {
  for (const limit of ["user.max_net_namespaces", "user.max_pid_namespaces", "user.max_mnt_namespaces"])
    if (sysctl(limit) === "0") return `${limit} is 0: raise it with "sysctl -w ${limit}=1000"`;
  if (root) return "root may not make namespaces here: if this is a container, start it with --privileged";
  if (sysctl("user.max_user_namespaces") === "0")
    return `user.max_user_namespaces is 0: allow them with "sudo sysctl -w user.max_user_namespaces=10000", ${asRoot}`;
  if (sysctl("kernel.unprivileged_userns_clone") === "0")
    return `kernel.unprivileged_userns_clone is 0: allow them with "sudo sysctl -w kernel.unprivileged_userns_clone=1", ${asRoot}`;
  if (sysctl("kernel.apparmor_restrict_unprivileged_userns") === "1")
    return (
      "AppArmor keeps ordinary users from user namespaces (the default of Ubuntu since 23.10): " +
      `allow them with "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0", ${asRoot}`
    );
  return (
    "this user may not make user namespaces: if this is a container, its seccomp profile or hidden parts of /proc forbid them, so " +
    `start it with --privileged; otherwise look for what denies them in the kernel's log, ${asRoot}`
  );
}

/** The value of a setting such as `user.max_user_namespaces`. */
export function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, "utf8").trim();
  } catch {
    return undefined; // The setting says nothing then, for any reason.
  }
}

import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

export const cniPlugins = "/usr/lib/cni"; // Where Debian has them.

export const bgpd = "/usr/lib/frr/bgpd"; // FRR's.

const programs: Readonly<Record<string, string>> = {
  // Program -> Debian package
  unshare: "util-linux",
  ip: "iproute2",
  openssl: "openssl",
  containerd: "containerd",
  runc: "runc",
  iptables: "iptables",
  conntrack: "conntrack",
  buildah: "buildah",
  mmdebstrap: "mmdebstrap",
  nft: "nftables",
  bird: "bird2",
  arping: "arping",
};

/** @throws {Error} that names all that the machine lacks for a cluster, and how to get it */
export function checkRequirements(): void {
  const user = process.getuid?.();
  if (user !== 0)
    throw new Error(`Cannot start a cluster: it takes root (containers, mounts, cgroups), and this is user ${user}`);
  const folders = (process.env.PATH ?? "").split(delimiter);
  const isInstalled = (program: string) => folders.some((folder) => existsSync(join(folder, program)));
  const missing = Object.entries(programs).filter(([program]) => !isInstalled(program));
  if (!existsSync(join(cniPlugins, "bridge"))) missing.push([`${cniPlugins}/bridge`, "containernetworking-plugins"]);
  if (!existsSync(bgpd)) missing.push([bgpd, "frr"]);
  if (missing.length === 0) return;
  const names = missing.map(([program]) => program).join(", ");
  const packages = missing.map(([, name]) => name).join(" ");
  throw new Error(`Cannot start a cluster: not installed: ${names}. On Debian and Ubuntu: apt-get install ${packages}`);
}

import { readFileSync } from "node:fs";
import { getSystemErrorName } from "node:util";
import { type Netfilter, NetlinkError, SystemCallError, TcpSocket } from "#pkg/linux";
import { Address, type Family } from "#pkg/net";
import { shapeOf, tableName } from "./state/shape.ts";

/** Reads a file of /proc. */
export type ReadFile = (path: string) => string;

const looseFile = "/proc/sys/net/netfilter/nf_conntrack_tcp_loose";
// Interfaces of programs that may do kube-proxy's work. Theirs run where packets come in, before nf_tables sees them.
const programs: Readonly<Record<string, string>> = { cilium_host: "Cilium", "bpfin.cali": "Calico's eBPF data plane" };
// kube-proxy listens there, on an address of the node. Nobody else may have the port on all of them then.
const kubeProxyPort = 10_249;
const allAddresses = [new Uint8Array(4), new Uint8Array(16)].map((octets) => Address.fromBytes(octets));

export function readNow(path: string): string {
  return readFileSync(path, "utf8");
}

/** A setting or program of this node that makes handovers fail. */
export function findObstacle(read: ReadFile): string | undefined {
  if (contentOf(read, looseFile).trim() === "0")
    return "net.netfilter.nf_conntrack_tcp_loose is 0, by which the kernel drops what is to be handed over";
  const devices = contentOf(read, "/proc/net/dev");
  const names = new Set(devices.split("\n").map((line) => line.split(":")[0]?.trim()));
  const program = Object.entries(programs).find(([device]) => names.has(device))?.[1];
  if (program === undefined || !allAddresses.every(mayListen)) return undefined;
  return `${program} takes the place of kube-proxy, which does not listen on port ${kubeProxyPort}: nf_tables does not see its packets`;
}

/** Whether nobody listens on kube-proxy's port; false where that cannot be told. The kernel's list of sockets may have a million. */
function mayListen(address: Address): boolean {
  try {
    using socket = TcpSocket.open(address.family);
    socket.reuseAddress();
    socket.bind(address, kubeProxyPort);
    return true;
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    return error.code === "EAFNOSUPPORT" || error.code === "EADDRNOTAVAIL";
  }
}

/** Empty where the kernel has no such file, such as before it has loaded the tracking of connections. */
function contentOf(read: ReadFile, path: string): string {
  try {
    return read(path);
  } catch {
    return "";
  }
}

/** Makes a table, and takes it away in the same change. @returns why the kernel refuses it */
export function tryTable(family: Family, open: () => Pick<Netfilter, "change">): string | undefined {
  const table = { family, table: `${tableName}-try` };
  try {
    const errno = open().change(table, [...shapeOf(family), { type: "deleteTable" }]);
    if (errno === 0) return undefined;
    const name = getSystemErrorName(-errno);
    if (name === "EPERM") return "the process needs the capability NET_ADMIN";
    return `this kernel lacks a part of nf_tables that it takes, such as nft_ct or nft_dup_${family.toLowerCase()} (${name})`;
  } catch (error) {
    if (error instanceof SystemCallError || error instanceof NetlinkError) return error.message;
    throw error;
  }
}

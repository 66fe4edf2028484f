import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Those that are open in this process. */
export function descriptors(): string[] {
  return readdirSync("/proc/self/fd");
}

/** Those of this process's netlink sockets. */
export function netlinkDescriptors(): number[] {
  const inodes = readFileSync("/proc/self/net/netlink", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/).at(-1));
  return descriptors().flatMap((fd) => {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
      return inode !== undefined && inodes.includes(inode) ? [Number(fd)] : [];
    } catch {
      return []; // The descriptor that read the directory.
    }
  });
}

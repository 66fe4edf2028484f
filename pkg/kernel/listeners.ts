import { readFileSync } from "node:fs";
import type { Millis } from "#pkg/clock";
import { NetlinkGroup } from "#pkg/linux";

// A listener has at least net.core.rmem_default octets, usually 208 KiB; what a portion of changes adds has to fit beside this.
const maxWaiting = 64 << 10;
const maxWait: Millis = 100;
const told = [NetlinkGroup.ipv4Address, NetlinkGroup.ipv4Route, NetlinkGroup.ipv6Address, NetlinkGroup.ipv6Route]
  .map((group) => 1 << (group - 1))
  .reduce((all, one) => all | one);

/** A socket of somebody who is told of changes of addresses and routes. */
export interface Listener {
  readonly inode: string;
  /** Octets that it has not read yet, as the kernel counts them. */
  readonly waiting: number;
}

/**
 * Keeps pace with those who are told of changes. The kernel drops what it tells a routing daemon that does not read it soon enough; BIRD
 * then knows nothing of it until it reads everything again, by default after a minute. One that does not read at all is not waited for.
 */
export class Listeners {
  readonly #read: () => string | undefined;
  readonly #ignored = new Set<string>(); // inodes of those that were waited for in vain
  #waiting: { readonly since: Millis } | undefined;

  constructor(read: () => string | undefined = readSockets) {
    this.#read = read;
  }

  /** Whether to wait before the next changes, because somebody has not read what was told of those before. @param own inode of the caller's */
  areBehind(now: Millis, own: string): boolean {
    const behind = listenersOf(this.#read() ?? "").filter(({ inode, waiting }) => inode !== own && waiting > maxWaiting);
    const inodes = new Set(behind.map(({ inode }) => inode));
    for (const inode of this.#ignored) if (!inodes.has(inode)) this.#ignored.delete(inode);
    if (inodes.difference(this.#ignored).size === 0) {
      this.#waiting = undefined;
      return false;
    }
    this.#waiting ??= { since: now };
    if (now < this.#waiting.since + maxWait) return true;
    for (const inode of inodes) this.#ignored.add(inode);
    this.#waiting = undefined;
    return false;
  }
}

/** Reads /proc/net/netlink: a line for each netlink socket of this network. Other lines are left out. */
export function listenersOf(text: string): Listener[] {
  return text.split("\n").flatMap((line) => {
    const [, protocol, , groups = "", waiting = "", , , , , inode] = line.trim().split(/\s+/);
    const isTold = protocol === "0" && (Number.parseInt(groups, 16) & told) !== 0;
    return isTold && inode !== undefined && /^\d+$/.test(waiting) ? [{ inode, waiting: Number(waiting) }] : [];
  });
}

function readSockets(): string | undefined {
  try {
    return readFileSync("/proc/net/netlink", "utf8");
  } catch {
    return undefined; // Without it nobody is waited for.
  }
}

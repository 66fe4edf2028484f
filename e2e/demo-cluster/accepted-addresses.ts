import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { isIP } from "node:net";

// Marks our routes, so that those of a process that was killed are found. Any number that nobody else uses (rtnetlink(7)).
const routeProtocol = 99;
const ours = `table local proto ${routeProtocol}`;

// The kernel is to take packets for addresses that it does not own, and to keep quiet about them: who answers ARP and neighbor
// solicitations for an address is the speaker's decision. `arp_announce` keeps such an address out of its own ARP questions too.
const settings: Readonly<Record<string, number>> = {
  "ipv4/conf/all/arp_ignore": 1,
  "ipv4/conf/all/arp_announce": 2,
  "ipv6/ip_nonlocal_bind": 1,
};

const families = [
  { version: 4, bits: 32 },
  { version: 6, bits: 128 },
] as const;

/** The addresses whose packets this host's kernel takes in without owning them: a local route for each. */
export class AcceptedAddresses {
  #current: ReadonlySet<string> = new Set();

  /** Prepares the kernel and forgets what an earlier process left. */
  async start(): Promise<void> {
    for (const [name, value] of Object.entries(settings)) await writeFile(`/proc/sys/net/${name}`, String(value));
    for (const { version } of families) await ip(version, [`route flush ${ours}`]);
  }

  /** Takes in exactly these from now on. @throws {Error} with what ip said; the next call then tries all again */
  async set(wanted: ReadonlySet<string>): Promise<void> {
    for (const { version, bits } of families) {
      const added = [...wanted.difference(this.#current)].filter((address) => isIP(address) === version);
      const removed = [...this.#current.difference(wanted)].filter((address) => isIP(address) === version);
      await ip(version, [
        ...added.map((address) => `route replace local ${address}/${bits} dev lo ${ours}`),
        // Unlike `del`, `flush` does not mind a route that has gone already.
        ...removed.map((address) => `route flush exact ${address}/${bits} ${ours}`),
      ]);
    }
    this.#current = new Set(wanted);
  }
}

async function ip(version: 4 | 6, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = execFile("ip", [`-${version}`, "-batch", "-"], (error, _stdout, stderr) => {
    if (error === null) resolve();
    else reject(new Error(`Cannot change routes (${lines.join("; ")}): ${stderr.trim()}`, { cause: error }));
  });
  child.stdin?.on("error", () => {}); // It may end before it has read all; its status says so.
  child.stdin?.end(lines.map((line) => `${line}\n`).join(""));
  await promise;
}

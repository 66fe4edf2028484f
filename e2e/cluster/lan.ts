import type { RunOptions } from "./command.ts";
import type { Daemon } from "./daemon.ts";
import type { Sandbox } from "./sandbox.ts";

const fetchScript = `
const response = await fetch(process.argv[1], { signal: AbortSignal.timeout(3000) });
console.log(JSON.stringify({ status: response.status, body: await response.text() }));
`;

/** A machine on the LAN, dual-stack. */
export class Host {
  readonly name: string;
  /** On `eth0`, as is `ipv6`. */
  get ipv4(): string {
    return `172.30.0.${this.#number}`;
  }
  get ipv6(): string {
    return `fd00:30::${this.#number}`;
  }
  readonly #sandbox: Sandbox;
  #number: number;

  constructor(sandbox: Sandbox, name: string, number: number) {
    this.#sandbox = sandbox;
    this.name = name;
    this.#number = number;
  }

  /** Runs a command to its end in this host's network; paths have to be absolute. See `run`. */
  run(command: readonly string[], options?: RunOptions): Promise<string> {
    return this.#sandbox.run(this.name, command, options);
  }

  /** Fetches a URL from this host. @returns status and body. @throws {CommandError} without an answer within 3 seconds */
  async get(url: string): Promise<{ status: number; body: string }> {
    return JSON.parse(await this.run([process.execPath, "--input-type=module", "-e", fetchScript, url]));
  }

  /** The MAC address in this host's neighbour table, in lower case with colons; undefined while there is none. */
  async neighbour(address: string): Promise<string | undefined> {
    const entries: { lladdr?: string }[] = JSON.parse(await this.run(["ip", "-json", "neigh", "show", address, "dev", "eth0"]));
    return entries[0]?.lladdr;
  }

  /** Starts what runs until the cluster goes. Its output is kept with the cluster's logs. */
  daemon(name: string, command: readonly string[]): Daemon {
    return this.#sandbox.daemon(this.name, name, command);
  }

  /** Gives it the addresses of that number instead of its own. Its routes, and those by way of it, are gone then: see `setRoutes`. */
  async move(number: number): Promise<void> {
    this.#number = number;
    const addresses = [`${this.ipv4}/24`, `${this.ipv6}/64 nodad`].map((address) => `ip addr add ${address} dev eth0`);
    await this.run(["sh", "-ec", ["ip addr flush dev eth0 scope global", ...addresses].join("\n")]);
  }

  /** The MAC address of `eth0`, in lower case with colons. */
  async mac(): Promise<string> {
    const links: { address: string }[] = JSON.parse(await this.run(["ip", "-json", "link", "show", "eth0"]));
    return String(links[0]?.address);
  }
}

export interface Lan {
  /** Where the control plane runs; also the nodes' default gateway. */
  readonly controlPlane: Host;
  /** An ordinary machine: beside the LAN it reaches `routedPrefix`, by way of the router. */
  readonly client: Host;
  /** It forwards packets. */
  readonly router: Host;
  /** `node1`, `node2`, … */
  readonly nodes: readonly Host[];
}

/** The Pods of the node of that number, counted from 1. */
export function podPrefixes(node: number): { ipv4: string; ipv6: string } {
  return { ipv4: `10.244.${node}.0/24`, ipv6: `fd00:244:${node}::/64` };
}

/** Addresses outside the LAN, which the client looks for behind the router. */
export const routedPrefix = "198.51.100.0/24";

/** Makes a switch with a host for the control plane, a client, a router and the nodes, which have routes to each other's Pods. */
export async function createLan(sandbox: Sandbox, nodeCount: number): Promise<Lan> {
  const controlPlane = new Host(sandbox, "cp", 1);
  const router = new Host(sandbox, "router", 2);
  const client = new Host(sandbox, "client", 100);
  const nodes = Array.from({ length: nodeCount }, (_, i) => new Host(sandbox, `node${i + 1}`, 11 + i));
  const lan = { controlPlane, client, router, nodes };

  const script = ["ip link add lan type bridge", "ip link set lan up"];
  for (const { name, ipv4, ipv6 } of [controlPlane, client, router, ...nodes]) {
    const ip = `ip -n ${name}`;
    script.push(
      `ip netns add ${name}`,
      `ip link add port-${name} type veth peer name eth0 netns ${name}`,
      `ip link set port-${name} master lan up`,
      `${ip} link set lo up`,
      `${ip} link set eth0 up`,
      `${ip} addr add ${ipv4}/24 dev eth0`,
      `${ip} addr add ${ipv6}/64 dev eth0 nodad`,
    );
  }
  const forward = "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding";
  for (const { name } of [router, ...nodes]) script.push(`nsenter --net=/run/netns/${name} sh -ec '${forward}'`);
  // Its clients are on the link of its next hops, where it would tell them to take the direct way.
  const redirects = "for each in all eth0; do echo 0 > /proc/sys/net/ipv4/conf/$each/send_redirects; done";
  script.push(`nsenter --net=/run/netns/${router.name} sh -ec '${redirects}'`);
  script.push(`ip -n ${client.name} route add ${routedPrefix} via ${router.ipv4}`);
  await sandbox.run(undefined, ["sh", "-ec", script.join("\n")]);
  await setRoutes(sandbox, lan);
  return lan;
}

/** Gives all nodes their default gateway, and everybody the routes to the nodes' Pods. */
export async function setRoutes(sandbox: Sandbox, { controlPlane, nodes }: Lan): Promise<void> {
  const script = nodes.flatMap(({ name }) => [
    `ip -n ${name} route replace default via ${controlPlane.ipv4}`,
    `ip -n ${name} route replace default via ${controlPlane.ipv6}`,
  ]);
  for (const [i, to] of nodes.entries()) {
    const pods = podPrefixes(i + 1);
    for (const from of [controlPlane, ...nodes]) {
      if (from === to) continue;
      script.push(
        `ip -n ${from.name} route replace ${pods.ipv4} via ${to.ipv4}`,
        `ip -n ${from.name} route replace ${pods.ipv6} via ${to.ipv6}`,
      );
    }
  }
  await sandbox.run(undefined, ["sh", "-ec", script.join("\n")]);
}

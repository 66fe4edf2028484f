import type { RunOptions } from "./command.ts";
import type { Sandbox } from "./sandbox.ts";

const fetchScript = `
const response = await fetch(process.argv[1], { signal: AbortSignal.timeout(3000) });
console.log(JSON.stringify({ status: response.status, body: await response.text() }));
`;

/** A machine on the LAN, dual-stack. */
export class Host {
  readonly name: string;
  /** On `eth0`, as is `ipv6`. */
  readonly ipv4: string;
  readonly ipv6: string;
  readonly #sandbox: Sandbox;

  constructor(sandbox: Sandbox, name: string, number: number) {
    this.#sandbox = sandbox;
    this.name = name;
    this.ipv4 = `172.30.0.${number}`;
    this.ipv6 = `fd00:30::${number}`;
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
  daemon(name: string, command: readonly string[]): void {
    this.#sandbox.daemon(this.name, name, command);
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
  /** An ordinary machine: it has no routes but those of the LAN. */
  readonly client: Host;
  /** `node1`, `node2`, … */
  readonly nodes: readonly Host[];
}

/** The Pods of the node of that number, counted from 1. */
export function podPrefixes(node: number): { ipv4: string; ipv6: string } {
  return { ipv4: `10.244.${node}.0/24`, ipv6: `fd00:244:${node}::/64` };
}

/** Makes a switch with a host for the control plane, a client and the nodes, which have routes to each other's Pods. */
export async function createLan(sandbox: Sandbox, nodeCount: number): Promise<Lan> {
  const controlPlane = new Host(sandbox, "cp", 1);
  const client = new Host(sandbox, "client", 100);
  const nodes = Array.from({ length: nodeCount }, (_, i) => new Host(sandbox, `node${i + 1}`, 11 + i));

  const script = ["ip link add lan type bridge", "ip link set lan up"];
  for (const { name, ipv4, ipv6 } of [controlPlane, client, ...nodes]) {
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
  for (const { name } of nodes) {
    script.push(
      `nsenter --net=/run/netns/${name} sh -ec '${forward}'`,
      `ip -n ${name} route add default via ${controlPlane.ipv4}`,
      `ip -n ${name} route add default via ${controlPlane.ipv6}`,
    );
  }
  for (const [i, to] of nodes.entries()) {
    const pods = podPrefixes(i + 1);
    for (const from of [controlPlane, ...nodes]) {
      if (from === to) continue;
      script.push(
        `ip -n ${from.name} route add ${pods.ipv4} via ${to.ipv4}`,
        `ip -n ${from.name} route add ${pods.ipv6} via ${to.ipv6}`,
      );
    }
  }
  await sandbox.run(undefined, ["sh", "-ec", script.join("\n")]);
  return { controlPlane, client, nodes };
}

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { type HttpAnswer, type Published, Relay, relayPath, Switch, type SwitchNamespace, waitFor } from "#e2e/lab";
import { patience, type RunOptions } from "./command.ts";
import type { Daemon } from "./daemon.ts";
import type { Sandbox } from "./sandbox.ts";

/** The families of a cluster: of its hosts, Pods and Services. */
export type Families = "dual-stack" | "IPv6";

/** A machine on the LAN. */
export class Host {
  readonly name: string;
  readonly #families: Families;
  /** On `eth0`, as is `ipv6`. */
  get ipv4(): string {
    return `172.30.0.${this.#number}`;
  }
  get ipv6(): string {
    return `fd00:30::${this.#number}`;
  }
  /** All its addresses, IPv4 first. */
  get addresses(): readonly string[] {
    return this.#families === "IPv6" ? [this.ipv6] : [this.ipv4, this.ipv6];
  }
  readonly #sandbox: Sandbox;
  #number: number;
  #relay: Promise<Relay> | undefined;

  constructor(sandbox: Sandbox, name: string, number: number, families: Families) {
    this.#sandbox = sandbox;
    this.name = name;
    this.#number = number;
    this.#families = families;
  }

  /** Runs a command to its end in this host's network; paths have to be absolute. See `run`. */
  run(command: readonly string[], options?: RunOptions): Promise<string> {
    return this.#sandbox.run(this.name, command, options);
  }

  /** Fetches a URL from this host. @throws {Error} without an answer within `timeout` milliseconds, 3,000 unless given */
  async get(url: string, { timeout = 3_000 }: { timeout?: number } = {}): Promise<HttpAnswer> {
    return (await this.#startedRelay()).get(url, timeout);
  }

  /** Connects from this host by TCP. */
  async connect(address: string, port: number): Promise<Socket> {
    return (await this.#startedRelay()).connect(address, port);
  }

  /** Opens a TCP port on the caller's 127.0.0.1 that leads to `address` and `port` as this host reaches them. */
  async publish(address: string, port: number): Promise<Published> {
    return (await this.#startedRelay()).publish(address, port);
  }

  /** The MAC address in this host's neighbor table, in lower case with colons; undefined if the table has no entry. */
  async neighbor(address: string): Promise<string | undefined> {
    const entries: { lladdr?: string }[] = JSON.parse(await this.run(["ip", "-json", "neigh", "show", address, "dev", "eth0"]));
    return entries[0]?.lladdr;
  }

  /** Starts what runs until the cluster goes. Its output is kept with the cluster's logs. */
  daemon(name: string, command: readonly string[], startsAgain = false): Daemon {
    return this.#sandbox.daemon(this.name, name, command, startsAgain);
  }

  /** Gives it the addresses of that number instead of its own. Its routes, and those by way of it, are gone then: see `setRoutes`. */
  async move(number: number): Promise<void> {
    this.#number = number;
    const addresses = [`${this.ipv4}/24`, `${this.ipv6}/64 nodad`].map((address) => `ip addr add ${address} dev eth0`);
    await this.run(["sh", "-ec", ["ip addr flush dev eth0 scope global", ...addresses].join("\n")]);
  }

  #startedRelay(): Promise<Relay> {
    const path = relayPath(this.#sandbox.directory, this.name);
    this.#relay ??= Relay.start({ inside: path, outside: path }, async (argv) => {
      this.daemon(`relay-${this.name}`, [process.execPath, ...argv]);
      await waitFor(`the relay on ${this.name}`, () => existsSync(path), patience);
    });
    return this.#relay;
  }

  /** The MAC address of `eth0`, in lower case with colons. */
  async mac(): Promise<string> {
    const links: { address: string }[] = JSON.parse(await this.run(["ip", "-json", "link", "show", "eth0"]));
    return String(links[0]?.address);
  }
}

export interface Lan {
  readonly lan: Switch;
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
export async function createLan(sandbox: Sandbox, nodeCount: number, families: Families): Promise<Lan> {
  const host = (name: string, number: number) => new Host(sandbox, name, number, families);
  const [controlPlane, router, client] = [host("cp", 1), host("router", 2), host("client", 100)];
  const nodes = Array.from({ length: nodeCount }, (_, i) => host(`node${i + 1}`, 11 + i));
  const lan = new Switch(switchNamespace(sandbox), "lan");
  await lan.start();
  const all = [controlPlane, client, router, ...nodes];
  await sandbox.run(undefined, ["ip", "-batch", "-"], { input: all.map(({ name }) => `netns add ${name}\n`).join("") });
  for (const host of all) await lan.connect(host, host.name, "eth0");
  const script: string[] = [];
  for (const { name, addresses } of all) {
    const ip = `ip -n ${name}`;
    script.push(`${ip} link set lo up`, `${ip} link set eth0 up`);
    for (const address of addresses)
      script.push(`${ip} addr add ${address.includes(":") ? `${address}/64` : `${address}/24`} dev eth0 nodad`);
  }
  const forward = "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding";
  for (const { name } of [router, ...nodes]) script.push(`nsenter --net=/run/netns/${name} sh -ec '${forward}'`);
  // Its clients are on the link of its next hops, where it would tell them to take the direct way.
  const redirects = "for each in all eth0; do echo 0 > /proc/sys/net/ipv4/conf/$each/send_redirects; done";
  script.push(`nsenter --net=/run/netns/${router.name} sh -ec '${redirects}'`);
  if (families === "dual-stack") script.push(`ip -n ${client.name} route add ${routedPrefix} via ${router.ipv4}`);
  await sandbox.run(undefined, ["sh", "-ec", script.join("\n")]);
  const made = { lan, controlPlane, client, router, nodes };
  await setRoutes(sandbox, made);
  return made;
}

function switchNamespace(sandbox: Sandbox): SwitchNamespace {
  let last = 0;
  const number = () => ++last;
  return {
    number,
    ip: async (lines) => void (await sandbox.run(undefined, ["ip", "-batch", "-"], { input: `${lines.join("\n")}\n` })),
    cable: async (name, argv) => {
      const cable = sandbox.daemon(undefined, `${name}-${number()}`, [process.execPath, ...argv]);
      await waitFor(name, async () => (await readFile(cable.log, "utf8")).includes("connected"), patience);
      return cable;
    },
  };
}

/** Gives all nodes their default gateway, and everybody the routes to the nodes' Pods. */
export async function setRoutes(sandbox: Sandbox, { controlPlane, nodes }: Lan): Promise<void> {
  const script = nodes.flatMap(({ name }) =>
    controlPlane.addresses.map((gateway) => `ip -n ${name} route replace default via ${gateway}`),
  );
  for (const [i, to] of nodes.entries()) {
    const pods = podPrefixes(i + 1);
    for (const from of [controlPlane, ...nodes]) {
      if (from === to) continue;
      for (const gateway of to.addresses)
        script.push(`ip -n ${from.name} route replace ${gateway.includes(":") ? pods.ipv6 : pods.ipv4} via ${gateway}`);
    }
  }
  await sandbox.run(undefined, ["sh", "-ec", script.join("\n")]);
}

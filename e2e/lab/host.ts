import type { Socket } from "node:net";
import {
  CommandError,
  type CommandResult,
  type LabNamespaces,
  type LabProcess,
  type RunOptions,
  type SpawnOptions,
} from "./process.ts";
import { type HttpAnswer, type Published, Relay, relayPath } from "./relay.ts";
import type { Switch } from "./switch.ts";

export interface HostOptions {
  /** Forwards packets of both families, as a router does. */
  readonly forwarding?: boolean;
}

/** One end of a cable to a switch. */
export interface Attachment {
  /** `eth0`, `eth1`, … in the order of attaching when unset. */
  readonly interface?: string;
  /** `02:00:00:00:…`, counted up, when unset: the same in every run. */
  readonly mac?: string;
  /** With prefix lengths: `172.30.0.11/24`, `fd00:30::11/64`. IPv6 addresses are usable at once. */
  readonly addresses?: readonly string[];
}

/** An interface of a host. */
export interface Link {
  readonly name: string;
  /** Turns it off as an administrator does. Linux then forgets the static routes through it. */
  down(): Promise<void>;
  up(): Promise<void>;
  /** Whether it is on and sees the other end of its cable. */
  carrier(): Promise<boolean>;
  mac(): Promise<string>;
}

// Settings of a plain host of today, whatever the machine has, and without waits of a test: no duplicate address detection, no router solicitation.
// An interface that was off gets its IPv6 addresses back, as network managers see to.
const settings: Readonly<Record<string, number>> = {
  "net.ipv4.conf.all.arp_ignore": 0,
  "net.ipv4.conf.default.arp_ignore": 0,
  "net.ipv4.conf.all.arp_announce": 0,
  "net.ipv4.conf.default.arp_announce": 0,
  "net.ipv4.conf.all.rp_filter": 0,
  "net.ipv4.conf.default.rp_filter": 0,
  "net.ipv6.conf.all.accept_dad": 0,
  "net.ipv6.conf.default.accept_dad": 0,
  "net.ipv6.conf.default.router_solicitations": 0,
  "net.ipv6.conf.all.keep_addr_on_down": 1,
  "net.ipv6.conf.default.keep_addr_on_down": 1,
};

/** A computer: a network namespace and the processes in it. */
export class Host {
  readonly name: string;
  readonly #namespaces: LabNamespaces;
  readonly #forwarding: boolean;
  #relay: Promise<Relay> | undefined;
  #interfaces = 0;

  /** For `Lab.host`. */
  constructor(namespaces: LabNamespaces, name: string, { forwarding = false }: HostOptions) {
    this.#namespaces = namespaces;
    this.name = name;
    this.#forwarding = forwarding;
  }

  /** For `Lab.host`. */
  async start(): Promise<void> {
    const forward = this.#forwarding ? 1 : 0;
    await this.#namespaces.ip(undefined, [`netns add ${this.name}`]);
    const values = { ...settings, "net.ipv4.ip_forward": forward, "net.ipv6.conf.all.forwarding": forward };
    await this.output(["sh", "-e"], { input: [...sysctlLines(values), "ip link set lo up"].join("\n") });
  }

  /** Lays a cable from a new interface to the switch and turns both ends on. */
  async attach(lan: Switch, { interface: name, mac, addresses = [] }: Attachment = {}): Promise<Link> {
    const number = this.#interfaces++;
    const interfaceName = name ?? `eth${number}`;
    await lan.connect(this, this.name, interfaceName, mac ?? this.#nextMac());
    await this.ip(...addresses.map((address) => `addr add ${address} dev ${interfaceName}`), `link set ${interfaceName} up`);
    return this.link(interfaceName);
  }

  link(name: string): Link {
    const show = async (): Promise<{ flags: string[]; address: string }> => {
      const [link] = JSON.parse(await this.output(["ip", "-json", "link", "show", "dev", name]));
      return link;
    };
    return {
      name,
      down: () => this.ip(`link set ${name} down`),
      up: () => this.ip(`link set ${name} up`),
      carrier: async () => (await show()).flags.includes("LOWER_UP"),
      mac: async () => (await show()).address,
    };
  }

  /** Adds a route to `default` or a prefix, by a gateway or several (then each flow takes one of them), of either family. */
  async route(to: string, ...gateways: readonly string[]): Promise<void> {
    const [only] = gateways;
    const via = gateways.length === 1 ? `via ${only}` : gateways.map((gateway) => `nexthop via ${gateway}`).join(" ");
    await this.ip(`route add ${to} ${via}`);
  }

  /** Runs lines of `ip -batch`, such as `addr add 192.0.2.1/32 dev lo`. @throws {CommandError} at the first that fails */
  async ip(...lines: readonly string[]): Promise<void> {
    await this.#namespaces.ip(this.name, lines);
  }

  /** Writes kernel settings by their dotted names. */
  async sysctl(values: Readonly<Record<string, number>>): Promise<void> {
    await this.output(["sh", "-e"], { input: sysctlLines(values).join("\n") });
  }

  /** Runs a command to its end, with any status. @throws {CommandError} when it takes too long */
  async run(argv: readonly string[], options?: RunOptions): Promise<CommandResult> {
    return this.#namespaces.run(this.name, argv, options);
  }

  /** The standard output of a command. @throws {CommandError} when it fails or takes too long */
  async output(argv: readonly string[], options?: RunOptions): Promise<string> {
    const done = await this.run(argv, options);
    if (done.code !== 0) throw new CommandError(`${argv.join(" ")} on ${this.name}`, done);
    return done.stdout;
  }

  /** Starts a process. `node` is the Node that runs us. */
  async spawn(name: string, argv: readonly string[], options?: SpawnOptions): Promise<LabProcess> {
    return this.#namespaces.spawn(this.name, name, argv, options);
  }

  /** Makes a TCP connection from this host. @throws {Error} with the `code` that connecting failed with there, such as ECONNREFUSED */
  async connect(address: string, port: number): Promise<Socket> {
    return (await this.#startedRelay()).connect(address, port);
  }

  /** HTTP GET from this host, on a connection of its own. @throws {Error} when connecting fails or `timeout` ms (10,000 when unset) pass */
  async get(url: string, { timeout = 10_000 }: { timeout?: number } = {}): Promise<HttpAnswer> {
    return (await this.#startedRelay()).get(url, timeout);
  }

  /** Opens a TCP port on the caller's 127.0.0.1 that leads to `address` and `port` as this host reaches them. */
  async publish(address: string, port: number): Promise<Published> {
    return (await this.#startedRelay()).publish(address, port);
  }

  /** The shell command that enters this host from a terminal of the same user. */
  get nsenter(): string {
    return this.#namespaces.nsenter(this.name);
  }

  #startedRelay(): Promise<Relay> {
    const inside = relayPath("/run", this.name);
    this.#relay ??= Relay.start({ inside, outside: this.#namespaces.outside(inside) }, async (argv) => {
      const relay = await this.spawn(`relay-${this.name}`, ["node", ...argv]);
      await relay.waitForLine(/^listening$/);
    });
    return this.#relay;
  }

  #nextMac(): string {
    const number = this.#namespaces.number().toString(16).padStart(4, "0");
    return `02:00:00:00:${number.slice(0, 2)}:${number.slice(2)}`;
  }
}

function sysctlLines(values: Readonly<Record<string, number>>): string[] {
  return Object.entries(values).map(([name, value]) => `echo ${value} >/proc/sys/${name.replaceAll(".", "/")}`);
}

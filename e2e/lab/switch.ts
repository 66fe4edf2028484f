import { fileURLToPath } from "node:url";
import type { Impairment } from "./impairment/impairment.ts";

interface Host {
  readonly name: string;
}

/** The part of their common namespace that switches need. */
export interface SwitchNamespace {
  /** Runs lines of `ip -batch`. */
  ip(lines: readonly string[]): Promise<void>;
  /** Runs a program of ours by Node; resolves when it has printed `connected`. */
  cable(name: string, argv: readonly string[]): Promise<Cable>;
  /** 1, 2, 3, … for names of ports. */
  number(): number;
}

interface Cable {
  stop(): Promise<unknown>;
}

/** Where a host's cable ends. */
interface Port {
  /** The other end of the host's interface, whose state is the host's carrier. */
  readonly cable: string;
  /** The one that is in the bridge: another one while the cable is bad. */
  inBridge: string;
  badCable?: Cable;
}

/** A bridge in the namespace of all switches, which has no addresses. Hosts connect with `Host.attach`. */
export class Switch {
  readonly name: string;
  readonly #namespace: SwitchNamespace;
  readonly #ports = new Map<string, Port[]>(); // name of a host -> its ports
  readonly #isolated = new Set<string>(); // names of hosts

  /** For `Lab.switch`. */
  constructor(namespace: SwitchNamespace, name: string) {
    this.#namespace = namespace;
    this.name = name;
  }

  /** For `Lab.switch`. */
  async start(): Promise<void> {
    await this.#namespace.ip([
      `link add ${this.name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
      `link set ${this.name} up`,
    ]);
  }

  /** For `Host.attach`: a cable from a new port here to a new interface there; the port is on, the interface is not. */
  async connect(host: Host, netns: string, interfaceName: string, mac?: string): Promise<void> {
    const port = `port${this.#namespace.number()}`;
    await this.#namespace.ip([
      `link add ${port} type veth peer name ${interfaceName}${mac === undefined ? "" : ` address ${mac}`} netns ${netns}`,
      `link set ${port} master ${this.name} up alias "${host.name} ${interfaceName}"`,
    ]);
    this.#ports.set(host.name, [...(this.#ports.get(host.name) ?? []), { cable: port, inBridge: port }]);
  }

  /** Pulls the host's cables out of this switch: the host sees its carrier go. */
  async unplug(host: Host): Promise<void> {
    await this.#each(host, ({ cable }) => `link set ${cable} down`);
  }

  /** Puts the cables back. */
  async plug(host: Host): Promise<void> {
    await this.#each(host, ({ cable }) => `link set ${cable} up`);
  }

  /** Drops every frame between the host and this switch while both ends see a good link, as a broken switch does. */
  async isolate(host: Host): Promise<void> {
    await this.#each(host, ({ inBridge }) => `link set ${inBridge} nomaster`);
    this.#isolated.add(host.name);
  }

  /** Ends `isolate`. */
  async rejoin(host: Host): Promise<void> {
    this.#isolated.delete(host.name);
    await this.#each(host, ({ inBridge }) => `link set ${inBridge} master ${this.name}`);
  }

  /** Makes the host's cables bad ones, in both directions, until `repair`. Resolves when they are. */
  async impair(host: Host, impairment: Impairment): Promise<void> {
    for (const port of this.#portsOf(host)) {
      if (port.badCable !== undefined) throw new Error(`Cannot impair ${host.name}: its cable is bad already`);
      const [end, inBridge] = [`end${this.#namespace.number()}`, `port${this.#namespace.number()}`];
      // Without addresses the namespace of the switches sends nothing of its own.
      const ends = [end, inBridge].map((name) => `link set ${name} addrgenmode none up`);
      await this.#namespace.ip([`link add ${end} type veth peer name ${inBridge}`, ...ends]);
      port.badCable = await this.#namespace.cable(`cable-${host.name}`, [program, JSON.stringify(impairment), port.cable, end]);
      await this.#exchange(host, port, inBridge);
    }
  }

  /** Ends `impair`; frames that still wait are lost. */
  async repair(host: Host): Promise<void> {
    for (const port of this.#portsOf(host)) {
      if (port.badCable === undefined) continue;
      const pair = port.inBridge;
      await this.#exchange(host, port, port.cable);
      await port.badCable.stop();
      delete port.badCable;
      await this.#namespace.ip([`link delete ${pair}`]);
    }
  }

  /** Puts another interface into the bridge, unless the host is isolated. */
  async #exchange(host: Host, port: Port, inBridge: string): Promise<void> {
    const joining = this.#isolated.has(host.name) ? [] : [`link set ${inBridge} master ${this.name}`];
    await this.#namespace.ip([`link set ${port.inBridge} nomaster`, ...joining]);
    port.inBridge = inBridge;
  }

  async #each(host: Host, line: (port: Port) => string): Promise<void> {
    await this.#namespace.ip(this.#portsOf(host).map(line));
  }

  #portsOf(host: Host): readonly Port[] {
    const ports = this.#ports.get(host.name);
    if (ports === undefined) throw new Error(`Cannot change the port of ${host.name}: it is not attached to ${this.name}`);
    return ports;
  }
}

const program = fileURLToPath(new URL("impairment/cable-process.ts", import.meta.url));

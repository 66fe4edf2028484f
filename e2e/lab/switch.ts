import type { LabNamespaces } from "./process.ts";

interface Host {
  readonly name: string;
}

/** A bridge in the namespace of all switches, which has no addresses. Hosts connect with `Host.attach`. */
export class Switch {
  readonly name: string;
  readonly #namespaces: LabNamespaces;
  readonly #ports = new Map<Host, string[]>(); // host -> its ports

  /** For `Lab.switch`. */
  constructor(namespaces: LabNamespaces, name: string) {
    this.#namespaces = namespaces;
    this.name = name;
  }

  /** For `Lab.switch`. */
  async start(): Promise<void> {
    await this.#namespaces.ip(undefined, [
      `link add ${this.name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
      `link set ${this.name} up`,
    ]);
  }

  /** For `Host.attach`: a cable from a new port here to a new interface there; the port is on, the interface is not. */
  async connect(host: Host, netns: string, interfaceName: string, mac: string): Promise<void> {
    const port = `port${this.#namespaces.number()}`;
    await this.#namespaces.ip(undefined, [
      `link add ${port} type veth peer name ${interfaceName} address ${mac} netns ${netns}`,
      `link set ${port} master ${this.name} up alias "${host.name} ${interfaceName}"`,
    ]);
    this.#ports.set(host, [...(this.#ports.get(host) ?? []), port]);
  }

  /** Pulls the host's cables out of this switch: the host sees its carrier go. */
  async unplug(host: Host): Promise<void> {
    await this.#each(host, "down");
  }

  /** Puts the cables back. */
  async plug(host: Host): Promise<void> {
    await this.#each(host, "up");
  }

  /** Drops every frame between the host and this switch while both ends see a good link, as a broken switch does. */
  async isolate(host: Host): Promise<void> {
    await this.#each(host, "nomaster");
  }

  /** Ends `isolate`. */
  async rejoin(host: Host): Promise<void> {
    await this.#each(host, `master ${this.name}`);
  }

  async #each(host: Host, change: string): Promise<void> {
    const ports = this.#ports.get(host);
    if (ports === undefined) throw new Error(`Cannot change the port of ${host.name}: it is not attached to ${this.name}`);
    await this.#namespaces.ip(
      undefined,
      ports.map((port) => `link set ${port} ${change}`),
    );
  }
}

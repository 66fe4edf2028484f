import { mkdirSync } from "node:fs";
import type { LabProcess } from "#e2e/lab";
import type { RouterConfiguration } from "./configuration.ts";
import { Daemon, type DaemonHost } from "./daemon.ts";
import { openbgpdConfiguration, parseOpenbgpdNeighbors, parseOpenbgpdRoutes } from "./openbgpd-dialect.ts";
import type { NeighborStatus, Route } from "./router.ts";

const chroot = "/run/openbgpd"; // The home of its user in /etc/passwd.

/** OpenBGPD's portable version, without part in the kernel's routes. */
export class Openbgpd extends Daemon {
  readonly kind = "openbgpd";
  readonly #chroot: string;

  constructor(place: DaemonHost, configuration: RouterConfiguration) {
    super(place, configuration);
    this.#chroot = place.lab.outside(chroot);
  }

  async routes(): Promise<readonly Route[]> {
    return parseOpenbgpdRoutes(await this.#ask("show", "rib", "detail"));
  }

  async neighbors(): Promise<readonly NeighborStatus[]> {
    return parseOpenbgpdNeighbors(await this.#ask("show", "neighbor"));
  }

  async shut(address: string, text?: string): Promise<void> {
    await this.#ask("neighbor", address, "down", ...(text === undefined ? [] : [text]));
  }

  async unshut(address: string): Promise<void> {
    await this.#ask("neighbor", address, "up");
  }

  async clear(address: string): Promise<void> {
    await this.#ask("neighbor", address, "clear");
  }

  async refresh(address: string): Promise<void> {
    await this.#ask("neighbor", address, "refresh");
  }

  protected async launch(configuration: RouterConfiguration): Promise<readonly LabProcess[]> {
    mkdirSync(this.#chroot, { recursive: true });
    const bgpd = await this.host.spawn(this.name, ["/usr/sbin/bgpd", "-d", "-f", this.#write(configuration)]);
    await this.answering(bgpd, () => this.#ask("show", "summary"));
    return [bgpd];
  }

  protected async apply(after: RouterConfiguration): Promise<void> {
    this.#write(after);
    await this.#ask("reload");
  }

  #write(configuration: RouterConfiguration): string {
    const { whole, text = "" } = configuration;
    const socket = this.inside("control"); // Its own default is one for all daemons of a lab.
    return this.write(
      "bgpd.conf",
      whole === undefined ? openbgpdConfiguration(configuration, socket) + text : `socket "${socket}"\n${whole}`,
    );
  }

  async #ask(...words: readonly string[]): Promise<string> {
    return this.host.output(["bgpctl", "-j", "-s", this.inside("control"), ...words]);
  }
}

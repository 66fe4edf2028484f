import { type LabProcess, waitFor } from "#e2e/lab";
import { familyOf, type RouterConfiguration } from "./configuration.ts";
import { Daemon } from "./daemon.ts";
import { gobgpConfiguration, gobgpFamily, parseGobgpNeighbors, parseGobgpRoutes } from "./gobgp-dialect.ts";
import type { NeighborStatus, Route } from "./router.ts";

/** GoBGP, without part in the kernel's routes. */
export class Gobgp extends Daemon {
  readonly kind = "gobgp";

  async routes(): Promise<readonly Route[]> {
    const tables = await Promise.all(["ipv4", "ipv6"].map((family) => this.#ask("global", "rib", "-a", family)));
    return tables.flatMap(parseGobgpRoutes).map((route) => ({ ...route, from: this.configured(route.from) }));
  }

  async neighbors(): Promise<readonly NeighborStatus[]> {
    return parseGobgpNeighbors(await this.#ask("neighbor"), Math.floor(Date.now() / 1000));
  }

  async shut(address: string, text?: string): Promise<void> {
    await this.#ask("neighbor", address, "shutdown", ...(text === undefined ? [] : [`--reason=${text}`]));
  }

  async unshut(address: string): Promise<void> {
    await this.#ask("neighbor", address, "enable");
  }

  async clear(address: string): Promise<void> {
    await this.#ask("neighbor", address, "reset");
  }

  /** @throws {RangeError} always: its soft reset looks again at what it has, and asks nobody */
  async refresh(): Promise<void> {
    throw new RangeError(`Cannot make ${this.name} ask for routes again: GoBGP has no command for that`);
  }

  protected async launch(configuration: RouterConfiguration): Promise<readonly LabProcess[]> {
    const { whole, text = "" } = configuration;
    const file = this.write("gobgpd.toml", whole ?? gobgpConfiguration(configuration) + text);
    const gobgpd = await this.host.spawn(this.name, ["gobgpd", "-f", file, "--pprof-disable", "--log-plain"]);
    await this.answering(gobgpd, () => this.#ask("global"));
    for (const prefix of configuration.networks ?? [])
      await this.#ask("global", "rib", "add", prefix, "-a", gobgpFamily[familyOf(prefix)]);
    return [gobgpd];
  }

  protected async apply(after: RouterConfiguration): Promise<void> {
    this.write("gobgpd.toml", gobgpConfiguration(after));
    const seen = this.process.lines.length;
    this.process.kill("SIGHUP");
    const isRead = () => this.process.lines.slice(seen).some((line) => /level=info msg="(Add|Delete|Update)/.test(line));
    await waitFor(`${this.name} to read its configuration`, isRead);
  }

  async #ask(...words: readonly string[]): Promise<string> {
    return this.host.output(["gobgp", "--json", ...words]);
  }
}

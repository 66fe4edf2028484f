import type { LabProcess } from "#e2e/lab";
import { type RouterConfiguration, scoped } from "./configuration.ts";
import { Daemon } from "./daemon.ts";
import { frrConfiguration, frrNeighbor, parseFrrNeighbors, parseFrrRoutes } from "./frr-dialect.ts";
import { FrrPrograms } from "./frr-programs.ts";
import type { NeighborStatus, Route } from "./router.ts";

/** FRR: bgpd, zebra, which gives its routes to the kernel, and where a neighbor asks for it bfdd. */
export class Frr extends Daemon {
  readonly kind = "frr";

  async routes(): Promise<readonly Route[]> {
    const [v4, v6] = [
      await this.command("show bgp ipv4 unicast json detail"),
      await this.command("show bgp ipv6 unicast json detail"),
    ];
    return [v4, v6].flatMap(parseFrrRoutes).map((route) => ({ ...route, from: this.configured(route.from) }));
  }

  async neighbors(): Promise<readonly NeighborStatus[]> {
    const neighbors = parseFrrNeighbors(await this.command("show bgp neighbors json"));
    return neighbors.map((status) => ({ ...status, address: this.configured(status.address) }));
  }

  async shut(address: string, text?: string): Promise<void> {
    await this.#configure([`neighbor ${scoped(address).ip} shutdown${text === undefined ? "" : ` message ${text}`}`]);
  }

  async unshut(address: string): Promise<void> {
    await this.#configure([`no neighbor ${scoped(address).ip} shutdown`]);
  }

  async clear(address: string): Promise<void> {
    await this.command(`clear bgp ${scoped(address).ip}`);
  }

  async refresh(address: string): Promise<void> {
    await this.command(`clear bgp ${scoped(address).ip} soft in`);
  }

  /**
   * Gives bgpd lines of its command language, and returns the answer to the last. @throws {Error} with its answer to one that fails
   */
  async command(...lines: readonly string[]): Promise<string> {
    return this.#programs.command("bgpd", ...lines);
  }

  protected async launch(configuration: RouterConfiguration): Promise<readonly LabProcess[]> {
    const { whole, text = "" } = configuration;
    const programs = this.#programs;
    let file = "";
    await programs.prepare(() => {
      file = this.write("bgpd.conf", whole ?? frrConfiguration(configuration));
    });
    const processes = [await programs.start("zebra")];
    const hasBfd = configuration.neighbors.some(({ bfd }) => bfd !== undefined) || /^bfd$/m.test(whole ?? text);
    if (hasBfd) processes.push(await programs.start("bfdd"));
    const flags = configuration.kernel === false ? ["--no_kernel"] : [];
    processes.push(await programs.start("bgpd", { file, flags }));
    if (text !== "") await programs.configure(this.write("more.conf", text));
    return processes;
  }

  protected async apply(after: RouterConfiguration, before: RouterConfiguration): Promise<void> {
    const lines = (configuration: RouterConfiguration) =>
      new Map(configuration.neighbors.map((neighbor) => [scoped(neighbor.address).ip, frrNeighbor(neighbor).join("\n")]));
    const [now, then] = [lines(after), lines(before)];
    const gone = [...then].filter(([ip, text]) => now.get(ip) !== text).map(([ip]) => `no neighbor ${ip}`);
    const added = [...now].filter(([ip, text]) => then.get(ip) !== text).flatMap(([, text]) => text.split("\n"));
    await this.#configure([...gone, ...added]);
  }

  async #configure(lines: readonly string[]): Promise<void> {
    const inside = lines.map((line) => line.trim());
    await this.command("configure terminal", `router bgp ${this.configuration.asn}`, ...inside);
  }

  get #programs(): FrrPrograms {
    return new FrrPrograms(this.place, this.inside("").slice(0, -1));
  }
}

import type { LabProcess } from "#e2e/lab";
import { birdConfiguration, birdProtocol, parseBirdProtocols, parseBirdRoutes } from "./bird-dialect.ts";
import type { RouterConfiguration } from "./configuration.ts";
import { Daemon, exchange } from "./daemon.ts";
import type { NeighborStatus, Route } from "./router.ts";

/** BIRD 2. Its routes go to the kernel. */
export class Bird extends Daemon {
  readonly kind = "bird";

  async routes(): Promise<readonly Route[]> {
    const protocols = parseBirdProtocols(await this.command("show protocols all"));
    // It does not mark routes that it keeps for a neighbor that restarts, only the neighbor.
    const stale = new Set(protocols.filter(({ restarting }) => restarting).map(({ name }) => name));
    const routes = parseBirdRoutes(await this.command("show route all"));
    return routes.map(({ protocol, ...route }) => ({ ...route, from: this.#address(protocol), stale: stale.has(protocol) }));
  }

  async neighbors(): Promise<readonly NeighborStatus[]> {
    const protocols = parseBirdProtocols(await this.command("show protocols all"));
    return protocols.map(({ name, restarting: _, ...status }) => ({ ...status, address: this.#address(name) }));
  }

  async shut(address: string, text?: string): Promise<void> {
    await this.command(`disable ${this.#protocol(address)}${text === undefined ? "" : ` "${text}"`}`);
  }

  async unshut(address: string): Promise<void> {
    await this.command(`enable ${this.#protocol(address)}`);
  }

  async clear(address: string): Promise<void> {
    await this.command(`restart ${this.#protocol(address)}`);
  }

  async refresh(address: string): Promise<void> {
    await this.command(`reload in ${this.#protocol(address)}`);
  }

  /** The answer of BIRD's command line, without its codes. @throws {Error} with BIRD's message */
  async command(line: string): Promise<string> {
    return birdCommand(this.outside("control"), line);
  }

  protected async launch(configuration: RouterConfiguration): Promise<readonly LabProcess[]> {
    const { whole, text = "" } = configuration;
    const file = this.write("bird.conf", whole ?? birdConfiguration(configuration) + text);
    const flags = ["-f", "-c", file, "-s", this.inside("control"), "-P", this.inside("pid")];
    const bird = await this.host.spawn(this.name, ["bird", ...flags]);
    await this.answering(bird, () => this.command("show status"));
    return [bird];
  }

  protected async apply(after: RouterConfiguration): Promise<void> {
    this.write("bird.conf", birdConfiguration(after));
    await this.command("configure");
  }

  #protocol(address: string): string {
    const index = this.configuration.neighbors.findIndex((neighbor) => neighbor.address === address);
    if (index < 0) throw new RangeError(`Cannot find neighbor ${address} of ${this.name}`);
    return birdProtocol(index);
  }

  #address(protocol: string): string {
    const found = this.configuration.neighbors.find((_, index) => birdProtocol(index) === protocol);
    return found?.address ?? protocol;
  }
}

/**
 * The answer of the BIRD behind this socket to a line of its command language, without codes. @throws {Error} with BIRD's message
 */
export async function birdCommand(control: string, line: string): Promise<string> {
  const received = await exchange(control, {
    request: `${line}\n`,
    next: (end) => (/(?:^|\n)(?!0001)\d{4} [^\n]*\n$/.test(end.toString("latin1")) ? "complete" : "incomplete"),
  });
  const lines = received.toString().trimEnd().split("\n").slice(1); // The first is a greeting.
  const text = lines.map((each) => each.replace(/^(?:\d{4}[- ]| )/, "")).join("\n");
  if (/^[89]/.test(lines.at(-1) ?? "")) throw new Error(`Cannot run ${JSON.stringify(line)} in the BIRD of ${control}: ${text}`);
  return text;
}

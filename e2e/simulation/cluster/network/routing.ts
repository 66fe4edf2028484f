import { SimulatedRouter } from "#pkg/bgp/testing";
import type { Clock, Millis, Random } from "#pkg/clock";
import { addressOf } from "#pkg/memberlist/testing";
import { type Cut, holdMs, type RouterRestart, restartMs } from "../history.ts";
import type { LanConditions } from "./lan.ts";
import { RouterLink } from "./router-link.ts";

/** A node that the router cannot reach. */
export interface Lost {
  readonly since: Millis;
  /** How long the router may take to find out. */
  readonly within: Millis;
}

export interface RoutingOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** For how late the router reads. */
  readonly readDelay: Random;
  readonly lan: LanConditions;
  /** The router takes several paths to a prefix (RFC 7911). */
  readonly takesPaths: boolean;
  /** The router connects to nodes, too. */
  readonly dials: boolean;
}

/** The router, the ways between it and whoever has an address, and whom it can reach. */
export class Routing {
  readonly router: SimulatedRouter;
  readonly #options: RoutingOptions;
  readonly #links = new Map<number, RouterLink>(); // number in an address -> the way between whoever has that and the router
  readonly #lost = new Map<number, Lost>(); // by number in an address
  /** A neighbor that gave BFD up before BGP; undefined as long as no neighbor did. */
  mistaken: string | undefined;
  #stopped: RouterRestart | undefined; // How it has ended; undefined while it runs.
  #gracefulAt: Millis = -Infinity; // When it ran again last with the routes of before.

  constructor(options: RoutingOptions) {
    this.#options = options;
    this.router = new SimulatedRouter(options.clock, options.takesPaths);
  }

  get isRunning(): boolean {
    return this.#stopped === undefined;
  }

  /** The path of the node that has the address with this number. */
  link(host: number): RouterLink {
    const known = this.#links.get(host);
    if (known !== undefined) return known;
    const onMistake = (name: string) => {
      this.mistaken ??= name;
    };
    const dials = this.#options.dials ? { to: addressOf(host) } : undefined;
    const link = new RouterLink({ ...this.#options, dials, router: this.router, name: neighborName(host), onMistake });
    this.#links.set(host, link);
    this.#end(link);
    return link;
  }

  cut(host: number, cut: Cut | undefined, canReach: boolean): void {
    this.link(host).cut = cut;
    this.update(host, canReach);
  }

  /** Notes whether the router can reach whoever has the address. */
  update(host: number, canReach: boolean): void {
    const link = this.link(host);
    if (canReach && link.cut === undefined) this.#lost.delete(host);
    else if (!this.#lost.has(host)) this.#lost.set(host, { since: this.#options.clock.now(), within: link.detectionMs });
  }

  /** Since when the router cannot reach the speaker of a neighbor; undefined where it can, or is not there to find out. */
  lost(neighbor: string): Lost | undefined {
    const host = Number(neighbor.slice(neighborName("").length));
    const lost = this.#lost.get(host);
    if (lost === undefined || !this.isRunning) return undefined;
    // It keeps routes from before its graceful restart for nodes that come back.
    if (lost.since < this.#gracefulAt) return { since: this.#gracefulAt, within: holdMs };
    return this.#links.get(host)?.isGivenUp ? { ...lost, within: holdMs } : lost;
  }

  /** Whether packets pass between the router, which runs, and whoever has the address. */
  reaches(host: number): boolean {
    return this.isRunning && this.link(host).cut === undefined;
  }

  stopRouter(how: RouterRestart): void {
    this.#stopped = how;
    for (const link of this.#links.values()) this.#end(link);
    this.router.stop(how === "graceful");
  }

  startRouter(how: RouterRestart): void {
    this.#stopped = undefined;
    if (how === "graceful") this.#gracefulAt = this.#options.clock.now();
    this.router.start(how === "graceful" ? restartMs : 0);
    for (const link of this.#links.values()) link.beginRouter();
  }

  #end(link: RouterLink): void {
    if (this.#stopped !== undefined) link.endRouter(this.#stopped === "graceful" ? "bgp" : this.#stopped);
  }
}

/** By which the router knows whoever has an address. */
export function neighborName(host: number | string): string {
  return `at-${host}`;
}

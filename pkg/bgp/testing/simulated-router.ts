import type { Clock, Millis } from "#pkg/clock";
import { address } from "#pkg/net/testing";
import { encodeMessage } from "../codec/message-codec.ts";
import { MessageReader } from "../codec/message-reader.ts";
import type { Notification, Open } from "../codec/messages.ts";
import { type ReadAttributes, type ReadMessage, readMessage } from "../codec/testing/update-reader.ts";
import type { Connection, ConnectionEvents } from "../driver/transport.ts";
import { settings } from "./settings.ts";
import type { SimulatedNetwork } from "./simulated-network.ts";

const asn = 65002;
const both = new Set(["IPv4", "IPv6"] as const);
const session = { internal: false, families: both, fourOctetAsn: true, extendedNextHop: false };

/** One of the paths to a prefix. */
export interface RouterPath {
  readonly prefix: string;
  readonly nextHop: string;
  readonly communities: readonly number[];
  readonly attributes: ReadAttributes | undefined;
  isStale: boolean;
}

/** A router's record of one neighbor. */
interface Neighbor {
  connection: Connection | undefined;
  /** Its own attempt to connect. */
  dialled: Connection | undefined;
  /** The last OPEN that it sent. */
  open: Open | undefined;
  /** It had a session, which may go on in another connection (RFC 4724). */
  isUp: boolean;
  lastHeard: Millis;
  holdMs: Millis;
  /** It may come back, as it offered (RFC 4724), until then. */
  restartMs: Millis;
  staleUntil: Millis;
  /** It may have no session before. */
  heldUntil: Millis;
  readonly routes: Map<string, RouterPath>; // prefix, with the path identifier where there is one -> path
  /** In this session prefixes have path identifiers (RFC 7911). */
  hasPaths: boolean;
  /** Its stale routes are older than its own restart: its kernel has them, and its BGP does not. */
  isKernels: boolean;
}

/**
 * A router in simulated time that takes routes and sends none: hold timers, and graceful restart as a receiver (RFC 4271, 4724).
 * It believes what it is sent. Where it dials too, the connection of the neighbor is the one that stays. As BIRD it takes a new connection before it reads from the former, which is over then; and the end of a BFD
 * session is a failure to it while BGP is up, after which it has no session for a minute.
 */
export class SimulatedRouter {
  readonly #clock: Clock;
  readonly #neighbors = new Map<string, Neighbor>(); // name -> neighbor
  /** It has restarted and forwards by what it learned before: how long its neighbors may take to come back, and until when. */
  #restart: { readonly timeMs: Millis; readonly until: Millis } = { timeMs: 0, until: -Infinity };

  /** In sessions to come it takes several paths to a prefix from neighbors that offer them. */
  takesPaths: boolean;

  constructor(clock: Clock, takesPaths = false) {
    this.#clock = clock;
    this.takesPaths = takesPaths;
  }

  /** Takes connections that come over this network. @param name of the neighbor at its other end @param own this end's address */
  listen(name: string, network: SimulatedNetwork, own: string): void {
    network.listener(own).expect(settings(), ({ open }) => {
      const neighbor = this.#neighbor(name);
      if (this.#clock.now() < neighbor.heldUntil) {
        open({ connected() {}, received() {}, closed() {} }).destroy();
        return;
      }
      const before = neighbor.connection;
      if (before !== undefined) {
        this.#lost(neighbor, before);
        before.destroy();
      }
      neighbor.dialled?.destroy();
      const connection: Connection = open({ connected: () => {}, ...this.#reading(neighbor, () => connection) });
      this.#begin(neighbor, connection);
    });
  }

  /** Connects to a neighbor with which it has no connection, in place of an attempt before that nobody has answered. */
  dial(name: string, network: SimulatedNetwork, own: string, to: string): void {
    const neighbor = this.#neighbor(name);
    neighbor.dialled?.destroy();
    neighbor.dialled = undefined;
    if (neighbor.connection !== undefined || this.#clock.now() < neighbor.heldUntil) return;
    const connection: Connection = network.transport(own).dial(settings({ address: address(to) }), {
      connected: () => {
        if (neighbor.dialled === connection) this.#begin(neighbor, connection);
      },
      ...this.#reading(neighbor, () => connection),
    });
    neighbor.dialled = connection;
  }

  /** The last OPEN of a neighbor whose session is up. */
  openOf(name: string): Open | undefined {
    const neighbor = this.#neighbors.get(name);
    return neighbor?.isUp && neighbor.connection !== undefined ? neighbor.open : undefined;
  }

  #begin(neighbor: Neighbor, connection: Connection): void {
    neighbor.dialled = undefined;
    neighbor.connection = connection;
    neighbor.lastHeard = this.#clock.now();
    connection.write(encodeMessage(this.#open()), () => {});
    this.#watchLater(neighbor, connection);
  }

  #reading(neighbor: Neighbor, own: () => Connection): Pick<ConnectionEvents, "received" | "closed"> {
    const reader = new MessageReader();
    return {
      received: (octets) => {
        const connection = own();
        if (neighbor.connection !== connection) return;
        neighbor.lastHeard = this.#clock.now();
        reader.push(octets);
        for (let frame = reader.next(false); frame !== undefined; frame = reader.next(false))
          this.#receive(
            neighbor,
            connection,
            readMessage(frame, { ...session, ...(neighbor.hasPaths && { pathsReceived: both }) }),
          );
      },
      closed: () => {
        if (neighbor.dialled === own()) neighbor.dialled = undefined;
        this.#lost(neighbor, own());
      },
    };
  }

  /** Prefix -> the neighbors that it leads through, sorted; those that are stale count. */
  routes(): Map<string, string[]> {
    const routes = new Map<string, string[]>();
    for (const [name, neighbor] of this.#neighbors)
      for (const prefix of new Set([...neighbor.routes.values()].map((path) => path.prefix)))
        routes.set(prefix, [...(routes.get(prefix) ?? []), name].sort());
    return routes;
  }

  /** Prefix -> the next hops of all paths to it; those that are stale count. */
  nextHops(): Map<string, ReadonlySet<string>> {
    const paths = [...this.#neighbors.values()].flatMap(({ routes }) => [...routes.values()]);
    const byPrefix = Map.groupBy(paths, ({ prefix }) => prefix);
    return new Map([...byPrefix].map(([prefix, those]) => [prefix, new Set(those.map(({ nextHop }) => nextHop))]));
  }

  /** The paths of one neighbor. */
  pathsOf(name: string): readonly RouterPath[] {
    return [...(this.#neighbors.get(name)?.routes.values() ?? [])];
  }

  /** The communities of all paths to a prefix. */
  communities(prefix: string): ReadonlySet<number> {
    const paths = [...this.#neighbors.values()].flatMap(({ routes }) => [...routes.values()]);
    return new Set(paths.flatMap((path) => (path.prefix === prefix ? path.communities : [])));
  }

  /** Whether the neighbor has announced it in the present or the last session. */
  isFresh(prefix: string, name: string): boolean {
    const paths = this.#neighbors.get(name)?.routes.values();
    return paths?.some((path) => path.prefix === prefix && !path.isStale) ?? false;
  }

  /**
   * Its BGP ends without a word: its kernel closes the connections. To be called when nobody can connect any more.
   * @param keepsRoutes it goes on forwarding by them, as it does where it is to restart gracefully
   */
  stop(keepsRoutes: boolean): void {
    for (const neighbor of this.#neighbors.values()) {
      const { connection, routes } = neighbor;
      neighbor.connection = undefined;
      neighbor.dialled?.destroy();
      neighbor.dialled = undefined;
      neighbor.isUp = false;
      neighbor.staleUntil = Infinity;
      neighbor.isKernels = true;
      if (!keepsRoutes) routes.clear();
      for (const path of routes.values()) path.isStale = true;
      connection?.destroy();
    }
  }

  /** It runs again. Routes that it has kept go when their neighbor says that it has sent all, or has not come back within `timeMs` (RFC 4724). */
  start(timeMs: Millis): void {
    const until = this.#clock.now() + timeMs;
    this.#restart = { timeMs, until };
    for (const neighbor of this.#neighbors.values()) this.#keepUntil(neighbor, until);
  }

  /** Ends the session with a neighbor and forgets its routes, as when BFD finds the path to it gone (RFC 5882, section 10.1; RFC 9384). */
  reset(name: string): void {
    const neighbor = this.#neighbor(name);
    const { connection } = neighbor;
    forget(neighbor);
    if (connection === undefined) return;
    neighbor.connection = undefined;
    connection.write(encodeMessage(bfdDown), () => {});
    connection.end();
  }

  /** The neighbor gave BFD up, which ends a session that begins. @returns whether that was a failure, because BGP is up */
  bfdEnded(name: string): boolean {
    const neighbor = this.#neighbor(name);
    const { isUp, connection } = neighbor;
    if (isUp || connection !== undefined) this.reset(name);
    if (isUp) neighbor.heldUntil = this.#clock.now() + errorWait;
    return isUp;
  }

  #neighbor(name: string): Neighbor {
    const found = this.#neighbors.get(name);
    if (found !== undefined) return found;
    const deadlines = { holdMs: 9_000, restartMs: 0, staleUntil: Infinity, heldUntil: -Infinity };
    const flags = { isUp: false, hasPaths: false, isKernels: false };
    const added = {
      connection: undefined,
      dialled: undefined,
      open: undefined,
      lastHeard: 0,
      ...flags,
      ...deadlines,
      routes: new Map(),
    };
    this.#neighbors.set(name, added);
    return added;
  }

  #receive(neighbor: Neighbor, connection: Connection, message: ReadMessage): void {
    switch (message.type) {
      case "open": {
        neighbor.open = message;
        const restart = message.capabilities.find(({ type }) => type === "gracefulRestart");
        neighbor.restartMs = restart?.type === "gracefulRestart" ? restart.timeSeconds * 1000 : 0;
        neighbor.hasPaths = this.takesPaths && message.capabilities.some(({ type }) => type === "addPath");
        neighbor.holdMs = message.holdTimeSeconds * 1000;
        neighbor.staleUntil = Infinity;
        connection.write(encodeMessage({ type: "keepalive" }), () => {});
        break;
      }
      case "update":
        for (const [index, prefix] of message.withdrawn.entries())
          neighbor.routes.delete(`${prefix} ${message.withdrawnPaths[index]}`);
        for (const [index, prefix] of message.announced.entries())
          neighbor.routes.set(`${prefix} ${message.announcedPaths[index]}`, {
            prefix: `${prefix}`,
            nextHop: `${message.attributes?.nextHops[0]}`,
            communities: message.attributes?.communities ?? [],
            attributes: message.attributes,
            isStale: false,
          });
        if (message.endOfRib !== undefined) dropStale(neighbor, message.endOfRib.afi === 1 ? "IPv4" : "IPv6");
        break;
      case "notification":
        forget(neighbor);
        this.#close(neighbor, connection);
        break;
      case "keepalive":
        neighbor.isUp = true;
        break;
      default:
    }
  }

  /** Sends keepalives, and ends a session of which nothing was heard for its hold time. */
  #watch(neighbor: Neighbor, connection: Connection): void {
    if (neighbor.connection !== connection) return;
    const now = this.#clock.now();
    if (now - neighbor.lastHeard >= neighbor.holdMs) {
      this.#lost(neighbor, connection);
      connection.destroy();
      return;
    }
    connection.write(encodeMessage({ type: "keepalive" }), () => {});
    this.#watchLater(neighbor, connection);
  }

  #watchLater(neighbor: Neighbor, connection: Connection): void {
    this.#clock.schedule("router", this.#clock.now() + 1_000, () => this.#watch(neighbor, connection));
  }

  #lost(neighbor: Neighbor, connection: Connection): void {
    if (neighbor.connection !== connection) return;
    neighbor.connection = undefined;
    neighbor.isKernels = false;
    if (neighbor.restartMs === 0) forget(neighbor);
    for (const path of neighbor.routes.values()) path.isStale = true;
    this.#keepUntil(neighbor, this.#clock.now() + neighbor.restartMs);
  }

  /** Its routes are stale, and go then unless it comes back before. */
  #keepUntil(neighbor: Neighbor, until: Millis): void {
    neighbor.staleUntil = until;
    this.#clock.schedule("router", until, () => {
      if (neighbor.staleUntil === until) forget(neighbor);
    });
  }

  #open(): Open {
    const open = this.takesPaths ? { ...ownOpen, capabilities: [...ownOpen.capabilities, receivesPaths] } : ownOpen;
    const { timeMs, until } = this.#restart;
    if (this.#clock.now() >= until) return open;
    const families = [1, 2].map((afi) => ({ afi, safi: 1, forwardingPreserved: true }));
    const restart = {
      type: "gracefulRestart",
      restarting: true,
      notification: false,
      timeSeconds: timeMs / 1000,
      families,
    } as const;
    return { ...open, capabilities: [...open.capabilities.filter(({ type }) => type !== restart.type), restart] };
  }

  #close(neighbor: Neighbor, connection: Connection): void {
    neighbor.connection = undefined;
    connection.destroy();
  }
}

function forget(neighbor: Neighbor): void {
  neighbor.isUp = false;
  neighbor.routes.clear();
}

/** One to each prefix, as FRR 8 does, or all that the kernel alone has. */
function dropStale({ routes, isKernels }: Neighbor, family: "IPv4" | "IPv6"): void {
  const dropped = new Set<string>();
  for (const [key, { prefix, isStale }] of routes) {
    if (!isStale || (dropped.has(prefix) && !isKernels) || prefix.includes(":") !== (family === "IPv6")) continue;
    routes.delete(key);
    dropped.add(prefix);
  }
}

const errorWait: Millis = 60_000; // BIRD's after the first error.
const bfdDown: Notification = { type: "notification", code: 6, subcode: 10, data: new Uint8Array() };
const receivesPaths = {
  type: "addPath",
  families: [1, 2].map((afi) => ({ afi, safi: 1, direction: "receive" as const })),
} as const;
const ownOpen: Open = {
  type: "open",
  version: 4,
  asn,
  holdTimeSeconds: 9,
  routerId: address("192.0.2.254"),
  capabilities: [
    { type: "multiprotocol", afi: 1, safi: 1 },
    { type: "multiprotocol", afi: 2, safi: 1 },
    { type: "routeRefresh" },
    { type: "fourOctetAsn", asn },
    {
      type: "gracefulRestart",
      restarting: false,
      notification: false,
      timeSeconds: 0,
      families: [],
    },
  ],
};

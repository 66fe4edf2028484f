import type { RouteAttributes } from "#pkg/bgp";
import type { Address, Prefix } from "#pkg/net";
import type { Advertised, BgpRoute } from "#pkg/placement";
import { Attributes } from "./attributes.ts";

/** Receives the routes of each peer, by its key. Only changes are passed on: attributes that are equal are the same object. */
export interface RouteSink {
  advertise(peer: string, prefix: Prefix, attributes: RouteAttributes): void;
  withdraw(peer: string, prefix: Prefix): void;
}

/** An advertisement within one prefix, and the weights of all addresses that it is made for. */
interface Share {
  readonly via: Advertised;
  weight: number;
}

/** Peers that get the same route of a prefix. */
interface Advertisement {
  readonly peers: readonly string[];
  readonly attributes: RouteAttributes;
}

interface Row {
  readonly prefix: Prefix;
  /** Few, and mostly one: a Map for each prefix is 2 MB at 10,000 of them. */
  shares: readonly Share[];
  /** No peer is in two of them. */
  advertised: readonly Advertisement[];
}

/**
 * The routes that all addresses together ask for. A prefix lives while any address asks for it; a peer gets it with the last
 * advertisement in the configuration, with the weights of all addresses that this one is made for. Cost follows the routes of the
 * address that changed, not how many others there are, also within one prefix.
 */
export class DesiredRoutes {
  readonly #sink: RouteSink;
  readonly #attributes = new Attributes();
  readonly #rows = new Map<string, Row>(); // prefix -> row
  readonly #routes = new Map<string, readonly BgpRoute[]>(); // address -> what it asks for

  constructor(sink: RouteSink) {
    this.#sink = sink;
  }

  /** Replaces all that `address` asks for. */
  set(address: Address, routes: readonly BgpRoute[]): void {
    const key = address.toString();
    const before = this.#routes.get(key) ?? [];
    if (before.length === routes.length && routes.every((route, index) => isSame(route, before[index]))) return;
    if (routes.length === 0) this.#routes.delete(key);
    else this.#routes.set(key, routes);
    const rows = new Set<Row>();
    for (const route of routes) rows.add(this.#count(route, 1));
    for (const route of before) rows.add(this.#count(route, -1));
    for (const row of rows) this.#settle(row);
  }

  /** The routes of a peer. */
  *of(peer: string): Iterable<readonly [Prefix, RouteAttributes]> {
    for (const { prefix, advertised } of this.#rows.values())
      for (const { peers, attributes } of advertised) if (peers.includes(peer)) yield [prefix, attributes];
  }

  #count({ prefix, via, weight }: BgpRoute, sign: 1 | -1): Row {
    const key = prefix.toString();
    const row = this.#rows.get(key) ?? { prefix, shares: [], advertised: [] };
    this.#rows.set(key, row);
    let share = row.shares.find((each) => each.via === via);
    if (share === undefined) {
      share = { via, weight: 0 };
      row.shares = row.shares.concat(share);
    }
    share.weight += sign * weight;
    if (share.weight === 0) row.shares = row.shares.filter((each) => each !== share);
    return row;
  }

  #settle(row: Row): void {
    const before = row.advertised;
    row.advertised = this.#resolve(row).slice(); // An array of just its size: `flatMap` leaves room for 16 more.
    this.#pass(row.prefix, row.advertised, before);
    for (const { attributes } of before) this.#attributes.release(attributes);
    if (row.shares.length === 0) this.#rows.delete(row.prefix.toString());
  }

  #resolve({ prefix, shares }: Row): readonly Advertisement[] {
    const last = new Map<string, Advertised>(); // peer -> the advertisement that counts
    const inOrder = shares.toSorted((a, b) => a.via.order - b.via.order);
    for (const { via } of inOrder) for (const peer of via.peers[prefix.family]) last.set(peer, via);
    return inOrder.flatMap(({ via, weight }): Advertisement[] => {
      const all = via.peers[prefix.family];
      const peers = all.every((peer) => last.get(peer) === via) ? all : all.filter((peer) => last.get(peer) === via);
      if (peers.length === 0) return [];
      return [{ peers, attributes: this.#attributes.acquire(via.advertisement, prefix.family, weight) }];
    });
  }

  #pass(prefix: Prefix, now: readonly Advertisement[], before: readonly Advertisement[]): void {
    const known = new Map(before.flatMap(({ peers, attributes }) => peers.map((peer) => [peer, attributes] as const)));
    for (const { peers, attributes } of now)
      for (const peer of peers) {
        if (known.get(peer) !== attributes) this.#sink.advertise(peer, prefix, attributes);
        known.delete(peer);
      }
    for (const peer of known.keys()) this.#sink.withdraw(peer, prefix);
  }
}

function isSame(one: BgpRoute, other: BgpRoute | undefined): boolean {
  return other !== undefined && one.via === other.via && one.weight === other.weight && one.prefix.equals(other.prefix);
}

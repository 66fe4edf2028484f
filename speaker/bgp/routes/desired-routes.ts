import { choosePath, type RouteAttributes } from "#pkg/bgp";
import { areSameTexts } from "#pkg/collections";
import type { Address, Family, Prefix } from "#pkg/net";
import type { Advertised, BgpRoute, NextHopPath } from "#pkg/placement";
import { Attributes } from "./attributes.ts";

/** Receives the routes of each peer, by its key. Only changes are passed on: attributes that are equal are the same object. */
export interface RouteSink {
  advertise(peer: string, prefix: Prefix, attributes: RouteAttributes): void;
  /** All paths to the prefix, by their identifiers (RFC 7911). */
  advertisePaths(peer: string, prefix: Prefix, paths: Paths): void;
  withdraw(peer: string, prefix: Prefix): void;
}

export interface Paths {
  readonly all: ReadonlyMap<number, RouteAttributes>; // path identifier -> attributes
  /** The one for a router that takes one path: to a slot of this node, so that those of several nodes lead to several, and the same as long as it is. */
  readonly only: RouteAttributes | undefined;
}

/** Paths that prefixes share: a Map for each of 10,000 prefixes with 16 paths takes 20 MB, and most of the time. */
interface PathSet {
  readonly all: Paths["all"];
  /** Those whose next hop this node owns; all where it owns none. */
  readonly own: Paths["all"];
  readonly hasOwn: boolean;
  /** The only share, where the paths do not depend on weights. */
  readonly via: Advertised | undefined;
  /** How many routes have it. */
  users: number;
}

/** An advertisement within one prefix, and the weights of all addresses that it is made for. */
interface Share {
  readonly via: Advertised;
  weight: number;
}

/** Peers that get the same route of a prefix. */
interface Advertisement {
  readonly peers: readonly string[];
  readonly route: RouteAttributes | Paths;
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
  readonly #shared: Readonly<Record<Family, Map<Advertised, PathSet>>> = { IPv4: new Map(), IPv6: new Map() };
  readonly #pathSets = new Map<Paths["all"], PathSet>(); // the paths of a set -> the set
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
  *of(peer: string): Iterable<readonly [Prefix, RouteAttributes | Paths]> {
    let last: readonly string[] | undefined; // Prefixes share the lists of their peers.
    let isIn = false;
    for (const { prefix, advertised } of this.#rows.values())
      for (const { peers, route } of advertised) {
        if (peers !== last) isIn = peers.includes(peer);
        last = peers;
        if (isIn) yield [prefix, route];
      }
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
    row.advertised = this.#resolve(row, before).slice(); // An array of just its size: `flatMap` leaves room for 16 more.
    this.#pass(row.prefix, row.advertised, before);
    for (const { route } of before)
      if (isPaths(route)) this.#releasePaths(route.all, row.prefix);
      else this.#attributes.release(route);
    if (row.shares.length === 0) this.#rows.delete(row.prefix.toString());
  }

  #resolve({ prefix, shares }: Row, before: readonly Advertisement[]): readonly Advertisement[] {
    const last = new Map<string, Advertised>(); // peer -> the advertisement that counts, where there are several
    const inOrder = shares.toSorted((a, b) => a.via.order - b.via.order);
    const isOnly = shares.length === 1;
    if (!isOnly) for (const { via } of inOrder) for (const peer of via.peers[prefix.family]) last.set(peer, via);
    return inOrder.flatMap(({ via, weight }): Advertisement[] => {
      const all = via.peers[prefix.family];
      const peers = isOnly || all.every((peer) => last.get(peer) === via) ? all : all.filter((peer) => last.get(peer) === via);
      if (peers.length === 0) return [];
      const beside = inOrder.filter((one) => one.via !== via && one.via.order === via.order);
      const groups = beside.length === 0 ? [{ peers, with: [] }] : groupedBy(peers, beside, prefix);
      return groups.map((group) => ({
        peers: group.peers,
        route: this.#routeOf([...group.with, { via, weight }], prefix, before),
      }));
    });
  }

  /** @param shares of one advertisement, which the speaker may have made again between two addresses: the last one counts, others add paths and weights */
  #routeOf(shares: readonly Share[], prefix: Prefix, before: readonly Advertisement[]): RouteAttributes | Paths {
    const { family } = prefix;
    const { via } = shares.at(-1) as Share;
    if (via.slots.get(family) === undefined) {
      const weight = shares.reduce((sum, each) => sum + each.weight, 0);
      return this.#attributes.acquire(via, family, weight);
    }
    const { all, own, hasOwn } = this.#acquirePaths(shares, family);
    const used = hasOwn ? before.flatMap(({ route }) => (isPaths(route) ? [route.only?.nextHop?.toString()] : [])) : [];
    const same = hasOwn ? own.values().find(({ nextHop }) => used.includes(nextHop?.toString())) : undefined;
    return { all, only: same ?? choosePath(prefix, own) };
  }

  #acquirePaths(shares: readonly Share[], family: Family): PathSet {
    const via = shares.length === 1 && shares[0]?.via.advertisement.weightByEndpoints === false ? shares[0].via : undefined;
    const known = via && this.#shared[family].get(via);
    if (known !== undefined) {
      known.users++;
      return known;
    }
    const paths = new Map<number, { readonly path: NextHopPath; readonly share: Share }>();
    for (const { via, weight } of shares)
      for (const path of via.slots.get(family) ?? []) {
        const others = paths.get(path.path)?.share.weight ?? 0;
        paths.set(path.path, { path, share: { via, weight: weight + others } });
      }
    const acquire = ({ via, weight }: Share, nextHop: Address) => this.#attributes.acquire(via, family, weight, nextHop);
    const all = new Map([...paths].map(([id, { path, share }]) => [id, acquire(share, path.nextHop)]));
    const own = new Map([...all].filter(([id]) => paths.get(id)?.path.isOwn));
    const made: PathSet = { all, own: own.size > 0 ? own : all, hasOwn: own.size > 0, via, users: 1 };
    this.#pathSets.set(all, made);
    if (via !== undefined) this.#shared[family].set(via, made);
    return made;
  }

  #releasePaths(all: Paths["all"], { family }: Prefix): void {
    const known = this.#pathSets.get(all);
    if (known === undefined || --known.users > 0) return;
    this.#pathSets.delete(all);
    if (known.via !== undefined) this.#shared[family].delete(known.via);
    for (const attributes of all.values()) this.#attributes.release(attributes);
  }

  #pass(prefix: Prefix, now: readonly Advertisement[], before: readonly Advertisement[]): void {
    const [one, former] = [now[0], before[0]];
    if (now.length === 1 && before.length === 1 && one && former && areSameTexts(one.peers, former.peers)) {
      if (!isEqual(former.route, one.route)) for (const peer of one.peers) tell(this.#sink, peer, prefix, one.route);
      return;
    }
    const known = new Map(before.flatMap(({ peers, route }) => peers.map((peer) => [peer, route] as const)));
    for (const { peers, route } of now)
      for (const peer of peers) {
        if (!isEqual(known.get(peer), route)) tell(this.#sink, peer, prefix, route);
        known.delete(peer);
      }
    for (const peer of known.keys()) this.#sink.withdraw(peer, prefix);
  }
}

/** Peers by the other shares of the same advertisement that they get: those of a central speaker have the paths of different nodes. */
function groupedBy(peers: readonly string[], shares: readonly Share[], { family }: Prefix) {
  const withOf = (peer: string) => shares.filter(({ via }) => via.peers[family].includes(peer));
  const groups = Map.groupBy(peers, (peer) =>
    withOf(peer)
      .map((share) => shares.indexOf(share))
      .join(),
  );
  return [...groups.values()].map((group) => ({ peers: group, with: withOf(group[0] ?? "") }));
}

/** Tells a peer of a route, or of all paths of one. */
export function tell(sink: RouteSink, peer: string, prefix: Prefix, route: RouteAttributes | Paths): void {
  if (isPaths(route)) sink.advertisePaths(peer, prefix, route);
  else sink.advertise(peer, prefix, route);
}

function isPaths(route: RouteAttributes | Paths): route is Paths {
  return "all" in route;
}

/** Equal attributes are one object. */
function isEqual(one: RouteAttributes | Paths | undefined, other: RouteAttributes | Paths): boolean {
  if (one === undefined || one === other || !isPaths(one) || !isPaths(other)) return one === other;
  return one.only === other.only && (one.all === other.all || areSame(one.all, other.all));
}

function areSame(one: Paths["all"], other: Paths["all"]): boolean {
  return one.size === other.size && one.entries().every(([path, attributes]) => other.get(path) === attributes);
}

function isSame(one: BgpRoute, other: BgpRoute | undefined): boolean {
  return other !== undefined && one.via === other.via && one.weight === other.weight && one.prefix.equals(other.prefix);
}

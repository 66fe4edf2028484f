import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import type { Bfd } from "#pkg/bfd";
import { type PeerView, type RoutesOut, tcpTransport } from "#pkg/bgp";
import { Listener, localEnd, negotiated } from "#pkg/bgp/testing";
import { Portions } from "#pkg/clock";
import { SimulatedClock } from "#pkg/clock/testing";
import { type Config, parseConfig, type SecretKey, type SessionSettings } from "#pkg/config";
import type { NoValue } from "#pkg/k8s";
import { silentLog } from "#pkg/log/testing";
import { type Address, Prefix, parseAddress } from "#pkg/net";
import { type Advertised, type Labels, nodePeers } from "#pkg/placement";
import type { BgpPeers } from "../core/effects.ts";
import type { NodeFields } from "../core/events.ts";
import { BgpSpeaker, type BgpSpeakerOptions, type NewSession } from "./bgp-speaker.ts";
import type { BgpSession } from "./peer.ts";
import { NodeInterfaces } from "./testing/node-interfaces.ts";

type SocketEnd = Parameters<typeof tcpTransport.endNow>[0];

/** A session whose state is set by the test; what is to be sent stays with the routes. */
class FakeSession implements BgpSession {
  readonly settings: SessionSettings[];
  readonly routes: RoutesOut;
  readonly restarting: boolean;
  readonly resets: string[] = [];
  readonly closes: string[] = [];
  started = false;
  /** The router knew this process when the session was started last. */
  isKnown = false;
  established = false;
  /** This side's end of its connection, where it has one. */
  end: SocketEnd | undefined;
  isGone = false;
  /** Until the router has closed its side too. */
  readonly #gone: () => Promise<void>;
  /** Calls of `routesChanged`. */
  notified = 0;

  readonly #former: readonly FakeSession[];
  readonly #onEstablished: NewSession["onEstablished"];

  constructor(
    { settings, routes, restarting, onEstablished }: NewSession,
    gone: () => Promise<void>,
    former: readonly FakeSession[],
  ) {
    this.#gone = gone;
    this.#former = former;
    this.#onEstablished = onEstablished;
    this.restarting = restarting;
    this.settings = [settings];
    this.routes = routes;
  }

  start(isKnown: boolean): void {
    this.isKnown = isKnown;
    const isOver = this.#former.every(({ isGone, closes }) => isGone || closes.length === 0);
    assert.ok(isOver, "there is still a connection of a session before");
    this.started = true;
  }

  configure(settings: SessionSettings): void {
    this.settings.push(settings);
  }

  retry(): void {}

  routesChanged(): void {
    this.notified++;
    if (this.established) this.take();
  }

  addressesChanged(): void {
    const [settings] = this.settings;
    if (settings !== undefined && this.end !== undefined) this.end = tcpTransport.endNow(this.end, settings);
  }

  describe(): PeerView {
    const settings = this.settings.at(-1);
    const localAddress = settings?.sourceAddress ?? ip(settings?.interface === undefined ? "192.0.2.9" : "fe80::9");
    return { session: { localAddress } } as PeerView;
  }

  reset(cease: string, text: string): void {
    this.resets.push(`${cease} ${text}`);
  }

  async close(cease: string, text: string): Promise<void> {
    this.started = false;
    this.closes.push(`${cease} ${text}`);
    this.established = false;
    this.routes.stop();
    await this.#gone();
    this.isGone = true;
  }

  closed(): Promise<void> {
    return this.#gone();
  }

  establish(): void {
    this.established = true;
    const address = ip("192.0.2.9");
    const peerRouterId = ip("192.0.2.1");
    const flags = { fourOctetAsn: true, extendedMessage: false, routeRefresh: false, enhancedRouteRefresh: false };
    const families = new Set(["IPv4", "IPv6"] as const);
    this.routes.start(
      {
        peerAsn: 64513,
        peerRouterId,
        holdTimeSeconds: 90,
        keepaliveSeconds: 30,
        families,
        ...flags,
        extendedNextHop: false,
        gracefulRestart: true,
        gracefulNotification: false,
        longLivedGracefulRestart: false,
        peerRole: undefined,
        addPath: new Set(),
      },
      { asn: 64512, internal: false, addresses: new Map([["IPv4", address]]), linkLocal: undefined, unnumbered: false },
    );
    this.#onEstablished?.();
    this.take();
  }

  /** Takes all messages that wait. @returns how many messages */
  take(): number {
    let messages = 0;
    while (this.routes.next() !== undefined) messages++;
    return messages;
  }
}

function ip(text: string): Address {
  const address = parseAddress(text);
  assert.ok(address);
  return address;
}
const a = ip("198.51.100.1");
const router = (host: number, rest = "") =>
  `{name: r${host}, my-asn: 64512, peer-asn: 64513, peer-address: 192.0.2.${host}${rest}}`;
const rack = (name: string) => `, node-selectors: [{match-labels: {rack: ${name}}}]`;

class Bench {
  readonly sessions = new Map<string, FakeSession[]>(); // key -> all there ever were
  readonly clock = new SimulatedClock();
  #config: Config | undefined;
  #labels: Labels | undefined;
  #isDraining = false;
  isLeaving = false;
  /** How long it takes to make a session, and how long this has taken so far. */
  sessionMs = 0;
  #spentMs = 0;
  readonly logged: string[] = [];
  readonly watched: string[] = [];
  searched: readonly string[] = [];
  readonly routers = new Map<string, Address>(); // interface -> router on it
  watchBfd: Bfd["watch"] = () => assert.fail("no peer has a BFD profile here");
  gone: () => Promise<void> = async () => {};
  sourceTo: BgpSpeakerOptions["sourceTo"] = () => undefined;
  secret: string | NoValue = { missing: "Secret ns/s has not been read yet" };
  readonly bgp = new BgpSpeaker({
    newSession: (options) => {
      const before = this.sessions.get(options.key) ?? [];
      const session = new FakeSession(options, () => this.gone(), before);
      this.sessions.set(options.key, [...before, session]);
      this.#spentMs += this.sessionMs;
      return session;
    },
    discovery: {
      watch: (names) => {
        this.searched = [...names];
      },
      on: (name) => ({ router: this.routers.get(name) ?? { missing: `nobody was heard on ${name}` }, others: [] }),
      interfacesChanged: () => {},
    },
    secrets: {
      watch: (names) => this.watched.push([...names].join()),
      get: (_key: SecretKey) => this.secret,
    },
    bfd: { watch: (...of) => this.watchBfd(...of) },
    sourceTo: (...of) => this.sourceTo(...of),
    portions: new Portions(this.clock, 4),
    clock: {
      now: () => this.clock.now() + this.#spentMs,
      schedule: (name, at, fn) => this.clock.schedule(name, at - this.#spentMs, fn),
    },
    log: {
      ...silentLog,
      info: (message, fields) => this.logged.push(`${message} ${JSON.stringify(fields)}`),
      warn: (message, fields) => this.logged.push(`${message} ${JSON.stringify(fields)}`),
    },
  });

  setNode({ labels, unschedulable, deleting }: Pick<NodeFields, "labels" | "unschedulable" | "deleting">): void {
    this.#labels = labels;
    this.#isDraining = unschedulable || deleting;
    this.#setPeers("filteredByNodeSelector");
  }

  deleteNode(): void {
    this.#labels = undefined;
    this.#setPeers("filteredByNodeSelector");
  }

  #setPeers(whyRemoved: BgpPeers["whyRemoved"]): void {
    const peers = nodePeers(this.#config?.peers ?? [], this.#labels, {
      node: "n",
      annotations: {},
      interfaces: [],
      gateways: { IPv4: [], IPv6: [] },
    });
    const bfdProfiles = this.#config?.bfdProfiles ?? new Map();
    this.bgp.setPeers({ peers, bfdProfiles, isDraining: this.#isDraining, isLeaving: this.isLeaving, whyRemoved });
  }

  configure(...peers: string[]): void {
    const { config, problems } = parseConfig(`peers: [${peers}]\nbfd-profiles: [{name: fast}]`);
    assert.ok(config, JSON.stringify(problems));
    this.#config = config;
    this.#setPeers("removedFromConfig");
  }

  /** With everything placed, and one address announced to these hosts. */
  static started(peers: string[], hosts: number[] = []): Bench {
    const bench = new Bench();
    bench.configure(...peers);
    bench.announce(...hosts);
    bench.bgp.flush(true);
    return bench;
  }

  announce(...hosts: number[]): void {
    const via = this.via(hosts);
    this.bgp.setRoutes(a, hosts.length === 0 ? [] : [{ prefix: new Prefix(a, 32), via, weight: 1 }]);
  }

  via(hosts: readonly number[], slots: Advertised["slots"] = new Map()): Advertised {
    const [advertisement] =
      parseConfig("address-pools: [{name: a, protocol: bgp, addresses: [198.51.100.0/24]}]").config?.pools[0]?.advertisements ??
      [];
    assert.ok(advertisement);
    return { advertisement, peers: { IPv4: hosts.map((host) => `192.0.2.${host}:179`), IPv6: [] }, order: 0, slots };
  }

  /** The last session with a router. */
  session(host: number): FakeSession {
    const session = this.sessions.get(`192.0.2.${host}:179`)?.at(-1);
    assert.ok(session);
    return session;
  }

  get keys(): string[] {
    return this.bgp.peers.map(({ key }) => key);
  }
}

test("no session begins before everything has been placed, and then it has the routes already", () => {
  const bench = new Bench();
  bench.configure(router(1));
  bench.setNode({ labels: {}, unschedulable: false, deleting: false });
  bench.announce(1);
  bench.bgp.flush(false);
  assert.equal(bench.sessions.size, 0);
  bench.bgp.flush(true);
  assert.equal(bench.session(1).started, true);
  assert.equal(bench.session(1).routes.pending, 1);
});

test("a peer gets its routes in portions, in which each of several paths counts", () => {
  const bench = new Bench();
  bench.configure(router(1));
  bench.setNode({ labels: {}, unschedulable: false, deleting: false });
  const paths = Array.from({ length: 64 }, (_, index) => ({ path: index + 1, nextHop: ip(`10.0.0.${index}`), isOwn: false }));
  const via = bench.via([1], new Map([["IPv4", paths]]));
  for (let index = 0; index < 100; index++) {
    const address = ip(`198.51.100.${index}`);
    bench.bgp.setRoutes(address, [{ prefix: new Prefix(address, 32), via, weight: 1 }]);
  }
  bench.bgp.flush(true);
  assert.equal(bench.sessions.size, 0, "four portions are at once, of 1,000 paths each");
  bench.clock.advanceBy(1);
  assert.equal(bench.session(1).routes.pending, 100);
});

test("hundreds of peers come in several turns, and those that are wanted in between are the ones that count", async () => {
  const bench = new Bench();
  bench.sessionMs = 2;
  const hosts = Array.from({ length: 100 }, (_, index) => index + 1);
  bench.configure(...hosts.map((host) => router(host)));
  const turn = async () => {
    await setImmediate();
    bench.clock.advanceBy(1);
  };
  bench.bgp.flush(true);
  assert.equal(bench.sessions.size, 3, "three take 5 ms");
  await turn();
  assert.equal(bench.sessions.size, 6, "and so on in each turn");
  bench.configure(...hosts.slice(3).map((host) => router(host)));
  for (let times = 0; times < 100; times++) await turn();
  assert.deepEqual(bench.session(1).closes, ["peerDeConfigured removed from the configuration"]);
  assert.equal(bench.bgp.peers.length, 97);
  assert.equal([...bench.sessions.values()].flat().length, 100, "each has had one session");
  assert.deepEqual(new Set([...bench.sessions.values()].flat().map(({ restarting }) => restarting)), new Set([true]));
  bench.sessionMs = 0;
  bench.configure(...hosts.map((host) => router(host)));
  await turn();
  assert.equal(bench.session(1).restarting, false, "none of those of before");
});

test("the node's interfaces are asked for once for all peers that wait for BFD, and not with each part of what is placed", async (t) => {
  const interfaces = new NodeInterfaces(t);
  const bench = new Bench();
  const status = { verdict: "unknown", reason: "r" } as const;
  bench.watchBfd = () => ({ status, configure() {}, [Symbol.dispose]() {} });
  bench.configure(...[1, 2, 3].map((host) => router(host, ", bfd-profile: fast, bfd-strict: true")));
  const asked = async (act: () => void): Promise<number> => {
    await interfaces.set([]);
    const before = interfaces.asked;
    act();
    return interfaces.asked - before;
  };
  const atFirst = await asked(() => bench.bgp.flush(true));
  assert.deepEqual([atFirst, bench.sessions.size, bench.session(1).started], [1, 3, false]);
  assert.equal(await asked(() => bench.bgp.flush(false)), 0);
  assert.equal(await asked(() => bench.bgp.flush(true)), 1);
  assert.equal(await asked(() => bench.bgp.addressesChanged()), 1);
  const twice = (): void => {
    bench.bgp.addressesChanged();
    bench.bgp.addressesChanged();
  };
  assert.equal(await asked(twice), 2, "the second change may have come after the first answer, in one turn of the loop");
});

test("property: however changes of the node's addresses and news of them come, in the end next hops are of those that the node has", async (t) => {
  const interfaces = new NodeInterfaces(t);
  const own = "192.0.2.9";
  const step = fc.oneof(
    fc.record({
      type: fc.constant("change" as const),
      others: fc.subarray(["2001:db8::1/64", "2001:db8::2/64", "2001:db8::3/64"]),
    }),
    fc.record({ type: fc.constant("news" as const) }),
    fc.record({ type: fc.constant("turn" as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const bench = Bench.started([router(1)]);
      const session = bench.session(1);
      session.end = { address: ip(own), interface: "eth0", addresses: new Map(), linkLocal: undefined };
      let others: readonly string[] = [];
      const set = () => interfaces.set([`${own}/24`, ...others]);
      await set();
      for (const each of steps) {
        if (each.type === "change") others = each.others;
        const turn = set();
        if (each.type === "turn") await turn;
        if (each.type === "news") bench.bgp.addressesChanged();
      }
      bench.bgp.addressesChanged();
      const hop = session.end.addresses.get("IPv6");
      assert.ok(hop === undefined ? others.length === 0 : others.includes(`${hop}/64`), `${hop} of ${others}`);
    }),
    { numRuns: 100 },
  );
});

test("a session is notified once of all that changed in a round, and only if something did", () => {
  const bench = Bench.started([router(1), router(2)]);
  const before = [bench.session(1).notified, bench.session(2).notified];
  bench.announce(1);
  bench.announce();
  bench.announce(1);
  bench.bgp.flush(true);
  assert.deepEqual([bench.session(1).notified, bench.session(2).notified], [(before[0] ?? 0) + 1, before[1]]);
});

test("a change of the configuration begins and ends the sessions of the peers that it adds and removes, and no others", () => {
  const bench = Bench.started([router(1), router(2)], [1, 2]);
  bench.configure(router(2), router(3));
  assert.deepEqual(bench.keys, ["192.0.2.2:179", "192.0.2.3:179"]);
  assert.deepEqual(bench.session(1).closes, ["peerDeConfigured removed from the configuration"]);
  assert.deepEqual([bench.session(2).restarting, bench.session(3).restarting], [true, false], "a new peer never knew this node");
  assert.deepEqual([bench.session(2).closes, bench.sessions.get("192.0.2.2:179")?.length], [[], 1]);
  bench.configure(router(2, ", hold-time: 30s"), router(3));
  assert.deepEqual(
    bench.session(2).settings.map(({ holdTimeSeconds }) => holdTimeSeconds),
    [90, 30],
  );
});

test("a peer that comes back has its routes although nothing else changed", async () => {
  const bench = Bench.started([router(1)], [1]);
  bench.configure();
  bench.configure(router(1));
  await setImmediate();
  assert.equal(bench.sessions.get("192.0.2.1:179")?.length, 2);
  assert.equal(bench.session(1).routes.pending, 1);
});

test("a peer that comes back has a session once those that it had are closed at the router's side, also after it has gone again", async () => {
  const bench = Bench.started([router(1)], [1]);
  const { promise: gone, resolve: close } = Promise.withResolvers<void>();
  bench.gone = () => gone;
  const started = () => bench.sessions.get("192.0.2.1:179")?.filter(({ started }) => started).length;
  for (const _ of [1, 2]) {
    bench.configure();
    bench.configure(router(1));
    await setImmediate();
    assert.equal(started(), 0);
  }
  bench.configure(router(1, ", hold-time: 30s"));
  close();
  await setImmediate();
  assert.equal(started(), 1);
  assert.deepEqual([bench.session(1).settings.at(-1)?.holdTimeSeconds, bench.session(1).routes.pending], [30, 1]);
});

test("peers come and go with the labels of the node", () => {
  const bench = Bench.started([router(1, rack("a")), router(2, rack("b"))]);
  assert.deepEqual(bench.keys, []);
  const node = (labels: Record<string, string>) => bench.setNode({ labels, unschedulable: false, deleting: false });
  node({ rack: "a" });
  assert.deepEqual(bench.keys, ["192.0.2.1:179"]);
  node({ rack: "b" });
  assert.deepEqual(bench.keys, ["192.0.2.2:179"]);
  assert.deepEqual(bench.session(1).closes, ["peerDeConfigured this node is no longer selected"]);
  bench.deleteNode();
  assert.deepEqual(bench.keys, []);
});

test("a session waits for its password, takes another one, and goes on without it", () => {
  const secret = ", password-secret: {name: s}";
  const bench = Bench.started([router(1, secret)]);
  assert.equal(bench.sessions.size, 0);
  assert.deepEqual(
    bench.bgp.peers.map(({ waitsFor }) => waitsFor),
    ["Secret ns/s has not been read yet"],
  );
  bench.bgp.secretsChanged();
  assert.equal(bench.logged.filter((line) => line.includes("peerWaits")).length, 1, "logged once");
  assert.equal(bench.watched.at(-1), "s");
  bench.secret = "hunter2";
  bench.bgp.secretsChanged();
  bench.secret = "hunter3";
  bench.bgp.secretsChanged();
  bench.secret = { missing: "gone" };
  bench.bgp.secretsChanged();
  assert.deepEqual(
    bench.session(1).settings.map(({ password }) => password),
    ["hunter2", "hunter3"],
  );
  assert.deepEqual(bench.session(1).closes, []);
  assert.ok(!bench.logged.join().includes("hunter"));
});

for (const secret of ["", "é".repeat(41)])
  test(`a password of ${Buffer.byteLength(secret)} octets is none`, () => {
    const bench = Bench.started([]);
    bench.secret = secret;
    bench.configure(router(1, ", password-secret: {name: s}"));
    assert.match(bench.bgp.peers[0]?.waitsFor ?? "", /^a password of 1 to 80 octets: Secret s has \d+ under "password"$/);
  });

test("while the node is cordoned or being deleted, peers that ask for it prefer other nodes", () => {
  const bench = Bench.started([router(1, ", drain-when-cordoned: true"), router(2)], [1, 2]);
  for (const host of [1, 2]) bench.session(host).establish();
  /** How many messages each router is sent for it. */
  const sent = (unschedulable: boolean, deleting: boolean) => {
    for (const host of [1, 2]) bench.session(host).established = false; // It takes nothing by itself.
    bench.setNode({ labels: {}, unschedulable, deleting });
    return [1, 2].map((host) => bench.session(host).take());
  };
  assert.deepEqual(sent(true, false), [1, 0]);
  assert.deepEqual(sent(true, true), [0, 0]);
  assert.deepEqual(sent(false, false), [1, 0]);
  assert.deepEqual(sent(false, true), [1, 0]);
});

test("a node that leaves has all peers prefer other nodes, whatever they ask for", () => {
  const bench = Bench.started([router(1), router(2)], [1, 2]);
  for (const host of [1, 2]) bench.session(host).establish();
  const sent = (isLeaving: boolean) => {
    for (const host of [1, 2]) bench.session(host).established = false; // It takes nothing by itself.
    bench.isLeaving = isLeaving;
    bench.setNode({ labels: {}, unschedulable: false, deleting: false });
    return [1, 2].map((host) => bench.session(host).take());
  };
  assert.deepEqual(sent(true), [1, 1]);
  assert.deepEqual(sent(true), [0, 0]);
  assert.deepEqual(sent(false), [1, 1]);
});

test("leaving takes traffic away first, then the routes, then the session", async () => {
  const bench = Bench.started([router(1, ", graceful-shutdown-time: 5s"), router(2)], [1, 2]);
  bench.session(1).establish();
  const leaving = bench.bgp.leave();
  const session = bench.session(1);
  assert.deepEqual(
    bench.session(2).closes,
    ["administrativeShutdown the speaker of this node stops"],
    "it has advertised nothing",
  );
  bench.announce(1); // Nothing new; the state is still followed.
  bench.clock.advanceBy(4999);
  assert.deepEqual([session.closes, session.routes.advertised], [[], 1]);
  bench.clock.advanceBy(1);
  await leaving;
  assert.deepEqual(session.closes, ["administrativeShutdown the speaker of this node stops"]);
  assert.equal(session.routes.advertised, 0);
});

test("a speaker that is ended while it still leaves closes each session once", async () => {
  const bench = Bench.started([router(1, ", graceful-shutdown-time: 5s")], [1]);
  const session = bench.session(1);
  session.establish();
  const leaving = bench.bgp.leave();
  const ended = bench.bgp[Symbol.asyncDispose]();
  assert.equal(session.closes.length, 1);
  bench.clock.advanceBy(5000);
  await ended;
  await leaving;
  assert.equal(session.closes.length, 1);
});

/** An address of many, announced to these hosts with this MED. */
function advertise(bench: Bench, index: number, hosts: readonly number[], med = 100): void {
  const address = ip(`10.0.${index >> 8}.${index & 255}`);
  const advertisement = metrics.get(med) ?? assert.fail(`no advertisement of ${med}`);
  const peers = { IPv4: hosts.map((host) => `192.0.2.${host}:179`), IPv6: [] };
  const via: Advertised = { advertisement, peers, order: 0, slots: new Map() };
  bench.bgp.setRoutes(address, hosts.length === 0 ? [] : [{ prefix: new Prefix(address, 32), via, weight: 1 }]);
}
const metrics = new Map(
  [100, 200].map((med) => {
    const text = `address-pools: [{name: a, protocol: bgp, addresses: [10.0.0.0/8], bgp-advertisements: [{med: ${med}}]}]`;
    const [advertisement] = parseConfig(text).config?.pools[0]?.advertisements ?? [];
    return [med, advertisement ?? assert.fail(text)];
  }),
);

test("a turn of the event loop gives peers 4,000 routes at most, and a session starts when its peer has all of them", () => {
  const hosts = Array.from({ length: 20 }, (_, index) => index + 1);
  const bench = new Bench();
  bench.configure(...hosts.map((host) => router(host)));
  bench.setNode({ labels: {}, unschedulable: false, deleting: false });
  for (let index = 0; index < 2_500; index++) advertise(bench, index, hosts);
  const given = () => bench.bgp.peers.map(({ routes }) => routes.wanted);
  const sum = () => given().reduce((total, wanted) => total + wanted, 0);
  const before = sum();
  bench.bgp.flush(true);
  for (let last = before, turns = 0; last < 50_000; turns++) {
    assert.ok(sum() - last <= 4_000, `${sum() - last} in turn ${turns}`);
    const complete = given().filter((wanted) => wanted === 2_500).length;
    assert.ok(bench.sessions.size <= complete, `${bench.sessions.size} sessions, ${complete} peers with all routes`);
    last = sum();
    bench.clock.advanceToNext();
  }
  bench.clock.advanceBy(0);
  assert.ok(hosts.every((host) => bench.session(host).started));
});

test("whatever changes while a peer gets its routes, it has in the end those that it should have, and the same with a peer removed and added again", async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ type: fc.constant("turn" as const) }) },
    fc.record({
      type: fc.constant("routes" as const),
      index: fc.nat(2_499),
      hosts: fc.constantFrom([], [1], [1, 2]),
      med: fc.constantFrom(100, 200),
    }),
    fc.record({ type: fc.constant("peers" as const), hosts: fc.constantFrom([1], [2], [1, 2]) }),
    fc.record({ type: fc.constant("drain" as const), draining: fc.boolean() }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const drained = ", drain-when-cordoned: true";
      const bench = new Bench();
      bench.gone = () => new Promise((resolve) => bench.clock.schedule("the router closes its side", bench.clock.now(), resolve));
      const wanted = new Map<number, { hosts: readonly number[]; med: number }>(); // address -> its routes
      let peers: readonly number[] = [1, 2];
      let draining = false;
      bench.configure(...peers.map((host) => router(host, drained)));
      bench.setNode({ labels: {}, unschedulable: false, deleting: false });
      for (let index = 0; index < 2_500; index++) {
        wanted.set(index, { hosts: [1, 2], med: 100 });
        advertise(bench, index, [1, 2]);
      }
      bench.bgp.flush(true);
      for (const each of steps) {
        if (each.type === "turn") {
          bench.clock.advanceToNext();
          await setImmediate();
        }
        if (each.type === "routes") {
          wanted.set(each.index, each);
          advertise(bench, each.index, each.hosts, each.med);
          bench.bgp.flush(true);
        }
        if (each.type === "peers") {
          peers = each.hosts;
          bench.configure(...peers.map((host) => router(host, drained)));
        }
        if (each.type === "drain") {
          draining = each.draining;
          bench.setNode({ labels: {}, unschedulable: draining, deleting: false });
        }
      }
      bench.clock.advanceBy(0);
      await setImmediate();
      for (const host of peers) {
        const session = bench.session(host);
        assert.equal(session.started, true);
        const listener = new Listener(negotiated());
        session.routes.start(negotiated(), localEnd());
        listener.pull(session.routes);
        const expected = [...wanted].filter(([, { hosts }]) => hosts.includes(host));
        assert.deepEqual(
          [...listener.table]
            .map(([prefix, { med, communities }]) => [prefix, med, communities?.includes(0xffff_0000) ?? false])
            .sort(),
          expected.map(([index, { med }]) => [`10.0.${index >> 8}.${index & 255}/32`, med, draining]).sort(),
        );
      }
    }),
    { numRuns: 30 },
  );
});

test("a peer without an address waits for the router on its interface, keeps its routes when another one takes its place, and ends with the interface", () => {
  const bench = new Bench();
  const link = (name: string) => `{my-asn: 64512, peer-asn: external, interface: ${name}}`;
  bench.configure(link("eth0"), link("eth1"));
  const at = (name: string) => bench.bgp.peers.find(({ key }) => key === `${name}:179`) ?? assert.fail(name);
  bench.bgp.flush(true);
  assert.deepEqual(bench.searched, ["eth0", "eth1"]);
  assert.equal(at("eth0").waitsFor, "nobody was heard on eth0");
  assert.equal(at("eth0").verdict.verdict.cause, "waitsForRouter");
  bench.routers.set("eth0", ip("fe80::1"));
  bench.bgp.routersChanged();
  const [session] = bench.sessions.get("eth0:179") ?? [];
  const last = () => session?.settings.at(-1);
  assert.deepEqual([session?.started, `${last()?.address}`, last()?.interface], [true, "fe80::1", "eth0"]);
  assert.equal(bench.sessions.get("eth1:179"), undefined);
  bench.routers.set("eth0", ip("fe80::2"));
  bench.bgp.routersChanged();
  assert.equal(`${last()?.address}`, "fe80::2");
  bench.routers.delete("eth0");
  bench.bgp.routersChanged();
  assert.deepEqual(session?.closes, ["otherConfigurationChange nobody was heard on eth0"]);
  assert.equal(at("eth0").waitsFor, "nobody was heard on eth0");
  bench.configure(link("eth1"));
  assert.deepEqual([bench.keys, bench.searched], [["eth1:179"], ["eth1"]]);
});

test("routers with one link-local address on two interfaces have a session each, although this node has one address on both", () => {
  const bench = new Bench();
  bench.sourceTo = () => ip("fe80::9");
  const on = (name: string) => `{my-asn: 64512, peer-asn: 64513, peer-address: 'fe80::1', interface: ${name}}`;
  bench.configure(on("eth0"), on("eth0.10"));
  bench.bgp.flush(true);
  for (const { session } of bench.bgp.peers) (session as FakeSession).establish();
  bench.bgp.secretsChanged();
  assert.deepEqual(
    bench.bgp.peers.map(({ waitsFor, isEstablished }) => [waitsFor, isEstablished]),
    [
      [undefined, true],
      [undefined, true],
    ],
  );
});

test("an entry waits while its router has a session by another entry, and tries a minute later where that is gone", async () => {
  const bench = new Bench();
  bench.sourceTo = () => ip("192.0.2.9");
  bench.configure(router(1, ", source-address: 192.0.2.9"));
  bench.bgp.flush(true);
  const session = () => bench.sessions.get("192.0.2.1:179 from 192.0.2.9")?.at(-1);
  session()?.establish();
  bench.configure(router(1), router(1, ", source-address: 192.0.2.9").replace("r1", "r2"));
  bench.bgp.flush(true);
  const waits = () => bench.bgp.peers.find(({ key }) => key === "192.0.2.1:179")?.waitsFor;
  const because = "the router has a session with this node from the same address by another entry, 192.0.2.1:179 from 192.0.2.9";
  assert.equal(waits(), because);
  bench.clock.advanceBy(61_000);
  assert.equal(waits(), because);
  const former = session();
  assert.ok(former);
  former.established = false;
  bench.clock.advanceBy(61_000);
  assert.equal(waits(), undefined);
  const last = bench.sessions.get("192.0.2.1:179")?.at(-1);
  assert.deepEqual(
    [last?.started, last?.isKnown, former.isKnown],
    [true, true, false],
    "the router has had a session with this process",
  );
});

test("an entry that waits for the former connection of another one goes on waiting where that one is established again meanwhile", async () => {
  const bench = new Bench();
  bench.sourceTo = () => ip("192.0.2.9");
  const waiting: (() => void)[] = [];
  bench.configure(router(1, ", source-address: 192.0.2.9"));
  bench.bgp.flush(true);
  const session = bench.sessions.get("192.0.2.1:179 from 192.0.2.9")?.at(-1) ?? assert.fail();
  session.establish();
  bench.gone = () => new Promise((resolve) => waiting.push(resolve));
  session.established = false; // As it is once it has these settings.
  bench.configure(router(1, ", source-address: 192.0.2.9, hold-time: 30s"), router(1).replace("r1", "r2"));
  const other = bench.sessions.get("192.0.2.1:179")?.at(-1);
  assert.equal(other?.started, false);
  session.establish();
  for (const resolve of waiting) resolve();
  await setImmediate();
  assert.equal(other?.started, false);
  assert.match(`${bench.bgp.peers.find(({ key }) => key === "192.0.2.1:179")?.waitsFor}`, /has a session .* by another entry/);
});

test("a router that is found and also named has one session, that of the entry that names it, once the other one is closed", async () => {
  const bench = new Bench();
  let close = () => {};
  bench.gone = () => new Promise((resolve) => (close = resolve));
  const found = "{my-asn: 64512, peer-asn: external, interface: eth0}";
  const named = "{my-asn: 64512, peer-asn: 64513, peer-address: 'fe80::1', interface: eth0}";
  bench.routers.set("eth0", ip("fe80::1"));
  bench.configure(found);
  bench.bgp.flush(true);
  const session = () => bench.sessions.get("eth0:179")?.at(-1);
  assert.equal(session()?.started, true);
  const byName = () => bench.sessions.get("[fe80::1%eth0]:179")?.some(({ started }) => started);
  bench.configure(named, found);
  assert.deepEqual([session()?.started, byName()], [false, false]);
  close();
  await setImmediate();
  assert.equal(byName(), true);
  const waits = bench.bgp.peers.find(({ key }) => key === "eth0:179")?.waitsFor;
  assert.equal(waits, "the router on eth0 has an entry of its own, [fe80::1%eth0]:179");
  bench.configure(found);
  assert.deepEqual([session()?.started, byName()], [false, false]);
  close();
  await setImmediate();
  assert.equal(session()?.started, true);
});

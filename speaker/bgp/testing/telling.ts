import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import type { BfdEnds, BfdStatus, BfdWatch } from "#pkg/bfd";
import { PeerSession } from "#pkg/bgp";
import {
  type Connection,
  type ModelRoute,
  ModelRouter,
  type ModelSettings,
  type Removal,
  SimulatedNetwork,
  Stall,
  type Transport,
} from "#pkg/bgp/testing";
import { type Clock, type Millis, Portions, type Random } from "#pkg/clock";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import { type BgpAdvertisement, type Peer, parseConfig } from "#pkg/config";
import type { NoValue } from "#pkg/k8s";
import { silentLog } from "#pkg/log/testing";
import { type Family, parseAddress, parsePrefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { nodePeers, type SlotPaths } from "#pkg/placement";
import { BgpSpeaker } from "../bgp-speaker.ts";
import type { Act, PeerFields, RouteChange, Story } from "./story.ts";

const own = "192.0.2.1";
const routerAddresses = ["192.0.2.2", "192.0.2.3"] as const;
const ownIpv6 = address("2001:db8::1");

interface Wanted {
  readonly version: number;
  readonly paths: readonly number[];
  readonly since: Millis;
}

const advertisements = new Map<number, BgpAdvertisement>();
function advertisementOf(version: number): BgpAdvertisement {
  const known = advertisements.get(version);
  if (known !== undefined) return known;
  const { config, problems } = parseConfig(
    `address-pools: [{name: a, protocol: bgp, addresses: [198.51.100.0/24], bgp-advertisements: [{communities: ["65001:${version}"]}]}]`,
  );
  const made = config?.pools[0]?.advertisements[0];
  assert.ok(made, JSON.stringify(problems));
  advertisements.set(version, made);
  return made;
}
const base = parseConfig(
  "peers: [{my-asn: 65001, peer-asn: 65002, peer-address: 192.0.2.2}]\nbfd-profiles: [{name: fast}]",
).config;
assert.ok(base);
const { bfdProfiles } = base;
const basePeer = base.peers[0] as Peer;

/** How soon BFD is up, and how soon it finds a path gone. */
const detectionMs: Millis = 1_000;

/** For how long a session that both sides want may be away: the longest back-off, an attempt, and what the router waits for itself. */
const maxAwayMs: Millis = 200_000;

/** The same where there was a session before, and neither side has said or heard anything that forbids the next one. */
const maxShortAwayMs: Millis = 30_000;

/** What the speaker does, which it does not while it stands still. */
const ownActs: ReadonlySet<Act["type"]> = new Set(["peer", "removePeer", "secret", "drain", "routes", "ipv6"]);

/** A clock of a process that can end. */
class Life implements Clock {
  readonly #clock: Clock;
  isOver = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): Millis {
    return this.#clock.now();
  }

  schedule(name: string, at: Millis, fn: () => void): Disposable {
    return this.#clock.schedule(name, at, () => {
      if (!this.isOver) fn();
    });
  }
}

interface Process {
  readonly bgp: BgpSpeaker;
  readonly life: Life;
  readonly forwardingPreserved: boolean;
  /** Routers with which it had a session. */
  readonly known: Set<number>;
  readonly accepts: Map<string, Parameters<ReturnType<SimulatedNetwork["listener"]>["expect"]>[1]>; // router -> who takes its connections
}

/** A speaker with real sessions and routers of the model, through all acts of a story. */
export class Telling {
  readonly #clock = new SimulatedClock(1_000_000);
  readonly transcript: string[] = [];
  readonly #problems: string[] = [];
  readonly #story: Story;
  readonly #random: Random;
  readonly #stall = new Stall(this.#clock);
  readonly #networks: readonly SimulatedNetwork[];
  /** Packets that are signed with another key get no answer. */
  readonly #nowhere = new SimulatedNetwork(this.#clock);
  readonly #routers: readonly ModelRouter[];
  readonly #wanted = new Map<string, Wanted>(); // prefix -> what is wanted
  readonly #peers = new Map<number, PeerFields>(); // router -> its entry
  #secret: string | undefined = "one";
  #isDraining = false;
  #stalledUntil: Millis = 0;
  #hasIpv6 = true;
  #process: Process | undefined;
  /** When the network, or the router's processes, broke off connections last, by router. */
  readonly #brokenAt = routerAddresses.map(() => -Infinity);
  readonly #removedAt = routerAddresses.map(() => -Infinity);
  #silentUntil: Millis[];
  /** Somebody had another configuration, an error or another process since the last session, by router. */
  readonly #isRough = routerAddresses.map(() => true);
  /** Since when nothing keeps a session away, by router. */
  readonly #healthySince: Millis[];

  constructor(story: Story) {
    this.#story = story;
    this.#nowhere.silent = true;
    this.#random = seededRandom(story.seed + 7);
    this.#networks = routerAddresses.map(
      () => new SimulatedNetwork(this.#clock, undefined, () => 1 + Math.floor(this.#random() * story.latency)),
    );
    this.#silentUntil = routerAddresses.map(() => 0);
    this.#healthySince = routerAddresses.map(() => this.#clock.now());
    this.#routers = routerAddresses.map((routerAddress, index) => {
      const network = this.#networks[index] as SimulatedNetwork;
      network.listener(own).expect(null as never, (incoming) => {
        const take = this.#process?.accepts.get(routerAddress);
        const refuse = () => incoming.open({ connected() {}, received() {}, closed() {} }).destroy();
        if (take === undefined) refuse();
        else take(incoming);
      });
      return new ModelRouter(
        {
          clock: this.#clock,
          random: this.#random,
          network,
          own: routerAddress,
          neighbor: own,
          hasSameKey: () => this.#passwordOf(index) === this.#routers[index]?.settings.password,
          onRemoved: (route, why) => this.#removed(index, route, why),
          onViolation: (what) => this.#fault(`router ${index}: ${what}`),
          onEvent: (what) => this.#heard(index, what),
        },
        { ...routerDefaults, routerId: routerAddress },
      );
    });
  }

  /** @returns what went wrong first */
  async run(): Promise<string | undefined> {
    for (let router = 0; router < this.#story.routers; router++) {
      this.#routers[router]?.start(false);
      this.#peers.set(router, {});
    }
    this.#begin(true);
    await this.#passTo(this.#clock.now() + 5_000);
    const from = this.#clock.now();
    for (const act of this.#story.acts) {
      await this.#passTo(from + act.at);
      this.#say(JSON.stringify(act));
      await this.#do(act);
      if (this.#problems.length > 0) return this.#over();
    }
    if (this.#stalledUntil > this.#clock.now()) await this.#passTo(this.#stalledUntil);
    this.#say("all is healed");
    this.#heal();
    await this.#passTo(this.#clock.now() + maxAwayMs);
    for (let index = 0; index < this.#story.routers; index++) this.#judge(index);
    return this.#over();
  }

  #over(): string | undefined {
    if (this.#process !== undefined) this.#process.life.isOver = true;
    return this.#problems[0];
  }

  #heard(index: number, what: string): void {
    this.#say(`router ${index} ${what}`);
    if (what.startsWith("established")) {
      const process = this.#process;
      const { established } = this.#routers[index] ?? {};
      this.#clock.schedule("known", this.#clock.now() + 1_000, () => {
        if (established !== undefined && this.#routers[index]?.established === established) process?.known.add(index);
      });
      this.#isRough[index] = false;
    }
    if (!what.endsWith("6/7")) return;
    const at = this.#clock.now();
    this.#clock.schedule("collision", at + maxShortAwayMs, () => {
      const isCalm = this.#healthyFor(index) > maxShortAwayMs + 1_000;
      if (isCalm && this.#routers[index]?.established === undefined) this.#fault(`router ${index}: a collision left no session`);
    });
  }

  #say(what: string): void {
    this.transcript.push(`${(this.#clock.now() - 1_000_000) / 1000} ${what}`);
  }

  #fault(what: string): void {
    this.#say(`FAULT ${what}`);
    this.#problems.push(what);
  }

  async #passTo(at: Millis): Promise<void> {
    if (at < this.#clock.now()) return;
    let isOver = false;
    this.#clock.schedule("end of the wait", at, () => {
      isOver = true;
    });
    do {
      await settled();
      if (this.#problems.length > 0) return;
    } while (this.#clock.advanceToNext() && !isOver);
  }

  /** Something may keep sessions with the router, or all, away until then. */
  #disturb(router: number | undefined, until: Millis): void {
    for (const [index, since] of this.#healthySince.entries())
      if (router === undefined || router === index) this.#healthySince[index] = Math.max(since, until);
  }

  /** Whether both sides want a session under the same conditions. */
  #isAgreed(index: number): boolean {
    const router = this.#routers[index];
    const fields = this.#peers.get(index);
    if (router === undefined || !router.runs || fields === undefined || this.#process === undefined) return false;
    const { settings } = router;
    const { families, role, roleStrict, passive, hasSecret, bfdStrict } = { ...basePeer, ...fields };
    const areRolesFit = role === undefined || (settings.role === undefined ? !roleStrict : counterparts[role] === settings.role);
    return (
      settings.is === "up" &&
      router.heldUntil < this.#clock.now() &&
      areRolesFit &&
      settings.password === this.#passwordOf(index) &&
      !(hasSecret && this.#secret === undefined) &&
      !(bfdStrict && !settings.bfd) &&
      (settings.dials || !passive) &&
      families.some((family) => settings.families.includes(family)) &&
      families.every(
        (family) => [...this.#wanted.keys()].filter((prefix) => familyOf(prefix) === family).length <= settings.prefixLimit,
      )
    );
  }

  /** For how long nothing keeps the session with a router away. */
  #healthyFor(router: number): Millis {
    return this.#isAgreed(router) ? this.#clock.now() - (this.#healthySince[router] ?? Infinity) : 0;
  }

  #look(): void {
    for (let index = 0; index < this.#story.routers; index++) {
      const max = this.#isRough[index] ? maxAwayMs : maxShortAwayMs;
      if (this.#healthyFor(index) > max) this.#judge(index);
    }
  }

  async #do(act: Act): Promise<void> {
    this.#look();
    const length = "ms" in act ? act.ms : "awayMs" in act ? act.awayMs : 0;
    if (ownActs.has(act.type)) await this.#passTo(this.#stalledUntil);
    const router = "router" in act ? act.router : undefined;
    if (router !== undefined && !ownActs.has(act.type)) this.#brokenAt[router] = this.#clock.now() + length;
    this.#disturb(router, this.#clock.now() + length);
    if (["peer", "removePeer", "secret", "router", "notify", "restart"].includes(act.type))
      for (const index of this.#isRough.keys()) if (router === undefined || router === index) this.#isRough[index] = true;
    switch (act.type) {
      case "peer":
        this.#peers.set(act.router, { ...this.#peers.get(act.router), ...act.fields });
        this.#configure();
        break;
      case "removePeer":
        this.#peers.delete(act.router);
        this.#removedAt[act.router] = this.#clock.now();
        this.#process?.known.delete(act.router);
        this.#configure();
        break;
      case "secret":
        this.#secret = act.value;
        this.#process?.bgp.secretsChanged();
        break;
      case "drain":
        this.#isDraining = act.on;
        this.#configure();
        break;
      case "routes":
        for (const change of act.changes) this.#want(change);
        this.#process?.bgp.flush(true);
        break;
      case "restart":
        await this.#end(act.how);
        await this.#passTo(this.#clock.now() + act.awayMs);
        this.#begin(act.forwardingPreserved);
        break;
      case "stall":
        if (this.#stalledUntil > this.#clock.now()) break;
        this.#stalledUntil = this.#clock.now() + act.ms;
        this.#stall.standStill(act.ms);
        break;
      case "ipv6":
        this.#hasIpv6 = act.on;
        this.#process?.bgp.addressesChanged();
        break;
      case "router":
        this.#routers[act.router]?.configure(act.fields, act.says);
        break;
      case "routerRestart": {
        const network = this.#networks[act.router] as SimulatedNetwork;
        const router = this.#routers[act.router];
        if (!router?.runs) break;
        if (act.crash) this.#silence(act.router, act.awayMs);
        else {
          network.refused = true;
          router.stop(act.keeps && router.settings.gracefulRestart);
        }
        this.#clock.schedule("router", this.#clock.now() + act.awayMs, () => {
          network.refused = false;
          if (act.crash) router.stop(false);
          if (router.runs) return;
          router.start(act.keeps && !act.crash && router.settings.gracefulRestart);
          this.#say(`router ${act.router} runs again`);
        });
        break;
      }
      case "notify":
        this.#routers[act.router]?.notify(act.code, act.subcode);
        break;
      case "refresh":
        this.#routers[act.router]?.refresh(act.family);
        break;
      case "break":
        if (act.dials) this.#routers[act.router]?.hurry();
        this.#networks[act.router]?.breakAll();
        break;
      case "freeze":
      case "silent":
        this.#silence(act.router, act.ms);
        break;
      default:
        act satisfies never;
    }
  }

  /** Nothing arrives for a while. */
  #silence(router: number, ms: Millis): void {
    const network = this.#networks[router] as SimulatedNetwork;
    const until = Math.max(this.#silentUntil[router] ?? 0, this.#clock.now() + ms);
    this.#silentUntil[router] = until;
    network.silent = true;
    network.freeze(true);
    this.#clock.schedule("thaw", until, () => {
      if (this.#silentUntil[router] !== until) return;
      network.silent = false;
      network.freeze(false);
    });
  }

  #want({ host, family, version, paths }: RouteChange): void {
    const text = family === "IPv4" ? `10.0.${host >> 8}.${host & 255}` : `2001:db8:1::${host}`;
    const prefix = `${text}/${family === "IPv4" ? 32 : 128}`;
    if (version === 0) this.#wanted.delete(prefix);
    else this.#wanted.set(prefix, { version, paths, since: this.#clock.now() });
    this.#tell(prefix);
  }

  #tell(text: string): void {
    const prefix = parsePrefix(text);
    const wanted = this.#wanted.get(text);
    assert.ok(prefix);
    if (this.#process === undefined) return;
    const keys = this.#nodePeers().map(({ key }) => key);
    if (wanted === undefined || keys.length === 0) {
      this.#process.bgp.setRoutes(prefix.address, []);
      return;
    }
    const { family } = prefix;
    const slots: SlotPaths = new Map(
      wanted.paths.length === 0
        ? []
        : [[family, wanted.paths.map((hop) => ({ path: hop, nextHop: address(hopOf(family, hop)), isOwn: hop % 2 === 0 }))]],
    );
    const via = { advertisement: advertisementOf(wanted.version), peers: { IPv4: keys, IPv6: keys }, order: 0, slots };
    this.#process.bgp.setRoutes(prefix.address, [{ prefix, via, weight: 1 }]);
  }

  #nodePeers() {
    const peers = [...this.#peers].map(([router, { routerIdText, hasSecret, ...fields }]): Peer => {
      return {
        ...basePeer,
        address: address(routerAddresses[router] as string),
        ...fields,
        routerId: routerIdText === undefined ? undefined : parseAddress(routerIdText),
        passwordSecret: hasSecret ? { name: "s", key: "password" } : undefined,
        ...(hasSecret && { password: undefined }),
      } as Peer;
    });
    return nodePeers(peers, {});
  }

  #passwordOf(router: number): string | undefined {
    const fields = this.#peers.get(router);
    return fields?.hasSecret ? this.#secret : fields?.password;
  }

  #configure(): void {
    const { bgp } = this.#process ?? {};
    if (bgp === undefined) return;
    bgp.setPeers({
      peers: this.#nodePeers(),
      bfdProfiles,
      isDraining: this.#isDraining,
      isLeaving: false,
      whyRemoved: "removedFromConfig",
    });
    for (const prefix of this.#wanted.keys()) this.#tell(prefix);
    bgp.flush(true);
  }

  #begin(forwardingPreserved: boolean): void {
    const life = new Life(this.#stall);
    const beganAt = this.#clock.now();
    const accepts: Process["accepts"] = new Map();
    const transport = this.#transport(life);
    const shared = { node: "node", portions: new Portions(life, 4), clock: life, random: this.#random, log: silentLog };
    const bgp: BgpSpeaker = new BgpSpeaker({
      newSession: ({ key: _, ...session }) =>
        new PeerSession({
          ...session,
          ...shared,
          transport,
          forwardingPreserved:
            forwardingPreserved || this.#clock.now() - beganAt > session.settings.gracefulRestartSeconds * 1000,
          listener: {
            listens: () => true,
            expect: (settings, accept) => {
              const name = `${settings.address}`;
              assert.ok(!accepts.has(name), `two wait for connections of ${name}`);
              accepts.set(name, accept);
              return { [Symbol.dispose]: () => void (accepts.get(name) === accept && accepts.delete(name)) };
            },
          },
        }),
      discovery: { watch() {}, on: () => ({ router: { missing: "nobody searches" }, others: [] }), interfacesChanged() {} },
      secrets: { watch() {}, get: (): string | NoValue => this.#secret ?? { missing: "the Secret is gone" } },
      bfd: { watch: (ends, _profile, onChange) => this.#watch(life, ends, onChange) },
      ...shared,
    });
    this.#process = { bgp, life, forwardingPreserved, known: new Set(), accepts };
    this.#say(`the speaker begins${forwardingPreserved ? "" : ", and forwarding was interrupted"}`);
    this.#configure();
    for (const prefix of this.#wanted.keys()) this.#tell(prefix);
    bgp.flush(true);
  }

  async #end(how: "killed" | "leaves"): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    if (how === "leaves" && this.#clock.now() >= this.#stalledUntil) {
      let isOver = false;
      void process.bgp
        .leave()
        .then(() => process.bgp[Symbol.asyncDispose]())
        .then(() => {
          isOver = true;
        });
      const until = this.#clock.now() + 60_000;
      do await settled();
      while (!isOver && this.#clock.now() < until && this.#clock.advanceToNext());
      if (!isOver) this.#fault("the speaker does not end");
    }
    process.life.isOver = true;
    this.#process = undefined;
    for (const network of this.#networks) if (!network.silent) network.breakAll();
    this.#say("the speaker has ended");
  }

  #transport(life: Life): Transport {
    const events = <Args extends unknown[]>(tell: (...args: Args) => void) => {
      return (...args: Args) => {
        if (!life.isOver) tell(...args);
      };
    };
    const endNow: Transport["endNow"] = (end) => {
      const addresses = new Map([...end.addresses].filter(([family]) => family === "IPv4"));
      if (this.#hasIpv6) addresses.set("IPv6", ownIpv6);
      return { ...end, addresses };
    };
    return this.#stall.transport({
      dial: (settings, { connected, received, closed }): Connection => {
        const router = routerAddresses.indexOf(`${settings.address}` as (typeof routerAddresses)[number]);
        const network = this.#networks[router] as SimulatedNetwork;
        const isHeard = settings.password === this.#routers[router]?.settings.password;
        return (isHeard ? network : this.#nowhere).transport(own).dial(settings, {
          connected: events(connected),
          received: events(received),
          closed: events(closed),
        });
      },
      endNow,
    });
  }

  /** In place of `Bfd`: up once packets pass for a second and the router does BFD, and failed once they do not. */
  #watch(life: Life, { peer }: BfdEnds, onChange: (status: BfdStatus) => void): BfdWatch {
    const index = routerAddresses.indexOf(`${peer}` as (typeof routerAddresses)[number]);
    const router = this.#routers[index] as ModelRouter;
    let status: BfdStatus = { verdict: "unknown", reason: "new" };
    let otherSince: Millis | undefined;
    let isOver = false;
    const look = (): void => {
      if (isOver || life.isOver) return;
      life.schedule("BFD", this.#clock.now() + 100, look);
      const isReached = router.runs && !this.#networks[index]?.silent;
      const verdict =
        status.verdict === "up"
          ? isReached
            ? router.settings.bfd
              ? "up"
              : "adminDown"
            : "failed"
          : isReached && router.settings.bfd
            ? "up"
            : status.verdict;
      if (verdict === status.verdict) otherSince = undefined;
      else otherSince ??= this.#clock.now();
      if (otherSince === undefined || this.#clock.now() - otherSince < detectionMs) return;
      status = { verdict, reason: "drawn" };
      this.#say(`BFD to router ${index} is ${verdict}`);
      onChange(status);
      if (verdict === "failed" && router.runs) router.pathFailed();
    };
    look();
    return {
      get status() {
        return status;
      },
      configure() {},
      [Symbol.dispose]: () => {
        isOver = true;
        if (status.verdict !== "up" || life.isOver || !router.settings.bfd || this.#networks[index]?.silent) return;
        const isCalm = this.#clock.now() - (this.#brokenAt[index] ?? 0) > 5_000;
        if (router.pathFailed() && isCalm) this.#fault(`router ${index}: BFD ended before BGP`);
      },
    };
  }

  #removed(index: number, route: ModelRoute, why: Removal): void {
    this.#say(`router ${index} loses ${route.prefix} ${route.path ?? ""}: ${why}`);
    const router = this.#routers[index];
    const wanted = this.#wanted.get(route.prefix);
    const still = [...(router?.routes.values() ?? [])].some(({ prefix }) => prefix === route.prefix);
    const fields = this.#peers.get(index);
    if (still || wanted === undefined || this.#clock.now() - wanted.since < 5_000 || router === undefined) return;
    if (fields === undefined || this.#process === undefined || (route.family === "IPv6" && !this.#hasIpv6)) return;
    const { families } = { ...basePeer, ...fields };
    if (!families.includes(route.family) || !router.settings.families.includes(route.family)) return;
    const isFault = {
      endOfRib: router.established?.negotiated?.families.has(route.family),
      endOfRefresh: true,
      notKept:
        (this.#process.forwardingPreserved || this.#process.known.has(index)) && (fields.gracefulRestartSeconds ?? 120) > 0,
      timer: this.#healthyFor(index) > 30_000 + router.settings.waitAfterError,
      session: router.endedBy === "hard" && this.#clock.now() - (this.#removedAt[index] ?? 0) > 5_000,
      withdrawn: false,
      restart: false,
    };
    if (isFault[why]) this.#fault(`router ${index} loses ${route.prefix}, which is wanted: ${why}`);
  }

  #heal(): void {
    for (const [index, network] of this.#networks.entries()) {
      network.silent = false;
      network.refused = false;
      network.freeze(false);
      this.#silentUntil[index] = 0;
      const router = this.#routers[index];
      if (index >= this.#story.routers || router === undefined) continue;
      if (!router.runs) router.start(false);
      const { role, myAsn, families, bfdStrict } = { ...basePeer, ...this.#peers.get(index) };
      const password = this.#passwordOf(index);
      const common = families.some((family) => router.settings.families.includes(family));
      const wanted: Partial<ModelSettings> = {
        password,
        is: "up",
        prefixLimit: 10_000,
        peerAsn: myAsn,
        role: role === undefined ? undefined : counterparts[role],
        roleStrict: false,
        ...(bfdStrict && { bfd: true }),
        ...(!common && { families }),
        ...(this.#peers.get(index)?.passive && { dials: true }),
      };
      const changed = Object.entries(wanted).some(([key, value]) => router.settings[key as keyof ModelSettings] !== value);
      if (changed) router.configure(wanted, true);
    }
    if (this.#secret === undefined) {
      this.#secret = this.#routers.find((_, index) => this.#peers.get(index)?.hasSecret)?.settings.password ?? "one";
      this.#process?.bgp.secretsChanged();
      for (const [index, router] of this.#routers.entries())
        if (this.#peers.get(index)?.hasSecret && router.settings.password !== this.#secret)
          router.configure({ password: this.#secret }, true);
    }
  }

  #judge(index: number): void {
    const router = this.#routers[index];
    if (router === undefined) return;
    const fields = this.#peers.get(index);
    const { established } = router;
    if (fields === undefined) {
      if (established !== undefined) this.#fault(`router ${index} has a session that is not wanted`);
      return;
    }
    if (established?.negotiated === undefined) {
      this.#fault(`router ${index} has no session`);
      return;
    }
    const { negotiated } = established;
    const mine = { ...basePeer, ...fields };
    const both = mine.families.filter((family) => router.settings.families.includes(family));
    if (both.join() !== [...negotiated.families].join())
      this.#fault(`router ${index}: the session has ${[...negotiated.families]}, and both sides want ${both}`);
    const expected = new Map<string, string>();
    for (const [prefix, { version, paths }] of this.#wanted) {
      const family = familyOf(prefix);
      if (!both.includes(family)) continue;
      const hops = paths.map((hop) => hopOf(family, hop));
      if (paths.length === 0 && family === "IPv6" && !this.#hasIpv6) continue;
      if (paths.length > 0 && negotiated.addPath.has(family)) {
        for (const hop of paths) expected.set(`${prefix} ${hop}`, `${version} ${hopOf(family, hop)}`);
      } else if (paths.length > 0)
        expected.set(`${prefix} ${negotiated.addPath.has(family) ? 0 : undefined}`, `${version} one of ${hops}`);
      else
        expected.set(
          `${prefix} ${negotiated.addPath.has(family) ? 0 : undefined}`,
          `${version} ${family === "IPv4" ? own : ownIpv6}`,
        );
    }
    for (const [key, route] of router.routes) {
      const want = expected.get(key);
      expected.delete(key);
      const version = (route.communities[0] ?? 0) & 0xffff;
      const hop = route.nextHops[0] ?? "";
      const isRight =
        want !== undefined &&
        (want.includes("one of") ? want.startsWith(`${version} `) && want.includes(hop) : want === `${version} ${hop}`);
      if (!isRight) this.#fault(`router ${index} has ${key}: ${version} ${hop}, wanted ${want}`);
      if (route.isStale) this.#fault(`router ${index} has a stale route ${key}`);
      const isLeaving = route.communities.includes(0xffff_0000);
      if (isLeaving !== (this.#isDraining && mine.drainWhenCordoned))
        this.#fault(`router ${index} has ${key} marked ${isLeaving}`);
    }
    for (const [key] of expected) this.#fault(`router ${index} lacks ${key}`);
  }
}

const counterparts = {
  provider: "customer",
  customer: "provider",
  "rs-server": "rs-client",
  "rs-client": "rs-server",
  peer: "peer",
} as const;

function familyOf(prefix: string): Family {
  return prefix.includes(":") ? "IPv6" : "IPv4";
}

function hopOf(family: Family, hop: number): string {
  return family === "IPv4" ? `192.0.2.${100 + hop}` : `2001:db8::${100 + hop}`;
}

async function settled(): Promise<void> {
  await setImmediate();
}

const routerDefaults: Omit<ModelSettings, "routerId"> = {
  asn: 65002,
  peerAsn: 65001,
  families: ["IPv4", "IPv6"],
  dials: true,
  holdTimeSeconds: 90,
  gracefulRestart: true,
  notification: false,
  longLived: false,
  addPath: false,
  routeRefresh: true,
  enhancedRouteRefresh: true,
  extendedMessage: true,
  fourOctetAsn: true,
  role: undefined,
  roleStrict: false,
  password: undefined,
  prefixLimit: 10_000,
  is: "up",
  waitAfterError: 10_000,
  bfd: false,
};

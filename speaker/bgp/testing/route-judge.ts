import assert from "node:assert/strict";
import { counterpart, type PeerView } from "#pkg/bgp";
import type { ModelRoute, ModelSettings, Removal } from "#pkg/bgp/testing";
import type { Millis } from "#pkg/clock";
import { type BgpAdvertisement, parseConfig } from "#pkg/config";
import { type Family, parsePrefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import type { SlotPaths } from "#pkg/placement";
import type { RouteChange } from "./story.ts";
import { own, routerAddresses } from "./story-peers.ts";
import { ownIpv6, type StoryProcess, type StoryWorld } from "./story-process.ts";

/** For how long a session that both sides want may be away: the longest back-off, an attempt, and what the router waits for itself. */
export const maxAwayMs: Millis = 200_000;

/** The same where the router connects, too: it may after this side's time in Idle. */
const maxAwayFromDialerMs: Millis = 60_000;

/** How long an attempt takes at most, and what else is slow, before and after it. */
const attemptMs: Millis = 14_000;

/** How soon a router has heard what the speaker does. */
const sayingMs: Millis = 5_000;

const isAttempt: ReadonlySet<PeerView["state"] | undefined> = new Set(["connect", "openSent", "openConfirm"]);

interface Wanted {
  readonly version: number;
  readonly paths: readonly number[];
  readonly since: Millis;
}

/** Compares the routes that routers have with those that they should have, and bounds the time without. */
export class RouteJudge {
  readonly #world: StoryWorld;
  readonly #process: () => StoryProcess | undefined;
  readonly #wanted = new Map<string, Wanted>(); // prefix -> what is wanted
  isDraining = false;
  /** When a peer was removed, or ended because it lacked an end, by router. */
  readonly removedAt = routerAddresses.map((): Millis => -Infinity);
  /** Somebody had another configuration, an error or another process since the last session, by router. */
  readonly isRough = routerAddresses.map(() => true);
  /** Since when nothing keeps a session away, by router. */
  readonly #healthySince: Millis[];

  constructor(world: StoryWorld, process: () => StoryProcess | undefined) {
    this.#world = world;
    this.#process = process;
    this.#healthySince = routerAddresses.map(() => world.clock.now());
  }

  get prefixes(): Iterable<string> {
    return this.#wanted.keys();
  }

  /** @returns the prefix */
  want({ host, family, version, paths }: RouteChange): string {
    const text = family === "IPv4" ? `10.0.${host >> 8}.${host & 255}` : `2001:db8:1::${host}`;
    const prefix = `${text}/${family === "IPv4" ? 32 : 128}`;
    if (version === 0) this.#wanted.delete(prefix);
    else this.#wanted.set(prefix, { version, paths, since: this.#world.clock.now() });
    return prefix;
  }

  /** Tells the speaker of a prefix. */
  tell(text: string): void {
    const { bgp } = this.#process() ?? {};
    const prefix = parsePrefix(text);
    const wanted = this.#wanted.get(text);
    assert.ok(prefix);
    if (bgp === undefined) return;
    const keys = this.#world.peers.nodePeers().map(({ key }) => key);
    if (wanted === undefined || keys.length === 0) {
      bgp.setRoutes(prefix.address, []);
      return;
    }
    const { family } = prefix;
    const path = (hop: number) => ({ path: hop, nextHop: address(hopOf(family, hop)), isOwn: hop % 2 === 0 });
    const slots: SlotPaths = new Map(wanted.paths.length === 0 ? [] : [[family, wanted.paths.map(path)]]);
    const via = { advertisement: advertisementOf(wanted.version), peers: { IPv4: keys, IPv6: keys }, order: 0, slots };
    bgp.setRoutes(prefix.address, [{ prefix, via, weight: 1 }]);
  }

  /** Something may keep sessions with the router, or all, away until then. */
  disturb(router: number | undefined, until: Millis): void {
    for (const [index, since] of this.#healthySince.entries())
      if (router === undefined || router === index) this.#healthySince[index] = Math.max(since, until);
  }

  /** Nothing has arrived since then: what the speaker has said meanwhile, and just before, does now. */
  heardAgain(router: number, since: Millis): void {
    const at = this.removedAt[router] ?? -Infinity;
    if (at > since - sayingMs) this.removedAt[router] = Math.max(at, this.#world.clock.now());
  }

  /** For how long nothing keeps the session with a router away. */
  healthyFor(router: number): Millis {
    return this.#isAgreed(router) ? this.#world.clock.now() - (this.#healthySince[router] ?? Infinity) : 0;
  }

  look(router: number): void {
    const { routers, peers, fault } = this.#world;
    const { connectTimeSeconds = 0, bfdProfile } = peers.of(router) ?? {};
    const isRough = this.isRough[router] === true;
    const roughly = routers[router]?.settings.dials ? maxAwayFromDialerMs : maxAwayMs;
    // Nobody has said or heard anything that forbids the next session.
    const retrySeconds = 2 * connectTimeSeconds;
    const healthyFor = this.healthyFor(router);
    if (healthyFor > (isRough ? roughly : retrySeconds * 1_000 + attemptMs)) this.judge(router);
    if (isRough || healthyFor === 0 || bfdProfile !== undefined || routers[router]?.established !== undefined) return;
    // Of two entries one may never have had a session; the other one tries as soon as it may.
    const waits = this.#views(router).flatMap(({ state, retryInSeconds }) => (isAttempt.has(state) ? 0 : (retryInSeconds ?? [])));
    if (waits.length > 0 && Math.min(...waits) > retrySeconds) fault(`router ${router} is tried again after ${waits} s`);
  }

  #views(router: number): readonly Partial<PeerView>[] {
    const views: readonly Partial<PeerView>[] = this.#process()?.bgp.describe() ?? [];
    return views.filter((view) => `${view.router}` === routerAddresses[router]);
  }

  /** Whether this side alone connects, and waits for what was before all was well, or for an attempt of then, which may end without an answer. */
  #isBackingOff(index: number): boolean {
    if (this.isRough[index] !== true || this.#world.routers[index]?.settings.dials) return false;
    return this.#views(index).every(({ stateSeconds = 0 }) => stateSeconds * 1000 > this.healthyFor(index) - attemptMs);
  }

  /** Whether both sides want a session under the same conditions. */
  #isAgreed(index: number): boolean {
    const { routers, peers, clock } = this.#world;
    const router = routers[index];
    const mine = peers.of(index);
    if (router === undefined || !router.runs || mine === undefined || this.#process() === undefined) return false;
    const { settings } = router;
    const { families, role, roleStrict, passive, hasSecret, bfdStrict, myAsn } = mine;
    // It takes the node for one that has a session, and no other connection meanwhile.
    const isOnlyItsSession = router.established !== undefined && !(this.#process()?.hasSession(index) ?? false);
    if (settings.another !== "taken" && isOnlyItsSession) this.disturb(index, clock.now());
    const areRolesFit =
      role === undefined || settings.role === undefined
        ? !(role !== undefined && roleStrict) && !(settings.role !== undefined && settings.roleStrict)
        : counterpart[role] === settings.role;
    const prefixes = [...this.#wanted.keys()];
    return (
      settings.is === "up" &&
      router.heldUntil < clock.now() &&
      areRolesFit &&
      settings.peerAsn === myAsn &&
      settings.password === peers.passwordOf(index) &&
      !(hasSecret && peers.secret === undefined) &&
      !(bfdStrict && !settings.bfd) &&
      (settings.dials || !passive) &&
      families.some((family) => settings.families.includes(family)) &&
      families.every((family) => prefixes.filter((prefix) => familyOf(prefix) === family).length <= settings.prefixLimit)
    );
  }

  /** Settings for the router with which it has a session. */
  agreeing(index: number, { families: its }: ModelSettings): Partial<ModelSettings> {
    const { peers } = this.#world;
    const { role, families = its, myAsn = 65001, bfdStrict, passive } = peers.of(index) ?? {};
    return {
      password: peers.passwordOf(index),
      is: "up",
      prefixLimit: 10_000,
      peerAsn: myAsn,
      another: "taken",
      role: role && counterpart[role],
      roleStrict: false,
      ...(bfdStrict && { bfd: true }),
      ...(!families.some((family) => its.includes(family)) && { families }),
      ...(passive && { dials: true }),
    };
  }

  /** A router dropped a route. */
  removed(index: number, route: ModelRoute, why: Removal): void {
    const { routers, peers, clock, hasIpv6, say, fault } = this.#world;
    say(`router ${index} loses ${route.prefix} ${route.path ?? ""}: ${why}`);
    const router = routers[index];
    const process = this.#process();
    const wanted = this.#wanted.get(route.prefix);
    const still = [...(router?.routes.values() ?? [])].some(({ prefix }) => prefix === route.prefix);
    const mine = peers.of(index);
    if (still || wanted === undefined || clock.now() - wanted.since < 5_000 || router === undefined) return;
    if (mine === undefined || process === undefined || (route.family === "IPv6" && !hasIpv6)) return;
    if (!mine.families.includes(route.family) || !router.settings.families.includes(route.family)) return;
    const isFault = {
      endOfRib: router.established?.negotiated?.families.has(route.family),
      endOfRefresh: true,
      notKept: (process.forwardingPreserved || process.known.has(index)) && mine.gracefulRestartSeconds > 0,
      timer: this.healthyFor(index) > 30_000 + router.settings.waitAfterError && !this.#isBackingOff(index),
      session: router.endedBy === "hard" && clock.now() - (this.removedAt[index] ?? 0) > sayingMs,
      withdrawn: false,
      restart: false,
    };
    if (isFault[why]) fault(`router ${index} loses ${route.prefix}, which is wanted: ${why}`);
  }

  /** The router should have a session and all routes, or none. */
  judge(index: number): void {
    const { routers, peers, fault } = this.#world;
    const router = routers[index];
    if (router === undefined) return;
    const mine = peers.of(index);
    const { established } = router;
    if (mine === undefined) {
      if (established !== undefined) fault(`router ${index} has a session that is not wanted`);
      return;
    }
    if (established?.negotiated === undefined) {
      fault(`router ${index} has no session`);
      return;
    }
    const { negotiated } = established;
    const both = mine.families.filter((family) => router.settings.families.includes(family));
    if (both.join() !== [...negotiated.families].join())
      fault(`router ${index}: the session has ${[...negotiated.families]}, and both sides want ${both}`);
    const expected = this.#expected(both, negotiated.addPath);
    for (const [key, route] of router.routes) {
      const want = expected.get(key);
      expected.delete(key);
      const version = (route.communities[0] ?? 0) & 0xffff;
      const hop = route.nextHops[0] ?? "";
      const isRight = want?.version === version && want.hops.includes(hop);
      if (!isRight) fault(`router ${index} has ${key}: ${version} ${hop}, wanted ${JSON.stringify(want)}`);
      if (route.isStale) fault(`router ${index} has a stale route ${key}`);
      const isLeaving = route.communities.includes(0xffff_0000);
      if (isLeaving !== (this.isDraining && mine.drainWhenCordoned)) fault(`router ${index} has ${key} marked ${isLeaving}`);
    }
    for (const [key] of expected) fault(`router ${index} lacks ${key}`);
  }

  /** prefix and path -> what the router should have for it, with any of these next hops */
  #expected(carried: readonly Family[], addPath: ReadonlySet<Family>) {
    const expected = new Map<string, { readonly version: number; readonly hops: readonly string[] }>();
    for (const [prefix, { version, paths }] of this.#wanted) {
      const family = familyOf(prefix);
      if (!carried.includes(family)) continue;
      const only = addPath.has(family) ? 0 : undefined;
      if (paths.length > 0 && addPath.has(family))
        for (const hop of paths) expected.set(`${prefix} ${hop}`, { version, hops: [hopOf(family, hop)] });
      else if (paths.length > 0) expected.set(`${prefix} ${only}`, { version, hops: paths.map((hop) => hopOf(family, hop)) });
      else if (family === "IPv4" || this.#world.hasIpv6)
        expected.set(`${prefix} ${only}`, { version, hops: [family === "IPv4" ? own : `${ownIpv6}`] });
    }
    return expected;
  }
}

const advertisements = new Map<number, BgpAdvertisement>(); // version -> its advertisement
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

function familyOf(prefix: string): Family {
  return prefix.includes(":") ? "IPv6" : "IPv4";
}

function hopOf(family: Family, hop: number): string {
  return family === "IPv4" ? `192.0.2.${100 + hop}` : `2001:db8::${100 + hop}`;
}

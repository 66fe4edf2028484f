import { type ModelSettings, updateShapes } from "#pkg/bgp/testing";
import type { Millis } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import type { BgpRole } from "#pkg/config";
import type { Family } from "#pkg/net";
import type { Act, PeerFields, RouteChange, Story } from "./story.ts";

/** More than a session looks at for one message, or a portion has. */
const many = Array.from({ length: 2_500 }, (_, index) => 10 + index);

export function drawStory(seed: number): Story {
  const random = seededRandom(seed);
  const routers = random() < 0.7 ? 1 : 2;
  const one = <Of>(...values: readonly Of[]): Of => values[Math.floor(random() * values.length)] as Of;
  const chance = (share: number) => random() < share;
  const acts: Act[] = [];
  let at: Millis = 0;
  acts.push({ at, type: "routes", changes: Array.from({ length: 1 + Math.floor(random() * 5) }, () => drawChange(one, chance)) });
  if (chance(0.05))
    acts.push({ at, type: "routes", changes: many.map((host) => ({ host, family: "IPv4", version: 1, paths: [] })) });
  for (let router = 0; router < routers; router++) {
    const [notification, addPath, longLived, bfd] = [chance(0.4), chance(0.4), chance(0.3), chance(0.5)];
    const closesAfter = chance(0.3) ? one(20, 200, 2_000) : 0; // A busy router reads a Cease late.
    const ours = {
      gracefulRestartNotification: notification,
      addPath,
      longLivedStaleSeconds: longLived ? 600 : 0,
      ...(bfd && { bfdProfile: "fast" }),
    };
    acts.push({
      at,
      type: "router",
      router,
      fields: { notification, addPath, longLived, bfd, closesAfter, dials: chance(0.75), ...drawRouter(one, 2) },
      says: chance(0.5),
    });
    const reach = chance(0.5) ? drawReach(one) : {};
    acts.push({ at, type: "peer", router, fields: { ...ours, ...reach, ...drawPeer(one, 2) } });
  }
  const count = 5 + Math.floor(random() * 40);
  for (let index = 0; index < count; index++) {
    at += one(0, 1, 5, 50, 500, 3_000, 12_000, 40_000, 150_000) * random();
    at = Math.floor(at);
    const router = Math.floor(random() * routers);
    acts.push({ at, ...drawAct(router, one, chance) });
  }
  return { seed, routers, acts, latency: one(0, 3, 20, 20, 200) };
}

type One = <Of>(...values: readonly Of[]) => Of;
type Chance = (share: number) => boolean;
type WithoutTime<A> = A extends unknown ? Omit<A, "at"> : never;

function drawAct(router: number, one: One, chance: Chance): WithoutTime<Act> {
  const kind = one(
    ...([
      "peer",
      "peer",
      "peer",
      "peer",
      "removePeer",
      "annotation",
      "gateway",
      "found",
      "renumber",
      "secret",
      "drain",
      "routes",
      "routes",
      "routes",
      "routes",
      "restart",
      "stall",
      "ipv6",
    ] as const),
    ...([
      "router",
      "router",
      "router",
      "router",
      "routerRestart",
      "notify",
      "tells",
      "tells",
      "replace",
      "refresh",
      "refresh",
      "break",
      "break",
      "freeze",
      "silent",
    ] as const),
  );
  switch (kind) {
    case "peer":
      return { type: kind, router, fields: drawPeer(one, 1 + (chance(0.4) ? 1 : 0)) };
    case "removePeer":
      return chance(0.4) ? { type: kind, router } : { type: "break", router, dials: chance(0.5) };
    case "annotation":
      return { type: kind, router, value: one("right", "right", "", "no address", "192.0.2.300, x", undefined) };
    case "gateway":
    case "found":
      return { type: kind, router, on: chance(0.6) };
    case "renumber":
      return { type: kind, ms: one(20, 500, 5_000, 40_000) };
    case "secret":
      return { type: kind, value: one("one", "two", undefined) };
    case "drain":
      return { type: kind, on: chance(0.5) };
    case "routes":
      return { type: kind, changes: Array.from({ length: one(1, 1, 2, 6) }, () => drawChange(one, chance)) };
    case "restart": {
      const how = one("killed", "killed", "leaves", "crash");
      return {
        type: kind,
        awayMs: one(0, 100, 2_000, 20_000, 100_000),
        how,
        forwardingPreserved: how !== "crash" && chance(0.8),
        lateMs: one(0, 0, 50, 3_000, 20_000),
      };
    }
    case "stall":
      return { type: kind, ms: one(50, 500, 2_900, 3_000, 20_000, 100_000) }; // Around the shortest hold time.
    case "ipv6":
      return { type: kind, on: chance(0.6) };
    case "router":
      return { type: kind, router, fields: drawRouter(one, 1 + (chance(0.4) ? 1 : 0)), says: chance(0.5) };
    case "routerRestart":
      return { type: kind, router, awayMs: one(100, 2_000, 15_000, 40_000, 100_000), keeps: chance(0.7), crash: chance(0.3) };
    case "notify":
      return {
        type: kind,
        router,
        ...one(
          { code: 6, subcode: 4 },
          { code: 6, subcode: 5 },
          { code: 6, subcode: 6 },
          { code: 6, subcode: 8 },
          { code: 3, subcode: 1 },
          { code: 4, subcode: 0 },
        ),
      };
    case "tells":
      return { type: kind, router, shape: one(...updateShapes), times: one(1, 1, 3, 300) };
    case "replace":
      return { type: kind, router, awayMs: one(100, 2_000, 15_000, 100_000), fields: drawRouter(one, one(0, 1, 3)) };
    case "refresh":
      return { type: kind, router, family: one<Family>("IPv4", "IPv6") };
    case "break":
      return { type: kind, router, dials: chance(0.5) };
    case "freeze":
    case "silent":
      return { type: kind, router, ms: one(20, 500, 5_000, 15_000, 100_000, 100_000) };
  }
}

function drawChange(one: One, chance: Chance): RouteChange {
  const family = one<Family>("IPv4", "IPv4", "IPv6");
  const version = chance(0.25) ? 0 : one(1, 2, 3);
  const paths = chance(0.6) ? [] : [1, 2, 3, 4].filter(() => chance(0.5));
  return { host: one(1, 2, 3, 4, 5, 6), family, version, paths };
}

const both: readonly Family[] = ["IPv4", "IPv6"];

function drawPeer(one: One, count: number): PeerFields {
  const draws: (() => PeerFields)[] = [
    () => ({ families: one(both, ["IPv4"], ["IPv6"], both) }),
    () => ({ passive: one(true, false) }),
    () => ({ holdTimeSeconds: one(0, 3, 9, 90), keepaliveSeconds: one(1, 3) }),
    () => ({ keepaliveSeconds: one(1, 2, 3) }),
    () => ({ myAsn: one(65001, 65001, 65003) }),
    () => ({ other: { holdTimeSeconds: one(3, 30, 90), gracefulRestartNotification: one(true, false) } }),
    () => ({ other: { longLivedStaleSeconds: one(0, 600) } }),
    () => ({ other: { bfdProfile: undefined, bfdStrict: false } }),
    () => ({ connectTimeSeconds: one(1, 10) }),
    () => ({ gracefulRestartSeconds: one(0, 30, 120) }),
    () => ({ gracefulRestartNotification: one(true, false), gracefulRestartSeconds: 120 }),
    () => ({ longLivedStaleSeconds: one(0, 600) }),
    () => ({ addPath: one(true, true, false) }),
    () => drawReach(one),
    () => drawReach(one),
    () => drawReach(one),
    () => ({ source: one("address" as const, "interface" as const, undefined) }),
    () => ({ role: one<BgpRole | undefined>("customer", "provider", "peer", "rs-client", undefined), roleStrict: false }),
    () => ({ role: "customer" as const, roleStrict: one(true, false) }),
    () => ({ maximumPrefix: one(5, undefined) }),
    () => ({ password: one("one", undefined), hasSecret: false }),
    () => ({ hasSecret: one(true, false) }),
    () => ({ drainWhenCordoned: one(true, false) }),
    () => ({ bfdProfile: "fast", bfdStrict: one(true, false) }),
    () => ({ bfdProfile: undefined, bfdStrict: false }),
    () => ({ ebgpMultihop: one(true, false) }),
    () => ({ routerIdText: one("192.0.2.1", "10.0.0.1", "203.0.113.9", undefined) }),
  ];
  return Object.assign({}, ...Array.from({ length: count }, () => one(...draws)()));
}

function drawReach(one: One): PeerFields {
  const reached = one("named" as const, "found" as const, "gateway" as const, "node" as const);
  const twice = one("first" as const, "last" as const, "otherSource" as const, "otherSourceFirst" as const, undefined);
  const isTwice = reached === "named" ? undefined : twice;
  return {
    reached,
    isTwice,
    ...(isTwice?.startsWith("otherSource") && { source: one("address" as const, "interface" as const) }),
  };
}

function drawRouter(one: One, count: number): Partial<ModelSettings> {
  const draws: (() => Partial<ModelSettings>)[] = [
    () => ({ families: one(both, ["IPv4"], ["IPv6"], both) }),
    () => ({ dials: one(true, false) }),
    () => ({ holdTimeSeconds: one(0, 3, 9, 90, 180) }),
    () => ({ gracefulRestart: one(true, true, false) }),
    () => ({ notification: one(true, false) }),
    () => ({ longLived: one(true, false) }),
    () => ({ addPath: one(true, true, false) }),
    () => ({ routeRefresh: one(true, false), enhancedRouteRefresh: one(true, false) }),
    () => ({ extendedMessage: one(true, false) }),
    () => ({ fourOctetAsn: one(true, false) }),
    () => ({ role: one<BgpRole | undefined>("provider", "customer", "peer", "rs-server", undefined), roleStrict: false }),
    () => ({ role: "provider" as const, roleStrict: one(true, false) }),
    () => ({ isRestartOfConnection: one(true, false), delaysOpen: one(true, false), closesAfter: one(0, 0, 50, 2_000, 10_000) }),
    () => ({ password: one("one", "two", undefined) }),
    () => ({ another: one("taken" as const, "closed" as const, "mute" as const) }),
    () => ({ prefixLimit: one(1, 3, 10_000) }),
    () => ({ is: one("up" as const, "up" as const, "up" as const, "shutDown" as const, "refusing" as const) }),
    () => ({ is: "up" as const }),
    () => ({ peerAsn: one(65001, 65001, 65003) }),
    () => ({ waitAfterError: one(0, 10_000, 60_000) }),
    () => ({ bfd: one(true, true, false) }),
    () => ({ routerId: one("192.0.2.2", "10.0.0.2", "203.0.113.2") }),
  ];
  return Object.assign({}, ...Array.from({ length: count }, () => one(...draws)()));
}

import type { Timed } from "#e2e/faults";
import type { Millis } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import type { ServiceSpec } from "./api/objects.ts";
import { widenOutages } from "./draw-outages.ts";
import { type Act, fairWeather, type History, keptBesideConfig, keptConfig, otherKeptConfigs, unkeptPool } from "./history.ts";

const maxNodes = 5;
const acts = 8;
// Each of so many histories goes on for longer than a hand-over may last.
const longEvery = 10;
const longMs: Millis = 630_000;
// Beyond the seeds of histories.
const familySeeds = 2 ** 30;
const apiSeeds = 2 ** 31;
const otherSeeds = 3 * 2 ** 30;
const turnSeeds = 2 ** 29;

/**
 * A history of connections and of moves without harm, drawn by its seed: drains, exclusions, preferences, rollouts, speakers of another version, threads that begin again; to and fro,
 * and on to a third node before clients have heard of the second; speakers that stand still for a moment. Where the seed is odd, faults too. Half of
 * them have further pools, two Services that share an address, and people who change Services and pools, and stop controllers. Some have IPv6 alone.
 * In every third the API is troubled: its server and watches end, it refuses requests, and the configuration or the Lease is deleted. In
 * every sixth there are further faults. In every fourth, main threads of speakers stand still for up to 400 ms.
 */
export function drawConnections(seed: number): History {
  const random = seededRandom(seed);
  const pick = (limit: number): number => Math.floor(random() * limit);
  const nodes = 2 + pick(maxNodes - 1);
  const all = Array.from({ length: nodes }, (_, node) => node);
  const services: Record<string, ServiceSpec> = {};
  const ofFamilies = seededRandom(seed + familySeeds);
  const hasMore = seed % 4 > 1;
  const isIPv6 = seed % 7 === 6;
  const config = hasMore ? keptBesideConfig : keptConfig;
  const some = () => {
    const nodes = all.filter(() => pick(3) > 0);
    return nodes.length > 0 ? nodes : all;
  };
  // Each family of a Local Service may have endpoints on nodes of its own.
  const someV6 = () => {
    const nodes = all.filter(() => ofFamilies() < 0.6);
    return { endpointsV6: ofFamilies() < 0.3 ? undefined : nodes.length > 0 ? nodes : all };
  };
  for (const [index, pool] of [
    "lan",
    "sticky",
    "lan",
    "sticky",
    ...(hasMore ? ["nic", unkeptPool, "lan", "lan"] : []),
  ].entries()) {
    const isLocal = index > 1 && index < 6 && pick(2) === 0;
    const isShared = index > 5;
    const isDual = index % 2 === 0 && index < 4 && !isIPv6;
    services[`s${index}`] = {
      pool,
      isDual,
      wanted: isShared ? "192.0.2.10" : isIPv6 && index < 4 ? `2001:db8::${pool === "lan" ? 1 : 3}${index}` : undefined,
      sharing: isShared ? "key" : undefined,
      port: isShared ? 80 + index : 80,
      isLocal,
      endpoints: isLocal ? some() : all,
      ...(isLocal && isDual && someV6()),
    };
  }
  const first = { ...services };
  const timed: Timed<Act>[] = [];
  let at: Millis = 0;
  let rollsUntil: Millis = 0;
  let configuredUntil: Millis = 0;
  const planned = (): Act => {
    const node = pick(nodes);
    const length = [200 + pick(3_000), 5_000 + pick(20_000), 30_000 + pick(60_000)][pick(3)] ?? 0;
    return [
      () => ({ type: "exclude", node, length }) as const,
      () => ({ type: "drain", node, length }) as const,
      () => ({ type: "drain", node, length }) as const,
      () => ({ type: "edge", node, length }) as const,
      () => ({ type: "rollOut", length: nodes * 10_000 }) as const,
      () => ({ type: "stopSpeaker", node, length: 3_000 + pick(20_000) }) as const,
      () => ({ type: "otherVersion", node, length: 10_000 + pick(20_000) }) as const,
      () => ({ type: "endThread", node, length: 1_000 + pick(3_000) }) as const,
      () => ({ type: "stallSpeaker", node, length: 100 + pick(600) }) as const,
    ][pick(9)]?.() as Act;
  };
  const byPeople = (): Timed<Act>[] => {
    if (pick(3) === 0) return [{ at, act: { type: "stopController", controller: pick(2), length: 2_000 + pick(30_000) } }];
    if (pick(4) === 0 && at >= configuredUntil) {
      const length = 1_000 + pick(40_000);
      configuredUntil = at + length;
      const text = otherKeptConfigs[pick(otherKeptConfigs.length)]?.(config) ?? config;
      return [{ at, act: { type: "configure", text, mayRenumber: true, length } }];
    }
    const name = `s${pick(8)}`;
    const spec = services[name];
    if (spec === undefined) return [];
    // Pods come, and go with their connections.
    if (spec.isLocal && pick(2) === 0) {
      services[name] = { ...spec, endpoints: some(), ...(spec.isDual && someV6()) };
      return [{ at, act: { type: "service", name, spec: services[name] } }];
    }
    const again = { at: at + 100 + pick(20_000), act: { type: "service", name, spec } } as const;
    return [{ at, act: { type: "service", name, spec: pick(2) === 0 ? undefined : { ...spec, port: 81 } } }, again];
  };
  const fault = (): Act => {
    const node = pick(nodes);
    const length = 200 + pick(pick(2) === 0 ? 3_000 : 40_000);
    return [
      () => ({ type: "killSpeaker", node, length }) as const,
      () => ({ type: "powerOff", node, length }) as const,
      () => ({ type: "forgetConnections", node }) as const,
      () => ({ type: "flushFilter", node }) as const,
      () => ({ type: "changeMac", node }) as const,
      () => ({ type: "changeAddress", node, ...(pick(3) === 0 ? { from: pick(nodes) } : {}) }) as const,
      () => ({ type: "netAdmin", node, length }) as const,
      () => ({ type: "stallSpeaker", node, length: Math.min(length, 8_000) }) as const,
      () =>
        ({ type: "cut", parts: all.map(() => pick(2)), isLanWhole: pick(2) === 0, length: Math.min(length, 20_000) }) as const,
      () => ({ type: "breakPath", node, length }) as const,
      () => ({ type: "rotateKey", node, length }) as const,
    ][pick(11)]?.() as Act;
  };
  for (let count = 0; count < acts; count++) {
    if (hasMore && pick(3) === 0) timed.push(...byPeople());
    const act = seed % 2 === 1 && pick(2) === 0 ? fault() : planned();
    // A DaemonSet has one rollout at a time, and a speaker of another version comes by one.
    const rolls = act.type === "rollOut" || act.type === "otherVersion";
    if (!rolls || at >= rollsUntil) timed.push({ at, act });
    if (rolls && "length" in act) rollsUntil = Math.max(rollsUntil, at + act.length);
    at += pick(3) === 0 ? pick(2_000) : pick(25_000);
  }
  if (seed % 3 === 0) timed.push(...troublesOfApi(seed, nodes, at));
  if (seed % 6 === 5) timed.push(...otherFaults(seed, nodes, at));
  // Nothing happens in the end but that time goes by.
  if (seed % longEvery === 0) timed.push({ at, act: { type: "weather", weather: fairWeather, length: longMs } });
  timed.sort((a, b) => a.at - b.at);
  const weather = { ...fairWeather, watchLagMs: [20, 20, 300][pick(3)] ?? 20 };
  const failoverMs = [undefined, undefined, 10, 50][(seed >> 2) % 4];
  const loss = seed % 4 === 1 ? 0.05 : 0;
  const maxTurnMs = [1, 1, 50, 400][Math.floor(seededRandom(seed + turnSeeds)() * 4)] ?? 1;
  return {
    seed,
    nodes,
    loss,
    maxTurnMs,
    weather,
    failoverMs,
    isSlow: seed % 5 === 2,
    config,
    services: first,
    acts: widenOutages({ seed, nodes, acts: timed }),
  };
}

/** Faults that connections may end with, and that are to leave nothing behind. */
function otherFaults(seed: number, nodes: number, until: Millis): Timed<Act>[] {
  const all = Array.from({ length: nodes }, (_, node) => node);
  return besides(seededRandom(seed + otherSeeds), until, 4, (pick) => {
    const [node, other] = [pick(nodes), pick(nodes)];
    const length = 200 + pick(pick(2) === 0 ? 3_000 : 40_000);
    return [
      () => ({ type: "unplug", node, length }) as const,
      () => ({ type: "cutApi", node, length }) as const,
      () => ({ type: "deleteNode", node, isOff: pick(2) === 0, moves: pick(2) === 0, length }) as const,
      () => ({ type: "slowLan", delayMs: pick(300), duplication: pick(4) / 10, length }) as const,
      () => ({ type: "foreignHost", choice: pick(8), length }) as const,
      () => ({ type: "restartSpeakers", nodes: all.filter(() => pick(2) === 0), inOrder: pick(2) === 0, length }) as const,
      () => ({ type: "cutOneWay", from: [node], to: [other], length: Math.min(length, 20_000) }) as const,
      () => ({ type: "cordon", node, length }) as const,
    ];
  });
}

function troublesOfApi(seed: number, nodes: number, until: Millis): Timed<Act>[] {
  return besides(seededRandom(seed + apiSeeds), until, 6, (pick) => {
    const length = 500 + pick(pick(2) === 0 ? 3_000 : 30_000);
    return [
      () => ({ type: "breakWatches", of: { speaker: pick(nodes) } }) as const,
      () => ({ type: "breakWatches", of: { controller: pick(2) } }) as const,
      () => ({ type: "restartApi" }) as const,
      () => ({ type: "compact" }) as const,
      () => ({ type: "deleteLease" }) as const,
      () => ({ type: "deleteConfig", length }) as const,
      () => ({ type: "weather", weather: { ...fairWeather, refusals: 0.4, lostAnswers: 0.2 }, length }) as const,
    ];
  });
}

type Pick = (limit: number) => number;

/** One to `most` acts of these kinds, each at a moment before the end. */
function besides(random: () => number, until: Millis, most: number, kinds: (pick: Pick) => readonly (() => Act)[]): Timed<Act>[] {
  const pick: Pick = (limit) => Math.floor(random() * limit);
  const act = () => {
    const ofKinds = kinds(pick);
    return ofKinds[pick(ofKinds.length)]?.() as Act;
  };
  return Array.from({ length: 1 + pick(most) }, () => ({ at: pick(until + 1), act: act() }));
}

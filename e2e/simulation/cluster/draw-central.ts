import type { Timed } from "#e2e/faults";
import type { Millis } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { firstCentral } from "#pkg/memberlist/testing";
import type { ServiceSpec } from "./api/objects.ts";
import { widenOutages } from "./draw-outages.ts";
import { type Act, centralConfig, type centralFields, fairWeather, type History } from "./history.ts";

const maxNodes = 6;
const rounds = 4;
// Longer than until a session that ended is tried again, and all routes are sent.
const pauseMs: Millis = 20_000;

const service = (pool: string, endpoints: readonly number[], isLocal = false, community?: string): ServiceSpec => ({
  pool,
  isDual: true,
  wanted: undefined,
  sharing: undefined,
  port: 80,
  endpoints,
  isLocal,
  community,
});

/** One of two with one address. */
const shared = (port: number, endpoints: readonly number[]): ServiceSpec => ({
  ...service("routed", endpoints),
  isDual: false,
  wanted: "198.51.100.9",
  sharing: "shared",
  port,
});

/**
 * A history of a cluster with one or two central speakers, drawn by its seed. Where the seed is a multiple of three: there are two, of which one at a time
 * ends and comes back, and nothing else happens. Else anything befalls nodes and central speakers, and the ring is cut between any of them.
 */
export function drawCentral(seed: number): History {
  const random = seededRandom(seed);
  const pick = (limit: number): number => Math.floor(random() * limit);
  const some = <T>(all: readonly T[]): T => all[pick(all.length)] as T;
  const nodes = 3 + pick(maxNodes - 2);
  const all = Array.from({ length: nodes }, (_, node) => node);
  const isOnlyDeaths = seed % 3 === 0;
  const centralSpeakers = isOnlyDeaths ? 2 : 1 + pick(2);
  const everyCentral = Array.from({ length: centralSpeakers }, (_, index) => firstCentral + index);
  const drawConfig = () => {
    const fields: (keyof typeof centralFields)[] = ["aggregated", "weighed", "edge", "drained"];
    return centralConfig([...fields.filter(() => pick(2) === 0), ...(pick(4) === 0 ? [] : (["addPath"] as const))]);
  };
  const acts: Timed<Act>[] = [];
  let at = pauseMs;
  const end = (node: number, length: Millis): Act => ({
    type: some(["killSpeaker", "powerOff", "stopSpeaker"] as const),
    node,
    length,
  });
  for (let round = 0; round < rounds; round++) {
    const central = firstCentral + pick(centralSpeakers);
    if (isOnlyDeaths) {
      const length = pick(2) === 0 ? pick(3_000) : pick(40_000);
      acts.push({ at, act: end(central, length) });
      at += length + pauseMs;
      continue;
    }
    for (let count = 1 + pick(3); count > 0; count--) {
      const [node, length] = [pick(nodes), 200 + pick(pick(3) === 0 ? 30_000 : 6_000)];
      const parts = all.map(() => pick(3));
      const centralParts = everyCentral.map(() => pick(3));
      const act = some<Act>([
        end(node, length),
        end(node, length),
        end(central, length),
        { type: "stallSpeaker", node: some([node, central]), length: Math.min(length, 6_000) },
        { type: "cut", parts, centralParts, length },
        { type: "cutRouter", node: central, cut: some(["both", "toRouter", "toNode"] as const), length },
        { type: "cutApi", node: some([node, central]), length },
        {
          type: "weather",
          weather: { ...fairWeather, watchLagMs: some([1_000, 3_000]), latencyMs: some([10, 200, 1_000]) },
          length,
        },
        { type: some(["restartApi", "compact"] as const) },
        { type: some(["stopController", "killController"] as const), controller: pick(2), length: Math.min(length, 10_000) },
        { type: "restartSpeakers", nodes: everyCentral, inOrder: pick(2) === 0, length: pick(3_000) },
        {
          type: "restartSpeakers",
          nodes: [central, ...all.filter(() => pick(2) === 0)],
          inOrder: pick(2) === 0,
          length: pick(3_000),
        },
        { type: "otherVersion", node, length: 5_000 + length },
        { type: some(["drain", "exclude", "breakPath"] as const), node, length },
        { type: some(["cordon", "edge"] as const), node, length: 3 * length },
        { type: "cordon", node, length: 25_000 + pick(15_000) },
        {
          type: "restartRouter",
          how: some(["graceful", "processes", "machine"] as const),
          takesPaths: some([true, true, false]),
          length: Math.min(length, 6_000),
        },
        { type: "config", text: drawConfig() },
        { type: some(["changePeers", "removePeers"] as const), length },
        {
          type: "service",
          name: "local",
          spec: service(
            "routed",
            all.filter(() => pick(2) === 0),
            true,
          ),
        },
        { type: "service", name: "first", spec: shared(80, some([[], all.filter(() => pick(2) === 0)])) },
        { type: "service", name: "second", spec: shared(81, some([[], all.filter(() => pick(2) === 0)])) },
        { type: "service", name: "asks", spec: service("routed", all, false, some([undefined, "65001:7", "65001:8"])) },
      ]);
      acts.push({ at, act });
      at += pick(2) === 0 ? pick(1_000) : pick(length);
    }
    at += pauseMs;
  }
  const services = {
    web: service("routed", all),
    local: service("routed", [0, 1], true),
    asks: service("routed", all, false, "65001:7"),
    lan: service("lan", all),
    first: shared(80, all),
    second: shared(81, []),
  };
  const loss = isOnlyDeaths ? 0 : some([0, 0.05]);
  const config = drawConfig();
  const besides = { loss, weather: fairWeather, isSlow: seed % 4 === 1, config, services };
  return { seed, nodes, centralSpeakers, ...besides, acts: widenOutages({ seed, nodes, acts }) };
}

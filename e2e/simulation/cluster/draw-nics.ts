import type { Timed } from "#e2e/faults";
import { seededRandom } from "#pkg/clock/testing";
import type { ServiceSpec } from "./api/objects.ts";
import { Draw } from "./draw.ts";
import { drawEdits } from "./draw-edits.ts";
import { momentsNearActs } from "./draw-moments.ts";
import { type Act, fairWeather, type History, nicEdits, withNicPools } from "./history.ts";

// Beyond the seeds of histories.
const nicSeeds = 7 * 2 ** 27;

const pools = [
  "second",
  "reached",
  "near",
  "within",
  "advertised",
  "advertised",
  "chosen",
  "lan",
  "sticky",
  "both",
  "nic",
] as const;

/**
 * A history of edits, drawn by its seed, in which NICs, routes and taints of nodes change in the moment in which something fails or is edited: a node
 * gets or loses a second NIC, or only its carrier, its NIC loses its addresses, its way out of the LAN moves. Endpoints end, `Local` Services share an address, nodes are
 * out of service, drained and uncordoned.
 */
export function drawNics(seed: number): History {
  const draw = new Draw(seededRandom(seed + nicSeeds));
  const history = drawEdits(seed + nicSeeds);
  const { nodes } = history;
  const services = { ...history.services };
  const names: string[] = [];
  for (let i = 0; i < 8; i++) {
    const name = `n${i}`;
    services[name] = ofNics(draw, nodes, i);
    names.push(name);
  }
  const config = withNicPools(history.config);
  const moment = momentsNearActs(draw, history);
  const acts: Timed<Act>[] = [];
  for (let count = 3 + draw.pick(8); count > 0; count--) {
    const at = moment();
    const [node, length] = [draw.pick(nodes), draw.pick(draw.pick(3) === 0 ? 40_000 : 6_000)];
    const index = draw.pick(names.length);
    const kinds: readonly (() => Act)[] = [
      () => ({ type: (["outOfService", "drain", "exclude", "cordon"] as const)[draw.pick(4)] ?? "drain", node, length }),
      () => ({ type: "loseSubnet", node, length }),
      () => ({ type: "silence", node, length }),
      () => ({ type: draw.pick(2) === 0 ? "secondNic" : "unplugSecond", node, length }),
      () => ({ type: "route", node, by: (["eth0", "eth1", undefined] as const)[draw.pick(3)], length }),
      () => ({ type: "service", name: names[index] ?? "", spec: ofNics(draw, nodes, index) }),
      () => ({ type: "service", name: names[index] ?? "", spec: ofNics(draw, nodes, index) }),
      () => ({ type: "configure", text: nicEdits[draw.pick(nicEdits.length)]?.(config) ?? config, mayRenumber: false, length }),
      () => ({ type: "edge", node, length }),
      () => ({ type: draw.pick(2) === 0 ? "rotateKey" : "unplug", node, length: Math.min(length, 6_000) }),
    ];
    acts.push({ at, act: kinds[draw.pick(kinds.length)]?.() ?? { type: "compact" } });
  }
  const others = history.acts.map(({ at, act }): Timed<Act> => {
    return { at, act: act.type === "configure" ? { ...act, text: withNicPools(act.text) } : act };
  });
  const secondNics = draw.some(nodes);
  // Where watches lag, an address may be at another node than the API wants for longer.
  const weather = seed % 3 === 2 ? { weather: { ...fairWeather, watchLagMs: 3_000 } } : {};
  const triesConnections = seed % 2 === 1;
  return {
    ...history,
    ...weather,
    triesConnections,
    secondNics,
    config,
    services,
    acts: [...others, ...acts].sort((a, b) => a.at - b.at),
  };
}

/** Two of them may share an address, with endpoints of their own. */
function ofNics(draw: Draw, nodes: number, index: number): ServiceSpec {
  const isLocal = draw.pick(3) > 0;
  const isShared = index < 2;
  const [endpoints, draining] = [draw.some(nodes), draw.pick(2) === 0 ? draw.some(nodes) : []];
  return {
    pool: isShared ? "lan" : (pools[draw.pick(pools.length)] ?? "lan"),
    isDual: false,
    wanted: isShared ? "192.0.2.7" : undefined,
    sharing: isShared ? "local" : undefined,
    port: 90 + index,
    endpoints,
    draining: draining.filter((node) => !endpoints.includes(node)),
    isLocal: isShared || isLocal,
    tier: ([undefined, "edge", "second"] as const)[draw.pick(3)],
  };
}

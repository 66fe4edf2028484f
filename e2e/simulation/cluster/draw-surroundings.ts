import type { Timed } from "#e2e/faults";
import { seededRandom } from "#pkg/clock/testing";
import { networkTaint } from "#pkg/placement";
import { elsewhere, layouts, type ServiceSpec } from "./api/objects.ts";
import { Draw } from "./draw.ts";
import { drawEdits } from "./draw-edits.ts";
import { momentsOf } from "./draw-moments.ts";
import { asPassive, peerEdits, peerValue, routers } from "./draw-peers.ts";
import { type Act, fairWeather, type History, ownTeam } from "./history.ts";

// Beyond the seeds of histories.
const surroundingSeeds = 11 * 2 ** 27;
/** Kubernetes' own controllers leave nodes out by it, MetalLB does not. */
const leavingTaint = "ToBeDeletedByClusterAutoscaler";

const ofTeam = `{namespace-selectors: [{match-labels: {team: ${ownTeam}}}]}`;
const morePools = `- name: kernel
  protocol: interface
  addresses: [203.0.113.32/30]
- name: far
  protocol: interface
  placement: auto
  addresses: [203.0.113.36/30]
- name: auto
  protocol: interface
  placement: auto
  addresses: [192.0.2.192/30]
- name: team
  protocol: layer2
  addresses: [192.0.2.196/30]
  layer2-advertisements: [${ofTeam}]
- name: teams
  protocol: bgp
  addresses: [198.51.100.20/30]
  bgp-advertisements: [${ofTeam}]
`;
const pools = ["kernel", "far", "auto", "team", "teams", "lan"] as const;

/** A configuration with these pools, too. */
export function withMore(config: string): string {
  return config.replace("- name: given\n", `${morePools}$&`);
}

const edits: readonly ((config: string) => string)[] = [
  (config) => config.replace(/(- name: (?:auto|far)\n {2}protocol: interface\n {2}placement: )auto/, "$1routed"),
  (config) => config.replace(/(- name: auto\n {2}protocol: interface\n {2}placement: )auto/, "$1lan"),
  (config) => config.replace(/(- name: kernel\n {2}protocol: )interface/, "$1none"),
  (config) => config.replace(/(- name: kernel\n {2}protocol: )interface/, "$1bgp"),
  (config) => config.replace(/(- name: auto\n {2}protocol: )interface\n {2}placement: auto/, "$1layer2"),
  (config) => config.replace(/(- name: routed\n {2}protocol: )bgp/, "$1interface"),
  (config) => config.replace(/(- name: routed\n {2}protocol: )bgp/, "$1[interface, bgp]"),
  (config) => config.replace(/ {2}(?:layer2|bgp)-advertisements: \[\{namespace-selectors.*\n/, ""),
  (config) => config.replace(`team: ${ownTeam}`, "team: b"),
];

/**
 * A history of edits, drawn by its seed, in which other things change that decide where an address is: labels of the namespace, taints, what nodes
 * say of their routers, which connect to them in some histories, their default routes, whether speakers watch one another, types and classes of Services; each in the moment in which something fails or is edited. Some
 * pools are in the kernels of all nodes, or for Services of some namespaces.
 */
export function drawSurroundings(seed: number): History {
  const draw = new Draw(seededRandom(seed + surroundingSeeds));
  const history = drawEdits(seed + surroundingSeeds);
  const { nodes } = history;
  const services = { ...history.services };
  for (const [index, pool] of pools.entries())
    services[`u${index}`] = { ...ofSurroundings(draw, nodes, index), pool, isDual: false, kind: undefined };
  const routerDials = draw.pick(3) === 0;
  const drawRouter = () => {
    const [router, isPassive] = [routers[draw.pick(routers.length)], routerDials && draw.pick(4) > 0];
    return (text: string) => (isPassive ? asPassive : String)(router?.(text) ?? text);
  };
  const withRouter = drawRouter();
  const failover = history.failoverMs === undefined ? "" : `failover: {interval: ${history.failoverMs}ms}\n`;
  const config = withRouter(withMore(history.config)) + failover;
  const moment = momentsOf(draw, history);
  const acts: Timed<Act>[] = [];
  for (let count = 8 + draw.pick(12); count > 0; count--) {
    const at = moment();
    const [node, length] = [draw.pick(nodes), draw.pick(2) === 0 ? 12_000 + draw.pick(20_000) : draw.pick(6_000)];
    const index = draw.pick(pools.length);
    const kinds: readonly (() => Act)[] = [
      () => ({ type: "taint", node, key: draw.pick(3) === 0 ? leavingTaint : networkTaint, length }),
      () => ({ type: "changeTeam", to: (["b", undefined] as const)[draw.pick(2)], length }),
      () => ({ type: "changeTeam", to: (["b", undefined] as const)[draw.pick(2)], length }),
      () => (draw.pick(3) > 0 ? peerValue(draw, node, length) : { type: "loseGateway", node, length }),
      () => ({ type: "loseSubnet", node, length }),
      () => ({ type: "service", name: `u${index}`, spec: ofSurroundings(draw, nodes, index) }),
      () => ({ type: "service", name: `u${index}`, spec: ofSurroundings(draw, nodes, index) }),
      () => ({ type: "configure", text: edits[draw.pick(edits.length)]?.(config) ?? config, mayRenumber: false, length }),
      () => ({
        type: "configure",
        text: drawRouter()(withMore(history.config)) + failover,
        mayRenumber: false,
        length,
      }),
      () => ({
        type: "configure",
        text: peerEdits[draw.pick(peerEdits.length)]?.(config) ?? config,
        mayRenumber: false,
        length,
      }),
      () => ({ type: "configure", text: config.replace(failover, ""), mayRenumber: false, length }),
    ];
    acts.push({ at, act: kinds[draw.pick(kinds.length)]?.() ?? { type: "compact" } });
  }
  const others = history.acts.map(({ at, act }): Timed<Act> => {
    return { at, act: act.type === "configure" ? { ...act, text: withRouter(withMore(act.text)) + failover } : act };
  });
  const weather = seed % 3 === 2 ? { weather: { ...fairWeather, watchLagMs: 3_000 } } : {};
  return {
    ...history,
    ...weather,
    followsFailover: true,
    routerDials,
    config,
    services,
    acts: [...others, ...acts].sort((a, b) => a.at - b.at),
  };
}

/** Some belong to another load balancer, or to none, for a time. */
function ofSurroundings(draw: Draw, nodes: number, index: number): ServiceSpec {
  const pool = pools[draw.pick(pools.length)] ?? "lan";
  const drawReady = () => {
    const on = draw.pick(8) === 0 ? [] : draw.pick(2) === 0 ? draw.two(nodes) : draw.some(nodes);
    return draw.pick(8) === 0 ? [...on, elsewhere] : on;
  };
  const drawBeside = (ready: readonly number[]) => {
    const on = draw.pick(3) === 0 ? draw.some(nodes) : [];
    return on.filter((node) => !ready.includes(node));
  };
  const endpoints = drawReady();
  const endpointsV6 = draw.pick(3) > 0 ? undefined : draw.pick(3) === 0 ? endpoints : drawReady();
  const kind = ([undefined, undefined, undefined, undefined, "ClusterIP", "otherClass"] as const)[draw.pick(6)];
  return {
    pool,
    isDual: pool === "lan" && draw.pick(3) === 0,
    wanted: undefined,
    sharing: undefined,
    port: 90 + index,
    endpoints,
    draining: drawBeside(endpoints),
    ...(endpointsV6 && { endpointsV6, drainingV6: drawBeside(endpointsV6) }),
    idle: drawBeside(endpoints),
    layout: layouts[draw.pick(2 * layouts.length)],
    isLocal: draw.pick(2) === 0,
    kind,
  };
}

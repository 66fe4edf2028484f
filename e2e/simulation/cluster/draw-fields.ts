import type { Timed } from "#e2e/faults";
import type { Millis } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { communityAnnotation, type ServiceSpec } from "./api/objects.ts";
import { Draw } from "./draw.ts";
import { drawEdits, withField } from "./draw-edits.ts";
import { momentsOf } from "./draw-moments.ts";
import { drawSurroundings } from "./draw-surroundings.ts";
import type { Act, History } from "./history.ts";

// Beyond the seeds of histories.
const fieldSeeds = 17 * 2 ** 27;

type Edit = (config: string) => string;

const pools = ["lan", "sticky", "routed", "both", "strict"] as const;

/** Entries of `bgp-advertisements`. The last two are of several routes for each address. */
const advertisements = [
  "{med: 7}",
  "{localpref: 200}",
  '{communities: ["65001:1", no-export]}',
  '{communities: ["large:65001:1:2"], med: 9}',
  '{communities: [own, "65001:1"]}',
  "{as-path-prepend: 2}",
  "{next-hop: 10.0.0.99}",
  "{peers: [router], med: 3}",
  "{weight: endpoints}",
  `{communities-from: {annotation: ${communityAnnotation}, allowed: ["65001:7", "65001:9"]}, communities: ["65001:9"]}`,
  '{}, {aggregation-length: 28, communities: ["65001:2"]}',
  '{}, {service-selectors: [{match-labels: {tier: edge}}], node-selectors: [{match-labels: {edge: "true"}}], localpref: 50}',
].map((entries): Edit => {
  const advertised = (name: string) => (config: string) => withField(config, name, `bgp-advertisements: [${entries}]`);
  return (config) => advertised("routed")(advertised("both")(config.replaceAll(/ {2}bgp-advertisements: .*\n/g, "")));
});

/** Who may have which new addresses. None of it takes an address from a Service. */
const policies = (name: string): readonly string[] => [
  "auto-assign: false",
  "closed: true",
  "priority: 1",
  "avoid-buggy-ips: true",
  "sharing: none",
  "namespaces: [other]",
  "service-selectors: [{match-labels: {tier: edge}}]",
  `reserved: [${firsts[name]}]`,
  `reserved: [{addresses: ["${firsts[name]}"], service: default/f1}]`,
  `reserved: [{addresses: ["${firsts[name]}"], namespace: other}]`,
];
const firsts: Readonly<Record<string, string>> = {
  lan: "192.0.2.0-192.0.2.5",
  sticky: "192.0.2.32/29",
  routed: "198.51.100.0/30",
  both: "192.0.2.96/31",
  strict: "192.0.2.160",
};
const quotas = ["quotas: [{ipv4: 4}]\n", "quotas: [{services: 3, pools: [lan]}]\n"];

const peerLine = "  graceful-restart-time: 20s\n";
const peers = [
  "password: secret",
  "password: other",
  "ebgp-multihop: true",
  "ebgp-multihop: true\n  ebgp-multihop-ttl: 9",
  "ttl-security: 2",
  "peer-port: 0",
  "bfd-strict: true",
].map(
  (line): Edit =>
    (config) =>
      config.replace(peerLine, `$&  ${line}\n`),
);

const bfd = [
  "receive-interval: 50, transmit-interval: 50, detect-multiplier: 5",
  "passive-mode: true",
  "echo-mode: true",
  "transmit-interval: 1000",
].map(
  (fields): Edit =>
    (config) =>
      config.replace("[{name: fast}]", `[{name: fast, ${fields}}]`),
);

const internal: Edit = (config) => config.replace("my-asn: 65001", "my-asn: 65002");

function edit(draw: Draw): Edit {
  const name = pools[draw.pick(pools.length)] ?? "lan";
  const kinds: readonly (() => Edit | undefined)[] = [
    () => advertisements[draw.pick(advertisements.length)],
    () => advertisements[draw.pick(advertisements.length)],
    () => (config) => withField(config, name, policies(name)[draw.pick(policies(name).length)] ?? ""),
    () => (config) => `${quotas[draw.pick(2)]}${config}`,
    () => peers[draw.pick(peers.length)],
    () => bfd[draw.pick(bfd.length)],
    () => internal,
  ];
  return kinds[draw.pick(kinds.length)]?.() ?? internal;
}

/** With names for the peer and for a community. */
function named(config: string): string {
  return `bgp-communities: {own: "65001:33"}\n${config.replace("  hold-time:", "  name: router\n$&")}`;
}

/**
 * A history of edits, drawn by its seed, of surroundings, too, where the seed is odd. Fields change that say how routes look, who may have new addresses,
 * and how routers and BFD are spoken to. Services ask by annotations with either prefix, or for no pool at all. Nodes get other addresses and NICs, and
 * the ring another key, meanwhile.
 */
export function drawFields(seed: number): History {
  const draw = new Draw(seededRandom(seed + fieldSeeds));
  const history = (seed % 2 === 1 ? drawSurroundings : drawEdits)(seed + fieldSeeds);
  const { nodes } = history;
  const usual = advertisements.slice(0, -2);
  const base: Edit = draw.pick(2) === 0 ? String : (usual[draw.pick(usual.length)] ?? String);
  const config = named(base(draw.pick(4) === 0 ? internal(history.config) : history.config));
  const services = Object.fromEntries(Object.entries(history.services).map(([name, spec]) => [name, prefixed(draw, spec)]));
  for (let index = 0; index < 4; index++) services[`f${index}`] = drawService(draw, nodes, index);
  const moment = momentsOf(draw, history);
  const acts: Timed<Act>[] = [];
  for (let count = 5 + draw.pick(10); count > 0; count--) {
    const at = moment();
    const [node, index] = [draw.pick(nodes), draw.pick(4)];
    const length = draw.pick(2) === 0 ? 12_000 + draw.pick(30_000) : draw.pick(6_000);
    const kinds: readonly (() => Act)[] = [
      () => ({ type: "configure", text: edit(draw)(config), mayRenumber: false, length }),
      () => ({ type: "configure", text: edit(draw)(config), mayRenumber: false, length }),
      () => ({ type: "configure", text: edit(draw)(edit(draw)(config)), mayRenumber: false, length }),
      () => ({ type: "service", name: `f${index}`, spec: drawService(draw, nodes, index) }),
      () => ({ type: "service", name: `f${index}`, spec: draw.pick(3) === 0 ? undefined : drawService(draw, nodes, index) }),
      () => otherAct(draw, nodes, node, Math.min(length, 10_000)),
    ];
    acts.push({ at, act: kinds[draw.pick(kinds.length)]?.() ?? { type: "compact" } });
  }
  const others = history.acts.map(({ at, act }): Timed<Act> => {
    if (act.type === "service" && act.spec !== undefined) return { at, act: { ...act, spec: prefixed(draw, act.spec) } };
    return { at, act: act.type === "configure" ? { ...act, text: named(act.text) } : act };
  });
  return { ...history, config, services, acts: [...others, ...acts].sort((a, b) => a.at - b.at) };
}

/** What `drawEdits` does not draw. */
export function otherAct(draw: Draw, nodes: number, node: number, length: Millis): Act {
  const acts: readonly (() => Act)[] = [
    () => ({ type: "changeAddress", node, ...(draw.pick(2) === 0 && { from: (node + 1) % nodes }) }),
    () => ({ type: "changeMac", node }),
    () => ({ type: "setClock", node, seconds: draw.pick(7_200) - 3_600 }),
    () => ({ type: "rotateKey", node, length }),
    () => ({ type: "deleteNode", node, isOff: draw.pick(2) === 0, moves: draw.pick(2) === 0, length: 4 * length }),
    () => ({ type: "cordon", node, length }),
    () => ({ type: "changePeers", length }),
    () => ({ type: "restartRouter", how: (["graceful", "processes", "machine"] as const)[draw.pick(3)] ?? "graceful", length }),
    () => ({ type: "cutRouter", node, cut: (["both", "toRouter", "toNode"] as const)[draw.pick(3)] ?? "both", length }),
    () => ({ type: "deleteConfig", length }),
    () => ({ type: "restartApi" }),
  ];
  return acts[draw.pick(acts.length)]?.() ?? { type: "restartApi" };
}

export function prefixed(draw: Draw, spec: ServiceSpec): ServiceSpec {
  return { ...spec, prefix: ([undefined, "newer", "both"] as const)[draw.pick(3)] };
}

/** Some ask for no pool. */
function drawService(draw: Draw, nodes: number, index: number): ServiceSpec {
  const [endpoints, pool] = [draw.two(nodes), draw.pick(3) === 0 ? "" : (pools[draw.pick(pools.length)] ?? "lan")];
  return prefixed(draw, {
    pool,
    isDual: pool === "lan" && draw.pick(3) === 0,
    wanted: undefined,
    sharing: draw.pick(4) === 0 ? "f" : undefined,
    port: 90 + index,
    endpoints,
    isLocal: draw.pick(3) === 0,
    tier: draw.pick(2) === 0 ? "edge" : undefined,
    community: ([undefined, "65001:7", "65001:8"] as const)[draw.pick(3)],
  });
}

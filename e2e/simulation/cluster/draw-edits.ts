import type { Timed } from "#e2e/faults";
import type { Millis } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { families } from "#pkg/net";
import type { ServiceSpec } from "./api/objects.ts";
import { Draw } from "./draw.ts";
import { withoutEarlier } from "./draw-outages.ts";
import { type Act, bfdConfig, firstConfig, type History, movedConfig } from "./history.ts";
import { firstActMs } from "./judge/as-fresh.ts";

// So long before a failure begins or ends an edit may come, and so long after it.
const beforeMs: Millis = 2_000;
const afterMs: Millis = 4_000;
// In half of the cases it is this soon.
const soonMs: Millis = 300;
// A node that lost the API sees it again so long after it could.
const againMs: Millis = 45_000;

// Beyond the seeds of histories.
const quietSeeds = 2 ** 29;

const poolLan = /- name: lan\n {2}protocol: layer2\n/;
const preferredLan = /(- name: lan\n(?:.*\n)*?) {2}preferred-nodes.*\n/;
const withProtocol = (config: string, name: string, protocol: string) =>
  config.replace(new RegExp(`(- name: ${name}\n {2}protocol: ).*`), `$1${protocol}`);
export const withField = (config: string, name: string, field: string) =>
  config.replace(new RegExp(`(- name: ${name}\n {2}protocol: .*\n)`), `$1  ${field}\n`);

/** Edits of pools. All leave each address in a pool, but for the first two, which are refused where a Service has an address outside. */
export const poolEdits: Readonly<Record<string, (config: string) => string>> = {
  narrowed: (config) => config.replace('192.0.2.0-192.0.2.19, "2001:db8::-2001:db8::13"', '192.0.2.0/30, "2001:db8::/126"'),
  "narrowed sticky": (config) =>
    config.replace('192.0.2.32-192.0.2.51, "2001:db8::20-2001:db8::33"', '192.0.2.32/31, "2001:db8::20/127"'),
  renamed: (config) => config.replace("- name: lan\n", "- name: other\n"),
  "renamed sticky": (config) => config.replace("- name: sticky\n", "- name: other\n"),
  "sticky by election": (config) => config.replace("  l2-placement: sticky\n", ""),
  "lan as sticky": (config) => config.replace(poolLan, "$&  l2-placement: sticky\n"),
  "lan by BGP": (config) => withProtocol(config.replace(preferredLan, "$1"), "lan", "bgp"),
  "lan by both": (config) => withProtocol(config, "lan", "[layer2, bgp]"),
  "lan on NICs": (config) => withField(withProtocol(config, "lan", "interface"), "lan", "placement: lan"),
  "lan by nobody": (config) => withProtocol(config.replace(preferredLan, "$1"), "lan", "none"),
  "lan on edges": (config) => withField(config, "lan", 'node-selectors: [{match-labels: {edge: "true"}}]'),
  "lan on no interface": (config) => withField(config, "lan", "interfaces: [eth9]"),
  "sticky by BGP": (config) => withProtocol(config, "sticky", "bgp").replace(/ {2}l2-placement.*\n {2}preferred-nodes.*\n/, ""),
  "routed on layer 2": (config) => withProtocol(config, "routed", "layer2"),
  "routed by both": (config) => withProtocol(config, "routed", "[layer2, bgp]"),
  "both on layer 2": (config) => withProtocol(config, "both", "layer2"),
  "both by BGP": (config) => withProtocol(config, "both", "bgp"),
  "NICs on layer 2": (config) => withProtocol(config, "nic", "layer2").replace("  placement: lan\n", ""),
  "strict as others": (config) => config.replace("  conflict-probe: strict\n", ""),
  "given on layer 2": (config) => withProtocol(config, "given", "layer2"),
};

/**
 * A history, drawn by its seed, in which people edit pools, Services and nodes while something fails, above all at the moment in which it does, or is
 * back: a node dies, the ring is cut, one node, half of them or all lose the API, speakers start, a controller dies, its Lease is deleted. A Service
 * is deleted and made again meanwhile. The threads and first lists of speakers that start take up to seconds, each its own time.
 */
export function drawEdits(seed: number): History {
  const draw = new Draw(seededRandom(seed));
  const nodes = 2 + draw.pick(4);
  const services: Record<string, ServiceSpec> = {};
  for (let i = 0; i < 7; i++) services[`s${i}`] = served(draw, nodes);
  const config = draw.pick(2) === 0 ? firstConfig : bfdConfig;
  const acts: Timed<Act>[] = [];
  let at: Millis = 1_000;
  for (let count = 1 + draw.pick(3); count > 0; count--) {
    const failures = drawFailure(draw, nodes);
    const length = Math.max(...failures.map(({ at, act }) => at + ("length" in act ? act.length : 0)));
    acts.push(...failures.map((failure) => ({ at: at + failure.at, act: failure.act })));
    for (let edits = 1 + draw.pick(3); edits > 0; edits--) {
      const around = [0, length, draw.pick(length)][draw.pick(3)] ?? 0;
      const off = draw.pick(2) === 0 ? draw.pick(soonMs) : draw.pick(beforeMs + afterMs) - beforeMs;
      const moment = Math.max(0, at + around + off);
      acts.push(...drawEdit(draw, nodes, services, config).map((edit) => ({ at: moment + edit.at, act: edit.act })));
    }
    at += length + draw.pick(20_000);
  }
  acts.sort((a, b) => a.at - b.at);
  const outages = acts.flatMap(({ at, act }) => (act.type === "cutApi" ? [{ from: at, to: at + act.length + againMs }] : []));
  const loss = [0, 0, 0.05][draw.pick(3)] ?? 0;
  const failoverMs = [undefined, 10, 50][draw.pick(3)];
  const startDelayMs = [0, 500, 4_000][draw.pick(3)] ?? 0;
  return {
    seed,
    nodes,
    loss,
    failoverMs,
    startDelayMs,
    isSlow: draw.pick(3) === 0,
    config,
    services,
    acts: withoutEarlier(acts, outages),
  };
}

/** Most have an endpoint. */
function served(draw: Draw, nodes: number): ServiceSpec {
  const spec = draw.service(nodes);
  return spec.endpoints.length > 0 || draw.pick(4) === 0 ? spec : { ...spec, endpoints: draw.two(nodes) };
}

// None of these edits is about where an address of the pools lan, sticky, both and strict is announced.
const quietEdits = [
  "narrowed",
  "narrowed sticky",
  "renamed",
  "renamed sticky",
  "lan by both",
  "both on layer 2",
  "strict as others",
];

/**
 * A history, drawn by its seed, of edits that are not about where addresses are announced, while controllers die and nodes lose the API: no address of
 * a Service that nobody edits may leave its node. Where the seed is odd, one node has no endpoint of these, which are Local, and dies, starts, or is cut off.
 */
export function drawQuietEdits(seed: number): History {
  const draw = new Draw(seededRandom(seed + quietSeeds));
  const hasBystander = seed % 2 === 1;
  const nodes = (hasBystander ? 3 : 2) + draw.pick(3);
  const node = nodes - 1; // The bystander.
  const services: Record<string, ServiceSpec> = {};
  const pools = ["lan", "sticky", "both", "strict"] as const;
  for (let i = 0; i < 8; i++) {
    const pool = pools[i % pools.length] ?? "lan";
    const isDual = i < 2 && draw.pick(2) === 0;
    const endpoints = hasBystander ? { isLocal: true, endpoints: draw.two(nodes - 1), endpointsV6: undefined } : {};
    services[`s${i}`] = { ...served(draw, nodes), ...endpoints, pool, isDual, wanted: undefined, sharing: undefined };
  }
  const acts: Timed<Act>[] = [];
  let at: Millis = firstActMs;
  for (let count = 2 + draw.pick(3); count > 0; count--) {
    // A view of the API is old after a minute, from when others take over what the node has of Local Services.
    const length = 1_000 + draw.pick(12_000);
    const failures: readonly (() => Act)[] = [
      () => ({ type: "cutApi", node: draw.pick(nodes), length }),
      () => ({ type: "cutApi", node: draw.pick(nodes), length }),
      () => ({ type: "killController", controller: draw.pick(2), length: draw.pick(length) }),
      () => ({ type: "stallController", controller: draw.pick(2), length: draw.pick(20_000) }),
      () => ({ type: "cutControllerApi", controller: draw.pick(2), length }),
      () => ({ type: "breakWatches", of: { speaker: draw.pick(nodes) } }),
      () => ({ type: "restartApi" }),
      () => ({ type: "compact" }),
      () => ({ type: "deleteLease" }),
      () => ({ type: "cordon", node: draw.pick(nodes), length }),
      () => ({ type: "changePeers", length: draw.pick(5_000) }),
    ];
    const ofBystander: readonly (() => Act)[] = [
      () => ({ type: "killSpeaker", node, length }),
      () => ({ type: "powerOff", node, length }),
      () => ({ type: "stopSpeaker", node, length }),
      () => ({ type: "stallSpeaker", node, length: draw.pick(8_000) }),
      () => ({ type: "cut", parts: [...new Array<number>(node).fill(0), 1], isLanWhole: draw.pick(2) === 0, length }),
      () => ({ type: "cutOneWay", from: [node], to: [draw.pick(node)], length }),
      () => ({ type: "breakPath", node, length }),
      () => ({ type: "unplug", node, length }),
      () => ({ type: "deleteNode", node, isOff: draw.pick(2) === 0, moves: draw.pick(2) === 0, length }),
      () => ({ type: "changeMac", node }),
      () => ({ type: (["exclude", "drain", "edge", "otherVersion"] as const)[draw.pick(4)] ?? "edge", node, length }),
    ];
    const all = hasBystander ? [...failures, ...ofBystander] : failures;
    for (let more = 1 + draw.pick(4); more > 0; more--)
      acts.push({ at: at + draw.pick(2_000), act: all[draw.pick(all.length)]?.() ?? { type: "compact" } });
    for (let edits = 1 + draw.pick(3); edits > 0; edits--) {
      const moment = at + (draw.pick(2) === 0 ? 0 : length) + draw.pick(3_000);
      const name = quietEdits[draw.pick(quietEdits.length)] ?? "renamed";
      const text = poolEdits[name]?.(firstConfig) ?? firstConfig;
      acts.push({
        at: moment,
        act: { type: "configure", text, mayRenumber: false, length: draw.pick(draw.pick(2) === 0 ? 2_000 : 40_000) },
      });
    }
    if (draw.pick(2) === 0)
      acts.push({ at: at + draw.pick(length), act: { type: "service", name: `t${draw.pick(3)}`, spec: served(draw, nodes) } });
    at += length + draw.pick(20_000);
  }
  // It gives one of its addresses up, and keeps the other where it is.
  const until = at;
  for (const name of ["s0", "s1"])
    if (services[name]?.isDual && draw.pick(2) === 0)
      for (const [index, policy] of (["PreferDualStack", "SingleStack"] as const).entries())
        acts.push({ at: firstActMs + (draw.pick(until) + index * until) / 2, act: { type: "families", name, policy } });
  acts.sort((a, b) => a.at - b.at);
  const failoverMs = [undefined, 10, 50][draw.pick(3)];
  const startDelayMs = [0, 500, 4_000][draw.pick(3)] ?? 0;
  const isSlow = draw.pick(3) === 0;
  return { seed, nodes, loss: 0, failoverMs, startDelayMs, isSlow, config: firstConfig, services, acts: inShortOutages(acts) };
}

/** Without second cuts before a node sees the API again: it would not see it for a minute, and others would take over what it has of `Local` Services. */
function inShortOutages(acts: readonly Timed<Act>[]): Timed<Act>[] {
  const seesAt = new Map<number, Millis>(); // node -> when it sees the API again
  return acts.filter(({ at, act }) => {
    if (act.type !== "cutApi") return true;
    if (at < (seesAt.get(act.node) ?? 0)) return false;
    seesAt.set(act.node, at + act.length + againMs);
    return true;
  });
}

/** A Service gets other families, once or twice, at times in the same moment. */
function drawFamilies(draw: Draw, name: string): readonly Timed<Act>[] {
  const one = (at: Millis): Timed<Act> => {
    const policy = (["SingleStack", "PreferDualStack", "RequireDualStack"] as const)[draw.pick(3)] ?? "SingleStack";
    const first = draw.pick(4) === 0 ? { first: families[draw.pick(2)] ?? "IPv4" } : {};
    return { at, act: { type: "families", name, policy, ...first } };
  };
  return draw.pick(2) === 0 ? [one(0)] : [one(0), one(draw.pick(draw.pick(2) === 0 ? 50 : 4_000))];
}

function drawFailure(draw: Draw, nodes: number): readonly Timed<Act>[] {
  const node = draw.pick(nodes);
  const all = Array.from({ length: nodes }, (_, one) => one);
  const length = 1_000 + draw.pick(draw.pick(3) === 0 ? 120_000 : 15_000);
  const api = (those: readonly number[]) => those.map((one) => ({ at: 0, act: { type: "cutApi", node: one, length } as const }));
  const failures: readonly (() => readonly Timed<Act>[])[] = [
    () => [{ at: 0, act: { type: "powerOff", node, length } }],
    () => [{ at: 0, act: { type: "killSpeaker", node, length: draw.pick(3_000) } }],
    () => [{ at: 0, act: { type: "stopSpeaker", node, length } }],
    () => [{ at: 0, act: { type: "cut", parts: all.map(() => draw.pick(2)), isLanWhole: draw.pick(2) === 0, length } }],
    () => api([node]),
    () => api(all.filter(() => draw.pick(2) === 0)),
    () => api(all),
    () => [
      { at: 0, act: { type: "restartSpeakers", nodes: draw.some(nodes), inOrder: draw.pick(2) === 0, length: draw.pick(4_000) } },
    ],
    () => [{ at: 0, act: { type: "killController", controller: draw.pick(2), length } }],
    () =>
      [0, 1].map((controller) => ({
        at: draw.pick(4_000),
        act: { type: "killController", controller, length: draw.pick(length) },
      })),
    () => [{ at: 0, act: { type: "deleteLease" } }],
    () => [{ at: 0, act: { type: "rollOut", length: nodes * 10_000 } }],
    () => [{ at: 0, act: { type: "breakPath", node, length } }],
    () => [{ at: 0, act: { type: "otherVersion", node, length } }],
    () => [{ at: 0, act: { type: "stallSpeaker", node, length: draw.pick(8_000) } }],
  ];
  const drawn = failures[draw.pick(failures.length)]?.() ?? [];
  // A second one at the same time, now and then.
  return draw.pick(4) > 0 && drawn.length > 0 ? drawn : [...drawn, ...(failures[draw.pick(4)]?.() ?? [])];
}

/** A Service that may belong to another load balancer for a time. */
function changed(draw: Draw, nodes: number, name: string): Act {
  const spec = { ...served(draw, nodes), sharing: draw.pick(3) === 0 ? "k" : undefined, port: 80 + draw.pick(2) };
  const kind = ([undefined, undefined, "ClusterIP", "otherClass"] as const)[draw.pick(4)];
  return { type: "service", name, spec: { ...spec, kind, prefix: ([undefined, "newer", "both"] as const)[draw.pick(3)] } };
}

function drawEdit(
  draw: Draw,
  nodes: number,
  services: Readonly<Record<string, ServiceSpec>>,
  config: string,
): readonly Timed<Act>[] {
  const name = `s${draw.pick(8)}`;
  const edits = Object.values(poolEdits);
  const configure = (): readonly Timed<Act>[] => {
    const text = edits[draw.pick(edits.length)]?.(config) ?? config;
    return [
      { at: 0, act: { type: "configure", text, mayRenumber: false, length: draw.pick(draw.pick(2) === 0 ? 2_000 : 30_000) } },
    ];
  };
  const kinds: readonly (() => readonly Timed<Act>[])[] = [
    configure,
    configure,
    configure,
    () => [{ at: 0, act: { type: "configure", text: movedConfig, mayRenumber: true, length: draw.pick(20_000) } }],
    () => {
      const again = draw.pick(2) === 0 ? services[name] : undefined;
      return [
        { at: 0, act: { type: "service", name, spec: undefined } },
        { at: draw.pick(draw.pick(2) === 0 ? 50 : 4_000), act: { type: "service", name, spec: again ?? served(draw, nodes) } },
      ];
    },
    // Others follow while nodes read the first, or while its status is on its way.
    () => [...configure(), ...configure().map(({ act }) => ({ at: draw.pick(soonMs), act }))],
    () => Array.from({ length: 2 + draw.pick(4) }, () => ({ at: draw.pick(soonMs), act: changed(draw, nodes, name) })),
    () => drawFamilies(draw, name),
    () => drawFamilies(draw, `s${draw.pick(8)}`),
    () => [{ at: 0, act: { type: "service", name, spec: draw.pick(5) === 0 ? undefined : served(draw, nodes) } }],
    () => [
      {
        at: 0,
        act: {
          type: (["exclude", "drain", "edge"] as const)[draw.pick(3)] ?? "edge",
          node: draw.pick(nodes),
          length: draw.pick(draw.pick(2) === 0 ? 15_000 : 60_000),
        },
      },
    ],
  ];
  return kinds[draw.pick(kinds.length)]?.() ?? [];
}

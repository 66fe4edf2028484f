import type { Timed } from "#e2e/faults";
import type { Millis, Random } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { families } from "#pkg/net";
import type { ApiWeather } from "./api/api-connection.ts";
import type { ServiceSpec } from "./api/objects.ts";
import { drawTroubles } from "./draw-controllers.ts";
import { restartsAtRestores, widenOutages } from "./draw-outages.ts";
import {
  type Act,
  bfdConfig,
  fairWeather,
  firstConfig,
  firstResources,
  type History,
  moreResources,
  movedConfig,
  movedResources,
  refusedResources,
} from "./history.ts";

/** Where each pool's addresses begin. */
const bases = {
  lan: "192.0.2.0",
  sticky: "192.0.2.32",
  routed: "198.51.100.0",
  both: "192.0.2.96",
  nic: "192.0.2.112",
  strict: "192.0.2.160",
  given: "203.0.113.0",
};

const moreConfig = `${firstConfig.replace("peers:", "- name: more\n  protocol: layer2\n  addresses: [192.0.2.64/28]\npeers:")}`;
/** Refused: no YAML, an unknown field, and pools that addresses in use are in are gone. */
const refusedConfigs = [
  "address-pools: [",
  firstConfig.replace("my-asn", "my-asm"),
  firstConfig.slice(firstConfig.indexOf("peers:")),
];

// Beyond the seeds of histories.
const removalSeeds = 2 ** 31;
const changeSeeds = 2 ** 30;
const failoverSeeds = 2 ** 29;
const pathSeeds = 2 ** 28;
const resourceSeeds = 2 ** 27;
const stallSeeds = 2 ** 26;
const switchSeeds = 2 ** 25;
const burstSeeds = 2 ** 24;
const familySeeds = 2 ** 23;
// Less than half a minute, after which controllers lead alone.
const maxForbiddenMs: Millis = 29_000;
// Both have led alone for some seconds by then.
const aloneMs: Millis = 35_000;

/** A history drawn by its seed. */
export function drawHistory(seed: number): History {
  const draw = new Draw(seededRandom(seed));
  const nodes = 2 + draw.pick(4);
  const services = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`s${i}`, draw.service(nodes)]));
  const acts: Timed<Act>[] = [];
  let at = 0;
  for (let count = 3 + draw.pick(10); count > 0; count--) {
    at += draw.pick(3) === 0 ? draw.pick(15_000) : draw.pick(1_500);
    acts.push({ at, act: draw.act(nodes) });
  }
  const loss = [0, 0, 0.05, 0.1][draw.pick(4)] ?? 0;
  const config = draw.pick(2) === 0 ? firstConfig : bfdConfig;
  const withoutNetAdmin = draw.pick(2) === 0 ? [] : draw.some(nodes);
  const troubles = { pick: (limit: number) => draw.pick(limit), service: () => draw.service(nodes) };
  for (let count = draw.pick(3); count > 0; count--) acts.push(...drawTroubles(troubles, draw.pick(at + 1)));
  acts.push(...drawRemovals(new Draw(seededRandom(seed + removalSeeds)), at));
  acts.push(...drawChanges(new Draw(seededRandom(seed + changeSeeds)), at));
  acts.push(...drawPaths(new Draw(seededRandom(seed + pathSeeds)), at, nodes));
  acts.push(...drawStalls(new Draw(seededRandom(seed + stallSeeds)), at, nodes));
  // Work takes time on busy machines, and whoever applies a folder of manifests changes many Services at once.
  const isSlow = seed % 3 === 1;
  if (isSlow) acts.push(...drawBursts(new Draw(seededRandom(seed + burstSeeds)), at, nodes));
  const ofFamilies = drawFamilies(new Draw(seededRandom(seed + familySeeds)), at, nodes);
  acts.push(...ofFamilies.acts);
  acts.push(...restartsAtRestores({ seed, nodes, acts }));
  acts.sort((a, b) => a.at - b.at);
  const failoverMs = [undefined, undefined, 10, 50][new Draw(seededRandom(seed + failoverSeeds)).pick(4)];
  return {
    seed,
    nodes,
    loss,
    withoutNetAdmin,
    failoverMs,
    isSlow,
    config,
    services: { ...services, ...ofFamilies.services },
    acts: widenOutages({ seed, nodes, acts }),
  };
}

/**
 * Local Services of two families, each with endpoints on nodes of its own, in every second history: those of a family come late, go, or are on other
 * nodes.
 */
function drawFamilies(draw: Draw, until: Millis, nodes: number): Pick<History, "services" | "acts"> {
  const services: Record<string, ServiceSpec> = {};
  const acts: Timed<Act>[] = [];
  for (const name of draw.pick(2) === 0 ? [] : ["d0", "d1"]) {
    const some = () => (draw.pick(10) === 0 ? [] : draw.pick(2) === 0 ? [draw.pick(nodes)] : draw.two(nodes));
    const someV6 = () => (draw.pick(8) === 0 ? undefined : some());
    const pool = (["lan", "sticky"] as const)[draw.pick(2)] ?? "lan";
    const common = { pool, isDual: true, wanted: undefined, sharing: undefined, port: 80, isLocal: draw.pick(6) > 0 };
    let spec: ServiceSpec = { ...common, endpoints: some(), endpointsV6: someV6() };
    services[name] = spec;
    let at = draw.pick(until + 1);
    for (let count = draw.pick(6); count > 0; count--) {
      at += draw.pick(2) === 0 ? draw.pick(300) : draw.pick(10_000);
      spec = { ...spec, ...(draw.pick(2) === 0 ? { endpoints: some() } : { endpointsV6: someV6() }) };
      acts.push({ at, act: { type: "service", name, spec } });
    }
  }
  return { services, acts };
}

/** Several Services that people change in the same moment. */
function drawBursts(draw: Draw, until: Millis, nodes: number): Timed<Act>[] {
  return Array.from({ length: 1 + draw.pick(3) }, () => draw.pick(until + 1)).flatMap((at) =>
    Array.from({ length: 3 + draw.pick(7) }, (_, index): Timed<Act> => {
      const spec = draw.pick(4) === 0 ? undefined : draw.service(nodes);
      return { at, act: { type: "service", name: `s${index}`, spec } };
    }),
  );
}

/** Peers that are removed and added again, at times in the same moment, in every third history. */
function drawRemovals(draw: Draw, until: Millis): Timed<Act>[] {
  const removals = draw.pick(3) === 0 ? 1 + draw.pick(3) : 0;
  return Array.from({ length: removals }, () => ({
    at: draw.pick(until + 1),
    act: { type: "removePeers", length: draw.pick(draw.pick(2) === 0 ? 10 : 4_000) },
  }));
}

/** Peers that get other settings and their former ones again, in every third history. */
function drawChanges(draw: Draw, until: Millis): Timed<Act>[] {
  const changes = draw.pick(3) === 0 ? 1 + draw.pick(3) : 0;
  return Array.from({ length: changes }, () => ({
    at: draw.pick(until + 1),
    act: { type: "changePeers", length: draw.pick(4_000) },
  }));
}

/**
 * Speakers that stand still for 50 to 500 ms, as on a busy machine, in every second history: BFD takes them for gone, and the ring alone not. In every
 * second one of these only main threads do, for up to 5 s.
 */
function drawStalls(draw: Draw, until: Millis, nodes: number): Timed<Act>[] {
  const stalls = draw.pick(2) === 0 ? 1 + draw.pick(6) : 0;
  const drawOne = () => ({ at: draw.pick(until + 1), node: draw.pick(nodes), length: 50 + draw.pick(450) });
  const drawn = Array.from({ length: stalls }, drawOne);
  const isOfMainThreads = draw.pick(2) === 0;
  return drawn.map(({ at, node, length }) => {
    if (!isOfMainThreads) return { at, act: { type: "stallSpeaker", node, length } };
    return { at, act: { type: "stallMainThread", node, length: length * (1 + draw.pick(10)) } };
  });
}

/** Nodes that cannot deliver to Pods for some time, in half of all histories; at times all at once. */
function drawPaths(draw: Draw, until: Millis, nodes: number): Timed<Act>[] {
  const at = draw.pick(until + 1);
  const length = () => draw.pick(draw.pick(2) === 0 ? 4_000 : 40_000);
  const broken = [
    [],
    [],
    [draw.pick(nodes)],
    draw.two(nodes),
    draw.some(nodes),
    Array.from({ length: nodes }, (_, node) => node),
  ];
  const ofFamilies = () => [families, families, ["IPv4"] as const, ["IPv6"] as const][draw.pick(4)] ?? families;
  return (broken[draw.pick(broken.length)] ?? []).map((node) => ({
    at: at + draw.pick(3_000),
    act: { type: "breakPath", node, of: ofFamilies(), length: length() },
  }));
}

/** A history of two controllers that the API refuses the right to the Lease, so that each works as if it were the only one. */
export function drawWithoutLease(seed: number): History {
  const draw = new Draw(seededRandom(seed));
  const nodes = 2 + draw.pick(2);
  const services = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`s${i}`, draw.service(nodes)]));
  const troubles = { pick: (limit: number) => draw.pick(limit), service: () => draw.service(nodes) };
  const acts = Array.from({ length: 1 + draw.pick(3) }, () => drawTroubles(troubles, aloneMs + draw.pick(10_000))).flat();
  acts.sort((a, b) => a.at - b.at);
  const weather: ApiWeather = { ...fairWeather, watchLagMs: [20, 1_000, 3_000][draw.pick(3)] ?? 20, forbidden: "leases" };
  return { seed, nodes, loss: 0, weather, isSlow: seed % 2 === 1, config: firstConfig, services, acts };
}

/** A history whose configuration is MetalLB's custom resources, with the pools that these can express. */
export function drawOfResources(seed: number): History {
  const draw = new Draw(seededRandom(seed + resourceSeeds));
  const { acts, services, failoverMs: _, ...history } = drawHistory(seed);
  const texts: readonly string[] = [firstResources, moreResources, ...refusedResources];
  const edits = Array.from({ length: 1 + draw.pick(4) }, (): Timed<Act> => {
    const mayRenumber = draw.pick(3) === 0;
    const text = mayRenumber ? movedResources : (texts[draw.pick(texts.length)] ?? "");
    return { at: draw.pick(30_000), act: { type: "config", text, mayRenumber } };
  });
  const others = acts.flatMap(({ at, act }): Timed<Act>[] => {
    if (act.type === "config" || act.type === "occupy" || act.type === "otherVersion") return [];
    return [{ at, act: act.type === "service" && act.spec !== undefined ? { ...act, spec: inResources(act.spec) } : act }];
  });
  return {
    ...history,
    config: firstResources,
    configSource: "crds",
    services: Object.fromEntries(Object.entries(services).map(([name, spec]) => [name, inResources(spec)])),
    acts: [...others, ...edits].sort((a, b) => a.at - b.at),
  };
}

/** A history in which the source of the configuration is switched to the ConfigMap, at times back, and to it again, while people edit both. */
export function drawOfSwitches(seed: number): History {
  const draw = new Draw(seededRandom(seed + switchSeeds));
  const { acts, ...history } = drawOfResources(seed);
  const texts = [firstResources, moreResources];
  const others = acts.map(({ at, act }): Timed<Act> => {
    return { at, act: act.type === "config" ? { type: "config", text: texts[draw.pick(2)] ?? "" } : act };
  });
  const length = history.nodes * 10_000;
  const switches = Array.from({ length: 1 + draw.pick(3) }, (_, index): Timed<Act> => {
    return { at: index * length + draw.pick(20_000), act: { type: "switchSource", length } };
  });
  return { ...history, acts: [...others, ...switches].sort((a, b) => a.at - b.at) };
}

/** The same of the pool `lan` in place of those that custom resources cannot express. */
export function inResources(spec: ServiceSpec): ServiceSpec {
  const wanted = spec.wanted
    ?.replace(/^192\.0\.2\.(32|112|160)/, "192.0.2.0")
    .replace(/^192\.0\.2\.(3|11|16)(\d)$/, "192.0.2.$2");
  return { ...spec, pool: spec.pool.replaceAll(/\b(sticky|nic|strict)\b/g, "lan"), wanted };
}

export class Draw {
  readonly #random: Random;
  #hasForbidden = false;

  constructor(random: Random) {
    this.#random = random;
  }

  pick(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  some(nodes: number): number[] {
    return Array.from({ length: nodes }, (_, node) => node).filter(() => this.pick(2) === 0);
  }

  two(nodes: number): number[] {
    const first = this.pick(nodes);
    return [first, (first + 1 + this.pick(nodes - 1)) % nodes];
  }

  act(nodes: number): Act {
    const node = this.pick(nodes);
    const index = this.pick(2);
    const of = this.pick(3) === 0 ? { controller: index } : { speaker: node };
    const acts: (() => Act)[] = [
      () => ({ type: "killSpeaker", node, length: this.#away() }),
      () => ({ type: "powerOff", node, length: this.#away() }),
      () => ({ type: "stopSpeaker", node, length: 4_000 + this.pick(4_000) }),
      () => ({ type: "stallSpeaker", node, length: this.pick(this.pick(3) === 0 ? 20_000 : 4_000) }),
      () => ({ type: "unplug", node, length: this.pick(4_000) }),
      () => ({ type: (["exclude", "drain", "edge"] as const)[this.pick(3)] ?? "edge", node, length: this.pick(10_000) }),
      () => ({
        type: "deleteNode",
        node,
        isOff: this.pick(2) === 0,
        moves: this.pick(2) === 0,
        length: this.pick(3) === 0 ? 42_000 + this.pick(20_000) : this.pick(10_000),
      }),
      () => ({ type: "restartSpeakers", nodes: this.two(nodes), inOrder: this.pick(2) === 0, length: this.#away() }),
      () => ({ type: "rollOut", length: nodes * 10_000 }),
      () => ({ type: "stopController", controller: index, length: this.pick(10_000) }),
      () => ({ type: "deleteConfig", length: this.#length() }),
      () => ({ type: "stallController", controller: index, length: this.pick(20_000) }),
      () => ({ type: "killController", controller: index, length: this.pick(10_000) }),
      () => ({
        type: "cut",
        parts: Array.from({ length: nodes }, () => this.pick(3)),
        isLanWhole: this.pick(2) === 0,
        length: this.#length(),
      }),
      () => ({
        type: "attack",
        nodes: this.some(nodes),
        at: node,
        holdMs: this.pick(2) === 0 ? 0 : this.pick(3_000),
        length: this.#length(),
      }),
      () => ({ type: "cutOneWay", from: this.some(nodes), to: this.some(nodes), length: this.#length() }),
      () => ({
        ...("speaker" in of ? { type: "cutApi", node: of.speaker } : { type: "cutControllerApi", controller: of.controller }),
        length: this.pick(this.pick(3) === 0 ? 100_000 : 10_000),
      }),
      () => ({ type: "breakWatches", of }),
      () => ({ type: this.pick(2) === 0 ? "restartApi" : "compact" }),
      () => (this.pick(3) === 0 ? { type: "restore", age: this.pick(20_000) } : { type: "breakWatches", of }),
      () => ({ type: "foreignHost", choice: this.pick(1_000), length: this.#length() }),
      () => ({
        type: "occupy",
        address: `192.0.2.${160 + this.pick(4)}`,
        refusesStatus: this.pick(2) === 0,
        length: this.#length(),
      }),
      () => ({ type: "weather", weather: this.#weather(), length: this.pick(20_000) }),
      () => this.#forbid(),
      () => ({ type: "config", text: [firstConfig, bfdConfig, moreConfig, ...refusedConfigs][this.pick(6)] ?? "" }),
      () => ({ type: "config", text: [firstConfig, movedConfig][this.pick(2)] ?? "", mayRenumber: true }),
      () => ({
        type: "cutRouter",
        node,
        cut: (["both", "toRouter", "toNode"] as const)[this.pick(3)] ?? "both",
        length: this.#length(),
      }),
      () => ({
        type: "restartRouter",
        how: (["graceful", "processes", "machine"] as const)[this.pick(3)] ?? "graceful",
        length: this.#length(),
      }),
      () => ({ type: "slowLan", delayMs: this.pick(500), duplication: this.pick(4) / 10, length: this.#length() }),
      () => ({ type: this.pick(2) === 0 ? "otherVersion" : "netAdmin", node, length: 5_000 + this.pick(20_000) }),
      () => ({
        type: "setClock",
        node,
        seconds: ((this.pick(2) === 0 ? 1 : -1) * this.pick(this.pick(2) === 0 ? 5_000 : 3_600_000)) / 1000,
      }),
      () => ({ type: "changeMac", node }),
      () => {
        const from = this.pick(2) === 0 ? {} : { from: (node + 1 + this.pick(nodes - 1)) % nodes };
        const off = this.pick(2) === 0 ? {} : { off: this.#away() };
        return { type: "changeAddress", node, ...from, ...off };
      },
    ];
    if (this.pick(5) < 2) {
      const name = `s${this.pick(12)}`;
      return { type: "service", name, spec: this.pick(4) === 0 ? undefined : this.service(nodes) };
    }
    return acts[this.pick(acts.length)]?.() ?? { type: "compact" };
  }

  service(nodes: number): ServiceSpec {
    const pool =
      (
        ["lan", "sticky", "routed", "lan", "sticky", "routed", "both", "both", "given", "nic", "nic", "strict", "strict"] as const
      )[this.pick(13)] ?? "lan";
    const [first, base] = bases[pool].split(/(?<=\.)(?=\d+$)/);
    const sharing = this.pick(5) === 0 ? "k" : undefined;
    const wanted = this.pick(5) === 0 ? `${first}${Number(base) + this.pick(4)}` : undefined;
    const several = wanted === undefined && this.pick(6) === 0;
    const others = [["lan"], ["routed"], ["both", "given"], [pool], ["nic"]][this.pick(5)] ?? [];
    const isLocal = sharing === undefined && this.pick(4) === 0;
    return {
      pool: several ? [pool, ...others].join() : pool,
      isDual: !several && wanted === undefined && (pool === "lan" || pool === "sticky") && this.pick(3) === 0,
      wanted,
      sharing,
      port: 80 + this.pick(6),
      endpoints: this.pick(10) === 0 ? [] : this.some(nodes),
      isLocal,
    };
  }

  #weather(): ApiWeather {
    return {
      latencyMs: [10, 200, 2_000][this.pick(3)] ?? 10,
      watchLagMs: [20, 1_000, 3_000][this.pick(3)] ?? 20,
      refusals: [0, 0.2, 0.6][this.pick(3)] ?? 0,
      lostAnswers: [0, 0.2][this.pick(2)] ?? 0,
    };
  }

  /** Once: two times in a row may be as long as it takes until controllers lead alone, and then there are several. */
  #forbid(): Act {
    if (this.#hasForbidden) return { type: "restartApi" };
    this.#hasForbidden = true;
    return {
      type: "forbid",
      what: (["leases", "writes", "reports"] as const)[this.pick(3)] ?? "writes",
      length: this.pick(maxForbiddenMs),
    };
  }

  #away(): Millis {
    return this.pick(4) === 0 ? 31_000 + this.pick(10_000) : this.pick(this.pick(2) === 0 ? 300 : 6_000);
  }

  #length(): Millis {
    return this.pick(5) === 0 ? 20_000 + this.pick(20_000) : this.pick(8_000);
  }
}

import { type Millis, type Random, seededRandom } from "#pkg/clock";
import type { ApiWeather } from "./api-connection.ts";
import type { ServiceSpec } from "./objects.ts";

/** Something that happens to a cluster. What lasts ends by itself after `length`, so that any of them can be left out of a history. */
export type Act =
  | { readonly type: "killSpeaker" | "stopSpeaker" | "powerOff"; readonly node: number; readonly length: Millis }
  | { readonly type: "stallSpeaker" | "carrier" | "exclude"; readonly node: number; readonly length: Millis }
  | { readonly type: "stallController" | "killController"; readonly index: number; readonly length: Millis }
  /** Nodes reach those of their own part. */
  | { readonly type: "cut"; readonly parts: readonly number[]; readonly length: Millis }
  | { readonly type: "cutOneWay"; readonly from: readonly number[]; readonly to: readonly number[]; readonly length: Millis }
  | { readonly type: "cutApi"; readonly of: Client; readonly length: Millis }
  | { readonly type: "breakWatches"; readonly of: Client }
  | { readonly type: "restartApi" | "compact" }
  /** The API goes back to what it had so long ago. */
  | { readonly type: "restore"; readonly age: Millis }
  | { readonly type: "weather"; readonly weather: ApiWeather; readonly length: Millis }
  | { readonly type: "config"; readonly text: string }
  /** Undefined: it is deleted. */
  | { readonly type: "service"; readonly name: string; readonly spec: ServiceSpec | undefined };

/** A speaker's node, or a controller. */
export type Client = { readonly speaker: number } | { readonly controller: number };

export interface History {
  readonly seed: number;
  readonly nodes: number;
  readonly loss: number;
  readonly services: Readonly<Record<string, ServiceSpec>>;
  readonly acts: readonly { readonly at: Millis; readonly act: Act }[];
}

const pools = `address-pools:
- name: lan
  protocol: layer2
  addresses: [192.0.2.0-192.0.2.19, "2001:db8::-2001:db8::13"]
- name: sticky
  protocol: layer2
  l2-placement: sticky
  addresses: [192.0.2.32-192.0.2.51, "2001:db8::20-2001:db8::33"]
- name: routed
  protocol: bgp
  addresses: [198.51.100.0/28]
`;

/** What is in force at the start: a pool for each protocol, and a router. */
export const firstConfig = `${pools}peers:
- peer-address: 10.0.255.1
  peer-asn: 65002
  my-asn: 65001
  hold-time: 9s
  graceful-restart-time: 20s
`;

const moreConfig = `${firstConfig.replace("peers:", "- name: more\n  protocol: layer2\n  addresses: [192.0.2.64/28]\npeers:")}`;
/** Refused: no YAML, an unknown field, and pools that addresses in use are in are gone. */
const refusedConfigs = [
  "address-pools: [",
  firstConfig.replace("my-asn", "my-asm"),
  firstConfig.slice(firstConfig.indexOf("peers:")),
];

/** What an undisturbed API does. */
export const fairWeather: ApiWeather = { latencyMs: 10, watchLagMs: 20, refusals: 0, lostAnswers: 0 };

/** A history drawn by its seed. */
export function drawHistory(seed: number): History {
  const draw = new Draw(seededRandom(seed));
  const nodes = 2 + draw.pick(4);
  const services = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`s${i}`, draw.service(nodes)]));
  const acts: { at: Millis; act: Act }[] = [];
  let at = 0;
  for (let count = 3 + draw.pick(10); count > 0; count--) {
    at += draw.pick(3) === 0 ? draw.pick(15_000) : draw.pick(1_500);
    acts.push({ at, act: draw.act(nodes) });
  }
  return { seed, nodes, loss: [0, 0, 0.05, 0.1][draw.pick(4)] ?? 0, services, acts };
}

/** When the last of it is over. */
export function endOf({ acts }: History): Millis {
  return Math.max(0, ...acts.map(({ at, act }) => at + ("length" in act ? act.length : 0)));
}

class Draw {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  pick(limit: number): number {
    return Math.floor(this.#random() * limit);
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
      () => ({ type: "carrier", node, length: this.pick(4_000) }),
      () => ({ type: "exclude", node, length: this.pick(10_000) }),
      () => ({ type: "stallController", index, length: this.pick(20_000) }),
      () => ({ type: "killController", index, length: this.pick(10_000) }),
      () => ({ type: "cut", parts: Array.from({ length: nodes }, () => this.pick(3)), length: this.#length() }),
      () => ({ type: "cutOneWay", from: this.#some(nodes), to: this.#some(nodes), length: this.#length() }),
      () => ({ type: "cutApi", of, length: this.pick(this.pick(3) === 0 ? 100_000 : 10_000) }),
      () => ({ type: "breakWatches", of }),
      () => ({ type: this.pick(2) === 0 ? "restartApi" : "compact" }),
      () => (this.pick(3) === 0 ? { type: "restore", age: this.pick(20_000) } : { type: "breakWatches", of }),
      () => ({ type: "weather", weather: this.#weather(), length: this.pick(20_000) }),
      () => ({ type: "config", text: [firstConfig, moreConfig, ...refusedConfigs][this.pick(5)] ?? "" }),
    ];
    if (this.pick(5) < 2) {
      const name = `s${this.pick(12)}`;
      return { type: "service", name, spec: this.pick(4) === 0 ? undefined : this.service(nodes) };
    }
    return acts[this.pick(acts.length)]?.() ?? { type: "compact" };
  }

  service(nodes: number): ServiceSpec {
    const pool = ["lan", "sticky", "routed"][this.pick(3)] ?? "lan";
    const [first] = { lan: ["192.0.2."], sticky: ["192.0.2."], routed: ["198.51.100."] }[pool] ?? [];
    const base = pool === "sticky" ? 32 : 0;
    const sharing = this.pick(5) === 0 ? "k" : undefined;
    const wanted = this.pick(5) === 0 ? `${first}${base + this.pick(4)}` : undefined;
    const isLocal = sharing === undefined && this.pick(4) === 0;
    return {
      pool,
      isDual: wanted === undefined && pool !== "routed" && this.pick(3) === 0,
      wanted,
      sharing,
      port: 80 + this.pick(6),
      endpoints: this.pick(10) === 0 ? [] : this.#some(nodes),
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

  #away(): Millis {
    return this.pick(4) === 0 ? 31_000 + this.pick(10_000) : this.pick(this.pick(2) === 0 ? 300 : 6_000);
  }

  #length(): Millis {
    return this.pick(5) === 0 ? 20_000 + this.pick(20_000) : this.pick(8_000);
  }

  #some(nodes: number): number[] {
    return Array.from({ length: nodes }, (_, node) => node).filter(() => this.pick(2) === 0);
  }
}

import { type Millis, type Random, seededRandom } from "#pkg/clock";
import type { ApiWeather } from "./api-connection.ts";
import type { ServiceSpec } from "./objects.ts";

/** Something that happens to a cluster. What lasts ends by itself after `length`, so that any of them can be left out of a history. */
export type Act =
  | { readonly type: "killSpeaker" | "stopSpeaker" | "powerOff"; readonly node: number; readonly length: Millis }
  | { readonly type: "stallSpeaker" | "carrier" | "exclude" | "edge"; readonly node: number; readonly length: Millis }
  | { readonly type: "cutRouter"; readonly node: number; readonly cut: Cut; readonly length: Millis }
  /** The node's speaker is one whose formats are those of an earlier version. */
  | { readonly type: "earlierVersion"; readonly node: number; readonly length: Millis }
  /** The node's speaker is one that has the capability NET_ADMIN, where the one before lacks it, and the other way round. */
  | { readonly type: "netAdmin"; readonly node: number; readonly length: Millis }
  /** The clock of the node's machine shows so much more than the time from now on. */
  | { readonly type: "setClock"; readonly node: number; readonly ahead: Millis }
  /** The node has another network card. */
  | { readonly type: "changeMac"; readonly node: number }
  /**
   * The node has another address: a new one, or that of another node, which gets a new one. Meanwhile it is off for so long; undefined where it
   * runs on.
   */
  | { readonly type: "changeAddress"; readonly node: number; readonly from?: number; readonly off?: Millis }
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
  /** The API refuses the right to it, to everybody. */
  | { readonly type: "forbid"; readonly what: "leases" | "writes"; readonly length: Millis }
  /** A host without a speaker uses an address that somebody answers for, chosen by this number. */
  | { readonly type: "foreignHost"; readonly choice: number; readonly length: Millis }
  /** @property mayRenumber it may leave no pool for addresses in use */
  | { readonly type: "config"; readonly text: string; readonly mayRenumber?: boolean }
  /** Undefined: it is deleted. */
  | { readonly type: "service"; readonly name: string; readonly spec: ServiceSpec | undefined };

/** Which packets between a node and the router get lost. */
export type Cut = "both" | "toRouter" | "toNode";

/** A speaker's node, or a controller. */
export type Client = { readonly speaker: number } | { readonly controller: number };

export interface History {
  readonly seed: number;
  readonly nodes: number;
  readonly loss: number;
  /** The nodes whose speakers lack the capability NET_ADMIN; none where absent. */
  readonly withoutNetAdmin?: readonly number[];
  /** What is in force at the start, and put in force again in the end. */
  readonly config: string;
  readonly services: Readonly<Record<string, ServiceSpec>>;
  readonly acts: readonly { readonly at: Millis; readonly act: Act }[];
}

const pools = `address-pools:
- name: lan
  protocol: layer2
  addresses: [192.0.2.0-192.0.2.19, "2001:db8::-2001:db8::13"]
  preferred-nodes: [{weight: 100, match-labels: {edge: "true"}}]
- name: sticky
  protocol: layer2
  l2-placement: sticky
  preferred-nodes: [{weight: 100, match-labels: {edge: "true"}}]
  addresses: [192.0.2.32-192.0.2.51, "2001:db8::20-2001:db8::33"]
- name: routed
  protocol: bgp
  addresses: [198.51.100.0/28]
- name: both
  protocol: [layer2, bgp]
  addresses: [192.0.2.96/28]
- name: nic
  protocol: interface
  placement: lan
  addresses: [192.0.2.112/28]
- name: given
  protocol: none
  addresses: [203.0.113.0/28]
`;

/** Where each pool's addresses begin. */
const bases = {
  lan: "192.0.2.0",
  sticky: "192.0.2.32",
  routed: "198.51.100.0",
  both: "192.0.2.96",
  nic: "192.0.2.112",
  given: "203.0.113.0",
};

export const routerAddress = "10.0.255.1";
const holdSeconds = 9;
const restartSeconds = 20;
/** How long a router keeps routes through a neighbour that is gone, where it has no BFD. */
export const holdMs: Millis = (holdSeconds + restartSeconds) * 1000;

const peer = `peers:
- peer-address: ${routerAddress}
  peer-asn: 65002
  my-asn: 65001
  hold-time: ${holdSeconds}s
  graceful-restart-time: ${restartSeconds}s
`;

/** What is in force at the start: pools on layer 2, by BGP, by both, on NICs and for none, and a router. */
export const firstConfig = `${pools}${peer}`;
/** The same with BFD. */
export const bfdConfig = `${firstConfig}  bfd-profile: fast\nbfd-profiles: [{name: fast}]\n`;

const moreConfig = `${firstConfig.replace("peers:", "- name: more\n  protocol: layer2\n  addresses: [192.0.2.64/28]\npeers:")}`;
/** The addresses of one pool are others. */
export const movedConfig = firstConfig.replace("192.0.2.0-192.0.2.19", "192.0.2.128-192.0.2.147");
/** Refused: no YAML, an unknown field, and pools that addresses in use are in are gone. */
const refusedConfigs = [
  "address-pools: [",
  firstConfig.replace("my-asn", "my-asm"),
  firstConfig.slice(firstConfig.indexOf("peers:")),
];

// Less than half a minute, after which controllers lead alone.
const maxForbiddenMs: Millis = 29_000;

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
  const loss = [0, 0, 0.05, 0.1][draw.pick(4)] ?? 0;
  const config = draw.pick(2) === 0 ? firstConfig : bfdConfig;
  return { seed, nodes, loss, withoutNetAdmin: draw.pick(2) === 0 ? [] : draw.some(nodes), config, services, acts };
}

/** When the last of it is over. */
export function endOf({ acts }: History): Millis {
  return Math.max(0, ...acts.map(({ at, act }) => at + ("length" in act ? act.length : "off" in act ? (act.off ?? 0) : 0)));
}

class Draw {
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
      () => ({ type: this.pick(2) === 0 ? "exclude" : "edge", node, length: this.pick(10_000) }),
      () => ({ type: "stallController", index, length: this.pick(20_000) }),
      () => ({ type: "killController", index, length: this.pick(10_000) }),
      () => ({ type: "cut", parts: Array.from({ length: nodes }, () => this.pick(3)), length: this.#length() }),
      () => ({ type: "cutOneWay", from: this.some(nodes), to: this.some(nodes), length: this.#length() }),
      () => ({ type: "cutApi", of, length: this.pick(this.pick(3) === 0 ? 100_000 : 10_000) }),
      () => ({ type: "breakWatches", of }),
      () => ({ type: this.pick(2) === 0 ? "restartApi" : "compact" }),
      () => (this.pick(3) === 0 ? { type: "restore", age: this.pick(20_000) } : { type: "breakWatches", of }),
      () => ({ type: "foreignHost", choice: this.pick(1_000), length: this.#length() }),
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
      () => ({ type: this.pick(2) === 0 ? "earlierVersion" : "netAdmin", node, length: 5_000 + this.pick(20_000) }),
      () => ({
        type: "setClock",
        node,
        ahead: (this.pick(2) === 0 ? 1 : -1) * this.pick(this.pick(2) === 0 ? 5_000 : 3_600_000),
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
      (["lan", "sticky", "routed", "lan", "sticky", "routed", "both", "both", "given", "nic", "nic"] as const)[this.pick(11)] ??
      "lan";
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
    return { type: "forbid", what: this.pick(2) === 0 ? "leases" : "writes", length: this.pick(maxForbiddenMs) };
  }

  #away(): Millis {
    return this.pick(4) === 0 ? 31_000 + this.pick(10_000) : this.pick(this.pick(2) === 0 ? 300 : 6_000);
  }

  #length(): Millis {
    return this.pick(5) === 0 ? 20_000 + this.pick(20_000) : this.pick(8_000);
  }
}

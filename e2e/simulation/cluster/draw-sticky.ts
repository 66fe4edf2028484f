import type { Timed } from "#e2e/faults";
import type { Millis, Random } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import type { ServiceSpec } from "./api/objects.ts";
import { type Act, fairWeather, type History, stickyConfig, stickySubnetConfig } from "./history.ts";

const maxNodes = 6;
const addresses = 20; // In each family.
const rounds = 3;
// A fault lasts until somebody has noticed it.
const minMs: Millis = 200;
// Between two rounds: a cluster that found together again by then is seen at rest.
const roundMs: Millis = 12_000;
// One history of fifty keeps its first ended speaker away for minutes, which take long to simulate.
const longEvery = 50;

/**
 * A history of sticky addresses, drawn by its seed, by subnet where the seed is odd: speakers end, and come back after milliseconds, after seconds, and after the ring and the gossip
 * have forgotten them; cuts in two and three parts and in one direction, speakers that stand still, carriers that go, speakers that lose the API, and
 * changes of Services, which each speaker sees at its own time.
 */
export function drawSticky(seed: number): History {
  const draw = new StickyDraw(seededRandom(seed), seed % longEvery === 0);
  return { seed, ...draw.history(), config: seed % 2 === 0 ? stickyConfig : stickySubnetConfig };
}

class StickyDraw {
  readonly #random: Random;
  readonly #services = new Map<string, ServiceSpec>(); // As they are at the time of the next act.
  readonly #acts: Timed<Act>[] = [];
  #isLong: boolean;
  #nodes: readonly number[] = [];
  #at: Millis = 0;

  constructor(random: Random, isLong: boolean) {
    this.#random = random;
    this.#isLong = isLong;
  }

  history(): Omit<History, "seed" | "config"> {
    const nodes = 3 + this.#pick(maxNodes - 2);
    this.#nodes = Array.from({ length: nodes }, (_, node) => node);
    const loss = [0, 0.05, 0.1][this.#pick(3)] ?? 0;
    const maxTurnMs = [1, 1, 50][this.#pick(3)] ?? 1;
    for (let i = 0; i < 8; i++) {
      const wanted = [[v4(i), v6(i)], [v4(i)], [v4(i), v6(i)], [v6(i)]][i % 4]?.join();
      this.#services.set(`s${i}`, {
        pool: "sticky",
        isDual: false,
        wanted,
        sharing: undefined,
        port: 80,
        endpoints: this.#nodes,
        isLocal: false,
      });
    }
    const services = Object.fromEntries(this.#services);
    for (let round = 0; round < rounds; round++) {
      for (let acts = 1 + this.#pick(3); acts > 0; acts--) this.#act();
      this.#at += roundMs;
    }
    const weather = { ...fairWeather, watchLagMs: 3_000 };
    this.#acts.sort((a, b) => a.at - b.at);
    return { nodes, loss, maxTurnMs, weather, services, acts: this.#acts };
  }

  #act(): void {
    const node = this.#pick(this.#nodes.length);
    const act = [
      () =>
        this.#last({
          type: (["killSpeaker", "powerOff", "stopSpeaker"] as const)[this.#pick(3)] ?? "killSpeaker",
          node,
          length: this.#away(),
        }),
      () => this.#last({ type: this.#pick(2) === 0 ? "killSpeaker" : "powerOff", node, length: this.#away() }),
      () => this.#cut(),
      () => this.#cut(),
      () => this.#add({ type: "stallSpeaker", node, length: minMs + this.#pick(5_000) }),
      () => this.#last({ type: "unplug", node, length: minMs + this.#pick(3_000) }),
      () => this.#loseApi(),
      () => this.#change(),
      () => this.#change(),
      () => this.#change(),
    ];
    act[this.#pick(act.length)]?.();
    this.#at += this.#pick(3) === 0 ? this.#pick(6_000) : this.#pick(500);
  }

  #away(): Millis {
    if (this.#isLong) {
      this.#isLong = false;
      return 60_000 + this.#pick(600_000);
    }
    if (this.#pick(5) === 0) return 31_000 + this.#pick(10_000);
    return this.#pick(this.#pick(2) === 0 ? 300 : 5_000);
  }

  #cut(): void {
    const length = this.#pick(6) === 0 ? 20_000 + this.#pick(20_000) : minMs + this.#pick(8_000);
    const parts = 2 + this.#pick(2);
    if (this.#pick(2) === 0) this.#change(this.#pick(length));
    if (this.#pick(3) === 0) this.#last({ type: "cutOneWay", from: this.#some(), to: this.#some(), length });
    else this.#last({ type: "cut", parts: this.#nodes.map(() => this.#pick(parts)), length });
  }

  /** One speaker, or several, see no change in the API for some time. */
  #loseApi(): void {
    const length = this.#pick(6) === 0 ? 60_000 + this.#pick(30_000) : minMs + this.#pick(10_000);
    this.#change(this.#pick(length));
    for (const speaker of this.#some()) this.#add({ type: "cutApi", node: speaker, length });
    this.#at += length;
  }

  /** People want a Service to have other endpoints or addresses. @param after so long */
  #change(after: Millis = 0): void {
    const names = [...this.#services.keys()];
    const name = names[this.#pick(names.length)] ?? "";
    const service = this.#services.get(name);
    if (service === undefined) return;
    const spec = this.#changed(service);
    this.#services.set(name, spec);
    this.#add({ type: "service", name, spec }, after);
  }

  #changed(service: ServiceSpec): ServiceSpec {
    if (this.#pick(2) === 0) {
      const isLocal = this.#pick(4) > 0;
      return { ...service, isLocal, endpoints: isLocal ? this.#some() : this.#nodes };
    }
    const has = service.wanted?.split(",") ?? [];
    if (has.length === 2) return { ...service, wanted: has[this.#pick(2)] };
    const used = new Set([...this.#services.values()].flatMap(({ wanted = "" }) => wanted.split(",")));
    const all = Array.from({ length: addresses }, (_, i) => [v4(i), v6(i)]).flat();
    const free = all.filter((address) => !used.has(address));
    const added = free[this.#pick(free.length)] ?? "";
    return { ...service, wanted: this.#pick(2) === 0 ? added : [added, ...has].join() };
  }

  #add(act: Act, after: Millis = 0): void {
    this.#acts.push({ at: this.#at + after, act });
  }

  /** Nothing else begins before it is over. */
  #last(act: Act & { readonly length: Millis }): void {
    this.#add(act);
    this.#at += act.length;
  }

  #some(): number[] {
    return this.#nodes.filter(() => this.#pick(2) === 0);
  }

  #pick(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

function v4(i: number): string {
  return `192.0.2.${32 + i}`;
}

function v6(i: number): string {
  return `2001:db8::${(32 + i).toString(16)}`;
}

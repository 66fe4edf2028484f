import { type Millis, type Random, seededRandom } from "#pkg/clock";
import { ethernet, PlacementCluster, type SimulatedService } from "./placement-cluster.ts";

const pools = `- name: lan
  protocol: layer2
  l2-placement: sticky
  addresses: [192.0.2.0/24, "2001:db8::/112"]
`;
const maxNodes = 6;
const apiLagMs: Millis = 3_000;
// From when all is whole again, each has seen what the API has, and the members agree: so long an address may be at nobody or at two.
const handOverMs: Millis = 5_000;
// So long nothing moves after that.
const restMs: Millis = 2_000;
// Longer than the speakers take to find one another again after any cut.
const convergenceMs: Millis = 75_000;

/**
 * Some speakers with sticky addresses, and at random what can happen to them: kills and returns after seconds and after more than the
 * ring remembers, cuts in two and three parts and in one direction, stalls, carriers that go, lost packets, speakers that lose the API, and
 * changes in it that each speaker sees at its own time. One seed always gives the same course of events.
 */
export class StickyScenario {
  readonly #random: Random;
  readonly #cluster: PlacementCluster;
  readonly #nodes: number;
  readonly #done: string[] = [];
  readonly #stalledUntil = new Map<number, Millis>();
  readonly #withoutCarrier = new Set<number>();
  readonly #wrongSince = new Map<string, Millis>(); // address -> since when it is not where it should be
  /** Of the first that is killed: in one course of fifty, because minutes take long to simulate. */
  #isLong: boolean;
  #isCut = false;
  #calmSince: Millis = 0;
  /** Since when all know that all participate, which makes them give away what they have too much of. */
  #completeSince: Millis = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#isLong = seed % 50 === 0;
    this.#nodes = 3 + this.#pick(maxNodes - 2);
    const services = Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? [v4(i), v6(i)] : [i % 4 === 1 ? v4(i) : v6(i)]));
    const loss = [0, 0.05, 0.1][this.#pick(3)] ?? 0;
    const maxTurn = [1, 1, 50][this.#pick(3)] ?? 1;
    this.#cluster = new PlacementCluster({ seed, loss, pools, services, apiLag: apiLagMs, maxTurn });
    this.#done.push(`${this.#nodes} nodes, ${loss * 100} % lost, turns of up to ${maxTurn} ms`);
  }

  /** @returns what was wrong; undefined where nothing was */
  async run(): Promise<string | undefined> {
    await this.#cluster.start(...Array.from({ length: this.#nodes }, (_, node) => node));
    for (let round = 0; round < 3; round++) {
      for (let acts = 1 + this.#pick(3); acts > 0; acts--) await this.#act();
      const problem = await this.#settle();
      if (problem !== undefined) return `${problem}\n${this.#done.join(", ")}`;
    }
    return undefined;
  }

  async #act(): Promise<void> {
    const act = [
      () => this.#kill(),
      () => this.#kill(),
      () => this.#cut(),
      () => this.#cut(),
      () => this.#stall(),
      () => this.#carrier(),
      () => this.#loseApi(),
      () => this.#change(),
      () => this.#change(),
      () => this.#change(),
    ];
    await act[this.#pick(act.length)]?.();
    await this.#pass(this.#pick(3) === 0 ? this.#pick(6000) : this.#pick(500));
  }

  async #kill(): Promise<void> {
    const node = this.#running();
    if (node === undefined || this.#cluster.simulation.running.length < 2) return;
    const orderly = this.#pick(4) === 0;
    const away = this.#away();
    this.#done.push(`${orderly ? "stop" : "kill"} ${node} for ${away}`);
    if (orderly) await this.#cluster.stop(node);
    else this.#cluster.kill(node);
    await this.#pass(away);
    void this.#cluster.start(node);
    this.#calmSince = this.#cluster.simulation.now;
    this.#completeSince = this.#calmSince;
    this.#cluster.setInterfaces(node, this.#interfaces(node));
  }

  /** For how long a process is gone: while nobody has noticed, some seconds, longer than the ring remembers it, or than its gossip is kept. */
  #away(): Millis {
    if (this.#isLong) {
      this.#isLong = false;
      return 60_000 + this.#pick(600_000);
    }
    if (this.#pick(5) === 0) return 31_000 + this.#pick(10_000);
    return this.#pick(this.#pick(2) === 0 ? 300 : 5000);
  }

  async #cut(): Promise<void> {
    const { simulation } = this.#cluster;
    const nodes = Array.from({ length: this.#nodes }, (_, node) => node);
    const length = this.#pick(6) === 0 ? 20_000 + this.#pick(20_000) : this.#pick(8000);
    this.#isCut = true;
    if (this.#pick(3) === 0) {
      const [from, to] = [this.#some(nodes), this.#some(nodes)];
      this.#done.push(`nothing from ${from} to ${to} for ${length}`);
      simulation.cutOneWay(from, to);
    } else {
      const parts = 2 + this.#pick(2);
      const part = nodes.map(() => this.#pick(parts));
      this.#done.push(`cut ${part.join("")} for ${length}`);
      for (let i = 1; i < parts; i++) simulation.cutOff(nodes.filter((node) => part[node] === i));
    }
    if (this.#pick(2) === 0) {
      await this.#pass(this.#pick(length));
      await this.#change();
    }
    await this.#pass(length);
    simulation.heal();
    this.#isCut = false;
  }

  async #stall(): Promise<void> {
    const node = this.#running();
    if (node === undefined) return;
    const length = this.#pick(5000);
    this.#done.push(`stall ${node} for ${length}`);
    this.#cluster.stall(node, length);
    this.#stalledUntil.set(node, this.#cluster.simulation.now + length);
  }

  async #carrier(): Promise<void> {
    const node = this.#pick(this.#nodes);
    const length = this.#pick(3000);
    this.#done.push(`no carrier on ${node} for ${length}`);
    for (const running of [false, true]) {
      if (running) this.#withoutCarrier.delete(node);
      else this.#withoutCarrier.add(node);
      this.#cluster.setInterfaces(node, this.#interfaces(node));
      await this.#pass(length);
    }
  }

  /** One speaker, or several, see no change in the API for some time. */
  async #loseApi(): Promise<void> {
    const nodes = this.#some(this.#cluster.simulation.running);
    const length = this.#pick(6) === 0 ? 60_000 + this.#pick(30_000) : this.#pick(10_000);
    this.#done.push(`no API on ${nodes} for ${length}`);
    for (const node of nodes) this.#cluster.takeApi(node);
    this.#isCut = true;
    await this.#pass(this.#pick(length));
    await this.#change();
    await this.#pass(length);
    for (const node of nodes) this.#cluster.giveApi(node);
    this.#isCut = false;
  }

  /** Something about a Service is different in the API. */
  async #change(): Promise<void> {
    const services = [...this.#cluster.services()];
    const [name, service] = services[this.#pick(services.length)] ?? [];
    if (name === undefined || service === undefined) return;
    const changed = this.#changed(service);
    this.#done.push(`${name} is ${changed.ingress.join("+")} at ${changed.localTo ?? "all"}`);
    this.#cluster.setService(name, changed);
  }

  #changed(service: SimulatedService): SimulatedService {
    const nodes = Array.from({ length: this.#nodes }, (_, node) => node);
    if (this.#pick(2) === 0) return { ...service, localTo: this.#pick(4) === 0 ? undefined : this.#some(nodes) };
    const { ingress } = service;
    if (ingress.length === 2) return { ...service, ingress: this.#pick(4) === 0 ? ingress.slice(0, 1) : ingress.toReversed() };
    const free = Array.from({ length: 20 }, (_, i) => [v4(i), v6(i)])
      .flat()
      .filter((address) => ![...this.#cluster.services().values()].some((other) => other.ingress.includes(address)));
    const added = free[this.#pick(free.length)] ?? "";
    return { ...service, ingress: this.#pick(2) === 0 ? [added] : [added, ...ingress] };
  }

  /** Waits until all is quiet, and some time longer. */
  async #settle(): Promise<string | undefined> {
    const { simulation } = this.#cluster;
    const began = simulation.now;
    while (simulation.now - this.#calmSince < handOverMs + restMs) {
      const problem = await this.#pass(100);
      if (problem !== undefined) return problem;
      const restSince = Math.max(this.#calmSince, this.#completeSince) + handOverMs;
      const move = this.#cluster.moves.find(({ at }) => at > Math.max(restSince, began));
      if (move !== undefined)
        return `${move.address} moved while nothing happened, at ${move.at} ms\n${this.#cluster.explain(move.address)}`;
      if (simulation.now - began > convergenceMs + 2 * handOverMs) return `members do not agree: ${simulation.describe()}`;
    }
    return undefined;
  }

  async #pass(duration: Millis): Promise<string | undefined> {
    const { simulation } = this.#cluster;
    const end = simulation.now + duration;
    let problem: string | undefined;
    while (simulation.now < end) {
      await this.#cluster.pass(Math.min(100, end - simulation.now));
      problem ??= this.#check();
    }
    return problem;
  }

  #check(): string | undefined {
    const { now } = this.#cluster.simulation;
    const stalled = [...this.#stalledUntil.values()].some((until) => until > now);
    const calm = !this.#isCut && !stalled && now >= this.#cluster.apiSettledAt && this.#withoutCarrier.size === 0;
    if (!calm || !this.#cluster.isConverged()) this.#calmSince = now;
    if (this.#cluster.notParticipating().length > 0) this.#completeSince = now;
    const should = new Map<string, readonly number[]>(); // address -> nodes that may have it
    for (const service of this.#cluster.services().values())
      for (const address of service.ingress) should.set(address, this.#cluster.candidates(service));
    for (const [address, owners] of this.#cluster.owners()) {
      const may = should.get(address) ?? [];
      const [owner] = owners;
      const right = may.length === 0 ? owner === undefined : owners.length === 1 && owner !== undefined && may.includes(owner);
      if (right) this.#wrongSince.delete(address);
      else if (!this.#wrongSince.has(address)) this.#wrongSince.set(address, now);
      const since = this.#wrongSince.get(address);
      if (since !== undefined && now - Math.max(since, this.#calmSince) > handOverMs)
        return `at ${now} ms ${address} is at ${owners.length === 0 ? "nobody" : owners} of ${may} since ${since} ms\n${this.#cluster.explain(address)}`;
    }
    return undefined;
  }

  #interfaces(node: number) {
    return [ethernet("eth0", [], !this.#withoutCarrier.has(node))];
  }

  #running(): number | undefined {
    const { running } = this.#cluster.simulation;
    return running[this.#pick(running.length)];
  }

  #some(nodes: readonly number[]): number[] {
    return nodes.filter(() => this.#pick(2) === 0);
  }

  #pick(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

function v4(i: number): string {
  return `192.0.2.${i + 1}`;
}

function v6(i: number): string {
  return `2001:db8::${(i + 1).toString(16)}`;
}

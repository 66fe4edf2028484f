import { setTimeout as sleep } from "node:timers/promises";
import type { Sample } from "#e2e/ownership";
import type { Millis } from "#pkg/clock";
import type { Asked } from "./asker.ts";
import { addressesOf, gracefulRestartSeconds, holdTimeSeconds, type Target, type TargetNode } from "./targets/target.ts";

/** What is known of the faults, for the judgment of what is seen. */
export interface Known {
  now(): Millis;
  /** Whether a node's speaker may not run, stand still, or not be on the LAN. */
  mayBeGone(node: number): boolean;
  /** Since when that is so for certain. */
  goneSince(node: number): Millis | undefined;
  /** Whether packets between two nodes are dropped. */
  isCut(a: number, b: number): boolean;
  /** Since when the router runs; undefined while it does not. */
  readonly routerSince: Millis | undefined;
}

// A router deletes a route within a second of its deadline, and is looked at once a second.
const maxRouteMs: Millis = (holdTimeSeconds + gracefulRestartSeconds + 3) * 1_000;
const lookMs = 1_000;
const lineMs = 200;

interface Conflict {
  readonly address: string;
  readonly other: { readonly mac: string };
}

/** What was known of the nodes at a moment. */
interface Moment extends Pick<Sample, "at" | "hears" | "members"> {
  /** Nodes that may not announce anything yet. */
  readonly waiting: ReadonlySet<string>;
}

/** Watches a target from outside: who answers on the LAN, the router's kernel, the objects of the API, and a client. */
export class Observer {
  readonly samples: Sample[] = [];
  /** What must not be, besides what samples show. */
  readonly faults: string[] = [];
  readonly requests = new Map<string, { sent: number; failed: number }>(); // Service -> of the client
  readonly #target: Target;
  readonly #known: Known;
  readonly #beganAt: number;
  readonly #members = new Map<string, readonly string[]>(); // node -> those it takes for active; none while it does not say
  readonly #waiting = new Set<string>(); // nodes whose speakers have just started, and have not met those whose Pods are Ready
  readonly #macs: ReadonlyMap<string, string>; // MAC address -> node
  readonly #moments: Moment[] = []; // since the last sample
  #isOver = false;

  /** @param beganAt when the run began, as `monotonicNow` has it */
  constructor(target: Target, known: Known, beganAt: number) {
    this.#target = target;
    this.#known = known;
    this.#beganAt = beganAt;
    this.#macs = new Map(target.nodes.map(({ name, mac }) => [mac, name]));
  }

  /** Watches until `stop` is called. */
  async watch(): Promise<void> {
    const { nodes, services } = this.#target;
    const each = [...services].map(([name, address]) => this.#every(lookMs / 2, () => this.#request(name, address)));
    await Promise.all([
      this.#every(lineMs, () => this.#readLines()),
      this.#every(lookMs, () => this.#lookAtRouter()),
      this.#every(lookMs, () => this.#lookAtApi()),
      ...nodes.map((node) => this.#every(lookMs, () => this.#askMembers(node))),
      ...nodes.map((node) => this.#every(lookMs, () => this.#askWhetherItWaits(node))),
      ...each,
    ]);
  }

  stop(): void {
    this.#isOver = true;
  }

  /** Whether all is as it is to be where nothing is wrong; else what is not. */
  async unsettled(): Promise<string | undefined> {
    const last = this.samples.at(-1);
    const { nodes, services } = this.#target;
    const names = nodes
      .map(({ name }) => name)
      .sort()
      .join();
    for (const [node, members] of this.#members)
      if (members.toSorted().join() !== names) return `${node} takes ${members.join(", ") || "nobody"} for members`;
    for (const [address, all] of last?.answers ?? [])
      if (all.length !== 1) return `${all.join(" and ") || "nobody"} answers for ${address}`;
    for (const node of nodes) {
      const { conflicts } = (await node.ask("/v1/conflicts")) as { conflicts: Conflict[] };
      for (const { address, other } of conflicts) return `${node.name} takes ${other.mac} for another host that has ${address}`;
    }
    const hops = await this.#nextHops();
    if (hops.length !== nodes.length) return `the router has routes by ${hops.join(", ") || "nobody"}`;
    for (const [name, address] of services) if (!(await this.#answers(address))) return `${name} does not answer`;
    return undefined;
  }

  async #every(interval: Millis, look: () => Promise<void> | void): Promise<void> {
    while (!this.#isOver) {
      try {
        await look();
      } catch {
        // The API, the router or a speaker is away, maybe on purpose: what has to be there is asked for in the end.
      }
      await sleep(interval);
    }
  }

  async #readLines(): Promise<void> {
    this.#moments.push(this.#moment());
    for (const asked of await this.#target.asked()) this.#sample(asked);
  }

  #moment(): Moment {
    const { nodes } = this.#target;
    const isSeen = ({ name }: TargetNode, index: number) =>
      !this.#known.mayBeGone(index) && (this.#members.get(name)?.length ?? 0) > 0;
    const seen = nodes.flatMap((node, index) => (isSeen(node, index) ? [{ name: node.name, index }] : []));
    const hears = new Map(
      seen.map(({ name, index }) => {
        const others = seen.filter((other) => other.index !== index && !this.#known.isCut(index, other.index));
        return [name, others.map((other) => other.name)] as const;
      }),
    );
    return { at: this.#known.now(), hears, members: new Map(this.#members), waiting: new Set(this.#waiting) };
  }

  /** Judged by what was known when it was asked: answers are waited for. */
  #sample({ at: askedAt, answers }: Asked): void {
    const at = askedAt - this.#beganAt;
    const later = this.#moments.findIndex((moment) => moment.at > at);
    this.#moments.splice(0, (later < 0 ? this.#moments.length : later) - 1);
    const [moment] = this.#moments;
    if (moment === undefined) return;
    const named = Object.entries(answers).map(
      ([address, macs]) => [address, macs.map((mac) => this.#macs.get(mac) ?? mac)] as const,
    );
    const able = this.#target.nodes.map(({ name }) => name).filter((name) => !moment.waiting.has(name));
    this.samples.push({
      at,
      answers: new Map(named),
      candidates: new Map(named.map(([address]) => [address, able])),
      hears: moment.hears,
      members: moment.members,
      owners: new Map(),
    });
  }

  async #askMembers(node: TargetNode): Promise<void> {
    try {
      const { members } = (await node.ask("/v1/members")) as { members: { node: string; active: boolean }[] };
      this.#members.set(
        node.name,
        members.flatMap(({ node, active }) => (active ? [node] : [])),
      );
    } catch {
      this.#members.set(node.name, []);
    }
  }

  async #askWhetherItWaits({ name, ask }: TargetNode): Promise<void> {
    let waits = false; // One that does not say, as versions of before do not, could announce.
    try {
      const { verdicts } = (await ask("/v1/node")) as { verdicts: { cause: string }[] };
      waits = verdicts.some(({ cause }) => cause === "waiting");
    } finally {
      if (waits) this.#waiting.add(name);
      else this.#waiting.delete(name);
    }
  }

  async #nextHops(): Promise<string[]> {
    const { router, routed, nodes } = this.#target;
    const hops = await router.nextHops(routed);
    return hops.map((address) => nodes.find((node) => node.addresses.includes(address))?.name ?? address);
  }

  async #lookAtRouter(): Promise<void> {
    const { routerSince } = this.#known;
    if (routerSince === undefined) return;
    const hops = await this.#nextHops();
    for (const [index, { name }] of this.#target.nodes.entries()) {
      const gone = this.#known.goneSince(index);
      if (gone === undefined || !hops.includes(name)) continue;
      const lasted = this.#known.now() - Math.max(gone, routerSince);
      if (lasted > maxRouteMs)
        this.#fault(`the router has a route by ${name}, which is gone for ${Math.round(lasted / 1_000)} s`);
    }
  }

  async #lookAtApi(): Promise<void> {
    const { api, services } = this.#target;
    for (const [name, address] of services) {
      const now = await addressesOf(api, name);
      if (now.join() !== address)
        this.#fault(`${name} had ${address} and has ${now.join() || "nothing"}, although nobody changed it`);
    }
  }

  async #request(name: string, address: string): Promise<void> {
    const counts = this.requests.get(name) ?? { sent: 0, failed: 0 };
    this.requests.set(name, counts);
    counts.sent++;
    if (!(await this.#answers(address))) counts.failed++;
  }

  async #answers(address: string): Promise<boolean> {
    try {
      return (await this.#target.request(address)) === 200;
    } catch {
      return false;
    }
  }

  #fault(text: string): void {
    const at = `${(this.#known.now() / 1_000).toFixed(1)} s: `;
    if (!this.faults.some((fault) => fault.replace(/^[\d.]+ s: /, "").replaceAll(/\d+ s/g, "") === text.replaceAll(/\d+ s/g, "")))
      this.faults.push(`${at}${text}`);
  }
}

import { setTimeout as sleep } from "node:timers/promises";
import type { Sample } from "#e2e/ownership";
import type { Millis } from "#pkg/clock";
import type { ArpAnswers } from "./asker.ts";
import type { Known } from "./known.ts";
import { addressesOf, holdersOf, type Target, type TargetNode } from "./targets/target.ts";

const lookMs = 1_000;
const lineMs = 200;
// An asker on the LAN reports at least once a second, a second late.
const maxSilenceMs: Millis = 5_000;
// From when a speaker answers: it has its session within 5 s, on a busy machine in more.
const maxReturnMs: Millis = 15_000;

interface Conflict {
  readonly address: string;
  readonly other: { readonly mac: string };
}

/** How often something was looked at where it had to answer, and how many of these looks failed. */
export interface Looks {
  readonly made: number;
  readonly failed: number;
}

interface Look {
  /** For people. */
  readonly at: string;
  readonly interval: Millis;
  /** The subject that has to be left alone for the look to succeed, as `subjectOf` names it; undefined for none. */
  readonly subject: string | undefined;
  readonly look: () => Promise<void>;
}

/** Knowledge about the nodes at a moment. */
interface Moment extends Pick<Sample, "at" | "hears" | "members"> {
  /** Nodes that may not announce anything yet. */
  readonly waiting: ReadonlySet<string>;
}

/**
 * Whether another node answers that this one does not hear in the ring: cuts drop IP alone, so that it hears that one by ARP, and of two such nodes one
 * answers (docs/layer2.md).
 */
function isLeftToOther(node: string, answering: readonly string[], { hears }: Moment): boolean {
  const heard = hears.get(node);
  return heard !== undefined && answering.some((other) => other !== node && hears.has(other) && !heard.includes(other));
}

/**
 * The node's own addresses, where no connected route has one of them as its source. Undefined where a route does, or there is no address, or the link
 * is down, as on a node without power.
 */
export function whyNoNetwork(
  links: readonly {
    readonly flags?: readonly string[];
    readonly addr_info?: readonly { readonly local: string; readonly family: string; readonly prefixlen: number }[];
  }[],
  routes: readonly { readonly dev?: string; readonly protocol?: string; readonly prefsrc?: string }[],
): string | undefined {
  const own = links
    .filter(({ flags }) => flags === undefined || flags.includes("UP"))
    .flatMap(({ addr_info: all = [] }) => all)
    .filter(({ family, prefixlen }) => family === "inet" && prefixlen < 32)
    .map(({ local }) => local);
  const connected = routes.filter(({ dev, protocol }) => dev === "eth0" && protocol === "kernel");
  if (own.length === 0 || connected.some(({ prefsrc = "" }) => own.includes(prefsrc))) return undefined;
  return `no connected route has ${own.join(" or ")} as its source`;
}

/** Watches a target from outside: who answers on the LAN, the router's kernel, the objects of the API, and a client. */
export class Observer {
  readonly samples: Sample[] = [];
  /** Faults besides those that samples show. */
  readonly faults: string[] = [];
  readonly requests = new Map<string, { sent: number; failed: number }>(); // Service -> of the client
  readonly looks = new Map<string, Looks>(); // what was looked at -> looks
  readonly #target: Target;
  readonly #known: Known;
  readonly #beganAt: number;
  readonly #members = new Map<string, readonly string[]>(); // node -> those it takes for active; none while it does not say
  readonly #heardSince = new Map<string, Millis>(); // node -> since when its speaker has answered each look
  readonly #withoutNetwork = new Map<string, string>(); // node -> why it had none at the last look
  readonly #waiting = new Set<string>(); // nodes whose speakers have just started, and have not met those whose Pods are Ready
  readonly #macs: ReadonlyMap<string, string>; // MAC address -> node
  readonly #moments: Moment[] = []; // since the last sample
  readonly #all: readonly Look[];
  #toldAt: Millis = 0; // when who asks on the LAN said something last
  #isOver = false;

  /** @param beganAt when the run began, as `monotonicNow` has it */
  constructor(target: Target, known: Known, beganAt: number) {
    this.#target = target;
    this.#known = known;
    this.#beganAt = beganAt;
    this.#macs = new Map(target.nodes.map(({ name, mac }) => [mac, name]));
    this.#all = [
      { at: "the LAN", interval: lineMs, subject: undefined, look: () => this.#readLines() },
      { at: "the router", interval: lookMs, subject: "router", look: () => this.#lookAtRouter() },
      { at: "the API", interval: lookMs, subject: "control plane", look: () => this.#lookAtApi() },
      ...target.nodes.flatMap((node): Look[] => [
        { at: "speakers", interval: lookMs, subject: node.name, look: () => this.#askMembers(node) },
        { at: "speakers", interval: lookMs, subject: node.name, look: () => this.#askWhetherItWaits(node) },
        { at: "nodes' routes", interval: lookMs, subject: undefined, look: () => this.#lookAtRoutes(node) },
      ]),
    ];
    for (const { at } of this.#all) this.looks.set(at, { made: 0, failed: 0 });
  }

  /** Watches until `stop` is called. */
  async watch(): Promise<void> {
    const { services } = this.#target;
    await Promise.all([
      ...this.#all.map((look) => this.#every(look.interval, () => this.#look(look))),
      ...[...services].map(([name, address]) => this.#every(lookMs / 2, () => this.#request(name, address))),
    ]);
  }

  /** Looks at everything once. */
  async lookOnce(): Promise<void> {
    await Promise.all(this.#all.map((look) => this.#look(look)));
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
    for (const [address, hops] of await this.#nextHops())
      if (hops.length !== nodes.length) return `the router has routes to ${address} by ${hops.join(", ") || "nobody"}`;
    for (const [name, address] of services) if (!(await this.#answers(address))) return `${name} does not answer`;
    return undefined;
  }

  async #every(interval: Millis, look: () => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      await look();
      await sleep(interval);
    }
  }

  /** A look that fails during an act on its subject does not count. */
  async #look({ at, subject, look }: Look): Promise<void> {
    const isTouched = () => subject !== undefined && this.#known.isTouched(subject);
    const wasTouched = isTouched();
    let failed = 0;
    try {
      await look();
    } catch {
      if (wasTouched || isTouched()) return;
      failed = 1;
    }
    const looks = this.looks.get(at) ?? { made: 0, failed: 0 };
    this.looks.set(at, { made: looks.made + 1, failed: looks.failed + failed });
  }

  async #readLines(): Promise<void> {
    this.#moments.push(this.#moment());
    const all = await this.#target.asked();
    if (all.length > 0) this.#toldAt = this.#known.now();
    for (const asked of all) this.#sample(asked);
    if (this.#known.now() - this.#toldAt > maxSilenceMs) throw new Error("Nobody says any more who answers on the LAN");
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

  /** Judged by the knowledge at the time of the question, because answers take time. */
  #sample({ at: askedAt, answers }: ArpAnswers): void {
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
      candidates: new Map(
        named.map(([address, answering]) => [address, able.filter((node) => !isLeftToOther(node, answering, moment))]),
      ),
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
      if (!this.#heardSince.has(node.name)) this.#heardSince.set(node.name, this.#known.now());
    } catch (error) {
      this.#members.set(node.name, []);
      this.#heardSince.delete(node.name);
      throw error;
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

  /** By which nodes the router has routes: address -> their names. */
  async #nextHops(): Promise<Map<string, string[]>> {
    const { router, routed, nodes } = this.#target;
    const nameOf = (hop: string) => nodes.find((node) => node.addresses.includes(hop))?.name ?? hop;
    const found = new Map<string, string[]>();
    for (const address of routed) found.set(address, (await router.nextHops(address)).map(nameOf));
    return found;
  }

  async #lookAtRouter(): Promise<void> {
    const lookedAt = this.#known.now();
    const byAddress = await this.#nextHops();
    const hops = new Set([...byAddress.values()].flat());
    for (const [index, { name }] of this.#target.nodes.entries()) {
      const since = Math.max(this.#known.isDueSince(index) ?? Infinity, this.#heardSince.get(name) ?? Infinity);
      const without = [...byAddress].flatMap(([address, by]) => (by.includes(name) ? [] : [address]));
      if (lookedAt - since > maxReturnMs && without.length > 0)
        this.#fault(
          `the router has no route by ${name} to ${without.join(" and ")}, although nothing that it may take for a failure was done`,
        );
      const gone = this.#known.gone(index);
      if (gone === undefined || !hops.has(name) || lookedAt <= gone.noRouteFrom) continue;
      const [lasted, bound] = [lookedAt, gone.noRouteFrom].map((at) => Math.round((at - gone.since) / 1_000));
      this.#fault(`the router has a route by ${name}, which is gone for ${lasted} s, and may have it for ${bound} s`);
    }
  }

  async #lookAtApi(): Promise<void> {
    const { api, services } = this.#target;
    for (const [address, names] of await holdersOf(api))
      if (names.length > 1) this.#fault(`${address} is at ${names.join(" and ")}, which do not share it`);
    for (const [name, address] of services) {
      const now = await addressesOf(api, name);
      if (now.join() !== address)
        this.#fault(`${name} had ${address} and has ${now.join() || "nothing"}, although nobody changed it`);
    }
  }

  /** Whether the node has its network: a second after each change. */
  async #lookAtRoutes({ name, run }: TargetNode): Promise<void> {
    const last = this.#withoutNetwork.get(name);
    const [links, routes] = [await run(["ip", "-json", "address", "show", "dev", "eth0"]), await run(["ip", "-json", "route"])];
    const why = whyNoNetwork(JSON.parse(links), JSON.parse(routes));
    if (why === undefined) this.#withoutNetwork.delete(name);
    else this.#withoutNetwork.set(name, why);
    if (why !== undefined && why === last) this.#fault(`${name} lost its network: ${why}`);
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

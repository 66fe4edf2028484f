import type { Millis } from "#pkg/clock";
import { parseAddress } from "#pkg/net";
import { endpointsFor, namespace } from "../api/objects.ts";
import { type Act, fairWeather, type History, unkeptPool } from "../history.ts";
import { startMs } from "../run.ts";
import type { SimulatedCluster } from "../simulated-cluster.ts";
import { nodeAddresses, type SpeakerProcess } from "../speaker-process.ts";
import type { Judge } from "./judge.ts";
import { poolOf } from "./promised.ts";

/** A client of the LAN hears after so long that another node answers for an address. */
const clients: readonly { readonly mac: string; readonly lateMs: Millis }[] = [
  { mac: "02:00:00:00:ee:03", lateMs: 1 },
  { mac: "02:00:00:00:ee:01", lateMs: 100 },
  { mac: "02:00:00:00:ee:02", lateMs: 2_500 },
];
const openEveryMs: Millis = 1_500;
const maxOfClient = 6; // To each address.
const briefMs: Millis = 1_000;
// So long after a move the first clients send to the new owner: until then each check follows their packets, later one of a few does.
const freshMs: Millis = 1_000;
const restEveryMs: Millis = 100;
// By then the last client has heard of a move, and has sent to the new owner.
const heardMs: Millis = 3_000;
const maxHandoverMs: Millis = 600_000;
// Nodes hand on to one whose speaker failed for 10 s, and it takes some time to begin.
const briefKillMs: Millis = 6_000;
// Packets wait for so long for a node that others call failed although it lives; they find out in some hundred milliseconds.
const briefStallMs: Millis = 800;
// The effect of a fault on connections may be seen so long after it.
const afterFaultMs: Millis = 5_000;
// A ring with a speaker of an earlier version finds failures in some 6 s.
const afterFaultInLanMs: Millis = 8_000;
// A node that lost the API leaves new addresses to others from then on.
const behindMs: Millis = 2_000;
// Two nodes that exchange their addresses find each other again within so long.
const exchangeMs: Millis = 15_000;
// Others hand nothing to a node that could not deliver, until it has been well for so long.
const distrustMs: Millis = 30_000;
// A speaker that began so long ago may know of no former owner.
const beginningMs: Millis = 30_000;
// Owners of addresses are settled so long after something happened.
const settledMs: Millis = 5_000;
// Addresses stay where they are, or have a Service no longer; those of `Local` Services follow their endpoints.
const moveNothing: readonly Act["type"][] = ["service", "stopController", "deleteLease", "deleteConfig"];
const losesApi: readonly Act["type"][] = ["breakWatches", "restartApi"];
const planned: readonly Act["type"][] = [
  "exclude",
  "drain",
  "edge",
  "rollOut",
  "stopSpeaker",
  "otherVersion",
  "endThread",
  "weather",
  "breakWatches",
  "restartApi",
  "compact",
  "cordon",
  ...moveNothing,
];

interface Connection {
  readonly id: number;
  readonly address: string;
  /** The Services that had the address. */
  readonly services: readonly string[];
  readonly client: number;
  /** The node whose kernel knows it. */
  readonly holder: number;
  readonly openedAt: Millis;
  /** A node that keeps an address for itself forever would keep all: some go on for long, others end. */
  readonly endsAt: Millis;
}

interface Owner {
  readonly at: Millis;
  /** When the owner before left it. */
  readonly leftAt: Millis;
  readonly node: number;
  /** The owner before was away, and for some time no other node could own it. */
  readonly isLate: boolean;
  /**
   * Two things changed in the second before it, or one while its speaker began. Nodes that see them at different times hand over to nodes that never owned
   * the address.
   */
  readonly isCrowded: boolean;
  /** It took the address while the configuration kept no connections. */
  readonly isUnkept: boolean;
}

interface Fault {
  readonly type: Act["type"];
  readonly from: Millis;
  /** Until when its effects on connections may be seen. */
  readonly to: Millis;
  readonly length: Millis;
  /** The nodes that it befalls; undefined for all. */
  readonly nodes: readonly number[] | undefined;
}

/** Where a packet of a connection ends, by the nodes' rules. */
type End = { readonly type: "delivered" | "lost" } | { readonly type: "reset" | "loop"; readonly path: string };

/**
 * Clients open connections to all addresses, and go on with them: at each moment a packet of each is followed through the rules of the nodes' kernels.
 * It never comes twice to a node from the same one. It comes to the node that knows its connection, unless a fault befell a node that owned the address since
 * the connection began, or it moved more than ten minutes ago. No node hands over for longer.
 */
export class KeptConnections implements Judge {
  problem: string | undefined;
  /** Connections so far, packets that nodes handed on, and connections that faults broke. */
  readonly counts = { opened: 0, handedOn: 0, broken: 0 };
  /** Broken connections by what excuses them. */
  readonly excuses = new Map<string, number>();
  readonly checkEveryMs: Millis = 25;
  readonly #faults: readonly Fault[];
  /** Nodes see what happens at different times, the last of them after so long. */
  readonly #seenWithinMs: Millis;
  /** When something began or ended. */
  readonly #times: readonly Millis[];
  /** When speakers began to stand still for a moment. */
  readonly #briefStalls: Millis[] = [];
  /** When a speaker ends, and one of another version begins. */
  readonly #newcomers: readonly { readonly at: Millis; readonly node: number }[];
  readonly #connections = new Map<number, Connection>();
  readonly #believed = new Map<string, number>(); // client and address -> the node that it sends to
  readonly #named = new Map<string, ReadonlySet<string>>(); // address -> the Services that have it
  readonly #forgotten = new Map<string, Millis>(); // address -> when it had no Service, or no more the same ones
  readonly #livedBefore = new Set<string>(); // addresses that other Services had: nodes may still have connections of theirs
  readonly #opened = new Map<string, Millis>(); // client and address -> when it opened its last connection
  readonly #owners = new Map<string, Owner[]>(); // address -> its owners, one after the other
  readonly #heard: number[] = clients.map(() => 0); // client -> how many announcements it has heard
  #noted = 0;
  readonly #unkeptUntil = new Map<string, Millis>(); // pool -> until when the configuration kept none of its connections
  /** Nodes whose speakers were away at once, and until when. One that begins then cannot know that the other had an address. */
  readonly #severalAway: { to: Millis; readonly nodes: Set<number> }[] = [];
  readonly #hasBegun = new Set<number>(); // nodes whose first speaker has begun
  readonly #awaySince = new Map<number, Millis>(); // node -> since when it has no speaker
  readonly #awayUntil = new Map<number, Millis>(); // node -> until when it had none
  #id = 0;

  constructor({ acts, weather = fairWeather }: History) {
    this.#seenWithinMs = weather.watchLagMs + briefMs;
    this.#times = acts
      .filter(({ act }) => !moveNothing.includes(act.type) || (act.type === "service" && act.spec?.isLocal === true))
      .flatMap(({ at, act }) =>
        "length" in act ? [at, at + act.length] : losesApi.includes(act.type) ? [at, at + behindMs] : [at],
      )
      .map((at) => at + startMs);
    this.#newcomers = acts.flatMap(({ at, act }) =>
      act.type === "otherVersion" ? [0, act.length].map((after) => ({ at: startMs + at + after, node: act.node })) : [],
    );
    const isLan = (when: Millis) =>
      acts.some(({ at, act }) => act.type === "otherVersion" && when >= at && when <= at + act.length);
    this.#faults = acts.flatMap(({ at, act }) => {
      if (planned.includes(act.type)) return [];
      const length = "length" in act ? act.length : 0;
      if (act.type === "stallSpeaker" && this.#isBriefStall(startMs + at, length)) {
        this.#briefStalls.push(startMs + at);
        return [];
      }
      const nodes = "node" in act && act.type !== "changeAddress" ? [act.node] : "nodes" in act ? act.nodes : undefined;
      const isExchange = act.type === "changeAddress" && act.from !== undefined;
      const seen = isLan(at) ? afterFaultInLanMs : afterFaultMs;
      const after = act.type === "breakPath" ? distrustMs : isExchange ? exchangeMs : seen;
      return [{ type: act.type, from: startMs + at, to: startMs + at + length + after, length, nodes }];
    });
  }

  changed(): void {}

  isAtRest(): boolean {
    return false;
  }

  checkAtRest(): string | undefined {
    return this.problem;
  }

  check(cluster: SimulatedCluster): void {
    const problem = this.#check(cluster);
    if (problem !== undefined) this.problem ??= `at ${cluster.now} ms: ${problem}`;
  }

  #check(cluster: SimulatedCluster): string | undefined {
    for (const pool of unkeptPools(cluster)) this.#unkeptUntil.set(pool, cluster.now);
    this.#hear(cluster);
    for (const [node, speaker] of cluster.speakers) if (!isAway(speaker)) this.#hasBegun.add(node);
    // Before its first speaker has begun, a node owned nothing that others could not know of.
    const away = [...cluster.speakers].flatMap(([node, speaker]) => (this.#hasBegun.has(node) && isAway(speaker) ? [node] : []));
    if (away.length > 1) this.#noteSeveralAway(away, cluster.now);
    for (const node of cluster.speakers.keys()) if (!away.includes(node)) this.#awaySince.delete(node);
    for (const node of away) {
      this.#awaySince.set(node, this.#awaySince.get(node) ?? cluster.now);
      this.#awayUntil.set(node, cluster.now);
    }
    const kept = cluster.people.services.entries().filter(([, { pool }]) => pool !== unkeptPool);
    const of = kept.flatMap(([name, spec]) => cluster.people.status(name).map((address) => ({ address, name, spec })));
    const addresses = Map.groupBy(of, ({ address }) => address);
    // Clients that sent to a node before ask again: else some would open connections at a node that has not owned the new life at all.
    for (const [address, names] of this.#named)
      if (addresses.get(address)?.some(({ name }) => names.has(name)) !== true) {
        this.#forgetOwner(address, cluster.now);
        this.#livedBefore.add(address);
      }
    for (const [address, services] of addresses) {
      if (!this.#named.has(address)) this.#forgetOwner(address, cluster.now);
      this.#named.set(address, new Set(services.map(({ name }) => name)));
    }
    for (const connection of this.#connections.values()) {
      const known = cluster.machines.connections(connection.holder).known;
      // Without a Service there is no address, and another one gets a new life. Under `Local` the Pod is on the node.
      const isServed = addresses
        .get(connection.address)
        ?.some(
          ({ name, spec }) =>
            connection.services.includes(name) &&
            (!spec.isLocal || endpointsFor(spec, connection.address).includes(connection.holder)),
        );
      if (cluster.now >= connection.endsAt || isServed !== true) {
        known.delete(connection.id);
        this.#connections.delete(connection.id);
        continue;
      }
      const movedAt = this.#owners.get(connection.address)?.at(-1)?.at ?? 0;
      if (cluster.now % restEveryMs > 0 && cluster.now > movedAt + freshMs) continue;
      const end = this.#follow(cluster, connection);
      if (end.type === "loop") return `a packet to ${connection.address} goes round: ${end.path}`;
      if (end.type !== "reset") continue;
      // Its machine was off, or forgot all connections.
      const isForgotten = !known.delete(connection.id);
      this.#connections.delete(connection.id);
      const excuse = isForgotten ? "forgotten" : this.#excuse(cluster, connection);
      this.excuses.set(`${excuse}`, (this.excuses.get(`${excuse}`) ?? 0) + 1);
      if (excuse === undefined)
        return `a connection to ${connection.address} that node-${connection.holder} knows since ${connection.openedAt} ms is reset: ${end.path}; owners ${JSON.stringify(this.#owners.get(connection.address))}`;
      this.counts.broken++;
    }
    for (const [address, services] of addresses) {
      const names = services.map(({ name }) => name);
      for (const client of clients.keys()) this.#open(cluster, client, address, names);
    }
    return this.#checkEnds(cluster);
  }

  /** Another life of the address begins. Clients hear no more of who owned it before. */
  #forgetOwner(address: string, now: Millis): void {
    this.#named.delete(address);
    this.#owners.delete(address);
    this.#forgotten.set(address, now);
    for (const client of clients.keys()) this.#believed.delete(`${client} ${address}`);
  }

  /** Whether a speaker stands still for a moment, in which nothing else happens. */
  #isBriefStall(from: Millis, length: Millis): boolean {
    const near = this.#times.filter((at) => at >= from - briefMs && at <= from + length + briefMs);
    return length <= briefStallMs && near.length === 2; // Its own two.
  }

  #noteSeveralAway(away: readonly number[], now: Millis): void {
    const last = this.#severalAway.at(-1);
    const isSame = last !== undefined && away.length === last.nodes.size && away.every((node) => last.nodes.has(node));
    if (isSame) last.to = now;
    else this.#severalAway.push({ to: now, nodes: new Set(away) });
  }

  /** Clients hear, each after its time, who answers. */
  #hear({ announcements, moves, now }: SimulatedCluster): void {
    for (; this.#noted < announcements.length; this.#noted++) {
      const { at = 0, node = 0, address = "" } = announcements[this.#noted] ?? {};
      const owners = this.#owners.get(address) ?? [];
      const last = owners.at(-1)?.node;
      const isLate = last !== undefined && at > (this.#awaySince.get(last) ?? Infinity) + heardMs;
      const near = this.#times.filter((time) => time <= at && time > at - this.#seenWithinMs).length;
      const hasBegun = at < (this.#awayUntil.get(node) ?? -Infinity) + settledMs;
      const isCrowded = near + (hasBegun ? 1 : 0) > 1;
      const left = moves.findLast((move) => move.address === address && move.node === last && move.at <= at);
      const leftAt = left?.on === false ? left.at : at;
      const isUnkept = at <= (this.#unkeptUntil.get(poolOf(address)) ?? -Infinity) + this.#seenWithinMs;
      if (last !== node) this.#owners.set(address, [...owners, { at, leftAt, node, isLate, isCrowded, isUnkept }]);
    }
    for (const [client, { lateMs }] of clients.entries())
      for (let heard = this.#heard[client] ?? 0; heard < announcements.length; heard++) {
        const { at = Infinity, node = 0, address = "" } = announcements[heard] ?? {};
        if (at + lateMs > now) break;
        if (at >= (this.#forgotten.get(address) ?? 0)) this.#believed.set(`${client} ${address}`, node);
        this.#heard[client] = heard + 1;
      }
  }

  #open(cluster: SimulatedCluster, client: number, address: string, services: readonly string[]): void {
    const { now } = cluster;
    const key = `${client} ${address}`;
    const node = this.#believed.get(key);
    if (node === undefined || now < (this.#opened.get(key) ?? 0) + openEveryMs || !cluster.machines.isOn(node)) return;
    const own = this.#connections.values().filter((one) => one.client === client && one.address === address);
    if (own.take(maxOfClient).toArray().length === maxOfClient) return;
    this.#opened.set(key, now);
    const id = ++this.#id;
    const lastsMs = id % 3 === 0 ? Infinity : (id % 7) * 4_000;
    this.#connections.set(id, { id, address, services, client, holder: node, openedAt: now, endsAt: now + lastsMs });
    cluster.machines.connections(node).known.set(id, address);
    this.counts.opened++;
  }

  #follow(cluster: SimulatedCluster, { id, address: text, client, holder }: Connection): End {
    let node = this.#believed.get(`${client} ${text}`) ?? holder;
    let mac = clients[client]?.mac ?? "";
    const path: string[] = [];
    for (;;) {
      if (!cluster.machines.isOn(node)) return { type: "lost" };
      const hop = `node-${node} from ${mac}`;
      const isAgain = path.includes(hop);
      path.push(hop);
      if (isAgain) return { type: "loop", path: path.join(", ") };
      if (cluster.machines.connections(node).known.has(id)) return { type: "delivered" };
      const address = parseAddress(text);
      const to = address && cluster.machines.connections(node).filter.next(address, mac);
      if (to === undefined) return { type: "reset", path: path.join(", ") };
      this.counts.handedOn++;
      const next = [...cluster.speakers.keys()].find((one) =>
        nodeAddresses(cluster.ring, one).some((own) => own.startsWith(`${to}/`)),
      );
      // No kernel answers its own ARP requests, where the node has had another's address for a moment.
      if (next === undefined || next === node || !cluster.lan.passes(node, next)) return { type: "lost" };
      mac = cluster.machines.macOf(node);
      node = next;
    }
  }

  /** The fault, or limit of what is promised, that excuses a reset. */
  #excuse({ now }: SimulatedCluster, { address, client, holder, openedAt }: Connection): string | undefined {
    const owners = this.#owners.get(address) ?? [];
    const believed = this.#believed.get(`${client} ${address}`);
    const [since, sentTo] = [holder, believed].map((one) => owners.findLastIndex(({ node }) => node === one));
    const way = owners.slice(Math.max(0, Math.min(since ?? 0, sentTo ?? 0)));
    const moves = way.slice(1);
    const isMoved = (from: Millis, to: Millis) => moves.some(({ leftAt, at }) => at >= from && leftAt <= to);
    const [first] = moves;
    // They count from when the new owner decides; the other one may repeat its announcement after that.
    if (first !== undefined && now > first.at + maxHandoverMs - settledMs) return "ten minutes";
    const nodes = way.map(({ node }) => node);
    const touched = new Set(nodes);
    const present = nodes.at(-1) ?? holder;
    // One that begins may take a node for the former owner that is back in the ring at the same time.
    const hasBegun = now < (this.#awayUntil.get(present) ?? -Infinity) + settledMs;
    const isFault = this.#faults.some(
      (fault) =>
        ((fault.from <= now && now <= fault.to) || isMoved(fault.from, fault.to)) &&
        fault.to >= openedAt &&
        (fault.nodes === undefined ||
          fault.nodes.some((node) => touched.has(node)) ||
          (fault.type === "rotateKey" && hasBegun)) &&
        !isBrief(fault, holder, believed, owners, nodes),
    );
    if (isFault) return "fault";
    if (moves.some(({ isUnkept }) => isUnkept)) return "not kept";
    // Speakers that see a change at different times own an address at once, and the first of them hands over to none that it does not know of.
    if (moves.some(({ at }, index) => at < (way[index]?.at ?? -Infinity) + heardMs)) return "moved again at once";
    const began = (way[0]?.at ?? openedAt) - beginningMs;
    // One that begins may take the other for the former owner, because that one had the address before.
    const everOwned = new Set(owners.map(({ node }) => node));
    const wereAway = (away: ReadonlySet<number>) =>
      touched.intersection(away).size > 1 || (away.has(present) && everOwned.intersection(away).size > 1);
    if (this.#severalAway.some(({ to, nodes: away }) => to >= began && wereAway(away))) return "several speakers away";
    // It may seem to be an owner until others know its version. Where the API is troubled it begins late.
    const comesBy = (at: Millis, node: number) => Math.max(at, this.#awayUntil.get(node) ?? at) + settledMs;
    if (this.#newcomers.some(({ at, node }) => isMoved(at, comesBy(at, node)))) return "another version comes";
    const isBetween = first !== undefined && openedAt > first.leftAt && first.at > first.leftAt + heardMs;
    if (isBetween || moves.some(({ isLate }) => isLate)) return "nobody owned it";
    if (moves.some(({ isCrowded }) => isCrowded)) return "several changes at once";
    // Packets go to one node: to an owner that failed as it seems, or one that has connections by way of it; and so where the present owner had it before.
    const isBefore = ({ at }: Owner) => at <= (way[0]?.at ?? 0);
    const served = new Set(owners.filter(isBefore).map(({ node }) => node));
    const isAgain = nodes.indexOf(nodes.at(-1) ?? -1) < nodes.length - 1;
    if (
      (served.size > 1 || this.#livedBefore.has(address)) &&
      (isAgain || this.#briefStalls.some((at) => isMoved(at, at + briefMs)))
    )
      return "several nodes have connections";
    return undefined;
  }

  #checkEnds(cluster: SimulatedCluster): string | undefined {
    const last = Math.max(...cluster.moves.map(({ at }) => at), 0);
    if (cluster.now < last + maxHandoverMs + 10_000) return undefined;
    for (const node of cluster.speakers.keys())
      if (cluster.machines.connections(node).filter.isActive)
        return `node-${node} hands packets over since more than ten minutes`;
    return undefined;
  }
}

/**
 * Whether the speaker's death did no harm to the connection, since kernels go on: that of a former owner for some seconds, or that of the next owner after
 * the holder, where the client sends to another node.
 */
function isBrief(
  { type, nodes: [node] = [], from, length }: Fault,
  holder: number,
  believed: number | undefined,
  owners: readonly Owner[],
  way: readonly number[],
): boolean {
  if (type !== "killSpeaker") return false;
  const owner = owners.findLast(({ at }) => at <= from)?.node;
  return holder === node ? owner !== node && length < briefKillMs : way[1] === node && believed !== node;
}

/** Pools that keep no connections, by the configuration in place. Where people took it away, the last one stays in force. */
function unkeptPools({ api }: SimulatedCluster): string[] {
  const { config = "" } = (api.get("configmaps", `${namespace}/config`)?.data ?? {}) as { readonly config?: string };
  const pools = config.split("- name: ").slice(1);
  return pools.flatMap((pool) => (pool.includes("keep-connections: true") ? [] : pool.slice(0, pool.indexOf("\n"))));
}

/** One that has begun, and has not seen all yet, owns nothing. */
function isAway({ process, isStopping, state }: SpeakerProcess): boolean {
  return !process.isRunning || isStopping || !state.isStarted;
}

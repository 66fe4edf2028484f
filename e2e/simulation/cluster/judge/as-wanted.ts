import type { ObjectChange } from "#e2e/apiserver";
import { agreeingParts, LastingWrongs, type Sample } from "#e2e/ownership";
import type { Millis } from "#pkg/clock";
import { hasOwners, type Peer, type Pool } from "#pkg/config";
import { lastGoodKey, renumberAnnotation, statusConfigMap } from "#pkg/live-config";
import { nameOf } from "#pkg/memberlist/testing";
import { endpointsFor, namespace, type ServiceSpec } from "../api/objects.ts";
import { prefixOf, type SimulatedCluster } from "../simulated-cluster.ts";
import type { SpeakerProcess } from "../speaker-process.ts";
import { configOf, poolWith } from "./configured.ts";
import { candidatesOf, hasNic } from "./ownership-sample.ts";
import { isAble, isInKernels, peerOf, poolFor, wrongAttributes, wrongSession } from "./pool-terms.ts";
import { holdersOf } from "./promised.ts";
import { unmet } from "./rest.ts";

// From when all nodes of a part are as they are, and the API wants the same: as long as an address may have no owner.
const settledMs: Millis = 8_000;
// A speaker that lost the API is sure after up to 5 s, and the others know 2 s after that.
const blindMs: Millis = 8_000;
// From then on its view is old, and `Local` Services go to others.
const oldMs: Millis = 60_000 + blindMs;
// Where a router can be reached again, a session is tried again every 2 s; routes are marked for 2 s before they go.
const routedMs: Millis = 20_000;
// A controller that takes a Lease over waits for 15 s, and one that starts sees all Services first.
const assignedMs: Millis = 40_000;

// Owners are settled so long after anything has happened.
const calmMs: Millis = 6_000;
// Some time before views are old.
const youngMs: Millis = 55_000;

/** How much of the API a speaker can know, and since when. */
interface Standing {
  readonly kind: "seeing" | "blind" | "other";
  readonly since: Millis;
}

/** An address, and what is wanted of it. */
interface Wanted {
  readonly address: string;
  readonly spec: ServiceSpec;
  readonly pool: Pool;
  /** Since when the API wants just that. */
  readonly since: Millis;
}

/** Since when the API wants the same of an address. */
interface Since {
  readonly name: string;
  readonly spec: ServiceSpec;
  readonly pool: Pool;
  /** What matters of these. */
  readonly facts: string;
  readonly at: Millis;
}

/**
 * Speakers do what the API wants also while something fails. This holds for each part of the ring in which a speaker sees the API. A node has the address
 * only if the API lets it, and some node has it if the API lets any. Each node that sees the API has the routes that it should, and answers for no address
 * without a Service. Nodes that have lost the API go on with what the others leave to them. Not judged: nodes that have just changed, fail to deliver, or are of another version.
 */
export class AsWanted {
  readonly #current = new WeakMap<SpeakerProcess, Millis>(); // when its own view was current last
  readonly #standings = new WeakMap<SpeakerProcess, Standing>();
  readonly #since = new Map<string, Since>(); // by address
  readonly #nodesChanged = new Map<string, Millis>(); // name -> when its Node was last changed
  #inForce: string | undefined; // Its text.
  #pools: readonly Pool[] = [];
  #peers: readonly Peer[] = [];
  readonly #misplaced = new LastingWrongs();
  readonly #misrouted = new LastingWrongs();
  readonly #unmet = new LastingWrongs();
  #facts = "";
  /** Since when nothing has happened, but for nodes that lost the API. */
  #calmSince: Millis = -Infinity;
  #movesSeen = 0;
  #firstText: string | undefined;

  /** For the API's changes, in their order: looks miss what is back at once. */
  changed({ now }: SimulatedCluster, { plural, key, type }: ObjectChange): void {
    const isMade = plural === "services" && type !== "MODIFIED";
    if (plural === "nodes") this.#nodesChanged.set(key, now);
    if (isMade || plural === "endpointslices" || plural === "nodes" || key === `${namespace}/config`) this.#calmSince = now;
  }

  /** To be called often. @param isExcused whether an address may be at nobody. @returns what is wrong */
  check(cluster: SimulatedCluster, sample: Sample, isExcused: (address: string) => boolean): string | undefined {
    const { now } = cluster;
    this.#noteStandings(cluster);
    this.#noteConfig(cluster);
    this.#noteCalm(cluster);
    const wanted = this.#wanted(cluster).filter(({ address }) => !isExcused(address));
    const moved = this.#movedInCalm(cluster);
    if (moved !== undefined) return moved;
    const parts = agreeingParts(sample).map((names) =>
      [...cluster.speakers.keys()].filter((node) => names.includes(nameOf(node))),
    );
    const judged = parts.filter((part) => isJudged(cluster, part));
    const misplaced = judged.flatMap((part) => [
      ...this.#misplacedIn(cluster, part, wanted),
      ...this.#surplusIn(cluster, part),
      ...this.#wrongInKernels(cluster, part, wanted),
    ]);
    for (const [what, { since, lasted }] of this.#misplaced.at(now, misplaced))
      if (lasted > settledMs) return `${what}, since ${since} ms`;
    const misrouted = judged.flatMap((part) => [...this.#misroutedIn(cluster, part, wanted)]);
    for (const [what, { since, lasted }] of this.#misrouted.at(now, misrouted))
      if (lasted > routedMs) return `${what}, since ${since} ms`;
    for (const [what, { since, lasted }] of this.#unmet.at(now, this.#unmetNow(cluster)))
      if (lasted > assignedMs) return `${what}, since ${since} ms`;
    return undefined;
  }

  #noteStandings({ speakers, now }: SimulatedCluster): void {
    for (const speaker of speakers.values()) {
      // It takes a while until it notices that a watch has ended, and until it has another one.
      const isBlind = speaker.hasLostApi || speaker.connection.lagOf("services") === undefined;
      const kind = !speaker.isReady || speaker.process.isStalled ? "other" : isBlind ? "blind" : "seeing";
      if (speaker.state.apiView.view === "current") this.#current.set(speaker, now);
      if (this.#standings.get(speaker)?.kind !== kind) this.#standings.set(speaker, { kind, since: now });
    }
  }

  #noteCalm(cluster: SimulatedCluster): void {
    const { speakers, nodes, machines, people, now } = cluster;
    const kindOf = (speaker: SpeakerProcess) => this.#standings.get(speaker)?.kind;
    const of = [...speakers].map(([node, speaker]) => [
      kindOf(speaker) === "other",
      speaker.members.toSorted(),
      nodes.isExcluded(node),
      nodes.isDrained(node),
      nodes.isEdge(node),
      machines.withoutPath.has(node) || machines.withoutCarrier.has(node),
      [...machines.nicsOf(node)],
      machines.routeOf(node),
      speaker.state.dataPath.IPv4.broken.length + speaker.state.dataPath.IPv6.broken.length,
    ]);
    const facts = JSON.stringify([of, people.config, machines.changedAt]);
    // One that can reach the API again sees what has happened meanwhile, one thing after the other, before it says that it sees all.
    const isBack = [...speakers].some(
      ([node, { connection }]) =>
        this.#lasted(cluster, node, "seeing") === 0 || (this.#lasted(cluster, node, "blind") >= 0 && !connection.isCut),
    );
    const isOld = [...speakers.keys()].some((node) => this.#lasted(cluster, node, "blind") >= youngMs);
    if (facts !== this.#facts || isBack || isOld) this.#calmSince = now;
    this.#facts = facts;
  }

  /** An address leaves a node, though nothing has happened but that nodes have lost the API. Sticky pools are judged by themselves. */
  #movedInCalm(cluster: SimulatedCluster): string | undefined {
    const from = this.#movesSeen;
    this.#movesSeen = cluster.moves.length;
    for (const { at, node, address, on } of cluster.moves.slice(from)) {
      const known = this.#since.get(address);
      if (on || known === undefined || at < Math.max(this.#calmSince, known.at) + calmMs) continue;
      const pool = poolWith(this.#pools, address);
      const [name = "", ...others] = holdersOf(cluster, address);
      const spec = cluster.people.services.get(name);
      if (pool === undefined || spec === undefined || others.length > 0 || pool.l2Placement.sticky) continue;
      if (!isKnownToAll(cluster, node)) continue; // Another part of the ring may begin to answer, and one of the two yields.
      const mayHave = ownersIn(cluster, [...cluster.speakers.keys()], address, spec, pool);
      if (mayHave.includes(node) && preferredOf(cluster, mayHave, pool, mayHave)[0].includes(node))
        return `node-${node} gives ${address} up, which it may have, although nothing happened since ${this.#calmSince} ms`;
    }
    return undefined;
  }

  /**
   * A configuration that has no pool for an address in use is refused unless people allow that, and one that asks for labels of namespaces waits for a
   * controller: then the last good one on record is in force.
   */
  #noteConfig({ people, api }: SimulatedCluster): void {
    const mayRenumber = api.get("configmaps", `${namespace}/config`)?.metadata.annotations?.[renumberAnnotation] === "true";
    const record = (api.get("configmaps", `${namespace}/${statusConfigMap}`)?.data ?? {}) as Readonly<Record<string, string>>;
    const inUse = [...people.services.keys()].flatMap((name) => people.status(name));
    const isUsable = (text: string | undefined) => {
      const { pools = [] } = (text === undefined ? undefined : configOf(text)) ?? {};
      const isAwaited = text?.includes("namespace-selectors") === true && text !== record[lastGoodKey];
      const isAllowed = mayRenumber && text === people.config;
      return pools.length > 0 && !isAwaited && (isAllowed || inUse.every((address) => poolWith(pools, address) !== undefined));
    };
    const text = [people.config, record[lastGoodKey]].find(isUsable);
    if (text === undefined) return;
    this.#inForce = text;
    this.#pools = configOf(text)?.pools ?? [];
    this.#peers = configOf(text)?.peers ?? [];
  }

  /** The addresses that one Service has, as the configuration in force has pools for them. */
  #wanted(cluster: SimulatedCluster): Wanted[] {
    const { people, now } = cluster;
    const { team } = people;
    const wanted = new Map<string, Wanted>();
    for (const [name, spec] of people.services)
      for (const address of people.status(name)) {
        const whole = poolWith(this.#pools, address);
        const pool = whole && poolFor(whole, spec, team);
        if (pool === undefined || holdersOf(cluster, address).length > 1) continue;
        const known = this.#since.get(address);
        const isSame = known?.name === name && known.spec === spec && known.pool === pool;
        const facts = isSame ? known.facts : factsOf(name, spec, pool);
        const at = known?.facts === facts ? known.at : now;
        if (!isSame) this.#since.set(address, { name, spec, pool, facts, at });
        wanted.set(address, { address, spec, pool, since: at });
      }
    for (const address of this.#since.keys()) if (!wanted.has(address)) this.#since.delete(address);
    return [...wanted.values()];
  }

  /** Services that have not what they ask for, while a controller could give it; by the configuration of the beginning, whose pools are known. */
  *#unmetNow(cluster: SimulatedCluster): Iterable<string> {
    const { people, controllers } = cluster;
    this.#firstText ??= people.config;
    const able = [...controllers].filter(
      ([, { process, connection }]) => process.isRunning && !process.isStalled && !connection.isCut,
    );
    if (people.config !== this.#firstText || this.#inForce !== this.#firstText) return;
    for (const [name, spec] of people.services) {
      const missing = unmet(cluster, name, spec, people.status(name));
      // The key names the controllers that are able, so that the time starts again with each change of them.
      for (const [controller] of missing === undefined ? [] : able)
        yield `${missing}, while controller-${controller} runs; it asks for ${JSON.stringify(spec)}`;
    }
  }

  /** How long a node has seen the API, or has not; negative where that is not so, or it has just changed. */
  #lasted({ speakers, now }: SimulatedCluster, node: number, kind: Standing["kind"]): Millis {
    const speaker = speakers.get(node);
    const standing = speaker && this.#standings.get(speaker);
    return standing?.kind === kind ? now - standing.since : -Infinity;
  }

  /** Whether its watches began again between two losses, which one after the other are no long one. */
  #sawApi({ speakers, now }: SimulatedCluster, node: number): boolean {
    const speaker = speakers.get(node);
    return speaker !== undefined && now < (this.#current.get(speaker) ?? -Infinity) + oldMs;
  }

  /** Whether a node has lost the API before it could tell how its Node has changed, and not long enough for others that go by its word to ask the API. */
  #isUnread(cluster: SimulatedCluster, node: number, seeing: readonly number[]): boolean {
    const lost = this.#lasted(cluster, node, "blind");
    const changed = cluster.now - (this.#nodesChanged.get(nameOf(node)) ?? -Infinity);
    const goesByWord = (other: number) => cluster.speakers.get(other)?.state.nodes.followed.names !== "all";
    return lost < oldMs && changed < lost + blindMs && seeing.some(goesByWord);
  }

  *#misplacedIn(cluster: SimulatedCluster, part: readonly number[], wanted: readonly Wanted[]): Iterable<string> {
    const seeing = part.filter((node) => this.#lasted(cluster, node, "seeing") >= 0);
    const blind = part.filter((node) => this.#lasted(cluster, node, "blind") >= blindMs);
    if (seeing.length === 0 || seeing.length + blind.length < part.length) return;
    if (blind.some((node) => this.#isUnread(cluster, node, seeing))) return;
    const owners = cluster.owners();
    const lostAt = cluster.now - Math.max(0, ...blind.map((node) => this.#lasted(cluster, node, "blind")));
    const names = (nodes: readonly number[]) => nodes.map((node) => `node-${node}`).join(" and ");
    for (const { address, spec, pool, since } of wanted) {
      const answering = part.filter(
        (node) => owners.get(address)?.includes(node) && cluster.speakers.get(node)?.announced.has(address),
      );
      if (isAcross(cluster, part, owners.get(address) ?? [])) continue;
      const mayHave = ownersIn(cluster, part, address, spec, pool);
      const isSeen = mayHave.some((node) => seeing.includes(node));
      // Nodes that do not know of the address, or have another configuration, cannot take it.
      if (blind.length > 0 && since > lostAt && !isSeen) continue;
      const isOld = (node: number) =>
        spec.isLocal && this.#lasted(cluster, node, "blind") >= oldMs && !this.#sawApi(cluster, node);
      const [preferred, mayStay] = preferredOf(cluster, mayHave, pool, seeing);
      const allowed = isSeen ? [...preferred, ...mayStay.filter((node) => blind.includes(node) && !isOld(node))] : mayHave;
      if (blind.length > 0 && mayHave.length === 0) continue; // Nobody tells them.
      const isRight = answering.length === 0 ? allowed.length === 0 : answering.every((node) => allowed.includes(node));
      if (isRight) continue;
      const beside = blind.length > 0 ? `, where ${names(blind)} cannot see the API` : "";
      yield `${address} is at ${names(answering) || "nobody"}, of ${names(allowed) || "nobody"} among ${names(part)}${beside}`;
    }
  }

  /** Addresses of no Service. */
  *#surplusIn(cluster: SimulatedCluster, part: readonly number[]): Iterable<string> {
    for (const node of part) {
      if (this.#lasted(cluster, node, "seeing") < 0) continue;
      for (const address of cluster.speakers.get(node)?.announced ?? [])
        if (holdersOf(cluster, address).length === 0) yield `${address} of no Service is at node-${node}`;
    }
  }

  /** Addresses that each node is to have by itself. */
  *#wrongInKernels(cluster: SimulatedCluster, part: readonly number[], wanted: readonly Wanted[]): Iterable<string> {
    const seeing = part.filter((node) => this.#lasted(cluster, node, "seeing") >= 0);
    for (const { address, spec, pool } of seeing.length < part.length ? [] : wanted) {
      const serving = endpointsFor(spec, address);
      const serves = (node: number) => serving.length > 0 && (!spec.isLocal || serving.includes(node));
      for (const node of seeing) {
        const should = isInKernels(cluster, part, address, pool) && isAble(cluster, node) && serves(node);
        const has = cluster.speakers.get(node)?.routed.has(address) === true;
        if (has !== should) yield `node-${node} has ${has ? "" : "not "}${address} in its kernel`;
      }
    }
  }

  *#misroutedIn(cluster: SimulatedCluster, part: readonly number[], wanted: readonly Wanted[]): Iterable<string> {
    const { router, nodes, speakers } = cluster;
    const routes = router.routes();
    const able = part.filter((node) => !nodes.isExcluded(node) && !nodes.isOutOfService(node));
    for (const { address, spec, pool } of wanted) {
      const prefix = prefixOf(address);
      const has = (node: number) => routes.get(prefix)?.includes(cluster.neighborOf(node)) === true;
      const serving = endpointsFor(spec, address);
      const isAdvertised = (node: number) =>
        pool.advertisements.some(({ nodeSelectors }) => nodeSelectors.length === 0 || nodes.isEdge(node));
      const family = address.includes(":") ? "IPv6" : "IPv4";
      const isChosen = (node: number) => isAdvertised(node) && peerOf(cluster, this.#peers, node)?.families.includes(family);
      const may = !pool.protocols.includes("bgp") || serving.length === 0 ? [] : able.filter(isChosen);
      // A drained node keeps those of `Local` Services until its last endpoint goes, and others until another node says over the ring that it has them.
      const should = may.filter((node) => (spec.isLocal ? serving.includes(node) : !nodes.isDrained(node)));
      const mayHave = spec.isLocal || (cluster.hasRing && should.some(has)) ? should : may;
      for (const node of part) {
        const isJudged = this.#lasted(cluster, node, "seeing") >= 0 && speakers.get(node)?.bgpSettings !== undefined;
        if (!isJudged || !cluster.reachesRouter(node)) continue;
        const wrong = has(node) ? wrongAttributes(cluster, this.#peers, node, { address, spec, pool }) : undefined;
        if (wrong !== undefined) yield `the route to ${prefix} through node-${node} has ${wrong}`;
        if ((has(node) ? mayHave : should).includes(node) === has(node)) continue;
        yield `the router has ${has(node) ? "a" : "no"} route to ${prefix} through node-${node}, of ${should} among ${part}`;
      }
    }
    for (const node of part) {
      const wrong = this.#lasted(cluster, node, "seeing") < 0 ? undefined : wrongSession(cluster, this.#peers, node);
      if (wrong !== undefined && cluster.reachesRouter(node)) yield `the router has a session with node-${node} as ${wrong}`;
    }
  }
}

function factsOf(name: string, spec: ServiceSpec, pool: Pool): string {
  const { isLocal, endpoints, endpointsV6, draining, drainingV6, tier } = spec;
  const { protocols, nodeSelectors, interfaces, preferredNodes, l2Placement } = pool;
  return JSON.stringify([
    [name, isLocal, endpoints, endpointsV6, draining, drainingV6, tier],
    pool.advertisements.map(({ nodeSelectors }) => nodeSelectors),
    [protocols, nodeSelectors, interfaces, preferredNodes, l2Placement],
  ]);
}

/** Where IP alone is cut, an address may be left to a node of another part. */
function isAcross({ lan }: SimulatedCluster, part: readonly number[], owners: readonly number[]): boolean {
  return owners.some((owner) => !part.includes(owner) && part.some((node) => lan.passes(owner, node) && lan.passes(node, owner)));
}

function isKnownToAll({ speakers }: SimulatedCluster, node: number): boolean {
  return speakers.values().every(({ process, members }) => !process.isRunning || members.includes(nameOf(node)));
}

/** Whether there is nothing about its nodes that decides besides the API. */
function isJudged({ speakers, machines, earlier }: SimulatedCluster, part: readonly number[]): boolean {
  return part.every((node) => {
    const { dataPath } = speakers.get(node)?.state ?? {};
    const isWell = dataPath?.IPv4.broken.length === 0 && dataPath.IPv6.broken.length === 0;
    return isWell && !machines.withoutPath.has(node) && !machines.withoutCarrier.has(node) && !earlier.has(node);
  });
}

/** The nodes of a part that may own an address. */
function ownersIn(
  cluster: SimulatedCluster,
  part: readonly number[],
  address: string,
  spec: ServiceSpec,
  pool: Pool,
): readonly number[] {
  const { protocols, nodeSelectors } = pool;
  const isBySome = protocols.includes("layer2") || protocols.includes("interface");
  if (!isBySome || !hasOwners(pool) || isInKernels(cluster, part, address, pool)) return [];
  const able = part.filter((node) => {
    if (cluster.nodes.isExcluded(node) || cluster.nodes.isOutOfService(node) || !hasNic(cluster, node, pool)) return false;
    if (protocols.includes("interface") && cluster.speakers.get(node)?.hasNetAdmin !== true) return false;
    return nodeSelectors.length === 0 || cluster.nodes.isEdge(node);
  });
  return candidatesOf(cluster, address, [spec], able);
}

/** The preferred nodes of those that may own an address: first among nodes that see the API, then among all. A sticky pool prefers nodes only when these have been the same for long. */
function preferredOf(
  { nodes }: SimulatedCluster,
  mayHave: readonly number[],
  { preferredNodes, l2Placement }: Pool,
  seeing: readonly number[],
): readonly [readonly number[], readonly number[]] {
  const isAlike = preferredNodes.length === 0 || l2Placement.sticky;
  const isEdge = (node: number) => isAlike || nodes.isEdge(node);
  const ofSeeing = mayHave.filter((node) => seeing.includes(node));
  const hasEdge = ofSeeing.some(isEdge);
  return [ofSeeing.filter((node) => isEdge(node) || !hasEdge), mayHave.filter((node) => isEdge(node) || !hasEdge)];
}

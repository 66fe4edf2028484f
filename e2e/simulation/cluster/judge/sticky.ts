import type { KubeObject, ObjectChange } from "#e2e/apiserver";
import type { Millis } from "#pkg/clock";
import { nameOf } from "#pkg/memberlist/testing";
import { ingressOf } from "../api/people.ts";
import type { Move, SimulatedCluster } from "../simulated-cluster.ts";
import type { Judge } from "./judge.ts";
import { ableNodes, candidatesOf, servicesOn } from "./ownership-sample.ts";
import { wrongAtRest } from "./rest.ts";

// From when all is whole again, each speaker has seen what the API has, and the members agree: so long an address may be at nobody or at two.
const handOverMs: Millis = 5_000;
// So long it is watched at rest in the end.
const stillMs: Millis = 2_000;
// Speakers begin to give away what they have too much of once nodes have been the same for five minutes, counted by each speaker for itself.
const sameMs: Millis = 240_000;
// Then an address goes to a node with room, and once more if the first address of its Service did so at the same time.
const maxMovesToNodesWithRoom = 2;
// A change is on its way to a speaker for so long at most, besides the lag of its watch.
const requestMs: Millis = 100;

/**
 * Promise 2 for sticky addresses in a calm cluster: the network is whole, no process stands still, each speaker has seen what the API has, and the
 * members agree. Within 5 s of that each address is at one node that may announce it. From then on no address moves, as long as the cluster is
 * calm, but to nodes that have room, after nodes have been the same for minutes. No speaker tells others that it owns an address which it does not announce.
 */
export class StickyOwnership implements Judge {
  problem: string | undefined;
  readonly #addresses: (cluster: SimulatedCluster) => Placeable;
  readonly #wrongSince = new Map<string, Millis>(); // address -> since when it is not where it should be
  #calmSince: Millis = 0;
  /** From then on all speakers know that all participate. Each gives addresses away until it has its share. */
  #completeSince: Millis = 0;
  /** From then on nodes are the same. A watch of the API that ends and begins again changes no node. */
  #sameSince: Millis = 0;
  readonly #movesToRoom = new Map<string, number>(); // address -> how often it moved since
  /** Until when a speaker may not have seen what the API has. */
  #settledAt: Millis = 0;
  #judgedMoves = 0;

  /** @param addresses those that are to be somewhere; of Services where absent */
  constructor(addresses: (cluster: SimulatedCluster) => Placeable = ofServices) {
    this.#addresses = addresses;
  }

  /** For the API's changes. */
  changed({ now, weather }: SimulatedCluster, { plural, object, before }: ObjectChange): void {
    const isConfig = plural === "configmaps" && object.metadata.name === "config";
    if ((plural === "services" && isOther(object, before)) || plural === "endpointslices" || isConfig)
      this.#settledAt = now + weather.watchLagMs + requestMs;
  }

  isAtRest({ now }: SimulatedCluster): boolean {
    return now > this.#restSince + stillMs;
  }

  checkAtRest(cluster: SimulatedCluster): string | undefined {
    if (!this.isAtRest(cluster)) return `the cluster does not come to rest: ${cluster.ring.describe()}`;
    return this.problem ?? wrongAtRest(cluster);
  }

  /** To be called often. */
  check(cluster: SimulatedCluster): void {
    const problem = this.#check(cluster);
    if (problem !== undefined) this.problem ??= `at ${cluster.now} ms: ${problem}`;
  }

  #check(cluster: SimulatedCluster): string | undefined {
    const { now, moves, speakers } = cluster;
    const running = [...speakers].filter(([, { process }]) => process.isRunning);
    if (running.some(([, { connection, hasLostApi }]) => hasLostApi || connection.lagOf("endpointslices") === undefined))
      this.#settledAt = now + cluster.weather.watchLagMs + requestMs;
    if (!this.#isCalm(cluster)) this.#calmSince = now;
    const participate = (node: number) =>
      running.every(([, { state }]) => state.members.gossip?.isParticipating(nameOf(node)) !== false);
    if (!running.every(([node]) => participate(node))) this.#completeSince = now;
    if (!this.#isWhole(cluster)) this.#sameSince = now;
    if (now <= this.#restSince) this.#movesToRoom.clear();
    const move = moves.slice(this.#judgedMoves).find((each) => this.#isWithoutCause(each));
    this.#judgedMoves = moves.length;
    if (move !== undefined)
      return `${move.address} moved at ${move.at} ms, while nothing happened\n${explain(cluster, move.address)}`;
    for (const [node, { falselyOwned }] of running)
      if (falselyOwned !== undefined) return `node-${node} reports that it owns ${falselyOwned}, and does not announce it`;
    return this.#misplaced(cluster);
  }

  /** The cluster has been calm, and speakers have known one another, for as long as hand-overs take by then. */
  get #restSince(): Millis {
    return Math.max(this.#calmSince, this.#completeSince) + handOverMs;
  }

  #isWithoutCause({ at, address, on }: Move): boolean {
    if (at <= this.#restSince) return false;
    if (at < Math.max(this.#sameSince, this.#completeSince) + sameMs) return true;
    const moves = (this.#movesToRoom.get(address) ?? 0) + Number(on);
    this.#movesToRoom.set(address, moves);
    return moves > maxMovesToNodesWithRoom;
  }

  #isCalm(cluster: SimulatedCluster): boolean {
    const { now, speakers, machines } = cluster;
    if (now < this.#settledAt || machines.withoutCarrier.size > 0) return false;
    return this.#isWhole(cluster) && ![...speakers].some(([, { process }]) => process.isRunning && process.isStalled);
  }

  #isWhole({ ring, speakers }: SimulatedCluster): boolean {
    const running = [...speakers].filter(([, { process }]) => process.isRunning);
    return running.every(([one]) => running.every(([other]) => ring.reaches(one, other))) && ring.isConverged();
  }

  #misplaced(cluster: SimulatedCluster): string | undefined {
    const { now } = cluster;
    const owners = cluster.owners();
    const should = this.#addresses(cluster);
    for (const address of new Set([...owners.keys(), ...should.keys()])) {
      const may = should.get(address) ?? [];
      const [owner, ...more] = owners.get(address) ?? [];
      const isRight = owner === undefined ? may.length === 0 : more.length === 0 && may.includes(owner);
      if (isRight) this.#wrongSince.delete(address);
      else if (!this.#wrongSince.has(address)) this.#wrongSince.set(address, now);
      const since = this.#wrongSince.get(address);
      if (since !== undefined && now - Math.max(since, this.#calmSince) > handOverMs)
        return `${address} is at ${owners.get(address) ?? "nobody"} of ${may} since ${since} ms\n${explain(cluster, address)}`;
    }
    return undefined;
  }
}

/** Address -> the nodes that may announce it. */
export type Placeable = ReadonlyMap<string, readonly number[]>;

function ofServices(cluster: SimulatedCluster): Placeable {
  const able = ableNodes(cluster);
  const addresses = [...cluster.people.services.keys()].flatMap((name) => cluster.people.status(name));
  return new Map(addresses.map((address) => [address, candidatesOf(cluster, address, servicesOn(cluster, address), able)]));
}

/** Each speaker's view of an address. */
function explain({ speakers }: SimulatedCluster, address: string): string {
  const lines = [...speakers].flatMap(([node, { process, state, announced }]) => {
    if (!process.isRunning) return [];
    const { gossip, active } = state.members;
    const owners = gossip?.owners(address).map((owner) => `${owner} (${gossip.viewUncertainty(owner)})`);
    const waiting = active.filter((other) => gossip?.isParticipating(other) === false);
    const placement = state.placements.get(address)?.find(({ protocol }) => protocol === "layer2");
    const is = announced.has(address) ? "announces it" : "does not announce it";
    return `node-${node} ${is}, owners ${owners}, active ${active}, of these not participating ${waiting}, candidates ${placement?.candidates}, at ${placement?.owner}`;
  });
  return lines.join("\n");
}

/** Whether it is another Service to speakers than before: their conditions are written all the time. */
function isOther(object: KubeObject, before: KubeObject | undefined): boolean {
  const facts = (service: KubeObject) => JSON.stringify([service.spec, service.metadata.annotations, ingressOf(service)]);
  return before === undefined || facts(object) !== facts(before);
}

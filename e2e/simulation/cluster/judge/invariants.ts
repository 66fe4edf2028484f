import type { ObjectChange } from "#e2e/apiserver";
import { LastingWrongs, OwnershipChecker } from "#e2e/ownership";
import type { Millis } from "#pkg/clock";
import { nameOf } from "#pkg/memberlist/testing";
import { lifetimeMs } from "../network/nic-addresses.ts";
import type { SimulatedCluster } from "../simulated-cluster.ts";
import type { SpeakerProcess } from "../speaker-process.ts";
import { AcrossCuts } from "./across-cuts.ts";
import { AddressChanges } from "./address-changes.ts";
import type { AsWanted } from "./as-wanted.ts";
import { Configured } from "./configured.ts";
import { Delivery } from "./delivery.ts";
import type { Judge } from "./judge.ts";
import { Leadership } from "./leadership.ts";
import { Moves } from "./moves.ts";
import { Occupied } from "./occupied.ts";
import { isOnlyRefused, Known, sampleOf } from "./ownership-sample.ts";
import { wrongAtRest } from "./rest.ts";
import { Routes } from "./routes.ts";
import { wronglyTold } from "./told.ts";

// From when the two nodes hear one another and agree on the members: so long two may answer for an address.
const handOverMs: Millis = 6_000;
// A watch that breaks begins again by then, and may be late.
const unreadMs: Millis = 20_000;
// The router looks at its hold timers every second.
const noticeMs: Millis = 1_500;

/**
 * The promises, watched while a history runs. Problems are sentences for people.
 *
 * Always: one controller at most may write; an address is at one Service, or at several that may share it; it does not change unless
 * somebody changed what the Service asks for; a router has no route through a node that is gone for longer than it takes to find out; two
 * nodes that reach one another, in the ring or on the LAN alone, do not both answer for an address for longer than a hand-over; somebody
 * answers for one while a node could, and all nodes that see the API name the one that does; a speaker that has reached none that announced
 * since it started announces nothing while others are Ready; a node that cannot deliver leaves what it has to nodes that can; one that may not put addresses on its node's NIC announces none that would be
 * there. At the end: everything is as in a cluster that has just started.
 */
export class Invariants implements Judge {
  problem: string | undefined;
  readonly #occupied = new Occupied();
  readonly #addresses = new AddressChanges(this.#occupied);
  readonly #configured = new Configured();
  readonly #leadership = new Leadership();
  readonly #routes = new Routes();
  readonly #moves = new Moves();
  readonly #acrossCuts = new AcrossCuts();
  readonly #delivery = new Delivery();
  readonly #mayAnnounce = new WeakSet<SpeakerProcess>();
  readonly #asWanted: AsWanted | undefined;
  readonly #known = new Known();
  readonly #ownership = new OwnershipChecker();
  readonly #members = new LastingWrongs(); // Members that nodes without a ring count wrongly.
  readonly #twice = new LastingWrongs(); // Which two answer for an address, and could know.

  /** @param asWanted judges besides, also while something fails, who does what the API wants; for histories in fair weather */
  constructor(asWanted?: AsWanted) {
    this.#asWanted = asWanted;
  }

  /** For the API's changes, in their order. */
  changed(cluster: SimulatedCluster, change: ObjectChange, byPeople: boolean): void {
    if (change.plural === "pods") this.#noteNewcomers(cluster);
    this.#known.changed(cluster, change);
    this.#configured.changed(change, cluster.now);
    this.#asWanted?.changed(cluster, change);
    const problem = this.#addresses.changed(cluster, change, byPeople);
    if (problem !== undefined) this.#found(cluster, problem);
  }

  /** To be called often. */
  check(cluster: SimulatedCluster): void {
    this.#checkOwners(cluster);
    if (!cluster.hasRing) this.#checkMembers(cluster);
    this.#noteNewcomers(cluster);
    for (const [node, speaker] of cluster.speakers) {
      const isEarly = speaker.process.isRunning && speaker.announced.size > 0 && !this.#mayAnnounce.has(speaker);
      if (isEarly) this.#found(cluster, `node-${node} announces, and has reached none of those that are Ready`);
    }
    for (const [node, { process, hasNetAdmin, announced, leftToKernel }] of cluster.speakers) {
      const [address] = process.isRunning && !hasNetAdmin ? announced.intersection(leftToKernel) : [];
      if (address !== undefined)
        this.#found(cluster, `node-${node} announces ${address}, and its speaker may not put that on its NIC`);
    }
    const judges = [this.#occupied, this.#leadership, this.#routes, this.#moves, this.#acrossCuts, this.#delivery];
    for (const problem of judges.map((judge) => judge.check(cluster))) if (problem !== undefined) this.#found(cluster, problem);
  }

  /** The whole time of rest is watched. */
  isAtRest(): boolean {
    return false;
  }

  /** Faults that remain once nothing has happened for long enough. */
  checkAtRest(cluster: SimulatedCluster): string | undefined {
    return this.problem ?? wrongAtRest(cluster) ?? wronglyTold(cluster);
  }

  #checkOwners(cluster: SimulatedCluster): void {
    const isExcused = (address: string) =>
      this.#occupied.isHeldBack(cluster, address) ||
      this.#addresses.isStranded(cluster, [address]) ||
      isOnlyRefused(cluster, address);
    const mayBeNobodys = (address: string) => isExcused(address) || this.#configured.mayBeNobodys(address, cluster.now);
    const sample = sampleOf(cluster, this.#known, mayBeNobodys);
    const misplaced = this.#asWanted?.check(cluster, sample, isExcused);
    if (misplaced !== undefined) this.#found(cluster, misplaced);
    for (const { address, since, what } of this.#ownership.add(sample))
      this.#found(cluster, `${address}: ${what}, since ${since} ms`);
    const agreed = cluster.agreesOnMembers;
    const isStalled = (node: number) => cluster.speakers.get(node)?.process.isStalled;
    const hear = (one: number, other: number) => cluster.hear(one, other);
    // A kernel whose speaker was killed goes on for the address's lifetime, also when there is a new one that has not found what is wanted yet.
    const isWanted = (node: number, address: string) => {
      const { process, announced } = cluster.speakers.get(node) ?? {};
      return process?.isRunning === true && announced?.has(address) === true;
    };
    const pairs = new Map<string, Millis>(); // what is wrong -> how long it may last
    for (const [address, nodes] of agreed ? cluster.owners() : [])
      for (const [index, one] of nodes.entries())
        for (const other of nodes.slice(index + 1)) {
          if (!hear(one, other) || isStalled(one) || isStalled(other)) continue;
          const pair = `${address} is at node-${one} and node-${other}`;
          pairs.set(pair, lifetimeMs + noticeMs);
          // Measured by itself: a speaker that comes back finds what its kernel went on with.
          if ([one, other].every((node) => isWanted(node, address))) pairs.set(`${pair}, announced by both`, handOverMs);
        }
    for (const [pair, { since, lasted }] of this.#twice.at(cluster.now, pairs.keys()))
      if (lasted > (pairs.get(pair) ?? Infinity)) this.#found(cluster, `${pair} since ${since} ms`);
  }

  /** Without a ring members are the nodes whose speaker Pods are Ready; those of before, where none is. */
  #checkMembers({ speakers, nodes, now }: SimulatedCluster): void {
    const ready = [...speakers.keys()].filter((node) => nodes.isReady(node)).map(nameOf);
    const seeing = [...speakers].filter(([, { process, hasLostApi }]) => process.isRunning && !process.isStalled && !hasLostApi);
    const wrong = seeing.filter(([, { members }]) => ready.length > 0 && members.toSorted().join() !== ready.sort().join());
    const keys = wrong.map(([node, { members }]) => `node-${node} takes ${members} for members, of ${ready}`);
    for (const [what, { since, lasted }] of this.#members.at(now, keys))
      if (lasted > unreadMs) this.problem ??= `at ${now} ms: ${what}, since ${since} ms`;
  }

  /** A speaker may announce once it could have met another one that may, in however many steps, or once none of these was Ready. */
  #noteNewcomers(cluster: SimulatedCluster): void {
    const running = [...cluster.speakers].filter(([, { process }]) => process.isRunning);
    const reached = new Set(running.filter(([, speaker]) => this.#mayAnnounce.has(speaker)).map(([node]) => node));
    for (const from of reached)
      for (const [to] of running) if (cluster.ring.reaches(from, to) || cluster.ring.reaches(to, from)) reached.add(to);
    const isAlone =
      !cluster.hasRing || !running.some(([node, speaker]) => this.#mayAnnounce.has(speaker) && cluster.nodes.isReady(node));
    for (const [node, speaker] of running) if (isAlone || reached.has(node)) this.#mayAnnounce.add(speaker);
  }

  #found(cluster: SimulatedCluster, problem: string): void {
    this.problem ??= `at ${cluster.now} ms: ${problem}`;
  }
}

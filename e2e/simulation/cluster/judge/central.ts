import type { ObjectChange } from "#e2e/apiserver";
import type { Millis } from "#pkg/clock";
import { addressOf } from "#pkg/memberlist/testing";
import { nodeAddress6 } from "../api/node-objects.ts";
import type { History } from "../history.ts";
import { prefixOf, type SimulatedCluster } from "../simulated-cluster.ts";
import type { SpeakerProcess } from "../speaker-process.ts";
import { Invariants } from "./invariants.ts";
import type { Judge } from "./judge.ts";

// By then a central speaker has placed all addresses by what its ring agrees on.
const settledMs: Millis = 6_000;

/**
 * Promises 2 and 3 with central speakers. While the ring agrees, each central speaker serves the nodes that live. Where one central speaker ends at a
 * time, and nothing else happens, the router has a path to each node all the time. At rest it has one to each node that serves, from each of them.
 */
export class CentralPaths implements Judge {
  readonly #invariants = new Invariants();
  readonly #isOnlyDeaths: boolean;
  readonly #agreedSince = new Map<string, Millis>(); // a speaker's view, and who runs -> since when both are so
  #hadAll = false;
  #problem: string | undefined;

  constructor({ acts }: Pick<History, "acts">) {
    this.#isOnlyDeaths = acts.every(({ act }) => ["killSpeaker", "powerOff", "stopSpeaker"].includes(act.type));
  }

  get problem(): string | undefined {
    return this.#problem ?? this.#invariants.problem;
  }

  changed(cluster: SimulatedCluster, change: ObjectChange, byPeople: boolean): void {
    this.#invariants.changed(cluster, change, byPeople);
  }

  check(cluster: SimulatedCluster): void {
    this.#invariants.check(cluster);
    const problem = this.#checkServed(cluster) ?? (this.#isOnlyDeaths ? this.#checkPaths(cluster) : undefined);
    if (problem !== undefined) this.#problem ??= `at ${cluster.now} ms: ${problem}`;
  }

  isAtRest(cluster: SimulatedCluster): boolean {
    return cluster.ring.isConverged() && wrongPaths(cluster) === undefined;
  }

  checkAtRest(cluster: SimulatedCluster): string | undefined {
    return this.problem ?? wrongPaths(cluster);
  }

  #checkServed(cluster: SimulatedCluster): string | undefined {
    const living = [...cluster.speakers].filter(([, { process }]) => process.isRunning).map(([node]) => node);
    const isQuiet = cluster.ring.isConverged() && [...all(cluster)].every(isQuietly);
    const key = isQuiet ? [...all(cluster)].map(({ process }) => `${process.name} ${process.isRunning}`).join() : "";
    for (const known of this.#agreedSince.keys()) if (known !== key) this.#agreedSince.delete(known);
    if (key === "") return undefined;
    const since = this.#agreedSince.get(key) ?? cluster.now;
    this.#agreedSince.set(key, since);
    if (cluster.now < since + settledMs) return undefined;
    for (const speaker of cluster.centralSpeakers.values()) {
      if (!speaker.isReady) continue;
      const served = new Set(speaker.state.served.nodes.keys());
      const missing = living.find((node) => !cluster.nodes.isExcluded(node) && !served.has(`node-${node}`));
      if (missing !== undefined) return `${speaker.process.name} does not serve node-${missing}, which lives`;
      const gone = [...cluster.speakers.keys()].filter((node) => !living.includes(node));
      const dead = gone.length <= living.length ? gone.find((node) => served.has(`node-${node}`)) : undefined;
      if (dead !== undefined) return `${speaker.process.name} serves node-${dead}, which is dead`;
    }
    return undefined;
  }

  #checkPaths(cluster: SimulatedCluster): string | undefined {
    const wrong = wrongPaths(cluster, false);
    if (wrong === undefined) this.#hadAll = true;
    return this.#hadAll ? wrong : undefined;
  }
}

function all(cluster: SimulatedCluster): readonly SpeakerProcess[] {
  return [...cluster.speakers.values(), ...cluster.centralSpeakers.values()];
}

function isQuietly({ process, hasLostApi }: SpeakerProcess): boolean {
  return !process.isRunning || (!process.isStalled && !hasLostApi);
}

/** The router's paths to each address, unless they lead to the nodes that are to serve it. @param fromAll each central speaker is to have announced them */
function wrongPaths(cluster: SimulatedCluster, fromAll = true): string | undefined {
  const hops = cluster.router.nextHops();
  const routes = cluster.router.routes();
  for (const [name, { pool, isLocal, endpoints }] of cluster.people.services) {
    if (pool !== "routed") continue;
    for (const address of cluster.people.status(name)) {
      const nodes = endpoints.length === 0 ? [] : isLocal ? endpoints : [...cluster.speakers.keys()];
      const isV6 = address.includes(":");
      const wanted = nodes.map((node) => (isV6 ? nodeAddress6(node) : addressOf(cluster.ring.hostOf(node)))).sort();
      const found = [...(hops.get(prefixOf(address)) ?? [])].sort();
      if (found.join() !== wanted.join())
        return `the router has paths to ${address} of ${name} by ${found}, and not by ${wanted}`;
      const from = routes.get(prefixOf(address)) ?? [];
      if (fromAll && nodes.length > 0 && from.length !== cluster.centralSpeakers.size)
        return `it has ${address} from ${from} alone`;
    }
  }
  return undefined;
}

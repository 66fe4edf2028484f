import type { Millis } from "#pkg/clock";
import type { ApiConnection, ApiWeather } from "./api-connection.ts";
import { type Act, type Client, endOf, fairWeather, type History } from "./history.ts";
import { Invariants } from "./invariants.ts";
import type { Backup } from "./kubernetes-api.ts";
import type { ServiceSpec } from "./objects.ts";
import { SimulatedCluster, type SimulatedClusterOptions } from "./simulated-cluster.ts";

export interface Outcome {
  /** What was wrong; undefined where nothing was. */
  readonly problem: string | undefined;
  /** What happened, line by line. */
  readonly transcript: readonly string[];
  /** Simulated. */
  readonly duration: Millis;
}

// A cluster has started by then.
const startMs: Millis = 8_000;
// Longer than anybody waits before trying again: watches that break, members that find one another, sessions that are begun again.
const restMs: Millis = 110_000;
const checkMs: Millis = 100;
// From when a speaker is told to stop to when the one in its place starts.
const rollOutMs: Millis = 4_000;
// A restored API has written as many again before everybody has asked for its version, unless that is bumped: see docs/operations.md.
const fewWrites = 50;

/** Lets a history happen to a cluster, then lets it rest. @param observe called every 100 ms */
export async function run(
  history: History,
  observe: (cluster: SimulatedCluster) => void = () => {},
  watchCore?: SimulatedClusterOptions["watchCore"],
): Promise<Outcome> {
  const course = new Course(history, observe, watchCore);
  const problem = await course.run();
  return { problem, transcript: course.cluster.lines, duration: course.cluster.now };
}

class Course {
  readonly cluster: SimulatedCluster;
  readonly #history: History;
  readonly #observe: (cluster: SimulatedCluster) => void;
  readonly #invariants = new Invariants();
  readonly #weather: ApiWeather = { ...fairWeather };
  readonly #backups: { readonly at: Millis; readonly backup: Backup; readonly services: ReadonlyMap<string, ServiceSpec> }[] = [];

  constructor(history: History, observe: (cluster: SimulatedCluster) => void, watchCore: SimulatedClusterOptions["watchCore"]) {
    this.#history = history;
    this.#observe = observe;
    const { seed, nodes, loss, withoutNetAdmin = [], config } = history;
    const options = { seed, nodes, loss, withoutNetAdmin, weather: this.#weather, config };
    const cluster = new SimulatedCluster({
      ...options,
      watchCore,
      onChange: (change, byPeople) => {
        if (this.cluster !== undefined) this.#invariants.changed(this.cluster, change, byPeople);
      },
    });
    this.cluster = cluster;
  }

  async run(): Promise<string | undefined> {
    const { cluster } = this;
    const history = this.#history;
    for (const [name, spec] of Object.entries(history.services)) cluster.setService(name, spec);
    await this.#pass(startMs);
    const began = cluster.now;
    for (const { at, act } of history.acts) cluster.time.schedule(began + at, () => this.#do(act));
    await this.#pass(endOf(history));
    // People put right what was refused, and what they moved.
    const configured = history.acts.flatMap(({ act }) => (act.type === "config" ? [act] : []));
    const mayRenumber = configured.some((act) => act.mayRenumber);
    if (configured.length > 0) this.#do({ type: "config", text: history.config, mayRenumber });
    await this.#pass(restMs);
    return this.#invariants.problem ?? this.#atRest();
  }

  #atRest(): string | undefined {
    const problem = this.#invariants.checkAtRest(this.cluster);
    return problem && `at rest: ${problem}`;
  }

  async #pass(duration: Millis): Promise<void> {
    const { cluster } = this;
    const end = cluster.now + duration;
    while (cluster.now < end && this.#invariants.problem === undefined) {
      await cluster.pass(Math.min(checkMs, end - cluster.now));
      this.#invariants.check(cluster);
      this.#observe(cluster);
      if (cluster.now % 1000 < checkMs)
        this.#backups.push({ at: cluster.now, backup: cluster.api.backup(), services: new Map(cluster.services) });
    }
  }

  #do(act: Act): void {
    const { cluster } = this;
    cluster.note(JSON.stringify(act));
    const later = (length: Millis, fn: () => void) => cluster.time.schedule(cluster.now + length, fn);
    switch (act.type) {
      case "killSpeaker":
      case "powerOff":
      case "stopSpeaker": {
        const speaker = cluster.speakers.get(act.node);
        if (!speaker?.process.isRunning) break;
        if (act.type === "stopSpeaker") void cluster.stopSpeaker(act.node);
        else cluster[act.type](act.node);
        later(act.length, () => {
          if (act.type === "stopSpeaker" && cluster.speakers.get(act.node) === speaker) cluster.killSpeaker(act.node);
          if (!cluster.speakers.get(act.node)?.process.isRunning) cluster.startSpeaker(act.node);
        });
        break;
      }
      case "earlierVersion":
        this.#replace(act.node, () => cluster.earlier.add(act.node));
        later(act.length, () => this.#replace(act.node, () => cluster.earlier.delete(act.node)));
        break;
      case "netAdmin": {
        const has = cluster.withoutNetAdmin.has(act.node);
        this.#replace(act.node, () => cluster.setNetAdmin(act.node, has));
        later(act.length, () => this.#replace(act.node, () => cluster.setNetAdmin(act.node, !has)));
        break;
      }
      case "setClock":
        cluster.setClock(act.node, act.ahead);
        break;
      case "changeMac":
        cluster.changeMac(act.node);
        break;
      case "changeAddress":
        if (act.off !== undefined) this.#do({ type: "powerOff", node: act.node, length: act.off });
        cluster.changeAddress(act.node, act.from);
        break;
      case "cutRouter":
        cluster.cutRouter(act.node, act.cut);
        later(act.length, () => cluster.cutRouter(act.node, undefined));
        break;
      case "stallSpeaker":
        if (cluster.speakers.get(act.node)?.process.isRunning) cluster.stallSpeaker(act.node, act.length);
        break;
      case "carrier":
        cluster.setCarrier(act.node, false);
        later(act.length, () => cluster.setCarrier(act.node, true));
        break;
      case "exclude":
        cluster.setExcluded(act.node, true);
        later(act.length, () => cluster.setExcluded(act.node, false));
        break;
      case "edge": {
        const isEdge = cluster.edges.has(act.node);
        cluster.setEdge(act.node, !isEdge);
        later(act.length, () => cluster.setEdge(act.node, isEdge));
        break;
      }
      case "stallController":
        cluster.controllers.get(act.index)?.process.stall(act.length);
        break;
      case "killController":
        cluster.killController(act.index);
        later(act.length, () => {
          if (!cluster.controllers.get(act.index)?.process.isRunning) cluster.startController(act.index);
        });
        break;
      case "cut": {
        const parts = [...new Set(act.parts)].filter((part) => part !== 0);
        for (const part of parts) cluster.ring.cutOff(act.parts.flatMap((of, node) => (of === part ? [node] : [])));
        later(act.length, () => cluster.ring.heal());
        break;
      }
      case "cutOneWay":
        cluster.ring.cutOneWay(act.from, act.to);
        later(act.length, () => cluster.ring.heal());
        break;
      case "cutApi": {
        const connection = this.#connection(act.of);
        if (connection === undefined) break;
        connection.isCut = true;
        later(act.length, () => {
          connection.isCut = false;
        });
        break;
      }
      case "breakWatches":
        this.#connection(act.of)?.breakWatches();
        break;
      case "restartApi":
        cluster.api.endWatches();
        break;
      case "compact":
        cluster.api.compact();
        break;
      case "restore": {
        const backup = this.#backups.findLast(({ at }) => at <= cluster.now - act.age);
        if (backup === undefined) break;
        // Whoever is cut off meanwhile, and finds as many versions as were lost, cannot know: see docs/operations.md.
        for (const { connection } of [...cluster.speakers.values(), ...cluster.controllers.values()]) connection.isCut = false;
        const lost = cluster.api.version - backup.backup.version;
        cluster.restore(backup.backup, backup.services, lost < fewWrites);
        break;
      }
      case "foreignHost": {
        const addresses = [...cluster.owners().keys()].sort();
        const address = addresses[act.choice % addresses.length];
        if (address === undefined) break;
        cluster.startForeignHost(address);
        later(act.length, () => cluster.endForeignHost(address));
        break;
      }
      case "weather":
        Object.assign(this.#weather, act.weather);
        later(act.length, () => Object.assign(this.#weather, fairWeather));
        break;
      case "forbid":
        this.#weather.forbidden = act.what;
        later(act.length, () => {
          this.#weather.forbidden = undefined;
        });
        break;
      case "config":
        cluster.setConfig(act.text, act.mayRenumber ?? false);
        break;
      case "service":
        cluster.setService(act.name, act.spec);
        break;
      default:
        act satisfies never;
    }
  }

  /** The node's speaker gives way to one for which `change` has been made. */
  #replace(node: number, change: () => void): void {
    change();
    this.#do({ type: "stopSpeaker", node, length: rollOutMs });
  }

  #connection(of: Client): ApiConnection | undefined {
    if ("speaker" in of) return this.cluster.speakers.get(of.speaker)?.connection;
    return this.cluster.controllers.get(of.controller)?.connection;
  }
}

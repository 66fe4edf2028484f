import type { Millis } from "#pkg/clock";
import { Acts, type DatedBackup } from "./acts.ts";
import type { ApiWeather } from "./api/api-connection.ts";
import { endOf, fairWeather, type History, movedConfig } from "./history.ts";
import { Invariants } from "./judge/invariants.ts";
import type { Judge } from "./judge/judge.ts";
import { SimulatedCluster, type SimulatedClusterOptions } from "./simulated-cluster.ts";

export interface Outcome {
  /** The fault; undefined without a fault. */
  readonly problem: string | undefined;
  /** The events, line by line. */
  readonly transcript: readonly string[];
  /** Simulated. */
  readonly duration: Millis;
}

// A cluster has started by then.
export const startMs: Millis = 8_000;
// Longer than any wait before another attempt: of watches, members, and BGP sessions that never were established.
const restMs: Millis = 125_000;
const checkMs: Millis = 100;

export interface RunOptions {
  readonly judge?: Judge;
  /** Called each time the judge has looked. */
  readonly observe?: (cluster: SimulatedCluster) => void;
  readonly watchCore?: SimulatedClusterOptions["watchCore"];
}

/** Lets a history happen to a cluster, then lets it rest. */
export async function run(history: History, options: RunOptions = {}): Promise<Outcome> {
  const course = new Course(history, options);
  const problem = await course.run();
  return { problem, transcript: course.cluster.lines, duration: course.cluster.now };
}

class Course {
  readonly cluster: SimulatedCluster;
  readonly #history: History;
  readonly #observe: (cluster: SimulatedCluster) => void;
  readonly #judge: Judge;
  readonly #weather: ApiWeather;
  readonly #backups: DatedBackup[] = [];

  constructor(history: History, { judge = new Invariants(), observe = () => {}, watchCore }: RunOptions) {
    this.#history = history;
    this.#observe = observe;
    this.#judge = judge;
    this.#weather = { ...(history.weather ?? fairWeather) };
    const cluster = new SimulatedCluster({
      ...history,
      weather: this.#weather,
      watchCore,
      onChange: (change, byPeople) => {
        if (this.cluster !== undefined) judge.changed(this.cluster, change, byPeople);
      },
    });
    this.cluster = cluster;
  }

  async run(): Promise<string | undefined> {
    const { cluster } = this;
    const history = this.#history;
    for (const [name, spec] of Object.entries(history.services)) cluster.people.setService(name, spec);
    await this.#pass(startMs);
    const began = cluster.now;
    const acts = new Acts({ cluster, weather: this.#weather, backups: this.#backups });
    for (const { at, act } of history.acts) cluster.time.schedule(began + at, () => acts.do(act));
    await this.#pass(endOf(history));
    // People put right what was refused, their moves, and objects in a backup that they had deleted. A pool may move without a
    // permission, too, while no Service has an address of it.
    const mayRenumber = history.acts.some(
      ({ act }) => (act.type === "config" || act.type === "configure") && (act.mayRenumber === true || act.text === movedConfig),
    );
    if (history.acts.some(({ act }) => ["config", "configure", "deleteConfig", "removePeers", "changePeers"].includes(act.type)))
      acts.do({ type: "config", text: history.config, mayRenumber });
    await this.#pass(restMs, () => this.#judge.isAtRest(cluster));
    return this.#judge.problem ?? this.#atRest();
  }

  #atRest(): string | undefined {
    const problem = this.#judge.checkAtRest(this.cluster);
    return problem && `at rest: ${problem}`;
  }

  async #pass(duration: Millis, isOver = () => false): Promise<void> {
    const { cluster } = this;
    const end = cluster.now + duration;
    const everyMs = this.#judge.checkEveryMs ?? checkMs;
    while (cluster.now < end && !isOver() && this.#judge.problem === undefined) {
      await cluster.pass(Math.min(everyMs, end - cluster.now));
      this.#judge.check(cluster);
      this.#observe(cluster);
      if (cluster.now % 1000 < everyMs)
        this.#backups.push({ at: cluster.now, backup: cluster.api.backup(), services: new Map(cluster.people.services) });
    }
  }
}

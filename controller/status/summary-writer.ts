import { type Clock, dateOf, inPortions, type Millis, type Portions } from "#pkg/clock";
import { ApiError, type Cluster } from "#pkg/k8s";
import { summaryConfigMap } from "#pkg/live-config";
import type { Log } from "#pkg/log";
import { isProblem } from "#pkg/verdict";
import { type ControllerRunner, type ControllerView, failureOf } from "../core/index.ts";
import { maxProblems, type Problem, type Summary, summarize, summaryHash } from "./summary.ts";

export interface SummaryWriterOptions {
  readonly cluster: Pick<Cluster, "writeConfigMap">;
  readonly namespace: string;
  /** Pools and Services to summarize. */
  readonly view: Pick<ControllerView, "configuration" | "pools" | "statuses">;
  readonly runner: Pick<ControllerRunner, "dispatch">;
  readonly portions: Pick<Portions, "do">;
  readonly log: Log;
  readonly clock: Clock;
}

const servicesAtOnce = 500;

/** Collects a summary of the cluster's state, and writes it into the ConfigMap `ingot-summary`. */
export class SummaryWriter {
  readonly #options: SummaryWriterOptions;
  #summary: Summary | undefined; // The last one that was collected.

  constructor(options: SummaryWriterOptions) {
    this.#options = options;
  }

  async collect(): Promise<void> {
    const { view, runner, portions, clock } = this.#options;
    const found = await inPortions(portions, this.#problems());
    const { configuration } = view;
    const pools = view.pools();
    const dateOfSecond = (at: Millis) => `${dateOf(clock, at).slice(0, 19)}Z`;
    this.#summary = summarize({ configuration, pools, ...found, dateOf: dateOfSecond });
    runner.dispatch({ type: "summaryCollected", hash: summaryHash(this.#summary) });
  }

  async write(): Promise<void> {
    const { cluster, namespace, runner, log } = this.#options;
    if (this.#summary === undefined) return;
    try {
      await cluster.writeConfigMap(namespace, summaryConfigMap, this.#summary);
      const bytes = Object.values(this.#summary).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
      runner.dispatch({ type: "summaryWritten", written: { hash: summaryHash(this.#summary), bytes } });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      log.warn("cannot write the summary of the status", { op: "writeStatus", configMap: summaryConfigMap, error });
      runner.dispatch({ type: "summaryWritten", written: undefined, failure: failureOf(error) });
    }
  }

  *#problems(): Generator<undefined, { readonly problems: readonly Problem[]; readonly problemCount: number }> {
    const { view, clock } = this.#options;
    const problems: Problem[] = [];
    let [looked, problemCount] = [0, 0];
    for (const { service, verdict, since } of view.statuses(undefined, clock.now())) {
      if (++looked % servicesAtOnce === 0) yield;
      if (!isProblem(verdict)) continue;
      problemCount++;
      if (problems.length < maxProblems) problems.push({ service: service.key, verdict, since });
    }
    return { problems, problemCount };
  }
}

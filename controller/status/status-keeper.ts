import { Alarm, backOff, type Clock, dateOf, type Millis, type Portions, type Random } from "#pkg/clock";
import { ApiError, type Cluster } from "#pkg/k8s";
import { lastGoodKey, statusConfigMap } from "#pkg/live-config";
import type { Log } from "#pkg/log";
import { isProblem } from "#pkg/verdict";
import type { ConfigKeeper } from "../configuration/config-keeper.ts";
import type { ControllerView } from "../core/index.ts";
import { maxProblems, type Problem, roomBeside, summarize, summaryKeys } from "./status-summary.ts";

export interface StatusKeeperOptions {
  readonly cluster: Pick<Cluster, "writeConfigMap">;
  readonly namespace: string;
  /** Pools and Services to summarize. */
  readonly view: Pick<ControllerView, "isWorking" | "pools" | "statuses">;
  readonly config: Pick<ConfigKeeper, "status">;
  readonly portions: Pick<Portions, "do">;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

const servicesAtOnce = 500;
// Changes within this time are written together.
const gatherMs: Millis = 3_000;
// Every speaker follows this ConfigMap: a long summary is sent to all of them each time.
const msPerKiB: Millis = 100;
const minRetryMs: Millis = 5_000;
const maxRetryMs: Millis = 300_000;

/** Keeps a summary of the cluster's state in the ConfigMap `ingot-status`, some seconds late. */
export class StatusKeeper implements Disposable {
  readonly #options: StatusKeeperOptions;
  readonly #alarm: Alarm;
  #recorded: Readonly<Record<string, string>> = {}; // the ConfigMap's data
  #notBefore: Millis = -Infinity;
  #isBusy = false;
  #hasChanged = false;
  #isDisposed = false;
  #failures = 0;

  constructor(options: StatusKeeperOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, "status summary", () => this.#collect());
  }

  /** Something may be different from what the summary says. */
  changed(): void {
    this.#hasChanged = true;
    if (this.#isBusy || this.#isDisposed || !this.#options.view.isWorking) return;
    this.#alarm.setNoLater(Math.max(this.#options.clock.now() + gatherMs, this.#notBefore));
  }

  /** The present ConfigMap: somebody else may have written into it. */
  seen(data: Readonly<Record<string, string>>): void {
    const isSame = summaryKeys.every((key) => data[key] === this.#recorded[key]);
    this.#recorded = data;
    if (!isSame) this.changed();
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#alarm[Symbol.dispose]();
  }

  #collect(): void {
    const { view, portions, clock } = this.#options;
    this.#isBusy = true;
    this.#hasChanged = false;
    const services = view.statuses(undefined, clock.now())[Symbol.iterator]();
    const problems: Problem[] = [];
    let count = 0;
    const portion = (): void => {
      for (let looked = 0; looked < servicesAtOnce; looked++) {
        const { done, value } = services.next();
        if (done) {
          void this.#write(problems, count);
          return;
        }
        const { service, verdict, since } = value;
        if (!isProblem(verdict)) continue;
        count++;
        if (problems.length < maxProblems) problems.push({ service: service.key, verdict, since });
      }
      portions.do(portion);
    };
    portions.do(portion);
  }

  async #write(problems: readonly Problem[], problemCount: number): Promise<void> {
    const { view, config, cluster, namespace, clock, random, log } = this.#options;
    const configuration = config.status;
    const dateOfSecond = (at: Millis) => `${dateOf(clock, at).slice(0, 19)}Z`;
    const pools = view.pools(configuration.inForce?.pools ?? []);
    const given = { configuration, pools, problems, problemCount, dateOf: dateOfSecond };
    const summary = summarize(given, roomBeside(this.#recorded[lastGoodKey] ?? ""));
    try {
      if (summary !== undefined && view.isWorking && summaryKeys.some((key) => summary[key] !== this.#recorded[key])) {
        await cluster.writeConfigMap(namespace, statusConfigMap, summary);
        this.#recorded = { ...this.#recorded, ...summary };
        const octets = Object.values(summary).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
        this.#notBefore = clock.now() + gatherMs + (octets >> 10) * msPerKiB;
      }
      this.#failures = 0;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      log.warn("cannot write the summary of the status", { op: "writeStatus", configMap: statusConfigMap, error });
      this.#notBefore = clock.now() + backOff(this.#failures++, minRetryMs, maxRetryMs, random);
      this.#hasChanged = true;
    }
    this.#isBusy = false;
    if (this.#hasChanged) this.changed();
  }
}

import type { Portions } from "#pkg/clock";
import { ConfigReader } from "#pkg/config-reader";
import { ApiError, type Cluster, type NamespaceLabels } from "#pkg/k8s";
import { lastGoodKey, readCandidate, statusConfigMap } from "#pkg/live-config";
import type { Log } from "#pkg/log";
import { type ControllerRunner, failureOf, type WriteFailure } from "../core/index.ts";
import { summaryKeys } from "../status/summary.ts";

export interface ConfigDriverOptions {
  readonly cluster: Pick<Cluster, "writeConfigMap">;
  readonly namespace: string;
  readonly namespaces: Pick<NamespaceLabels, "whenKnown">;
  readonly runner: Pick<ControllerRunner, "dispatch">;
  readonly portions: Pick<Portions, "do">;
  readonly log: Log;
}

// Version 0.1.0 had the summary in the same ConfigMap.
const formerSummary = Object.fromEntries(summaryKeys.map((key) => [key, null]));

/** Reads configurations, and writes the last good one into `ingot-status`. */
export class ConfigDriver implements Disposable {
  readonly #options: ConfigDriverOptions;
  readonly #reader: ConfigReader;

  constructor(options: ConfigDriverOptions) {
    this.#options = options;
    this.#reader = new ConfigReader(options.log);
  }

  /** Also looks what namespaces there are, where the configuration asks for it. */
  read(secretText: string): void {
    const { namespaces, portions, runner } = this.#options;
    readCandidate(secretText, this.#reader, portions, (parsed) => {
      const done = () => runner.dispatch({ type: "configRead", secretText, parsed });
      if (parsed.namespaceLabels === undefined) done();
      else namespaces.whenKnown(done);
    });
  }

  async write(secretText: string): Promise<void> {
    const { cluster, namespace, runner } = this.#options;
    let failure: WriteFailure | undefined;
    try {
      await cluster.writeConfigMap(namespace, statusConfigMap, { ...formerSummary, [lastGoodKey]: secretText });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      failure = failureOf(error);
    }
    runner.dispatch({ type: "lastGoodWritten", secretText, failure });
  }

  [Symbol.dispose](): void {
    this.#reader[Symbol.dispose]();
  }
}

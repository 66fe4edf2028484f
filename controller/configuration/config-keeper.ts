import type { Clock, Millis, Portions, Random } from "#pkg/clock";
import type { Config, ParsedConfig } from "#pkg/config";
import { ConfigReader } from "#pkg/config-reader";
import { ApiError, type Cluster, type ConfigMap, configMapReference, type EventReason, type EventRecorder } from "#pkg/k8s";
import {
  configurationVerdict,
  explain,
  type Holdings,
  LiveConfig,
  lastGoodKey,
  mayRenumber,
  renumberAnnotation,
  type State,
  type Stranded,
  statusConfigMap,
  strandedText,
} from "#pkg/live-config";
import type { Log } from "#pkg/log";
import type { KubernetesMetrics } from "#pkg/metrics";
import type { Dated } from "#pkg/verdict";
import type { KeeperEvent } from "../core/index.ts";
import { RetriedTask } from "../retried-task.ts";
import { maxSummaryBytes, noSummary, roomBeside } from "../status/status-summary.ts";
import type { Namespaces } from "./namespaces.ts";

export interface ConfigKeeperOptions {
  readonly cluster: Pick<Cluster, "writeConfigMap">;
  readonly events: Pick<EventRecorder, "record">;
  readonly namespace: string;
  /** Name of the ConfigMap with the configuration. */
  readonly configMap: string;
  /** Which Service holds what. */
  readonly view: Holdings;
  readonly namespaces: Pick<Namespaces, "labels" | "whenKnown">;
  readonly emit: (event: KeeperEvent) => void;
  readonly metrics: Pick<KubernetesMetrics, "showConfig">;
  /** Work on all Services is done in portions of some hundred Services. */
  readonly portions: Pick<Portions, "do">;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

export interface ConfigStatus extends Dated<Millis> {
  readonly inForce: Config | undefined;
  /** Since when it is in force; undefined without a configuration. */
  readonly inForceSince: Millis | undefined;
  /** Which version of the ConfigMap this process has seen last; undefined where it has seen none. */
  readonly seen: string | undefined;
}

/** Puts configurations in force, records events about what became of them, and keeps the last good one in the cluster. */
export class ConfigKeeper {
  readonly #options: ConfigKeeperOptions;
  readonly #live: LiveConfig;
  readonly #reader: ConfigReader;
  readonly #writing: RetriedTask;
  /** The ConfigMap, or when it is gone, what it last was. */
  #configMap: ConfigMap | undefined;
  #recorded: string | undefined; // the text in the status ConfigMap
  #started = false;
  #since: Millis;
  #inForceSince: Millis | undefined;
  #seen: string | undefined; // the ConfigMap's resource version

  constructor(options: ConfigKeeperOptions) {
    this.#options = options;
    this.#since = options.clock.now();
    const { view, namespaces, namespace, configMap, clock, random } = options;
    const log = options.log.with({ configMap: `${namespace}/${configMap}` });
    this.#reader = new ConfigReader(log);
    this.#live = new LiveConfig({
      reader: { read: (text, done) => this.#read(text, done) },
      namespaceLabels: () => namespaces.labels,
      portions: options.portions,
      holdings: view,
      log,
      changed: (now, before) => this.#changed(now, before),
    });
    this.#writing = new RetriedTask({ work: () => this.#record(), clock, random });
  }

  /** Why the ConfigMap's configuration is not the one in force. */
  get refused(): string | undefined {
    return this.#live.refused;
  }

  /** The configuration in force, the verdict on the ConfigMap's, and their dates. */
  get status(): ConfigStatus {
    const { state } = this.#live;
    const { config } = state.inForce ?? {};
    const verdict = configurationVerdict(state);
    return { inForce: config, inForceSince: this.#inForceSince, seen: this.#seen, verdict, since: this.#since };
  }

  /** In force here or, on a standby, at the leader as it recorded it. */
  get known(): Config | undefined {
    return this.#live.known?.config;
  }

  configMapChanged(now: ConfigMap | undefined): void {
    this.#configMap = now ?? this.#configMap;
    this.#seen = now?.resourceVersion;
    this.#live.configMapChanged(now?.data, mayRenumber(now?.annotations));
  }

  /** `ingot-status` changed. It is ours: it is read only to start from, and put right when someone else changes it. */
  statusChanged(now: ConfigMap | undefined): void {
    this.#recorded = now?.data[lastGoodKey];
    if (!this.#started) {
      this.#live.lastGoodChanged(this.#recorded);
      // On a standby: alerts on a configuration that is not loaded are for the controller at work.
      this.#options.metrics.showConfig({ loaded: this.#recorded !== undefined, stale: false });
    }
    this.#recordIfNeeded();
  }

  /** Namespaces have been seen for the first time, or cannot be any more. */
  namespaceLabelsChanged(): void {
    this.#live.namespaceLabelsChanged();
  }

  serviceChanged(service: string): void {
    this.#live.serviceChanged(service);
  }

  /** Both ConfigMaps and every Service have been seen, and this controller is the one at work. */
  start(): void {
    this.#started = true;
    this.#live.start();
  }

  /** Resolves when the write under way has ended, or at `deadline`. */
  close(deadline: Millis): Promise<void> {
    this.#reader[Symbol.dispose]();
    return this.#writing.close(deadline);
  }

  /** Also looks what namespaces there are, where the configuration asks for it. */
  #read(text: string, done: (parsed: ParsedConfig) => void): void {
    this.#reader.read(text, (parsed) => {
      if (parsed.namespaceLabels === undefined) done(parsed);
      else this.#options.namespaces.whenKnown(() => done(parsed));
    });
  }

  #changed(now: State, before: State): void {
    const { inForce, verdict } = now;
    this.#since = this.#options.clock.now();
    if (verdict === undefined) return;
    const { metrics, emit, namespace, configMap } = this.#options;
    metrics.showConfig({ loaded: inForce !== undefined, stale: verdict.type !== "accepted" });
    if (verdict.type === "accepted") {
      // A configuration that was in force before this process started is no news.
      if (before.verdict !== undefined || verdict.inForce.text !== this.#recorded)
        this.recordEvent("Normal", "ConfigLoaded", `configuration loaded${givenUp(verdict.stranded)}`);
      this.#live.lastGoodChanged(verdict.inForce.text);
    } else {
      const stays = inForce === undefined ? "there is none yet" : "the previous one stays in force";
      const deleted = verdict.type === "missing" && inForce !== undefined ? ". Deleting the configuration turns nothing off" : "";
      this.recordEvent("Warning", "ConfigStale", `configuration not used, ${stays}: ${explain(verdict)}${deleted}`);
      if (inForce === undefined) emit({ type: "noConfig", why: `${explain(verdict)} (${namespace}/${configMap})` });
    }
    this.#recordIfNeeded();
    if (inForce !== undefined && inForce !== before.inForce) {
      this.#inForceSince = this.#since;
      // Not by the ConfigMap, which may be a later one.
      const mayRenumber = verdict.type === "accepted" && verdict.stranded.size > 0;
      emit({ type: "config", config: inForce.config, mayRenumber });
    }
    emit({ type: "judged" });
  }

  /** Records an event about the configuration. */
  recordEvent(type: "Normal" | "Warning", reason: EventReason, message: string): void {
    if (this.#configMap !== undefined) this.#options.events.record(configMapReference(this.#configMap), type, reason, message);
  }

  #recordIfNeeded(): void {
    const { inForce } = this.#live;
    if (inForce !== undefined && inForce.text !== this.#recorded) this.#writing.request();
  }

  async #record(): Promise<Millis | "retry"> {
    const { cluster, namespace, log } = this.#options;
    const text = this.#live.inForce?.text;
    if (text === undefined || text === this.#recorded) return Infinity;
    try {
      // The record comes first: a summary that leaves it no room goes, and is written again when it fits.
      const others = roomBeside(text) < maxSummaryBytes ? noSummary : {};
      await cluster.writeConfigMap(namespace, statusConfigMap, { ...others, [lastGoodKey]: text });
      this.#recorded = text;
      return Infinity;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      log.error("failed to save the last good configuration", { op: "writeStatus", configMap: statusConfigMap, error });
      return "retry";
    }
  }
}

function givenUp(stranded: Stranded): string {
  return stranded.size === 0 ? "" : `; these get other addresses, as ${renumberAnnotation} allows: ${strandedText(stranded)}`;
}

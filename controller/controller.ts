import { randomBytes } from "node:crypto";
import { type Clock, type Millis, Portions, type Random } from "#pkg/clock";
import type { ParsedConfig } from "#pkg/config";
import { CoreRunner, hideByKey, type Recorder, recordLine } from "#pkg/core";
import { type Cluster, type EventRecorder, NamespaceLabels } from "#pkg/k8s";
import type { LeaderElector } from "#pkg/leader-election";
import { customResources } from "#pkg/live-config";
import type { Log } from "#pkg/log";
import type { LoadBalancerClasses } from "#pkg/service";
import {
  configurationState,
  poolKind,
  poolStatuses,
  StatusKeeper,
  type StatusKeeperOptions,
  statusKinds,
} from "#pkg/status-objects";
import { Carrier } from "./carry-out.ts";
import { ConfigDriver } from "./configuration/config-driver.ts";
import { type ControllerRunner, ControllerView, type CoreOptions, controllerCore } from "./core/index.ts";
import type { ControllerMetrics } from "./metrics.ts";
import { NetboxKeeper } from "./netbox/netbox-keeper.ts";
import { Sources } from "./sources.ts";
import { SummaryWriter } from "./status/summary-writer.ts";
import type { Trial } from "./webhook/review.ts";

export interface ControllerOptions {
  readonly cluster: Pick<Cluster, "informer" | "servedResources" | "writeIngress" | "writeConditions" | "writeConfigMap">;
  /** Knows whether no other controller can lead yet. `cluster` asks it before each write by itself. */
  readonly elector: Pick<LeaderElector, "mayWrite">;
  readonly events: Pick<EventRecorder, "record">;
  readonly namespace: string;
  /** Name of the ConfigMap with the configuration. */
  readonly configMap: string;
  /** `crds`: MetalLB's custom resources are the configuration in its place. */
  readonly configSource: "configmap" | "crds";
  readonly classes: LoadBalancerClasses;
  /** The API was restored from a backup: this controller is to be disposed of, and another one to begin. */
  readonly restored: () => void;
  /**
   * For the ConfigurationState of the controller that works, and the status of IPAddressPools that are its configuration; undefined: it writes
   * none. Its writes need no fence: the next leader puts them right.
   */
  readonly statusObject?: Pick<StatusKeeperOptions, "cluster" | "owner">;
  /** With which the core is made. */
  readonly coreOptions: CoreOptions;
  /** Gets each input of the core, and the decisions. */
  readonly recorder: Recorder;
  readonly metrics: ControllerMetrics;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

const drainMs = 1_000;
// Each takes some 2 ms.
const portionsPerTurn = 2;

/** The place of the configuration, as the core knows it: `NAMESPACE/NAME`. */
export function sourceName({
  namespace,
  configMap,
  configSource,
}: Pick<ControllerOptions, "namespace" | "configMap" | "configSource">) {
  return `${namespace}/${configSource === "crds" ? customResources : configMap}`;
}

/**
 * The controller without its process. Follows Services and the ConfigMaps. Begins to work when it leads, and each of them has been seen
 * whole: no address is given before all that are taken are known.
 */
export class Controller implements AsyncDisposable {
  readonly coreOptions: CoreOptions;
  readonly #clock: Clock;
  readonly #runner: ControllerRunner;
  readonly #portions: Portions;
  readonly #sources: Sources;
  readonly view: ControllerView;
  readonly #config: ConfigDriver;
  readonly #netbox: NetboxKeeper;
  readonly #carrier: Carrier;
  readonly #statusObjects: readonly StatusKeeper[];

  constructor(options: ControllerOptions) {
    const { coreOptions, recorder, clock, random } = options;
    this.coreOptions = coreOptions;
    this.#clock = clock;
    const hide = hideByKey(randomBytes(32));
    this.#runner = new CoreRunner(controllerCore, clock, random);
    this.#runner.onStep = (input, effects) => recorder.add(recordLine(controllerCore, input, effects, hide));
    this.#portions = new Portions(clock, portionsPerTurn);
    const common = { ...options, runner: this.#runner };
    this.#sources = new Sources(common);
    const { namespaces } = this.#sources;
    const state = controllerCore.createState(coreOptions);
    this.view = new ControllerView(state);
    const shared = { ...common, portions: this.#portions, view: this.view, namespaces };
    this.#config = new ConfigDriver(shared);
    this.#netbox = new NetboxKeeper(shared);
    const summary = new SummaryWriter(shared);
    this.#carrier = new Carrier({ ...shared, sources: this.#sources, config: this.#config, netbox: this.#netbox, summary });
    this.#statusObjects = options.statusObject === undefined ? [] : this.#statusKeepers(options, options.statusObject);
    this.#runner.start(state, (effect) => this.#carrier.carryOut(effect));
    this.#runner.dispatch({ type: "begin" });
  }

  start(): void {
    this.#sources.start();
  }

  /**
   * Makes this controller the one that works, when it has seen what the one before may have written a moment ago: a watch may be behind, and what
   * another Service has got meanwhile is not free.
   */
  lead(): void {
    this.#sources.catchUp(() => {
      this.#runner.dispatch({ type: "lead" });
      for (const keeper of this.#statusObjects) keeper.start();
    });
  }

  /** Resources that have to be seen before the work begins; empty once it can begin. */
  get missing(): readonly string[] {
    return this.#sources.missing;
  }

  /**
   * The state to try another configuration on, with the labels of namespaces that it asks for, if they come until then; undefined before
   * everything has been seen. A standby knows as much.
   */
  async trial({ config, namespaceLabels }: ParsedConfig, until: Millis): Promise<Trial | undefined> {
    if (this.missing.length > 0) return undefined;
    if (namespaceLabels !== undefined) await this.#namespacesKnown(until);
    const { known } = this.view;
    const isForbidden = namespaceLabels !== undefined && this.#sources.namespaces.isForbidden;
    const refusal = isForbidden ? `${namespaceLabels.path}: ${NamespaceLabels.missing("controller")}` : undefined;
    return { config: known, refusal, ...this.view.trial([config, known].flatMap((each) => each?.pools ?? [])) };
  }

  /** Stops deciding; writes under way get 1 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const keeper of this.#statusObjects) keeper[Symbol.dispose]();
    this.#sources[Symbol.dispose]();
    this.#portions[Symbol.dispose]();
    this.#netbox[Symbol.dispose]();
    this.#config[Symbol.dispose]();
    this.#runner.dispatch({ type: "stop" });
    await this.#carrier.close(this.#clock.now() + drainMs);
    this.#runner[Symbol.dispose]();
  }

  /** Of its ConfigurationState, and of pools that are its configuration. */
  #statusKeepers(options: ControllerOptions, by: NonNullable<ControllerOptions["statusObject"]>): StatusKeeper[] {
    const { view } = this;
    const wanted = configurationState({ type: "controller" }, () => view.configuration, options);
    const own = { kind: statusKinds[3], wanted, selector: "metallb.io/component-type=controller" };
    const usage = () => poolStatuses(view.isWorking ? view.usage.usage() : []);
    const ofPools = { kind: poolKind, wanted: usage, selector: undefined, owner: undefined };
    return [own, ...(options.configSource === "crds" ? [ofPools] : [])].map(
      (one) => new StatusKeeper({ ...options, ...by, ...one }),
    );
  }

  #namespacesKnown(until: Millis): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.schedule("labels of namespaces", until, resolve);
    this.#sources.namespaces.whenKnown(() => {
      timer[Symbol.dispose]();
      resolve();
    });
    return promise;
  }
}

import { type Clock, type Millis, Portions, type Random } from "#pkg/clock";
import type { ParsedConfig } from "#pkg/config";
import { CoreRunner, type Recorder, recordLine } from "#pkg/core";
import type { Cluster, EventRecorder } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import type { LoadBalancerClasses } from "#pkg/service";
import { Carrier } from "./carry-out.ts";
import { ConfigKeeper, type ConfigStatus } from "./configuration/config-keeper.ts";
import { type ControllerRunner, ControllerView, type CoreOptions, controllerCore } from "./core/index.ts";
import type { ControllerMetrics } from "./metrics.ts";
import { NetboxKeeper } from "./netbox/netbox-keeper.ts";
import { Sources } from "./sources.ts";
import { StatusKeeper } from "./status/status-keeper.ts";
import type { Trial } from "./webhook/review.ts";

export interface ControllerOptions {
  readonly cluster: Pick<Cluster, "informer" | "writeIngress" | "writeConfigMap">;
  /** No other controller can lead yet. `cluster` asks it before each write by itself. */
  readonly mayWrite: () => boolean;
  readonly events: Pick<EventRecorder, "record">;
  readonly namespace: string;
  /** Name of the ConfigMap with the configuration. */
  readonly configMap: string;
  readonly classes: LoadBalancerClasses;
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
  readonly #config: ConfigKeeper;
  readonly #netbox: NetboxKeeper;
  readonly #status: StatusKeeper;
  readonly #carrier: Carrier;

  constructor(options: ControllerOptions) {
    const { coreOptions, recorder, clock, random } = options;
    this.coreOptions = coreOptions;
    this.#clock = clock;
    this.#runner = new CoreRunner(controllerCore, clock, random);
    this.#runner.onStep = (input, effects) => recorder.add(recordLine(controllerCore, input, effects, String));
    this.#portions = new Portions(clock, portionsPerTurn);
    const emit = this.#runner.dispatch;
    this.#sources = new Sources({ ...options, emit });
    const { namespaces } = this.#sources;
    const state = controllerCore.createState(coreOptions);
    this.view = new ControllerView(state);
    const common = { ...options, portions: this.#portions, view: this.view, namespaces, emit };
    this.#config = new ConfigKeeper(common);
    this.#netbox = new NetboxKeeper(common);
    this.#status = new StatusKeeper({ ...common, config: this.#config });
    this.#carrier = new Carrier({ ...common, config: this.#config, netbox: this.#netbox, status: this.#status });
    this.#runner.start(state, (effect) => this.#carrier.carryOut(effect));
    emit({ type: "begin" });
  }

  start(): void {
    this.#sources.start();
  }

  /** Makes this controller the one that works. */
  lead(): void {
    this.#runner.dispatch({ type: "lead" });
  }

  /** Resources that have to be seen before the work begins; empty once it can begin. */
  get missing(): readonly string[] {
    return this.#sources.missing;
  }

  /** Why the ConfigMap's configuration is not the one in force; undefined when it is, or before the work has begun. */
  get refused(): string | undefined {
    return this.#config.refused;
  }

  get configuration(): ConfigStatus {
    return this.#config.status;
  }

  /** Services of type LoadBalancer with their addresses and verdicts; one Service, or all. Empty before the work begins. */
  services(only?: string): ReturnType<ControllerView["statuses"]> {
    return this.view.statuses(only, this.#clock.now());
  }

  /** The pools in force, in their order; none before the work began. */
  pools(): ReturnType<ControllerView["pools"]> {
    return this.view.pools(this.configuration.inForce?.pools ?? []);
  }

  /**
   * The state to try another configuration on, with the labels of namespaces that it asks for, if they come until then; undefined before
   * everything has been seen. A standby knows as much.
   */
  async trial({ config, namespaceLabels }: ParsedConfig, until: Millis): Promise<Trial | undefined> {
    if (this.missing.length > 0) return undefined;
    if (namespaceLabels !== undefined) await this.#namespacesKnown(until);
    const { known } = this.#config;
    return { config: known, ...this.view.trial([config, known].flatMap((each) => each?.pools ?? [])) };
  }

  /** Stops deciding; writes under way get 1 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#sources[Symbol.dispose]();
    this.#portions[Symbol.dispose]();
    this.#status[Symbol.dispose]();
    this.#netbox[Symbol.dispose]();
    this.#runner.dispatch({ type: "stop" });
    const deadline = this.#clock.now() + drainMs;
    await Promise.all([this.#carrier.close(deadline), this.#config.close(deadline)]);
    this.#runner[Symbol.dispose]();
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

import { type Clock, dateOf, forOneTurn, type Millis, type Portions } from "#pkg/clock";
import { type ByKind, dispatchByKind } from "#pkg/collections";
import { ApiError, type Cluster, type EventRecorder, type ObjectReference, report, type Service } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import type { ConfigDriver } from "./configuration/config-driver.ts";
import { type ControllerEffect, type ControllerRunner, failureOf, type WriteFailure } from "./core/index.ts";
import type { ControllerMetrics } from "./metrics.ts";
import type { NetboxKeeper } from "./netbox/netbox-keeper.ts";
import type { Sources } from "./sources.ts";
import type { SummaryWriter } from "./status/summary-writer.ts";

/** The drivers that carry out the core's effects. */
export interface Drivers {
  readonly runner: Pick<ControllerRunner, "dispatch">;
  readonly cluster: Pick<Cluster, "writeIngress" | "writeConditions">;
  readonly events: Pick<EventRecorder, "record">;
  readonly sources: Pick<Sources, "referenceOf">;
  readonly config: Pick<ConfigDriver, "read" | "write">;
  readonly netbox: Pick<NetboxKeeper, "configure" | "decided">;
  readonly summary: Pick<SummaryWriter, "collect" | "write">;
  readonly portions: Pick<Portions, "do">;
  readonly metrics: Pick<ControllerMetrics, "showConfig" | "updates" | "updateErrors" | "allocation" | "statusWrite">;
  readonly log: Log;
  readonly clock: Clock;
}

/** Carries out effects, in turns of the event loop that stay short, and waits for writes. */
export class Carrier {
  readonly #drivers: Drivers;
  #isAwake = false; // The core has more to decide.
  #isInTurn = false;
  #writing = 0;
  #idle: (() => void) | undefined;

  constructor(drivers: Drivers) {
    this.#drivers = drivers;
  }

  carryOut(effect: ControllerEffect): void {
    dispatchByKind(this.#carriers, "type", effect, this.#drivers);
  }

  readonly #carriers: ByKind<ControllerEffect, "type", [Drivers], void> = {
    writeStatus: ({ service, addresses, answerWithin }) => void this.#until(this.#write(service, addresses, answerWithin)),
    writeConditions: (effect) => void this.#writeConditions(effect),
    wake: () => {
      this.#isAwake = true;
      if (!this.#isInTurn) this.#awaitTurn();
    },
    portion: (effect, { portions, runner }) => portions.do(() => runner.dispatch(effect)),
    judgePortion: (effect, { portions, runner }) => portions.do(() => runner.dispatch(effect)),
    readConfig: ({ secretText }, { config }) => config.read(secretText),
    prepareConfig: () => {}, // Nothing is prepared here.
    writeLastGood: ({ secretText }, { config }) => void this.#until(config.write(secretText)),
    keepRecords: ({ pools }, { netbox }) => netbox.configure(pools),
    decided: ({ service, missing }, { netbox }) => netbox.decided(service, missing),
    collectSummary: (_, { summary }) => void summary.collect(),
    writeSummary: (_, { summary }) => void summary.write(),
    log: (effect, { events, log }) => report(effect, events, log),
    recordEvent: (effect, { events, log }) => report(effect, events, log),
    recordConfigEvent: (effect, { events }) => events.record(this.#aboutOf(effect), effect.kind, effect.reason, effect.message),
    showConfig: (effect, { metrics }) => metrics.showConfig(effect),
    updated: (_, { metrics }) => metrics.updates.inc(),
    allocated: ({ afterMs }, { metrics }) => metrics.allocation.observe(afterMs / 1000),
  };

  #aboutOf({ about, object }: Extract<ControllerEffect, { type: "recordConfigEvent" }>): ObjectReference {
    return (object === undefined ? undefined : this.#drivers.sources.referenceOf(object)) ?? about;
  }

  /** Resolves when nothing is being written any more, or at `deadline`. */
  async close(deadline: Millis): Promise<void> {
    if (this.#writing === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle = resolve;
    using _ = this.#drivers.clock.schedule("work queue deadline", deadline, resolve);
    await promise;
  }

  #awaitTurn(): void {
    this.#drivers.clock.schedule("work queue", this.#drivers.clock.now(), () => this.#turn());
  }

  #turn(): void {
    const { runner, clock } = this.#drivers;
    this.#isInTurn = true;
    const isMore = forOneTurn(clock, () => {
      this.#isAwake = false;
      runner.dispatch({ type: "continue" });
      return this.#isAwake;
    });
    this.#isInTurn = false;
    if (isMore) this.#awaitTurn();
  }

  async #until(writing: Promise<void>): Promise<void> {
    this.#writing++;
    await writing;
    if (--this.#writing === 0) this.#idle?.();
  }

  async #write(service: Service, addresses: readonly string[], answerWithin: Millis | undefined): Promise<void> {
    const { runner, cluster, metrics, clock } = this.#drivers;
    const log = this.#drivers.log.with({ op: "updateServiceStatus", service: service.key, ips: addresses });
    const written = { type: "statusWritten", key: service.key, addresses } as const;
    const begunAt = clock.now();
    try {
      const result = await cluster.writeIngress(service, addresses, { answerWithin });
      const tookMs = clock.now() - begunAt;
      metrics.statusWrite.observe(tookMs / 1000);
      log.debug("service status write ended", { result });
      runner.dispatch({ ...written, result, tookMs });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      metrics.updateErrors.inc();
      log.error("failed to update service status", { error });
      runner.dispatch({ ...written, result: "failed", failure: failureOf(error) });
    }
  }

  async #writeConditions({
    service,
    conditions,
    ...rest
  }: Extract<ControllerEffect, { type: "writeConditions" }>): Promise<void> {
    const { cluster, runner, clock } = this.#drivers;
    const now = `${dateOf(clock, clock.now()).slice(0, 19)}Z`;
    const dated = conditions.map((one) => ({ ...one, since: one.since || now }));
    let failure: WriteFailure | undefined;
    try {
      await cluster.writeConditions(service, { ...rest, conditions: dated });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      failure = failureOf(error);
    }
    runner.dispatch({ type: "conditionsWritten", key: service.key, failure });
  }
}

import { type Clock, forOneTurn, type Millis, type Portions } from "#pkg/clock";
import { ApiError, type Cluster, type EventRecorder, report, type Service } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import type { ConfigKeeper } from "./configuration/config-keeper.ts";
import type { ControllerEffect, ControllerEvent, WriteFailure } from "./core/index.ts";
import type { ControllerMetrics } from "./metrics.ts";
import type { NetboxKeeper } from "./netbox/netbox-keeper.ts";
import type { StatusKeeper } from "./status/status-keeper.ts";

/** The drivers that carry out the core's effects. */
export interface Drivers {
  readonly emit: (event: ControllerEvent) => void;
  readonly cluster: Pick<Cluster, "writeIngress">;
  readonly events: Pick<EventRecorder, "record">;
  readonly config: Pick<
    ConfigKeeper,
    "start" | "configMapChanged" | "statusChanged" | "namespaceLabelsChanged" | "serviceChanged" | "recordEvent"
  >;
  readonly netbox: Pick<NetboxKeeper, "configure" | "decided">;
  readonly status: Pick<StatusKeeper, "changed" | "seen">;
  readonly portions: Pick<Portions, "do">;
  readonly metrics: Pick<ControllerMetrics, "updates" | "updateErrors" | "allocation" | "statusWrite">;
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
    const { emit, events, config, netbox, status, portions, metrics, log } = this.#drivers;
    switch (effect.type) {
      case "writeStatus":
        void this.#write(effect.service, effect.addresses, effect.answerWithin);
        break;
      case "wake":
        this.#isAwake = true;
        if (!this.#isInTurn) this.#awaitTurn();
        break;
      case "portion":
        portions.do(() => emit(effect));
        break;
      case "startConfig":
        config.start();
        break;
      case "judgeConfig":
        config.configMapChanged(effect.configMap);
        break;
      case "readStatus":
        config.statusChanged(effect.configMap);
        status.seen(effect.configMap?.data ?? {});
        break;
      case "judgeNamespaces":
        config.namespaceLabelsChanged();
        break;
      case "judgeService":
        config.serviceChanged(effect.service);
        break;
      case "keepRecords":
        netbox.configure(effect.pools);
        break;
      case "decided":
        netbox.decided(effect.service, effect.unmet);
        config.serviceChanged(effect.service);
        status.changed();
        break;
      case "summarize":
        status.changed();
        break;
      case "log":
      case "recordEvent":
        report(effect, events, log);
        break;
      case "recordConfigEvent":
        config.recordEvent(effect.kind, effect.reason, effect.message);
        break;
      case "updated":
        metrics.updates.inc();
        break;
      case "allocated":
        metrics.allocation.observe(effect.afterMs / 1000);
        break;
      default:
        effect satisfies never;
    }
  }

  /** Resolves when no status is being written any more, or at `deadline`. */
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
    const { emit, clock } = this.#drivers;
    this.#isInTurn = true;
    const isMore = forOneTurn(clock, () => {
      this.#isAwake = false;
      emit({ type: "continue" });
      return this.#isAwake;
    });
    this.#isInTurn = false;
    if (isMore) this.#awaitTurn();
  }

  async #write(service: Service, addresses: readonly string[], answerWithin: Millis | undefined): Promise<void> {
    const { emit, cluster, metrics, clock } = this.#drivers;
    const log = this.#drivers.log.with({ op: "updateServiceStatus", service: service.key, ips: addresses });
    const written = { type: "statusWritten", key: service.key, addresses } as const;
    const begunAt = clock.now();
    this.#writing++;
    try {
      const result = await cluster.writeIngress(service, addresses, { answerWithin });
      const tookMs = clock.now() - begunAt;
      metrics.statusWrite.observe(tookMs / 1000);
      log.debug("service status write ended", { result });
      emit({ ...written, result, tookMs });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      metrics.updateErrors.inc();
      log.error("failed to update service status", { error });
      emit({ ...written, result: "failed", failure: failureOf(error) });
    }
    if (--this.#writing === 0) this.#idle?.();
  }
}

function failureOf({ status, reason, message, cause, retryAfterMs }: ApiError): WriteFailure {
  return { status, reason, message, cause: cause instanceof Error ? cause.message : undefined, retryAfterMs };
}

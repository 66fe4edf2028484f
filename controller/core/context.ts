import { chanceOf, type Millis, nextSeed, type Random } from "#pkg/clock";
import type { EventReason, ObjectReference, ReportEffect, Service } from "#pkg/k8s";
import type { Fields } from "#pkg/log";
import type { ControllerEffect } from "./effects.ts";

/** The shared part of steps: their time, chance, and effects. */
export class Context {
  /** Time of the step, or of the last one. */
  now: Millis = 0;
  /** The ConfigMap with the configuration, or the custom resource that changed last; when it is gone, what it last was. */
  configMap: ObjectReference | undefined;
  private seed: number;
  private effects: ControllerEffect[] = [];

  constructor(seed: number) {
    this.seed = seed;
  }

  get random(): Random {
    return () => {
      this.seed = nextSeed(this.seed);
      return chanceOf(this.seed);
    };
  }

  /** @returns what the step asks for */
  end(): ControllerEffect[] {
    const effects = this.effects;
    this.effects = [];
    return effects;
  }

  do(effect: ControllerEffect): void {
    this.effects.push(effect);
  }

  log(level: (ReportEffect & { type: "log" })["level"], message: string, fields: Fields): void {
    this.do({ type: "log", level, message, fields });
  }

  /** A Kubernetes event on a Service. */
  record(service: Service, kind: "Normal" | "Warning", reason: EventReason, message: string): void {
    this.do({ type: "recordEvent", service, kind, reason, message });
  }

  /** A Kubernetes event on the ConfigMap with the configuration, or on one of the objects that are it. @param object such as `IPAddressPool a/b` */
  recordConfigEvent(kind: "Normal" | "Warning", reason: EventReason, message: string, object?: string): void {
    const { configMap: about } = this;
    if (about !== undefined)
      this.do({ type: "recordConfigEvent", about, ...(object !== undefined && { object }), kind, reason, message });
  }
}

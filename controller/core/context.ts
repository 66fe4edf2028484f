import type { Millis, Random } from "#pkg/clock";
import type { EventReason, ReportEffect, Service } from "#pkg/k8s";
import type { Fields } from "#pkg/log";
import type { ControllerEffect } from "./effects.ts";

/** The shared part of a step: its time, chance, and its effects. */
export class Context {
  readonly random: Random;
  #now: Millis = 0;
  #effects: ControllerEffect[] = [];

  constructor(random: Random) {
    this.random = random;
  }

  /** Time of the step, or of the last one. */
  get now(): Millis {
    return this.#now;
  }

  begin(now: Millis): void {
    this.#now = now;
  }

  /** @returns what the step asks for */
  end(): ControllerEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  do(effect: ControllerEffect): void {
    this.#effects.push(effect);
  }

  log(level: (ReportEffect & { type: "log" })["level"], message: string, fields: Fields): void {
    this.do({ type: "log", level, message, fields });
  }

  /** A Kubernetes event on a Service. */
  record(service: Service, kind: "Normal" | "Warning", reason: EventReason, message: string): void {
    this.do({ type: "recordEvent", service, kind, reason, message });
  }
}

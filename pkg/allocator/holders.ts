import type { Reservation } from "#pkg/config";
import { namespaceOf } from "#pkg/service";

/** The owner of a reservation: a Service, a namespace, or nobody. */
export type ReservedFor = Reservation["holder"];

/** Owners of reservations that a Service gets addresses of first. */
export function holdersOf(service: string): ReservedFor[] {
  return [
    { type: "service", service },
    { type: "namespace", namespace: namespaceOf(service) },
  ];
}

/** Whether a Service may have addresses reserved for the holder. */
export function isFor(holder: ReservedFor, service: string): boolean {
  if (holder.type === "service") return holder.service === service;
  return holder.type === "namespace" && holder.namespace === namespaceOf(service);
}

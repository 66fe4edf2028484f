import type { Reservation } from "#pkg/config";
import { namespaceOf } from "#pkg/service";

/** For whom addresses are reserved: a Service, a namespace, or nobody. */
export type ReservedFor = Reservation["holder"];

/** For whom what a Service gets first may be reserved. */
export function holdersOf(service: string): ReservedFor[] {
  return [
    { type: "service", service },
    { type: "namespace", namespace: namespaceOf(service) },
  ];
}

/** Whether a Service may have what is reserved for the holder. */
export function isFor(holder: ReservedFor, service: string): boolean {
  if (holder.type === "service") return holder.service === service;
  return holder.type === "namespace" && holder.namespace === namespaceOf(service);
}

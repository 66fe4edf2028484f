import { advertisementsFor, advertisesByNamespace, differByService, type Pool, type ServiceAdvertisements } from "#pkg/config";
import type { Address } from "#pkg/net";
import type { AddressPlacement, Labels } from "#pkg/placement";
import { namespaceOf } from "#pkg/service";
import type { SpeakerState } from "../state.ts";

/** The pool's advertisements for a Service; undefined where all Services have the same. */
export function serviceAdvertisements(
  { services }: Pick<SpeakerState, "services">,
  key: string,
  pool: Pool,
): ServiceAdvertisements | undefined {
  const service = services.rows.get(key)?.service;
  if (service === undefined || !differByService(pool)) return undefined;
  return advertisementsFor(pool, { ...service, namespace: namespaceOf(key) }, services.namespaces);
}

/** What a Service asked routers for by its texts and did not get; undefined for nothing. Of Services on one address the oldest asks. */
export function notGranted(state: SpeakerState, key: string, { address, verdicts }: AddressPlacement): string | undefined {
  const pool = state.config?.pools.find(address);
  const [first] = verdicts.entries().find(([, { announced }]) => announced) ?? [];
  if (pool === undefined || first !== key) return undefined;
  const { notGranted: found = [] } = serviceAdvertisements(state, key, pool) ?? {};
  return found.length === 0 ? undefined : found.join("; ");
}

/** The labels of a namespace are others. @returns the addresses for which they may matter */
export function namespaceChanged(
  { config, services }: SpeakerState,
  name: string,
  labels: Labels | undefined,
): readonly Address[] {
  if (labels === undefined) services.namespaces.delete(name);
  else services.namespaces.set(name, labels);
  if (config === undefined || !advertisesByNamespace(config.config)) return [];
  return [...services.rows].flatMap(([key, { addresses }]) => (namespaceOf(key) === name ? addresses : []));
}

import type { Service } from "#pkg/k8s";
import { parseAddress } from "#pkg/net";
import { isOurs, recordedAddresses } from "#pkg/service";
import { appearedInChange } from "./configure.ts";
import { takeRecorded } from "./decide.ts";
import type { ServiceChange, SourceEvent } from "./events.ts";
import type { ControllerState } from "./state.ts";
import { freedOf } from "./waiting/waits.ts";

/** Services appeared, changed or went. */
export function servicesSeen(state: ControllerState, changed: readonly ServiceChange[]): void {
  const { services, changing, givenUp, statuses, configuration } = state;
  for (const { key, now } of changed) {
    if (now !== undefined && !services.has(key)) appearedInChange(state, key);
    if (!changing.has(key)) changing.set(key, services.get(key));
    if (now === undefined) services.delete(key);
    else services.set(key, now);
    if (state.isWorking) givenUp.look(key, statuses.mayHave(key, now)); // On a standby nobody holds anything: each is looked at when it is decided on.
    configuration.touched.add(key);
  }
}

/** The change of a Service counts. */
export function serviceChanged(state: ControllerState, key: string): void {
  const { allocator, services, changing, statuses, pools, agenda, conditions, announcements, externalIPs, verdicts, asked } =
    state;
  const now = services.get(key);
  const before = changing.get(key);
  changing.delete(key);
  const { addresses: held = [] } = allocator.held(key) ?? {};
  const isOther = before?.uid !== now?.uid; // It has the name of the Service before it, or is gone.
  if (isOther) {
    for (const part of [statuses, conditions, externalIPs, verdicts.services]) part.forget(key);
    asked.since.delete(key);
  } else if (now !== undefined && before !== undefined) statuses.changed(now, before, held.map(String));
  measureWait(state, key, now);
  announcements.serviceChanged(key, now, isOther);
  const named = externalIPs.changed(key, now, before).flatMap((text) => parseAddress(text) ?? []);
  for (const holder of [key, ...named.flatMap((address) => allocator.holders(address))])
    if (services.has(holder)) conditions.touch(holder);
  // Several come at once after the API was restored from a backup: what is decided on first must not take what others have on record.
  if (now !== undefined && recordedAddresses(now).some((address) => !held.some((other) => other.equals(address)))) {
    if (pools.configuring !== undefined) pools.appeared.add(key);
    else if (pools.inForce.type === "configured") takeRecorded(state, [key]);
  }
  agenda.changed(key);
}

/** A standby measures nothing, but knows since when a Service waits. */
function measureWait({ asked, pools, context }: ControllerState, key: string, now: Service | undefined): void {
  const since = asked.since.get(key);
  if (now !== undefined && isOurs(now) && now.ingress.length === 0) {
    if (since === undefined) asked.since.set(key, context.now);
  } else if (since !== undefined) {
    asked.since.delete(key);
    if (now !== undefined && isOurs(now) && pools.inForce.type === "configured")
      context.do({ type: "allocated", afterMs: context.now - since });
  }
}

/** All Services were listed again: a status that was written, and that is not there, is written once more, and so are conditions. */
export function relisted({ statuses, agenda, conditions }: Pick<ControllerState, "statuses" | "agenda" | "conditions">): void {
  for (const key of statuses.unseen) agenda.changed(key);
  conditions.relisted();
}

/**
 * A namespace has these labels, or none that are known. If that is news, its Services are decided on again, and those that are counted
 * with them; else no configuration has asked for them so far.
 */
export function namespaceChanged(
  { allocator, services, asked, agenda }: ControllerState,
  { name, labels, isNews }: Extract<SourceEvent, { type: "namespace" }>,
): void {
  const before = allocator.quotasOf(name);
  const isRecounted = allocator.setNamespace(name, labels);
  if (!isNews) return;
  for (const { key, namespace } of services.values()) if (namespace === name) agenda.changed(key);
  if (!isRecounted) return;
  for (const counter of new Set([...before, ...allocator.quotasOf(name)]))
    for (const waiting of asked.waiting.changed(freedOf(counter))) agenda.changed(waiting);
}

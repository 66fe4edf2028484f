import type { Allocation, Allocator } from "#pkg/allocator";
import { keepRecorded } from "#pkg/assignment";
import type { Service } from "#pkg/k8s";
import { isOurs, recordedAddresses } from "#pkg/service";
import type { Statuses } from "./statuses/statuses.ts";

interface Known {
  readonly allocator: Allocator;
  readonly services: ReadonlyMap<string, Service>;
  readonly statuses: Pick<Statuses, "withoutReplaced" | "isUnderWay" | "revert">;
}

/**
 * Lets Services have what they have on record: before those that are gone or have no right to it any more, and before those whose own record lost
 * it, whatever this controller remembers. The API may have been restored from a backup, or another controller writes too.
 * @returns each Service that was looked at -> what it held before
 */
export function giveRecorded(keys: Iterable<string>, known: Known): ReadonlyMap<string, Allocation | undefined> {
  const { allocator, services, statuses } = known;
  const had = new Map<string, Allocation | undefined>();
  const taking = new Set([...keys].sort()); // It grows while it is gone through.
  for (const key of taking) {
    const service = statuses.withoutReplaced(services.get(key));
    if (!had.has(key)) had.set(key, allocator.held(key));
    // Thousands may share an address: they are looked at only where one of them is in the way.
    if (service === undefined || isKept(service, allocator)) continue;
    const { losers: lost, others } = holdersBeside(service, known);
    const losers = lost.map((loser) => ({ loser, held: allocator.held(loser) }));
    // Others with the address on record may share it on other terms than when they were decided on last.
    for (const other of others) {
      if (!had.has(other)) had.set(other, allocator.held(other));
      const sharer = services.get(other);
      if (sharer !== undefined) keepRecorded(sharer, allocator, "written");
    }
    for (const { loser, held } of losers) {
      if (!had.has(loser)) had.set(loser, held);
      allocator.release(loser);
    }
    isKept(service, allocator);
    for (const { loser, held } of losers) {
      const other = services.get(loser);
      const before = other && { ...other, ingress: (held?.addresses ?? []).map(String) };
      if (before !== undefined) keepRecorded(before, allocator, "recorded");
      statuses.revert(loser);
      taking.add(loser);
    }
  }
  return had;
}

/**
 * Another controller insists on an address for the Service, as where none may use the Lease. The Service has that one, as after a start of this
 * controller: else the two would overwrite one another for ever.
 */
export function giveInsisted(service: Service, { allocator }: Pick<Known, "allocator">): void {
  const { addresses = [] } = allocator.held(service.key) ?? {};
  const recorded = recordedAddresses(service);
  const isPart = recorded.every((address) => addresses.some((held) => held.equals(address)));
  if (isPart && recorded.length < addresses.length) return;
  allocator.release(service.key);
  keepRecorded(service, allocator, "recorded");
  if (isKept(service, allocator)) return;
  allocator.release(service.key);
  keepRecorded({ ...service, ingress: addresses.map(String) }, allocator, "recorded");
}

/** Lets a Service keep what it has on record, and nothing else, if it may. @returns whether it has all of that now */
function isKept(service: Service, allocator: Allocator): boolean {
  keepRecorded(service, allocator, "written");
  const held = allocator.held(service.key)?.addresses ?? [];
  return recordedAddresses(service).every((address) => held.some((other) => other.equals(address)));
}

/** Other holders of addresses that the Service has on record: `losers` do not have them on record, or are gone. */
function holdersBeside(service: Service, { allocator, services, statuses }: Known) {
  const losers = new Set<string>();
  const others = new Set<string>();
  for (const address of recordedAddresses(service))
    for (const holder of allocator.holders(address)) {
      const other = services.get(holder);
      const isRecorded = other !== undefined && recordedAddresses(other).some((one) => one.equals(address));
      const isPending = other !== undefined && isOurs(other) && statuses.isUnderWay(holder);
      if (isRecorded && holder !== service.key) others.add(holder);
      if (!isRecorded && !isPending && holder !== service.key) losers.add(holder);
    }
  return { losers: [...losers], others: [...others] };
}

import type { Allocation, Allocator } from "#pkg/allocator";
import { keepAll } from "#pkg/assignment";
import { atOnce } from "#pkg/clock";
import type { Informer, Service } from "#pkg/k8s";
import { isOurs, recordedAddresses } from "#pkg/service";

export interface TakeRecordedOptions {
  readonly allocator: Allocator;
  readonly services: Pick<Informer<Service>, "get">;
  /** A Service without a status that is being replaced. */
  readonly current: (key: string) => Service | undefined;
  /** Whether what a Service holds is on its way into its status. */
  readonly isUnderWay: (key: string) => boolean;
}

/**
 * Lets Services have what they have on record: before those that are gone or have no right to it any more, and before those whose own record lost
 * it, whatever this controller remembers. The API may have been restored from a backup, or another controller writes too.
 * @returns each Service that was looked at -> what it held before
 */
export function takeRecorded(keys: Iterable<string>, options: TakeRecordedOptions): ReadonlyMap<string, Allocation | undefined> {
  const { allocator, services, current } = options;
  const had = new Map<string, Allocation | undefined>();
  const taking = new Set([...keys].sort()); // It grows while it is gone through.
  for (const key of taking) {
    const service = current(key);
    const losers = service === undefined ? [] : losersTo(service, options);
    for (const each of [key, ...losers]) if (!had.has(each)) had.set(each, allocator.held(each));
    const before = losers.map((loser) => withStatus(services.get(loser), allocator.held(loser)));
    for (const loser of losers) allocator.release(loser);
    atOnce(keepAll([key], () => service, allocator, "written"));
    for (const loser of before) if (loser !== undefined) atOnce(keepAll([loser.key], () => loser, allocator, "recorded"));
    for (const loser of losers) taking.add(loser);
  }
  return had;
}

/** Services that hold an address which is on record for this one, and not for themselves; gone ones too. */
function losersTo(service: Service, { allocator, services, isUnderWay }: TakeRecordedOptions): readonly string[] {
  const losers = new Set<string>();
  for (const address of recordedAddresses(service))
    for (const holder of allocator.holders(address)) {
      const other = services.get(holder);
      const isRecorded = other !== undefined && recordedAddresses(other).some((one) => one.equals(address));
      const isPending = other !== undefined && isOurs(other) && isUnderWay(holder);
      if (!isRecorded && !isPending) losers.add(holder);
    }
  losers.delete(service.key);
  return [...losers];
}

function withStatus(service: Service | undefined, allocation: Allocation | undefined): Service | undefined {
  return service && { ...service, ingress: (allocation?.addresses ?? []).map(String) };
}

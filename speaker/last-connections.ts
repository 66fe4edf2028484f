import { type Clock, type Millis, sleep } from "#pkg/clock";
import { FlowCounter } from "#pkg/handover";
import type { Log } from "#pkg/log";
import type { SpeakerView } from "./core/index.ts";

const countEveryMs: Millis = 1_000;
// A count of a million connections takes less. A process that has none by then never gets one: it may lack NET_ADMIN.
const firstCountMs: Millis = 10_000;

export interface LastConnectionsOptions {
  readonly view: Pick<SpeakerView, "isNodeLeaving" | "keptAddresses">;
  /** How long they are waited for at most. */
  readonly graceMs: Millis;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * On a node that goes, kept connections end with it, and its shutdown waits for this process. So the process stays until they are over: the
 * others have its addresses by then, and hand it these packets. On a node that stays, the kernel goes on without a speaker, and a rollout
 * does not wait.
 */
export async function lastConnections({ view, graceMs, clock, log }: LastConnectionsOptions): Promise<void> {
  // One that came back is owned, and served for a moment still.
  const addresses = new Map(view.isNodeLeaving ? view.keptAddresses.map((address) => [address.toString(), address]) : []);
  if (addresses.size === 0) return;
  const begin = clock.now();
  const counted = new Map<string, number>();
  let open: number | undefined;
  const onCounts = (counts: ReadonlyMap<string, number>) => {
    for (const [address, count] of counts) counted.set(address, count);
    if (counted.size === addresses.size) open = counted.values().reduce((sum, count) => sum + count, 0);
  };
  log.info("waiting for kept connections to end", { op: "shutdown", addresses: addresses.size });
  using counter = new FlowCounter({ onCounts, everyMs: countEveryMs, log, clock });
  for (const address of addresses.values()) counter.want(address, true);
  const graceOf = () => (open === undefined ? Math.min(graceMs, firstCountMs) : graceMs);
  while (open !== 0 && clock.now() < begin + graceOf()) await sleep(clock, "kept connections", countEveryMs);
  log.info(open === 0 ? "kept connections are over" : "kept connections end with this node", { op: "shutdown", open });
}

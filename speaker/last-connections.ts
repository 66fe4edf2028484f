import { type Clock, type Millis, sleep } from "#pkg/clock";
import { FlowCounter } from "#pkg/handover";
import type { Log } from "#pkg/log";
import type { SpeakerView } from "./core/index.ts";

const countEveryMs: Millis = 1_000;

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
  const addresses = view.isNodeLeaving ? view.keptAddresses : [];
  if (addresses.length === 0) return;
  const end = clock.now() + graceMs;
  const counted = new Map<string, number>();
  let open: number | undefined;
  const onCounts = (counts: ReadonlyMap<string, number>) => {
    for (const [address, count] of counts) counted.set(address, count);
    if (counted.size === addresses.length) open = counted.values().reduce((sum, count) => sum + count, 0);
  };
  log.info("waiting for kept connections to end", { op: "shutdown", addresses: addresses.length });
  using counter = new FlowCounter({ onCounts, everyMs: countEveryMs, log, clock });
  for (const address of addresses) counter.want(address, true);
  while (open !== 0 && clock.now() < end) await sleep(clock, "kept connections", countEveryMs);
  log.info(open === 0 ? "kept connections are over" : "kept connections end with this node", { op: "shutdown", open });
}

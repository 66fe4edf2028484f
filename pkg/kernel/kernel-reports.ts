import type { Clock } from "#pkg/clock";
import type { Log } from "#pkg/log";
import { takeReport } from "./state/plan.ts";
import type { KernelEntry, KernelState } from "./state/state.ts";

export interface KernelReportsOptions {
  readonly onDisturbance: (message: string) => void;
  readonly log: Log;
  readonly clock: Clock;
}

/** Reports the kernel's refusals, and addresses or routes that somebody takes away: once for each reason. */
export class KernelReports {
  readonly #options: KernelReportsOptions;
  #logged: ReadonlySet<string> = new Set(); // names of errors

  constructor(options: KernelReportsOptions) {
    this.#options = options;
  }

  /** Logs one line for each reason: the kernel may refuse thousands of addresses alike. */
  refused(state: KernelState): void {
    const found = new Map<string, KernelEntry>(); // name of an error -> an entry with it
    for (const entry of state.entries.values()) if (entry.error !== undefined) found.set(entry.error, entry);
    for (const [error, { item }] of found)
      if (!this.#logged.has(error))
        this.#options.log.error("the kernel refuses an address or a route, retrying", {
          op: "kernel",
          error,
          interface: item.interface,
        });
    this.#logged = new Set(found.keys());
  }

  /** Reports what was put back since the last report, seldom. */
  disturbed(state: KernelState): void {
    const { clock, log, onDisturbance } = this.#options;
    const report = takeReport(state, clock.now());
    if (report === undefined) return;
    const { count, examples } = report;
    const times = count === 1 ? "once" : `${count} times`;
    const message = `something on this node removes what is put into its kernel for Services, and it was put back ${times}: ${examples.join(", ")}; look for systemd-networkd, NetworkManager and scripts that flush addresses or routes`;
    log.warn("addresses or routes were taken away and put back", { event: "kernelRestored", count, examples });
    onDisturbance(message);
  }
}

import { backOff, type Clock, type Millis, type Random, sleep, wallClock } from "#pkg/clock";
import { ApiError, type Cluster } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import type { Address } from "#pkg/net";
import { encodeQuarantine, type Occupant, quarantineConfigMap, quarantineKey } from "#pkg/quarantine";

export interface OccupantsWriterOptions {
  readonly cluster: Pick<Cluster, "writeConfigMap">;
  readonly namespace: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

const firstRetryMs: Millis = 500;
const maxRetryMs: Millis = 30_000;

/** Writes to the ConfigMap `ingot-conflicts` who has an address, again and again until it is done. */
export class OccupantsWriter implements Disposable {
  readonly #options: OccupantsWriterOptions;
  readonly #writes = new Map<string, string | null>(); // key -> what it shall be
  #isWriting = false;
  #failures = 0;
  #isDisposed = false;

  constructor(options: OccupantsWriterOptions) {
    this.#options = options;
  }

  /** Undefined: nobody has it any more. */
  write(address: Address, occupant: Omit<Occupant, "since"> | undefined): void {
    const value = occupant === undefined ? null : encodeQuarantine({ ...occupant, since: wallClock().toISOString() });
    this.#writes.set(quarantineKey(address), value);
    if (!this.#isWriting) void this.#flush();
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
  }

  async #flush(): Promise<void> {
    const { cluster, namespace, log, clock, random } = this.#options;
    this.#isWriting = true;
    const writes = Object.fromEntries(this.#writes);
    try {
      await cluster.writeConfigMap(namespace, quarantineConfigMap, writes);
      for (const [key, value] of Object.entries(writes)) if (this.#writes.get(key) === value) this.#writes.delete(key);
      this.#failures = 0;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      log.error("cannot write quarantined addresses", { op: "writeConflicts", configMap: quarantineConfigMap, error });
      await sleep(clock, "conflicts write", backOff(this.#failures++, firstRetryMs, maxRetryMs, random));
    }
    this.#isWriting = false;
    if (this.#writes.size > 0 && !this.#isDisposed) void this.#flush();
  }
}

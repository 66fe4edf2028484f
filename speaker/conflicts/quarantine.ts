import { backOff, type Clock, type Millis, type Random, wallClock } from "#pkg/clock";
import { ApiError, type Cluster } from "#pkg/k8s";
import type { Claim, Layer2 } from "#pkg/layer2";
import type { Log } from "#pkg/log";
import { type Address, parseAddress } from "#pkg/net";
import { elect } from "#pkg/placement";
import { decodeQuarantine, encodeQuarantine, type Occupant, quarantineConfigMap, quarantineKey } from "#pkg/quarantine";
import type { Conflict } from "./guard.ts";

export interface QuarantineOptions {
  readonly cluster: Pick<Cluster, "writeConfigMap">;
  readonly namespace: string;
  /** This node's name. */
  readonly node: string;
  readonly active: () => readonly string[];
  readonly layer2: Pick<Layer2, "listen" | "withdraw" | "ask">;
  /** Globs for the interfaces that the address is for. */
  readonly interfaces: (address: Address) => readonly string[];
  /** Whether the address has something else to listen for it here. */
  readonly isGuarded: (address: Address) => boolean;
  /** Other addresses are occupied. */
  readonly changed: () => void;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

const inspectEvery: Millis = 60_000;
const questions = 3;
const questionEvery: Millis = 200;
const firstRetryMs: Millis = 500;
const longestRetryMs: Millis = 30_000;
// A host that answers for everything must not fill the ConfigMap.
const mostEntries = 1_000;

/**
 * The addresses that other hosts have, as the ConfigMap `ingot-conflicts` says: no speaker announces them and the controller gives them
 * to nobody. The speaker that found one out puts it there. Each minute it asks again who has it, or when it is gone another one does,
 * and takes it out when nobody answers.
 */
export class Quarantine implements Disposable {
  readonly #options: QuarantineOptions;
  #occupants: ReadonlyMap<string, Occupant> = new Map(); // address -> who has it
  readonly #writes = new Map<string, string | null>(); // key -> what it shall be
  readonly #asked = new Map<string, { readonly address: Address; questions: number }>(); // address -> being asked for
  readonly #timers = new Set<Disposable>();
  #writing = false;
  #failures = 0;
  #disposed = false;

  constructor(options: QuarantineOptions) {
    this.#options = options;
  }

  start(): void {
    this.#inspectLater();
  }

  has(address: Address): boolean {
    return this.#occupants.has(address.toString());
  }

  /** For people. */
  describe(): (Occupant & { readonly address: string })[] {
    return [...this.#occupants].map(([address, occupant]) => ({ address, ...occupant }));
  }

  /** The ConfigMap's data as it is now. */
  set(data: Readonly<Record<string, string>>): void {
    this.#occupants = decodeQuarantine(data);
    for (const [key, { address }] of this.#asked) if (!this.#occupants.has(key)) this.#end(key, address);
    this.#options.changed();
  }

  add({ address, mac, interface: name }: Conflict): void {
    const { node, log } = this.#options;
    if (this.#occupants.size >= mostEntries) {
      log.error("an occupied address is kept to this node: there are too many", {
        op: "writeConflicts",
        ip: address,
        mostEntries,
      });
      return;
    }
    const since = wallClock().toISOString();
    this.#write(quarantineKey(address), encodeQuarantine({ mac, node, interface: name, since }));
  }

  /** Whoever says that it has an address that is asked for. */
  heard({ address, kind }: Claim): void {
    if (kind !== "asks" && this.#asked.has(address.toString())) this.#end(address.toString(), address);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const timer of this.#timers) timer[Symbol.dispose]();
  }

  #inspectLater(): void {
    this.#after(inspectEvery * (0.75 + this.#options.random() / 2), () => {
      this.#inspect();
      this.#inspectLater();
    });
  }

  #inspect(): void {
    const { active, node, layer2, interfaces } = this.#options;
    for (const [key, { node: seenBy }] of this.#occupants) {
      const address = parseAddress(key);
      if (address === undefined || this.#asked.has(key)) continue;
      // Who saw the host is on its network for sure.
      const inspector = active().includes(seenBy) ? seenBy : elect(active(), address);
      if (inspector !== node) continue;
      this.#asked.set(key, { address, questions: 0 });
      layer2.listen(address, { interfaces: interfaces(address) });
      this.#ask(key);
    }
  }

  #ask(key: string): void {
    const asked = this.#asked.get(key);
    if (asked === undefined) return;
    if (asked.questions++ < questions) {
      this.#options.layer2.ask(asked.address);
      this.#after(questionEvery, () => this.#ask(key));
      return;
    }
    this.#end(key, asked.address);
    this.#options.log.info("nobody answers for an address any more that another host had", {
      event: "addressFree",
      ip: asked.address,
    });
    this.#write(quarantineKey(asked.address), null);
  }

  #end(key: string, address: Address): void {
    this.#asked.delete(key);
    if (!this.#options.isGuarded(address)) this.#options.layer2.withdraw(address);
  }

  #write(key: string, value: string | null): void {
    this.#writes.set(key, value);
    if (!this.#writing) void this.#flush();
  }

  async #flush(): Promise<void> {
    const { cluster, namespace, log, clock, random } = this.#options;
    this.#writing = true;
    const writes = Object.fromEntries(this.#writes);
    try {
      await cluster.writeConfigMap(namespace, quarantineConfigMap, writes);
      for (const [key, value] of Object.entries(writes)) if (this.#writes.get(key) === value) this.#writes.delete(key);
      this.#failures = 0;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      log.error("cannot tell which addresses other hosts have", { op: "writeConflicts", configMap: quarantineConfigMap, error });
      const { promise, resolve } = Promise.withResolvers<void>();
      clock.schedule("conflicts write", clock.now() + backOff(this.#failures++, firstRetryMs, longestRetryMs, random), resolve);
      await promise;
    }
    this.#writing = false;
    if (this.#writes.size > 0 && !this.#disposed) void this.#flush();
  }

  #after(wait: Millis, work: () => void): void {
    const { clock } = this.#options;
    const timer = clock.schedule("occupied addresses", clock.now() + wait, () => {
      this.#timers.delete(timer);
      work();
    });
    this.#timers.add(timer);
  }
}

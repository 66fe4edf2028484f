import { backOff, type Clock, type Millis, type Random, wallClock } from "#pkg/clock";
import { ApiError, type Cluster } from "#pkg/k8s";
import type { AddressSighting, Layer2 } from "#pkg/layer2";
import type { Log } from "#pkg/log";
import { type Address, parseAddress } from "#pkg/net";
import { elect } from "#pkg/placement";
import { decodeQuarantine, encodeQuarantine, type Occupant, quarantineConfigMap, quarantineKey } from "#pkg/quarantine";
import type { Conflict } from "./address-defender.ts";

export interface QuarantineOptions {
  readonly cluster: Pick<Cluster, "writeConfigMap">;
  readonly namespace: string;
  /** This node's name. */
  readonly node: string;
  readonly active: () => readonly string[];
  readonly layer2: Pick<Layer2, "listen" | "withdraw" | "probe">;
  /** Globs for the interfaces that the address is for. */
  readonly interfaces: (address: Address) => readonly string[];
  /** Whether the defender watches the address on the wire. */
  readonly isDefended: (address: Address) => boolean;
  /** Addresses entered or left quarantine. */
  readonly changed: () => void;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

const inspectEvery: Millis = 60_000;
const probes = 3;
const probeInterval: Millis = 200;
const firstRetryMs: Millis = 500;
const maxRetryMs: Millis = 30_000;
// A host that answers for every address must not fill the ConfigMap.
const maxEntries = 1_000;

/**
 * Quarantined addresses, which foreign hosts have, from the ConfigMap `ingot-conflicts`: no speaker announces them, and the controller
 * assigns them to no Service. The speaker that sees such a host writes the entry. It probes the address each minute (if it is gone, an elected
 * speaker does) and removes the entry when nobody answers.
 */
export class Quarantine implements Disposable {
  readonly #options: QuarantineOptions;
  #occupants: ReadonlyMap<string, Occupant> = new Map(); // address -> who has it
  readonly #writes = new Map<string, string | null>(); // key -> what it shall be
  readonly #probed = new Map<string, { readonly address: Address; probes: number }>(); // address -> being probed
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
    for (const [key, { address }] of this.#probed) if (!this.#occupants.has(key)) this.#end(key, address);
    this.#options.changed();
  }

  add({ address, mac, interface: name }: Conflict): void {
    const { node, log } = this.#options;
    if (this.#occupants.size >= maxEntries) {
      log.error("address is quarantined on this node only: too many entries", {
        op: "writeConflicts",
        ip: address,
        maxEntries,
      });
      return;
    }
    const since = wallClock().toISOString();
    this.#write(quarantineKey(address), encodeQuarantine({ mac, node, interface: name, since }));
  }

  /** A host that uses an address that is being probed still has it. */
  handleSighting({ address, kind }: AddressSighting): void {
    if (kind !== "probes" && this.#probed.has(address.toString())) this.#end(address.toString(), address);
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
      if (address === undefined || this.#probed.has(key)) continue;
      // The node that saw the host is on its network.
      const inspector = active().includes(seenBy) ? seenBy : elect(active(), address);
      if (inspector !== node) continue;
      this.#probed.set(key, { address, probes: 0 });
      layer2.listen(address, { interfaces: interfaces(address) });
      this.#probe(key);
    }
  }

  #probe(key: string): void {
    const probed = this.#probed.get(key);
    if (probed === undefined) return;
    if (probed.probes++ < probes) {
      this.#options.layer2.probe(probed.address);
      this.#after(probeInterval, () => this.#probe(key));
      return;
    }
    this.#end(key, probed.address);
    this.#options.log.info("quarantine ended: nobody answers for the address any more", {
      event: "addressFree",
      ip: probed.address,
    });
    this.#write(quarantineKey(probed.address), null);
  }

  #end(key: string, address: Address): void {
    this.#probed.delete(key);
    if (!this.#options.isDefended(address)) this.#options.layer2.withdraw(address);
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
      log.error("cannot write quarantined addresses", { op: "writeConflicts", configMap: quarantineConfigMap, error });
      const { promise, resolve } = Promise.withResolvers<void>();
      clock.schedule("conflicts write", clock.now() + backOff(this.#failures++, firstRetryMs, maxRetryMs, random), resolve);
      await promise;
    }
    this.#writing = false;
    if (this.#writes.size > 0 && !this.#disposed) void this.#flush();
  }

  #after(wait: Millis, work: () => void): void {
    const { clock } = this.#options;
    const timer = clock.schedule("quarantine", clock.now() + wait, () => {
      this.#timers.delete(timer);
      work();
    });
    this.#timers.add(timer);
  }
}

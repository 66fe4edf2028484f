import type { Clock, Millis } from "#pkg/clock";
import type { ConflictProbe } from "#pkg/config";
import type { AddressSighting, Layer2 } from "#pkg/layer2";
import type { Address } from "#pkg/net";
import { elect } from "#pkg/placement";
import { type Beginning, ConflictDefense, type DefenseEffect, type OtherSpeaker, type Rival } from "./conflict-defense.ts";

/** How an address is to be announced. */
export interface DefendedAnnouncement {
  /** Names with wildcards, as `matchesInterface` takes them. */
  readonly interfaces: readonly string[];
  readonly conflictProbe: ConflictProbe;
  /** No node has announced it since a Service got it. */
  readonly isFirst: boolean;
}

export interface Conflict extends Rival {
  readonly address: Address;
}

export interface AddressDefenderOptions {
  readonly node: string;
  readonly layer2: Pick<Layer2, "announce" | "listen" | "withdraw" | "reannounce" | "defend" | "probe">;
  /** Nodes with an active speaker. */
  readonly active: () => readonly string[];
  /** The node whose speaker has this MAC address, active or not; undefined for a foreign host. */
  readonly nodeOf: (mac: string) => string | undefined;
  /** The text that the owner of an address is elected by. */
  readonly electionAddress: (address: Address) => Address;
  /** The address is quarantined: a foreign host has it, and no node announces it. */
  readonly isOccupied: (address: Address) => boolean;
  readonly began: (conflict: Conflict) => void;
  readonly ended: (conflict: Conflict) => void;
  /** A foreign host answered before the first announcement. */
  readonly occupied: (conflict: Conflict) => void;
  /** A foreign host probed the address, and got an answer. */
  readonly wanted: (conflict: Conflict) => void;
  readonly clock: Clock;
}

interface Entry {
  readonly address: Address;
  on: DefendedAnnouncement;
  /** Undefined while the address is quarantined. */
  defense: ConflictDefense | undefined;
  isAnnounced: boolean;
  timer: Disposable | undefined;
}

const minProbeInterval: Millis = 1000;
// With thousands of addresses at other speakers while the ring is cut, each is probed less often.
const maxProbesPerSecond = 500;

const beginnings: Record<ConflictProbe, Beginning> = { off: "announce", report: "announceAndProbe", strict: "probeFirst" };

/**
 * Announces what this node is to announce, and keeps one owner for each address on the wire: takes in sightings of other hosts, and lets one
 * `ConflictDefense` for each address decide whether to announce, defend or yield.
 */
export class AddressDefender implements Disposable {
  readonly #options: AddressDefenderOptions;
  readonly #entries = new Map<string, Entry>(); // address -> entry
  #active: ReadonlySet<string>;
  #yielded = 0;
  #stopped = false;

  constructor(options: AddressDefenderOptions) {
    this.#options = options;
    this.#active = new Set();
  }

  announce(address: Address, on: DefendedAnnouncement): void {
    const key = address.toString();
    const known = this.#entries.get(key);
    if (known === undefined) {
      const entry: Entry = { address, on, defense: undefined, isAnnounced: false, timer: undefined };
      this.#entries.set(key, entry);
      this.#begin(entry, on.isFirst ? beginnings[on.conflictProbe] : "announce");
      return;
    }
    known.on = on;
    this.#put(known);
  }

  withdraw(address: Address): void {
    const entry = this.#entries.get(address.toString());
    if (entry === undefined) return;
    this.#entries.delete(address.toString());
    this.#drop(entry);
    this.#options.layer2.withdraw(address);
  }

  /** Hosts may have learned another MAC address. An address that this node has yielded stays so. */
  reannounce(address: Address): void {
    if (this.#entries.get(address.toString())?.isAnnounced) this.#options.layer2.reannounce(address);
  }

  /** This node is to announce the address. */
  has(address: Address): boolean {
    return this.#entries.has(address.toString());
  }

  handleSighting(sighting: AddressSighting): void {
    const entry = this.#entries.get(sighting.address.toString());
    if (entry === undefined) return;
    const by = this.#speakerOf(sighting);
    this.#work(entry, (defense, now) => defense.handleSighting({ ...sighting, by }, now));
  }

  membersChanged(): void {
    const before = this.#active;
    this.#active = new Set(this.#options.active());
    const returned = [...this.#active].filter((node) => !before.has(node));
    const now = this.#options.clock.now();
    for (const entry of this.#entries.values()) {
      if (entry.timer === undefined) continue; // No rivals.
      for (const node of returned) entry.defense?.nodeReturned(node, now);
      this.#arm(entry);
    }
  }

  /** Addresses entered or left quarantine. */
  occupiedChanged(): void {
    for (const entry of this.#entries.values()) {
      const occupied = this.#options.isOccupied(entry.address);
      if (occupied && entry.defense !== undefined) {
        this.#drop(entry);
        this.#begin(entry, "probeFirst");
      } else if (!occupied && entry.defense === undefined) this.#begin(entry, "probeFirst");
    }
  }

  get conflicts(): Conflict[] {
    return [...this.#entries.values()].flatMap(({ address, defense }) =>
      (defense?.conflicts ?? []).map((rival) => ({ ...rival, address })),
    );
  }

  /** Defends nothing from now on: this node leaves. */
  [Symbol.dispose](): void {
    this.#stopped = true;
    for (const entry of this.#entries.values()) entry.timer?.[Symbol.dispose]();
  }

  #begin(entry: Entry, beginning: Beginning): void {
    const { isOccupied, clock } = this.#options;
    if (isOccupied(entry.address)) {
      entry.isAnnounced = false;
      this.#put(entry);
      return;
    }
    const probeEvery = (): Millis => Math.max(minProbeInterval, (this.#yielded / maxProbesPerSecond) * 1000);
    entry.defense = new ConflictDefense(beginning, clock.now(), probeEvery);
    this.#tick(entry);
  }

  #drop(entry: Entry): void {
    for (const rival of entry.defense?.conflicts ?? []) this.#options.ended({ ...rival, address: entry.address });
    if (entry.defense?.stage === "yielded") this.#yielded--;
    entry.timer?.[Symbol.dispose]();
    entry.timer = undefined;
    entry.defense = undefined;
  }

  #tick(entry: Entry): void {
    this.#work(entry, (defense, now) => defense.tick(now));
  }

  #work(entry: Entry, work: (defense: ConflictDefense, now: Millis) => DefenseEffect[]): void {
    const { defense } = entry;
    if (defense === undefined || this.#stopped) return;
    const before = defense.stage;
    const effects = work(defense, this.#options.clock.now());
    if (before === "yielded") this.#yielded--;
    if (defense.stage === "yielded") this.#yielded++;
    this.#carryOut(entry, effects);
    this.#arm(entry);
  }

  #carryOut(entry: Entry, effects: readonly DefenseEffect[]): void {
    const { address } = entry;
    const { layer2, began, ended, occupied, wanted } = this.#options;
    for (const effect of effects) {
      switch (effect.type) {
        case "announce":
          if (entry.isAnnounced) layer2.reannounce(address);
          entry.isAnnounced = true;
          this.#put(entry);
          break;
        case "listen":
          entry.isAnnounced = false;
          this.#put(entry);
          break;
        case "defend":
          layer2.defend(address);
          break;
        case "probe":
          layer2.probe(address, effect);
          break;
        case "conflictBegan":
          began({ ...effect.rival, address });
          break;
        case "conflictEnded":
          ended({ ...effect.rival, address });
          break;
        case "occupied":
          occupied({ ...effect.rival, address });
          break;
        case "wanted":
          wanted({ ...effect.rival, address });
          break;
        default:
          effect satisfies never;
      }
    }
  }

  #put({ address, on: { interfaces }, isAnnounced }: Entry): void {
    const { layer2 } = this.#options;
    if (isAnnounced) layer2.announce(address, { interfaces });
    else layer2.listen(address, { interfaces });
  }

  #arm(entry: Entry): void {
    entry.timer?.[Symbol.dispose]();
    const at = entry.defense?.nextAt ?? Infinity;
    entry.timer = at === Infinity ? undefined : this.#options.clock.schedule("conflict defense", at, () => this.#tick(entry));
  }

  #speakerOf({ mac, address }: AddressSighting): OtherSpeaker | undefined {
    const { node: self, nodeOf, electionAddress } = this.#options;
    const node = nodeOf(mac);
    if (node === undefined) return undefined;
    // Both speakers come to the same answer, whatever else they see of the cluster.
    const preferred = elect([self, node], electionAddress(address)) === node;
    return { node, active: this.#active.has(node), preferred };
  }
}

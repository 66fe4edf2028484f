import type { Clock, Millis } from "#pkg/clock";
import type { ConflictProbe } from "#pkg/config";
import type { Claim, Layer2 } from "#pkg/layer2";
import type { Address } from "#pkg/net";
import { elect } from "#pkg/placement";
import { type Beginning, type OtherSpeaker, type Rival, Tenancy, type TenancyEffect } from "./tenancy.ts";

/** How an address is to be announced. */
export interface GuardedAnnouncement {
  /** Globs for names (see `pkg/glob`); none means all. */
  readonly interfaces: readonly string[];
  readonly conflictProbe: ConflictProbe;
  /** No node has announced it since a Service got it. */
  readonly isFirst: boolean;
}

export interface Conflict extends Rival {
  readonly address: Address;
}

export interface GuardOptions {
  readonly node: string;
  readonly layer2: Pick<Layer2, "announce" | "listen" | "withdraw" | "announceAgain" | "defend" | "ask">;
  /** Nodes with an active speaker. */
  readonly active: () => readonly string[];
  /** The node whose speaker has this MAC address, also if it is not active; undefined for a stranger's. */
  readonly nodeOf: (mac: string) => string | undefined;
  /** The text that the owner of an address is elected by. */
  readonly electionAddress: (address: Address) => Address;
  /** Another host is known to have the address: nobody announces it. */
  readonly isOccupied: (address: Address) => boolean;
  readonly began: (conflict: Conflict) => void;
  readonly ended: (conflict: Conflict) => void;
  /** It was to be announced for the first time, and another host has it. */
  readonly occupied: (conflict: Conflict) => void;
  /** A stranger asked whether the address is free, and was told that it is not. */
  readonly wanted: (conflict: Conflict) => void;
  readonly clock: Clock;
}

interface Entry {
  readonly address: Address;
  on: GuardedAnnouncement;
  /** Undefined while another host is known to have the address. */
  tenancy: Tenancy | undefined;
  onAir: boolean;
  timer: Disposable | undefined;
}

const askEvery: Millis = 1000;
// Of thousands of addresses that are another's while the ring is cut, each is asked for more rarely.
const mostAskedASecond = 500;

const beginnings: Record<ConflictProbe, Beginning> = { off: "announce", report: "announceAndAsk", strict: "askFirst" };

/**
 * Stands between what this node is to announce and the wire, and sees to it that no address has two owners there: hears the claims of
 * other machines, and decides by one `Tenancy` for each address whether to announce, defend or be silent.
 */
export class Guard implements Disposable {
  readonly #options: GuardOptions;
  readonly #entries = new Map<string, Entry>(); // address -> entry
  #active: ReadonlySet<string>;
  #yielded = 0;
  #stopped = false;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#active = new Set();
  }

  announce(address: Address, on: GuardedAnnouncement): void {
    const key = address.toString();
    const known = this.#entries.get(key);
    if (known === undefined) {
      const entry: Entry = { address, on, tenancy: undefined, onAir: false, timer: undefined };
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

  /** Others may have announced it too. One that is another's to announce stays so. */
  announceAgain(address: Address): void {
    if (this.#entries.get(address.toString())?.onAir) this.#options.layer2.announceAgain(address);
  }

  /** This node is to announce it. */
  has(address: Address): boolean {
    return this.#entries.has(address.toString());
  }

  heard(claim: Claim): void {
    const entry = this.#entries.get(claim.address.toString());
    if (entry === undefined) return;
    const { mac, kind, interface: name, ownMac } = claim;
    const heard = { mac, kind, interface: name, ownMac, by: this.#speaker(claim) };
    this.#work(entry, (tenancy, now) => tenancy.heard(heard, now));
  }

  membersChanged(): void {
    const before = this.#active;
    this.#active = new Set(this.#options.active());
    const met = [...this.#active].filter((node) => !before.has(node));
    const now = this.#options.clock.now();
    for (const entry of this.#entries.values()) {
      if (entry.timer === undefined) continue; // It has no rivals.
      for (const node of met) entry.tenancy?.met(node, now);
      this.#arm(entry);
    }
  }

  /** `isOccupied` answers otherwise for some addresses. */
  occupiedChanged(): void {
    for (const entry of this.#entries.values()) {
      const occupied = this.#options.isOccupied(entry.address);
      if (occupied && entry.tenancy !== undefined) {
        this.#drop(entry);
        this.#begin(entry, "askFirst");
      } else if (!occupied && entry.tenancy === undefined) this.#begin(entry, "askFirst");
    }
  }

  get conflicts(): Conflict[] {
    return [...this.#entries.values()].flatMap(({ address, tenancy }) =>
      (tenancy?.conflicts ?? []).map((rival) => ({ ...rival, address })),
    );
  }

  /** Lets everyone have what it claims from now on: this node goes. */
  [Symbol.dispose](): void {
    this.#stopped = true;
    for (const entry of this.#entries.values()) entry.timer?.[Symbol.dispose]();
  }

  #begin(entry: Entry, beginning: Beginning): void {
    const { isOccupied, clock } = this.#options;
    if (isOccupied(entry.address)) {
      entry.onAir = false;
      this.#put(entry);
      return;
    }
    const pace = (): Millis => Math.max(askEvery, (this.#yielded / mostAskedASecond) * 1000);
    entry.tenancy = new Tenancy(beginning, clock.now(), pace);
    this.#tick(entry);
  }

  #drop(entry: Entry): void {
    for (const rival of entry.tenancy?.conflicts ?? []) this.#options.ended({ ...rival, address: entry.address });
    if (entry.tenancy?.stage === "yielded") this.#yielded--;
    entry.timer?.[Symbol.dispose]();
    entry.timer = undefined;
    entry.tenancy = undefined;
  }

  #tick(entry: Entry): void {
    this.#work(entry, (tenancy, now) => tenancy.tick(now));
  }

  #work(entry: Entry, work: (tenancy: Tenancy, now: Millis) => TenancyEffect[]): void {
    const { tenancy } = entry;
    if (tenancy === undefined || this.#stopped) return;
    const before = tenancy.stage;
    const effects = work(tenancy, this.#options.clock.now());
    if (before === "yielded") this.#yielded--;
    if (tenancy.stage === "yielded") this.#yielded++;
    this.#carryOut(entry, effects);
    this.#arm(entry);
  }

  #carryOut(entry: Entry, effects: readonly TenancyEffect[]): void {
    const { address } = entry;
    const { layer2, began, ended, occupied, wanted } = this.#options;
    for (const effect of effects) {
      switch (effect.type) {
        case "announce":
          if (entry.onAir) layer2.announceAgain(address);
          entry.onAir = true;
          this.#put(entry);
          break;
        case "listen":
          entry.onAir = false;
          this.#put(entry);
          break;
        case "defend":
          layer2.defend(address);
          break;
        case "ask":
          layer2.ask(address, effect);
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

  #put({ address, on: { interfaces }, onAir }: Entry): void {
    const { layer2 } = this.#options;
    if (onAir) layer2.announce(address, { interfaces });
    else layer2.listen(address, { interfaces });
  }

  #arm(entry: Entry): void {
    entry.timer?.[Symbol.dispose]();
    const at = entry.tenancy?.nextAt ?? Infinity;
    entry.timer = at === Infinity ? undefined : this.#options.clock.schedule("address claims", at, () => this.#tick(entry));
  }

  #speaker({ mac, address }: Claim): OtherSpeaker | undefined {
    const { node: self, nodeOf, electionAddress } = this.#options;
    const node = nodeOf(mac);
    if (node === undefined) return undefined;
    // Both come to the same answer, whatever else they see of the cluster.
    const preferred = elect([self, node], electionAddress(address)) === node;
    return { node, active: this.#active.has(node), preferred };
  }
}

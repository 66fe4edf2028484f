import { isDeepStrictEqual } from "node:util";
import type { Clock, Millis } from "#pkg/clock";
import type { Address } from "#pkg/net";
import type { WireAddress } from "./frames/arp.ts";
import type { Announcement } from "./messages.ts";
import type { Row, SharedMemory } from "./shared-memory.ts";

/** Counts only grow while an address is known. */
export interface AddressCounters {
  readonly address: Address;
  readonly requestsReceived: number;
  readonly responsesSent: number;
  /** Frames: each announcement is, on each interface, two of ARP or one of NDP. */
  readonly gratuitousSent: number;
  /** Frames of other hosts that use or announce the address, while it was announced or watched. */
  readonly sightings: number;
}

interface AnnouncedAddress {
  readonly address: Address;
  readonly row: Row;
  interfaces: readonly string[];
  answers: boolean;
  state: "announced" | "silent" | "withdrawn";
  /** Infinity while it is not withdrawn. */
  forgetAt: Millis;
}

// Long enough for the last counts to be scraped.
const forgetAfter: Millis = 5 * 60_000;

/** The addresses that are announced or watched, or were in the last five minutes, each with its row of the memory that the thread shares. */
export class AnnouncedAddresses {
  readonly #shared: SharedMemory;
  readonly #clock: Clock;
  readonly #entries = new Map<string, AnnouncedAddress>(); // address -> entry
  #forgetAt: Millis = Infinity; // When the next address is forgotten.

  constructor(shared: SharedMemory, clock: Clock) {
    this.#shared = shared;
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @returns what the thread has to know; undefined where nothing changes */
  put(
    address: Address,
    state: "announced" | "silent",
    { interfaces, answers }: Pick<AnnouncedAddress, "interfaces" | "answers">,
  ): Announcement | undefined {
    const entry = this.#entry(address);
    if (entry.state === state && entry.answers === answers && isDeepStrictEqual(entry.interfaces, interfaces)) return undefined;
    entry.state = state;
    entry.answers = answers;
    entry.forgetAt = Infinity;
    entry.interfaces = interfaces;
    this.#shared.setAnnounced(entry.row, state === "announced");
    return announcement(entry);
  }

  /** From the return of this call on the thread neither answers for the address nor reports sightings. @returns undefined where it was withdrawn */
  withdraw(address: Address): Announcement | undefined {
    const entry = this.#entries.get(address.toString());
    if (entry === undefined || entry.state === "withdrawn") return undefined;
    entry.state = "withdrawn";
    entry.forgetAt = this.#clock.now() + forgetAfter;
    this.#forgetAt = Math.min(this.#forgetAt, entry.forgetAt);
    this.#shared.setAnnounced(entry.row, false);
    return announcement(entry);
  }

  /** The address, or all of them, as far as they are announced. */
  *announced(address?: Address): Iterable<Announcement> {
    const entries = address === undefined ? this.#entries.values() : [this.#entries.get(address.toString())];
    for (const entry of entries) if (entry?.state === "announced") yield announcement(entry);
  }

  /** Addresses that are announced or watched. */
  inUse(): Announcement[] {
    return [...this.#entries.values()].filter(({ state }) => state !== "withdrawn").map(announcement);
  }

  /** Each address once, as it is when it is its turn, however much changes meanwhile. */
  *counters(): Iterable<AddressCounters> {
    this.#forget();
    const shared = this.#shared;
    for (const key of [...this.#entries.keys()]) {
      const entry = this.#entries.get(key);
      if (entry === undefined) continue;
      const { address, row } = entry;
      yield {
        address,
        requestsReceived: shared.row(row, "requests"),
        responsesSent: shared.row(row, "responses"),
        gratuitousSent: shared.row(row, "gratuitous"),
        sightings: shared.row(row, "sightings"),
      };
    }
  }

  /** Forgets what was withdrawn some minutes ago. Its row is free for another address: the thread has long read that it was withdrawn. */
  #forget(): void {
    const now = this.#clock.now();
    if (now < this.#forgetAt) return;
    this.#forgetAt = Infinity;
    for (const [key, { row, forgetAt }] of this.#entries)
      if (forgetAt > now) this.#forgetAt = Math.min(this.#forgetAt, forgetAt);
      else {
        this.#entries.delete(key);
        this.#shared.freeRow(row);
      }
  }

  #entry(address: Address): AnnouncedAddress {
    const key = address.toString();
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    this.#forget();
    const entry: AnnouncedAddress = {
      address,
      row: this.#shared.addRow(),
      interfaces: [],
      answers: true,
      state: "withdrawn",
      forgetAt: Infinity,
    };
    this.#entries.set(key, entry);
    return entry;
  }
}

function announcement({ address, row, interfaces, answers, state }: AnnouncedAddress): Announcement {
  return { address: wireAddress(address), row, interfaces, answers, silent: state === "silent" };
}

export function wireAddress({ family, value }: Address): WireAddress {
  return family === "IPv4" ? Number(value) : value;
}

import type { Millis } from "#pkg/clock";
import type { Fields } from "#pkg/log";
import type { Mac } from "#pkg/net";
import type { IneligibleReason } from "./eligibility.ts";
import type { Row, SharedMemory } from "./shared.ts";
import type { Sighting } from "./sighting.ts";

/** As the codecs have it: IPv4 as an unsigned 32-bit number, IPv6 as an unsigned 128-bit bigint. */
export type WireAddress = number | bigint;

/** An address to answer for or, when silent, to hear of alone; and where it counts. */
export interface Announcement {
  readonly address: WireAddress;
  readonly row: Row;
  /** Globs for the names of the interfaces that it is for; none means all. */
  readonly interfaces: readonly string[];
  readonly silent: boolean;
}

/** What a worker starts with. */
export interface WorkerStart {
  readonly memory: SharedMemory;
  /** The descriptor of the `EventFd` that says that there are commands, or that it is time to stop. */
  readonly wake: number;
  readonly announced: readonly Announcement[];
  /** Only answers. */
  readonly silent: boolean;
  readonly refreshMs: Millis;
}

/** From the main thread to the worker. An announcement takes the place of an earlier one of the same address. */
export type Command =
  | { readonly type: "announce" | "withdraw"; readonly announcement: Announcement }
  /** Tell everyone once where the address is. */
  | { readonly type: "defend"; readonly address: WireAddress }
  /** Ask who has the address: everyone, or one machine; the latter in the open where that is better kept from others (see `Layer2.ask`). */
  | { readonly type: "probe"; readonly address: WireAddress; readonly to?: Mac; readonly fromOwnAddress: boolean }
  /** Only answer from now on. */
  | { readonly type: "stopAnnouncing" };

/**
 * `answering`, or would if anything were announced; `failing`: it should answer, but cannot, and is tried again; otherwise why it shall
 * not.
 */
export type InterfaceStatus = "answering" | "failing" | IneligibleReason;

/** An interface of this node. */
export interface InterfaceState {
  readonly index: number;
  readonly name: string;
  /** Hexadecimal octets with colons between. */
  readonly mac: string;
  readonly status: InterfaceStatus;
  /** Why it is failing. */
  readonly error?: string;
  /** It has a carrier and is operational (RFC 2863). Without, it is still answered on as soon as it has. */
  readonly running: boolean;
  /** `address/length` as text, IPv4 first. */
  readonly addresses: readonly string[];
}

/** Writes a line to the log of the main thread. Errors are passed as text. */
export type WriteLog = (level: "info" | "warn" | "error", message: string, fields: Fields) => void;

/** From the worker to the main thread. */
export type Report =
  /** All of them, when each was read once and those that can are answering; then whenever something about one may have changed. */
  | { readonly type: "interfaces"; readonly interfaces: readonly InterfaceState[] }
  /** Another machine sightings an address that is announced or listened for; `own` is the MAC address of the interface that heard it. */
  | { readonly type: "sighting"; readonly sighting: Sighting; readonly interface: string; readonly own: Mac }
  | { readonly type: "log"; readonly level: "info" | "warn" | "error"; readonly message: string; readonly fields: Fields };

import type { Millis } from "#pkg/clock";
import type { Fields } from "#pkg/log";
import type { Mac } from "#pkg/net";
import type { InterfaceState } from "./engine/interface-state.ts";
import type { WireAddress } from "./frames/arp.ts";
import type { Sighting } from "./frames/sightings.ts";
import type { Row, SharedBuffers } from "./shared-memory.ts";

/** An address to announce or, when silent, only to watch; and its row of counters. */
export interface Announcement {
  readonly address: WireAddress;
  readonly row: Row;
  /** Globs for the names of the interfaces that it is for; none means all. */
  readonly interfaces: readonly string[];
  readonly silent: boolean;
  /** Requests are answered here; else the kernel answers them. */
  readonly answers: boolean;
}

/** Arguments of the thread. */
export interface WorkerStart {
  readonly memory: SharedBuffers;
  readonly announced: readonly Announcement[];
  /** See `stopAnnouncing`. */
  readonly onlyAnswers: boolean;
  readonly refreshMs: Millis;
  /** See `Layer2.setKeys`. */
  readonly keys: readonly Uint8Array[];
  /** See `Layer2.setAlone`. */
  readonly isAlone: boolean;
}

/** From the main thread to the worker. An announcement takes the place of an earlier one of the same address. */
export type Command =
  | { readonly type: "announce" | "withdraw"; readonly announcement: Announcement }
  /** Send one gratuitous announcement of the address. */
  | { readonly type: "defend"; readonly address: WireAddress }
  /** Probe the address: at everyone, or at one host (see `Layer2.probe`). */
  | { readonly type: "probe"; readonly address: WireAddress; readonly to?: Mac; readonly fromOwnAddress: boolean }
  /** Have the speaker with this MAC address prove that it announces the address. */
  | { readonly type: "challenge"; readonly address: WireAddress; readonly to: Mac }
  | { readonly type: "keys"; readonly keys: readonly Uint8Array[] }
  | { readonly type: "alone"; readonly isAlone: boolean }
  /** Only answer from now on. */
  | { readonly type: "stopAnnouncing" };

type LogLevel = "debug" | "info" | "warn" | "error";

/** Writes a line to the log of the main thread. Errors are passed as text. */
export type WriteLog = (level: LogLevel, message: string, fields: Fields) => void;

/** From the worker to the main thread. */
export type StatusMessage =
  /**
   * The indexes of all interfaces, of which there may be hundreds, and the state of those that have changed since the last message. The first comes
   * once the thread has read all and answers on those that can.
   */
  | { readonly type: "interfaces"; readonly indexes: readonly number[]; readonly changed: readonly InterfaceState[] }
  /** Sighting of an address that is announced or watched; `own` is the MAC address of the interface that received the frame. */
  | { readonly type: "sighting"; readonly sighting: Sighting; readonly interface: string; readonly own: Mac }
  | { readonly type: "log"; readonly level: LogLevel; readonly message: string; readonly fields: Fields };

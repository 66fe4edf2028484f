import type { Millis } from "#pkg/clock";
import type { Fields } from "#pkg/log";
import type { IneligibleReason } from "./eligibility.ts";
import type { Row, SharedMemory } from "./shared.ts";

/** As the codecs have it: IPv4 as an unsigned 32-bit number, IPv6 as an unsigned 128-bit bigint. */
export type WireAddress = number | bigint;

/** An address to answer for, and where it counts. */
export interface Announcement {
  readonly address: WireAddress;
  readonly row: Row;
  /** Globs for the names of the interfaces that it is for; none means all. */
  readonly interfaces: readonly string[];
}

/** What a worker starts with. */
export interface WorkerStart {
  readonly memory: SharedMemory;
  /** The descriptor of the `EventFd` that says that there are commands, or that it is time to stop. */
  readonly wake: number;
  readonly announced: readonly Announcement[];
  readonly refreshMs: Millis;
}

/** From the main thread to the worker. An announcement takes the place of an earlier one of the same address. */
export type Command =
  | { readonly type: "announce" | "withdraw"; readonly announcement: Announcement }
  /** Only answer from now on. */
  | { readonly type: "fallSilent" };

/** `answering`; `failing`: it should, but cannot, and is tried again; otherwise why it shall not. */
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
  /** Every interface was read once, and those that can are answering. */
  | { readonly type: "ready" }
  | { readonly type: "interfaces"; readonly interfaces: readonly InterfaceState[] }
  | { readonly type: "log"; readonly level: "info" | "warn" | "error"; readonly message: string; readonly fields: Fields };

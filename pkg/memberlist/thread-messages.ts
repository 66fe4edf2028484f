import type { Millis } from "#pkg/clock";
import type { GossipEntry, OwnEntry } from "#pkg/gossip";
import type { Fields } from "#pkg/log";
import type { Thread } from "#pkg/threads";
import type { MetadataFields } from "./codec/metadata.ts";
import type { MemberView } from "./member-view.ts";
import type { JoinResult, MemberlistEvent } from "./memberlist.ts";
import type { PathVerdict } from "./ring/events.ts";
import type { TimingName } from "./ring/timing.ts";
import type { SocketAddress } from "./transport.ts";

/** Arguments with which the ring's thread is started. */
export interface WorkerStart {
  readonly name: string;
  readonly bind: SocketAddress;
  readonly keys: readonly Uint8Array[];
  readonly firstIncarnation: number;
  readonly metadata: MetadataFields;
  readonly timing: TimingName | "auto";
  readonly entries: readonly OwnEntry[];
  /** See `CounterMemory`. */
  readonly counters: SharedArrayBuffer;
}

/** From the main thread to the ring's. A command with a `request` is answered by one report with the same number. */
export type Command =
  | { readonly type: "start"; readonly request: number }
  | { readonly type: "join"; readonly request: number; readonly addresses: readonly string[] }
  | { readonly type: "leave"; readonly request: number; readonly timeout: number }
  | { readonly type: "roundTrips"; readonly request: number }
  | { readonly type: "metadata"; readonly fields: MetadataFields }
  | { readonly type: "entries"; readonly entries: readonly OwnEntry[] }
  | { readonly type: "forget"; readonly node: string }
  | { readonly type: "pull"; readonly node: string }
  | { readonly type: "keepPaths"; readonly areKept: boolean }
  | { readonly type: "path"; readonly name: string; readonly verdict: PathVerdict }
  | { readonly type: "keys"; readonly keys: readonly Uint8Array[] };

/** From the ring's thread to the main thread, in the order in which things happened. */
export type Report =
  /** The first one: all code of the thread is loaded. */
  | { readonly type: "loaded" }
  | {
      readonly type: "started";
      readonly request: number;
      readonly local: SocketAddress;
      readonly members: readonly MemberView[];
      readonly timing: TimingName;
    }
  | { readonly type: "notStarted"; readonly request: number; readonly error: Error }
  | { readonly type: "joined"; readonly request: number; readonly result: JoinResult }
  | { readonly type: "left"; readonly request: number; readonly done: boolean }
  | { readonly type: "roundTrips"; readonly request: number; readonly times: ReadonlyMap<string, Millis> }
  | Exclude<RingEvent, { readonly type: "gossip" }>
  /** The event `gossip`: of 15,000 entries a copy of each would take either thread 0.1 s. */
  | { readonly type: "gossip"; readonly payload: Uint8Array }
  | Extract<MemberlistEvent, { readonly type: "packets" }>
  | {
      readonly type: "log";
      readonly level: "debug" | "info" | "warn" | "error";
      readonly message: string;
      readonly fields: Fields;
    };

/** What happens in the ring. */
export type RingEvent =
  | Extract<MemberlistEvent, { readonly type: "member" | "timing" | "watchPaths" | "pathDistrusted" }>
  /** Entries of other nodes that changed. */
  | { readonly type: "gossip"; readonly entries: readonly GossipEntry[] }
  /** These nodes failed long ago, and their entries are forgotten. */
  | { readonly type: "gossipExpired"; readonly nodes: readonly string[] };

/** The part of a thread that this package uses. */
export interface RingWorker extends Thread {
  on(event: "error", listener: (cause: unknown) => void): unknown;
  on(event: "exit", listener: (code: number) => void): unknown;
  on(event: "message", listener: (report: Report) => void): unknown;
  postMessage(command: Command): void;
  terminate(): Promise<unknown>;
}

import { isDeepStrictEqual } from "node:util";
import type { BfdProfile } from "#pkg/config";
import type { Log } from "#pkg/log";
import { type Address, isLinkLocal } from "#pkg/net";
import { calmDownSoon, SharedCounters, WorkerThread, workerFile } from "#pkg/threads";
import { diagnosticText } from "./codec/control-codec.ts";
import {
  type Command,
  type IgnoredReason,
  ignoredReasons,
  packetNames,
  type SessionConfig,
  type StatusMessage,
  type WorkerStart,
} from "./messages.ts";
import { parametersOf } from "./session/session.ts";
import { type BfdStatus, type SessionView, statusAfter, unknownStatus } from "./session/status.ts";

/** Between which ends a session is. Watchers of equal ends share it. */
export interface BfdEnds {
  readonly peer: Address;
  /** This side's address; the kernel's choice when unset. */
  readonly local?: Address | undefined;
  /** Needed for a link-local peer. */
  readonly interface?: string | undefined;
  /** Routers may be between both ends (RFC 5883). */
  readonly multihop: boolean;
}

/** One watcher's hold on a session, which ends with the last of them. */
export interface BfdWatch extends Disposable {
  readonly status: BfdStatus;
  /** Changes the parameters of a session that goes on. */
  configure(profile: BfdProfile): void;
}

/** A session for people and programs. Intervals are what both sides agreed on. */
export type BfdDescription = ReturnType<Bfd["describe"]>[number];

/** They only grow for as long as the session is watched. */
export interface BfdSessionCounters {
  /** With its interface where it is link-local: routers on several may have one such address. */
  readonly peer: string;
  readonly up: boolean;
  readonly controlIn: number;
  readonly controlOut: number;
  readonly echoIn: number;
  readonly echoOut: number;
  readonly upEvents: number;
  readonly downEvents: number;
  /** Calls of watchers after a change. */
  readonly notifications: number;
}

export interface BfdOptions {
  readonly log: Log;
  /** The date, for `describe`. */
  readonly date: () => Date;
}

type OnChange = (status: BfdStatus) => void;

interface WatchedPath {
  readonly ends: BfdEnds;
  readonly id: number;
  readonly counters: SharedCounters<(typeof packetNames)[number]>;
  readonly watchers: Set<OnChange>;
  profile: BfdProfile;
  status: BfdStatus;
  view: SessionView | undefined;
  since: Date | undefined;
  upEvents: number;
  downEvents: number;
  notifications: number;
}

/**
 * Watches the paths to peers (RFC 5880). A thread of its own does it, so that nothing here delays a packet or makes a peer look silent;
 * a thread that dies is replaced and starts all sessions again; their verdict is `unknown` meanwhile, not `failed`.
 */
export class Bfd implements AsyncDisposable {
  readonly #log: Log;
  readonly #date: () => Date;
  readonly #ignored = new SharedCounters(ignoredReasons);
  readonly #entries = new Map<string, WatchedPath>(); // ends as text -> entry
  readonly #thread: WorkerThread<WorkerStart, Command, StatusMessage>; // Runs from the first watch on.
  #lastId = 0;

  constructor({ log, date }: BfdOptions) {
    this.#log = log;
    this.#date = date;
    this.#thread = new WorkerThread({
      name: "bfd",
      file: workerFile(import.meta.url, "bfd-worker.js"),
      start: () => ({ ignored: this.#ignored.memory, configs: [...this.#entries.values()].map(configOf) }),
      onMessage: (message) => this.#receive(message),
      title: "the thread that keeps BFD sessions",
      op: "bfd",
      log,
      onDeath: () => this.#onDeath(),
    });
  }

  /**
   * Keeps a session with the peer while the watch lives, and calls `onChange` whenever the verdict of `status` is another. Where several
   * watch the same ends, the profile that was given last counts.
   */
  watch(ends: BfdEnds, profile: BfdProfile, onChange: OnChange): BfdWatch {
    this.#thread.start();
    const key = keyOf(ends);
    const entry = this.#entries.get(key) ?? this.#add(key, ends, profile);
    const watcher: OnChange = (status) => onChange(status); // The same function may watch twice.
    entry.watchers.add(watcher);
    const configure = (changed: BfdProfile): void => {
      if (isDeepStrictEqual(changed, entry.profile)) return;
      entry.profile = changed;
      this.#thread.send({ type: "set", config: configOf(entry) });
    };
    configure(profile);
    return {
      get status() {
        return entry.status;
      },
      configure,
      [Symbol.dispose]: () => {
        if (!entry.watchers.delete(watcher) || entry.watchers.size > 0) return;
        this.#entries.delete(key);
        this.#thread.send({ type: "remove", id: entry.id });
      },
    };
  }

  describe() {
    return [...this.#entries.values()].flatMap(({ ends, profile, status, view, since, counters }) =>
      view === undefined
        ? []
        : {
            peer: ends.peer.toString(),
            local: ends.local?.toString(),
            interface: ends.interface,
            multihop: ends.multihop,
            profile: profile.name,
            ...status,
            // When it came into its state, as a date; undefined before it has left the first one.
            since: since?.toISOString(),
            session: {
              ...view,
              diagnostic: diagnosticText(view.diagnostic),
              remoteDiagnostic: diagnosticText(view.remoteDiagnostic),
              // The mean of the echoes that came back before the next was sent; undefined without any.
              echoRoundTripMs: meanRoundTrip(counters),
            },
          },
    );
  }

  /** Problems that keep sessions from working on this node, in sentences. */
  warnings(): string[] {
    return [...this.#entries.values()].flatMap(({ ends, view }) =>
      view?.problem === undefined ? [] : `BFD session with ${ends.peer}: ${view.problem}`,
    );
  }

  counters(): BfdSessionCounters[] {
    return [...this.#entries.values()].map(({ ends, status, counters, upEvents, downEvents, notifications }) => ({
      peer: isLinkLocal(ends.peer) ? `${ends.peer}%${ends.interface}` : `${ends.peer}`,
      up: status.verdict === "up",
      ...counters.all(),
      upEvents,
      downEvents,
      notifications,
    }));
  }

  /** Control packets that matched no session, since the process began. */
  ignored(): Record<IgnoredReason, number> {
    return this.#ignored.all();
  }

  /** Takes all sessions administratively down, and ends the thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread[Symbol.asyncDispose]();
  }

  #add(key: string, ends: BfdEnds, profile: BfdProfile): WatchedPath {
    const entry: WatchedPath = {
      ends,
      profile,
      id: ++this.#lastId,
      counters: new SharedCounters(packetNames),
      watchers: new Set<OnChange>(),
      status: unknownStatus,
      view: undefined,
      since: undefined,
      upEvents: 0,
      downEvents: 0,
      notifications: 0,
    };
    this.#entries.set(key, entry);
    this.#thread.send({ type: "set", config: configOf(entry) });
    return entry;
  }

  #receive(report: StatusMessage): void {
    if (report.view.state === "down") calmDownSoon();
    for (const entry of this.#entries.values()) if (entry.id === report.id) this.#show(entry, report.view);
  }

  #show(entry: WatchedPath, view: SessionView): void {
    const before = entry.view;
    entry.view = view;
    const log = this.#log.with({ op: "bfd", peer: entry.ends.peer.toString(), multihop: entry.ends.multihop });
    if (view.problem !== undefined && view.problem !== before?.problem)
      log.error("BFD session cannot send or receive, trying again", { error: view.problem });
    if (view.state === (before?.state ?? "down")) return;
    entry.since = this.#date();
    if (view.state === "up") entry.upEvents++;
    else if (before?.state === "up") entry.downEvents++;
    const status = statusAfter(entry.status, before?.state ?? "down", view);
    this.#setStatus(entry, status); // Before the line, which takes longer.
    log[status.verdict === "failed" ? "warn" : "info"]("BFD session changed", {
      from: before?.state ?? "down",
      to: view.state,
      verdict: status.verdict,
      diagnostic: diagnosticText(view.diagnostic),
      peerState: view.remoteState,
      peerDiagnostic: diagnosticText(view.remoteDiagnostic),
      detectionMs: view.detectionMs,
    });
  }

  #setStatus(entry: WatchedPath, status: BfdStatus): void {
    const { verdict } = entry.status;
    entry.status = status;
    if (status.verdict === verdict) return;
    for (const watcher of [...entry.watchers]) {
      entry.notifications++;
      watcher(status);
    }
  }

  #onDeath(): void {
    for (const entry of this.#entries.values()) {
      entry.view = undefined;
      this.#setStatus(entry, { verdict: "unknown", reason: "the thread that keeps BFD sessions died and is being restarted" });
    }
  }
}

function keyOf({ peer, local, interface: name, multihop }: BfdEnds): string {
  return `${multihop ? "multihop" : "single hop"} ${peer} ${local ?? ""} ${name ?? ""}`;
}

function configOf({ ends, id, profile, counters }: WatchedPath): SessionConfig {
  return {
    id,
    multihop: ends.multihop,
    minimumTtl: profile.minimumTtl,
    counters: counters.memory,
    peer: ends.peer.toBytes(),
    local: ends.local?.toBytes(),
    interfaceName: ends.interface,
    parameters: parametersOf(profile, ends),
  };
}

/** Mean round trip of this session's echoes, in milliseconds; undefined before the first came back. */
function meanRoundTrip(counters: WatchedPath["counters"]): number | undefined {
  const timed = counters.get("echoTimed");
  return timed === 0 ? undefined : Math.round(counters.get("echoMicros") / timed) / 1000;
}

import type { Millis, Random } from "#pkg/clock";
import type { ReceivedDatagram } from "#pkg/linux";
import { SharedCounters } from "#pkg/threads";
import type { EchoPath } from "./echo-ports.ts";
import { packetNames, type SessionConfig } from "./messages.ts";
import type { SessionSocket } from "./ports.ts";
import { isForUs, isFromPeer } from "./session/matching.ts";
import { mayLeaveAt, newSession, type Parameters, type Session } from "./session/session.ts";
import type { SessionView } from "./session/status.ts";

/** A session with its sockets. */
export interface SessionEntry {
  config: SessionConfig;
  readonly counters: SharedCounters<(typeof packetNames)[number]>;
  session: Session;
  /** Undefined while a socket cannot be had; the session stands still then. */
  socket: SessionSocket | undefined;
  /** The interface of the last packet over one hop; undefined before the first, and over several hops. */
  arrivedOn: number | undefined;
  /** Where its packets come from, as the last one came; undefined before the first. */
  path: EchoPath | undefined;
  /** When the last echo was sent; undefined once one has come back. */
  echoSentAt: Millis | undefined;
  /** When its next work is due: a deadline of the session, or the next try to open its sockets. */
  nextAt: Millis;
  /** When it is forgotten, once it has been removed. */
  endAt: Millis;
  /** The port to which the peer may send echo packets. */
  reflection: Disposable | undefined;
  /** Why sockets cannot be opened, packets not sent or not accepted, and echoes do not come back. */
  readonly problems: Partial<Record<"open" | "send" | "receive" | "echo", string | undefined>>;
  /** When the last packet could not be sent. */
  failedAt: Millis;
  reported: SessionView | undefined;
}

/** All sessions of the thread, found by their number, by our discriminator, or by where a packet comes from. */
export class Entries implements Iterable<SessionEntry> {
  readonly #byId = new Map<number, SessionEntry>();
  readonly #byDiscriminator = new Map<number, SessionEntry>(); // our discriminator -> entry

  [Symbol.iterator](): Iterator<SessionEntry> {
    return this.#byId.values();
  }

  get(id: number): SessionEntry | undefined {
    return this.#byId.get(id);
  }

  withDiscriminator(discriminator: number): SessionEntry | undefined {
    return this.#byDiscriminator.get(discriminator);
  }

  /** The entry that a packet without our discriminator is for: one with the address that the packet came to, before one without an address. */
  findByWay(datagram: ReceivedDatagram, multihop: boolean): SessionEntry | undefined {
    let found: SessionEntry | undefined;
    for (const entry of this.#byId.values()) {
      const { config, socket } = entry;
      if (entry.endAt !== Infinity || config.multihop !== multihop) continue;
      if (!isForUs(config, datagram) || !isFromPeer(config, socket?.interfaceIndex, datagram)) continue;
      if (config.local !== undefined) return entry;
      found ??= entry;
    }
    return found;
  }

  /** Its sockets are still to be opened. */
  add(config: SessionConfig, random: Random, now: Millis): void {
    const session = newSession(config.parameters, this.#newDiscriminator(random), now);
    const entry: SessionEntry = {
      config,
      counters: new SharedCounters(packetNames, config.counters),
      session,
      socket: undefined,
      arrivedOn: undefined,
      path: undefined,
      echoSentAt: undefined,
      nextAt: now,
      endAt: Infinity,
      reflection: undefined,
      problems: {},
      failedAt: -Infinity,
      reported: undefined,
    };
    this.#byId.set(config.id, entry);
    this.#byDiscriminator.set(session.discriminator, entry);
  }

  delete({ config, session }: SessionEntry): void {
    this.#byId.delete(config.id);
    this.#byDiscriminator.delete(session.discriminator);
  }

  #newDiscriminator(random: Random): number {
    for (;;) {
      const discriminator = Math.floor(random() * 2 ** 32);
      if (discriminator !== 0 && !this.#byDiscriminator.has(discriminator)) return discriminator;
    }
  }
}

/** The wanted parameters, without a promise to return echoes that would not come back. Over several hops nobody sends echoes. */
export function parametersOf({ config, reflection }: SessionEntry): Parameters {
  return reflection === undefined && !config.multihop ? { ...config.parameters, echoReceiveMs: 0 } : config.parameters;
}

/** Whether there is work for an entry in a turn that the thread takes anyway. Without sockets nothing can leave before the next try to open them. */
export function isDue({ nextAt, socket, session }: Pick<SessionEntry, "nextAt" | "socket" | "session">, now: Millis): boolean {
  return now >= nextAt || (socket !== undefined && now >= mayLeaveAt(session));
}

export function isEchoing({ session }: SessionEntry): boolean {
  return session.echo.sendAt !== Infinity;
}

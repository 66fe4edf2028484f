import assert from "node:assert/strict";
import { type Clock, type Millis, Portions } from "#pkg/clock";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import type { SessionSettings } from "#pkg/config";
import type { Fields, Log } from "#pkg/log";
import { Address, Prefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { PeerSession } from "../driver/peer-session.ts";
import type { Transport } from "../driver/transport.ts";
import type { RouteAttributes } from "../routes/route.ts";
import { RoutesOut } from "../routes/routes-out.ts";
import { settings } from "./settings.ts";
import { SimulatedNetwork } from "./simulated-network.ts";
import { Stall } from "./stall.ts";

export const attributes: RouteAttributes = {
  localPref: undefined,
  med: undefined,
  asPathPrepend: 0,
  communities: [],
  largeCommunities: [],
  linkBandwidth: undefined,
  nextHop: undefined,
};

/** Announces addresses from 10.0.0.0 on. */
export function announce(routes: RoutesOut, count: number): void {
  const first = address("10.0.0.0").value;
  for (let i = 0; i < count; i++) routes.advertise(new Prefix(new Address("IPv4", first + BigInt(i)), 32), attributes);
}

/** Keeps log lines: `level message`, and the fields. */
export class RecordingLog implements Log {
  readonly lines: { readonly level: string; readonly message: string; readonly fields: Fields }[] = [];

  debug(message: string, fields: Fields = {}): void {
    this.lines.push({ level: "debug", message, fields });
  }

  info(message: string, fields: Fields = {}): void {
    this.lines.push({ level: "info", message, fields });
  }

  warn(message: string, fields: Fields = {}): void {
    this.lines.push({ level: "warn", message, fields });
  }

  error(message: string, fields: Fields = {}): void {
    this.lines.push({ level: "error", message, fields });
  }

  with(): Log {
    return this;
  }

  /** Log lines above debug: the level, the message and the reason. */
  get loud(): string[] {
    return this.lines
      .filter(({ level }) => level !== "debug")
      .map(({ level, message, fields }) => `${level} ${message}${fields.reason === undefined ? "" : `: ${fields.reason}`}`);
  }
}

export interface One {
  readonly session: PeerSession;
  /** With which it began. */
  readonly settings: SessionSettings;
  readonly routes: RoutesOut;
  readonly log: RecordingLog;
}

export interface PairOptions {
  readonly seed?: number;
  readonly near?: Partial<SessionSettings>;
  readonly far?: Partial<SessionSettings>;
  /** Whether `near` takes connections too. */
  readonly both?: boolean;
  /** The new local end of `near` when its interface gets other addresses. */
  readonly endNow?: Transport["endNow"];
}

/** Two sessions on a simulated network: `near`, AS 65001 at 192.0.2.1, and `far`, AS 65002 at 192.0.2.2, which only listens when unset. */
export class Pair {
  readonly clock = new SimulatedClock(1_000_000);
  readonly network = new SimulatedNetwork(this.clock);
  /** The process of `near`. */
  readonly stall = new Stall(this.clock);
  readonly near: One;
  readonly far: One;
  readonly #seed: number;

  constructor({ seed = 1, near = {}, far = {}, both = false, endNow }: PairOptions = {}) {
    this.#seed = seed;
    const transport = (own: string) => this.network.transport(own, own === nearby ? endNow : undefined);
    const [nearby, away] = ["192.0.2.1", "192.0.2.2"];
    this.near = this.#one(nearby, settings(near), both, this.stall, this.stall.transport(transport(nearby)));
    const mirrored = settings({ myAsn: 65002, peerAsn: 65001, address: address(nearby), passive: true });
    this.far = this.#one(away, { ...mirrored, ...far }, true, this.clock, transport(away));
  }

  start(): this {
    this.far.session.start();
    this.near.session.start();
    return this;
  }

  /** Both are established, and both know all. */
  get settled(): boolean {
    return [this.near, this.far].every(({ session, routes }) => session.established && routes.pending === 0);
  }

  /** Runs until a condition holds. @returns how long that took. @throws {AssertionError} when it takes longer than `max` */
  until(condition: () => boolean, max: Millis, what: string): Millis {
    const began = this.clock.now();
    while (!condition()) {
      assert.ok(this.clock.advanceToNext(), `nothing happens any more before ${what}`);
      if (this.clock.now() - began > max) assert.fail(`not within ${max} ms: ${what}; ${this.print()}`);
    }
    return this.clock.now() - began;
  }

  /** Runs until both are established and know all routes, and all messages have arrived. */
  settle(max: Millis = 5_000): void {
    do {
      this.until(() => this.settled, max, "both are established and know all");
      this.clock.advanceBy(100);
    } while (!this.settled);
  }

  print(): string {
    return JSON.stringify({ seed: this.#seed, near: this.near.session.describe(), far: this.far.session.describe() });
  }

  #one(own: string, fields: SessionSettings, listens: boolean, clock: Clock, transport: Transport): One {
    const { network } = this;
    const routes = new RoutesOut();
    const log = new RecordingLog();
    const session = new PeerSession({
      settings: fields,
      routes,
      node: own,
      restarting: false,
      forwardingPreserved: true,
      log,
      portions: new Portions(clock, 4),
      clock,
      transport,
      listener: listens ? network.listener(own) : undefined,
      random: seededRandom(this.#seed + Number(own.at(-1))),
    });
    return { session, settings: fields, routes, log };
  }
}

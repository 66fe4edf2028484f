import { Alarm, type Clock, type Millis } from "#pkg/clock";
import { type Family, families } from "#pkg/net";
import type { SpeakerEvent } from "../core/index.ts";
import type { BgpSpeaker } from "./bgp-speaker.ts";

export interface SessionWatchOptions {
  readonly bgp: { readonly peers: readonly Pick<BgpSpeaker["peers"][number], "key" | "isEstablished" | "unsendable">[] };
  readonly emit: (event: SpeakerEvent) => void;
  readonly clock: Clock;
}

// The core says something of it after 30 s.
const lookEveryMs: Millis = 2_000;

/** Tells the core which BGP sessions are established, and which families of routes they carry. */
export class SessionWatch implements Disposable {
  readonly #options: SessionWatchOptions;
  readonly #alarm: Alarm;
  #told = "";

  constructor(options: SessionWatchOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, "BGP sessions", () => this.#look());
  }

  start(): void {
    this.#look();
  }

  [Symbol.dispose](): void {
    this.#alarm[Symbol.dispose]();
  }

  #look(): void {
    const { bgp, emit, clock } = this.#options;
    const established = bgp.peers.filter(({ isEstablished }) => isEstablished);
    const carried = new Map(
      established.map(({ key, unsendable }): [string, readonly Family[]] => {
        return [key, families.filter((family) => !unsendable.some((one) => one.family === family))];
      }),
    );
    const now = JSON.stringify([...carried]);
    if (now !== this.#told) emit({ type: "sessions", carried });
    this.#told = now;
    this.#alarm.set(clock.now() + lookEveryMs);
  }
}

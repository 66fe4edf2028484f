import { Alarm, type Clock, type Millis } from "#pkg/clock";
import { families } from "#pkg/net";
import type { CarriedRoutes, SpeakerEvent } from "../core/index.ts";
import type { BgpSpeaker } from "./bgp-speaker.ts";

export interface SessionWatchOptions {
  readonly bgp: { readonly peers: readonly Pick<BgpSpeaker["peers"][number], "key" | "isEstablished" | "unsendable">[] };
  readonly emit: (event: SpeakerEvent) => void;
  readonly clock: Clock;
}

// The core says something of it after 30 s.
const lookEveryMs: Millis = 2_000;

/** Tells the core which BGP sessions are established and which routes they carry. Disposing the result ends that. */
export function watchSessions({ bgp, emit, clock }: SessionWatchOptions): Disposable {
  let told = "";
  const look = (): void => {
    const established = bgp.peers.filter(({ isEstablished }) => isEstablished);
    const carried = new Map(
      established.map(({ key, unsendable }): [string, readonly CarriedRoutes[]] => {
        const of = families.flatMap((family): CarriedRoutes[] => {
          const fault = unsendable.find((one) => one.family === family);
          if (fault === undefined) return [family];
          return fault.reason === "noNextHop" ? [`${family} by next hop`] : [];
        });
        return [key, of];
      }),
    );
    const now = JSON.stringify([...carried]);
    if (now !== told) emit({ type: "sessions", carried });
    told = now;
    alarm.set(clock.now() + lookEveryMs);
  };
  const alarm = new Alarm(clock, "BGP sessions", look);
  look();
  return alarm;
}

import { type Lab, waitFor } from "#e2e/lab";
import { Bfdd } from "./bfdd.ts";
import { OurSessions } from "./our-sessions.ts";
import { every } from "./profile.ts";

export interface ManySessions {
  readonly ours: OurSessions;
  readonly bfdd: Bfdd;
  readonly peers: readonly string[];
  /** Waits until all sessions are up on both sides. */
  upEverywhere(): Promise<void>;
}

/** Sessions of ours with as many of FRR, all on one link. `busy`: our main thread has no time for anything else. */
export async function manySessions(
  lab: Lab,
  { count, intervalMs, busy }: { readonly count: number; readonly intervalMs: number; readonly busy: boolean },
): Promise<ManySessions> {
  const numbers = Array.from({ length: count }, (_, i) => i + 1);
  const lan = await lab.switch("lan");
  const end = (side: number, number: number): string => `10.0.${side + 2 * Math.floor(number / 250)}.${(number % 250) + 1}`;
  const us = await lab.host("us");
  await us.attach(lan, { addresses: numbers.map((number) => `${end(0, number)}/8`) });
  const them = await lab.host("them");
  await them.attach(lan, { addresses: numbers.map((number) => `${end(1, number)}/8`) });
  const bfdd = await Bfdd.start(lab, them, []);
  // In parts: a command line has its limits.
  for (let i = 0; i < count; i += 50)
    await bfdd.configure(
      ...numbers.slice(i, i + 50).map((number) => ({
        peer: `${end(0, number)} local-address ${end(1, number)} interface eth0`,
        settings: [`transmit-interval ${intervalMs}`, `receive-interval ${intervalMs}`],
      })),
    );
  const sessions = numbers.map((number) => ({ peer: end(1, number), local: end(0, number), settings: every(intervalMs) }));
  const ours = await OurSessions.start(us, sessions, { busy });
  const upEverywhere = async (): Promise<void> => {
    const isUp = async () => {
      const here = (await ours.counters()).sessions;
      const there = await bfdd.statuses();
      return here.length === count && here.every(({ up }) => up) && there.every(({ status }) => status === "up");
    };
    await waitFor("all sessions to be up on both sides", isUp, { timeout: 60_000, every: 500 });
  };
  return { ours, bfdd, peers: sessions.map(({ peer }) => peer), upEverywhere };
}

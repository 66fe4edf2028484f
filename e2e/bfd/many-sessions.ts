import { type Host, type Lab, waitFor } from "#e2e/lab";
import { Bfdd } from "#e2e/routers";
import { type OurSession, OurSessions } from "./our-sessions.ts";
import { every } from "./profile.ts";

/** One end of many sessions. */
export interface ManyEnds {
  readonly pid: number;
  areUp(): Promise<boolean>;
  /** How often a session went down. */
  downs(): Promise<number>;
}

export interface ManyOptions {
  readonly count: number;
  readonly intervalMs: number;
  /** The program at the other ends. */
  readonly peer: "frr" | "ours";
  /** Our main thread has no time for anything else. */
  readonly busy: boolean;
}

export interface ManySessions {
  readonly ours: ManyEnds & { readonly sessions: OurSessions };
  readonly theirs: ManyEnds;
}

/** Sessions of ours, all on one link. Resolves when all are up on both sides. */
export async function manySessions(lab: Lab, { count, intervalMs, peer, busy }: ManyOptions): Promise<ManySessions> {
  const numbers = Array.from({ length: count }, (_, i) => i + 1);
  const end = (side: number, number: number): string => `10.0.${side + 2 * Math.floor(number / 250)}.${(number % 250) + 1}`;
  const ends = (from: number, to: number) => numbers.map((number) => ({ local: end(from, number), peer: end(to, number) }));
  const lan = await lab.switch("lan");
  const [us, them] = [await lab.host("us"), await lab.host("them")];
  await us.attach(lan, { addresses: ends(0, 1).map(({ local }) => `${local}/8`) });
  await them.attach(lan, { addresses: ends(1, 0).map(({ local }) => `${local}/8`) });
  const sessions = (from: number, to: number) => ends(from, to).map((each) => ({ ...each, settings: every(intervalMs) }));
  const theirs = peer === "frr" ? await frrEnds(lab, them, sessions(1, 0)) : await ourEnds(them, sessions(1, 0), false);
  const ours = await ourEnds(us, sessions(0, 1), busy);
  const areUp = async () => (await ours.areUp()) && (await theirs.areUp());
  await waitFor("all sessions to be up on both sides", areUp, { every: 500 });
  return { ours, theirs };
}

async function ourEnds(host: Host, wanted: readonly OurSession[], busy: boolean): Promise<ManySessions["ours"]> {
  const sessions = await OurSessions.start(host, wanted, { busy });
  return {
    sessions,
    pid: sessions.process.pid,
    areUp: async () => (await sessions.counters()).sessions.every(({ up }) => up),
    downs: async () => sum((await sessions.counters()).sessions.map(({ downEvents }) => downEvents)),
  };
}

async function frrEnds(lab: Lab, host: Host, wanted: readonly OurSession[]): Promise<ManyEnds> {
  const bfdd = await Bfdd.start(lab, host, []);
  // In parts: a command line has its limits.
  for (let i = 0; i < wanted.length; i += 50)
    await bfdd.configure(
      ...wanted.slice(i, i + 50).map(({ peer, local, settings }) => ({
        peer: `${peer} local-address ${local} interface eth0`,
        settings: [`transmit-interval ${settings?.transmitIntervalMs}`, `receive-interval ${settings?.receiveIntervalMs}`],
      })),
    );
  return {
    pid: bfdd.process.pid,
    areUp: async () => (await bfdd.statuses()).every(({ status }) => status === "up"),
    downs: async () => sum((await bfdd.allCounters()).map((counters) => counters["session-down"])),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

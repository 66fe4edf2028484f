import type { Millis } from "#pkg/clock";
import { answeredBits, isCentral } from "#pkg/gossip";
import { type Family, families } from "#pkg/net";
import type { SpeakerEffect } from "../effects.ts";
import type { SpeakerEvent } from "../events.ts";
import type { SpeakerState } from "../state.ts";
import {
  areMostOthers,
  areOthersWithout,
  connectionTried,
  isDeliveredHere,
  maxSample,
  namespaceOf,
  namespacesForAll,
  targetOf,
} from "./connection-tests.ts";
import type { ConnectionResult, ConnectionTest, DataPaths } from "./data-path-state.ts";

// A node that has just booted may reach the API before its network plugin works. So a speaker tries some Services at once before others leave addresses
// to its node, where these were answered. It begins as soon as one answers.

/** All attempts have ended by then, unless this process stands still. */
const longestMs: Millis = 1_000;
/** So often a family is tried at least: kube-proxy chooses another endpoint each time, and packets are lost. */
const minAttempts = 6;
/** Limit of Services that are looked at. */
const maxLooked = 2_000;

/** Whether the speaker is to begin later, because the first connections are tried; it has them tried where it is called first. */
export function awaitsConnections(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): boolean {
  const { dataPath } = state;
  if (dataPath.first === undefined) {
    const IPv4 = firstTests(state, "IPv4");
    const IPv6 = firstTests(state, "IPv6");
    const tests = [...IPv4.tests, ...IPv6.tests];
    dataPath.first = tests.length === 0 ? "over" : { until: now + longestMs };
    const areAll = { IPv4: IPv4.areAll, IPv6: IPv6.areAll };
    if (tests.length > 0) effects.push({ type: "tryFirst", tests, areAll });
  }
  return dataPath.first !== "over";
}

/** The speaker waits no longer than that. */
export function firstTimer(dataPath: DataPaths, now: Millis): void {
  if (now >= nextFirstAt(dataPath)) dataPath.first = "over";
}

/** Until when the speaker waits; Infinity where it does not. */
export function nextFirstAt({ first }: Pick<DataPaths, "first">): Millis {
  return first === undefined || first === "over" ? Infinity : first.until;
}

/** Twelve Services of as many namespaces as there are, or all; none where their silence would say nothing. */
function firstTests(
  state: SpeakerState,
  family: Family,
): { readonly tests: readonly ConnectionTest[]; readonly areAll: boolean } {
  const { rows } = state.services;
  // A central speaker brings no packets to Pods.
  const isUnwanted = isCentral(state.node) || state.dataPath.isWanted === false;
  const isOneEnough = areMostOthers(state, answeredBits[family]);
  if (isUnwanted || !(isOneEnough || areOthersWithout(state, family, "noConnection"))) return { tests: [], areAll: false };
  const counts = new Map<string, number>(); // namespace -> Services of it so far
  const found = [...rows.keys().take(maxLooked)].flatMap((key) => {
    const to = targetOf(state, key, family);
    if (to === undefined || !isDeliveredHere(state, to)) return [];
    const nth = counts.get(namespaceOf(key)) ?? 0;
    counts.set(namespaceOf(key), nth + 1);
    return { to, nth };
  });
  if (counts.size < (isOneEnough ? 1 : namespacesForAll)) return { tests: [], areAll: false };
  const some = found.toSorted((a, b) => a.nth - b.nth).slice(0, maxSample);
  const { scan } = state.dataPath;
  const tests = some.map(({ to }) => ({ family, to, scan, isSuspect: true, isFresh: true }));
  return {
    tests: Array.from({ length: Math.ceil(minAttempts / tests.length) }, () => tests).flat(),
    areAll: found.length <= maxSample && rows.size <= maxLooked,
  };
}

// The first of these results counts for several attempts to one Service. Silence counts where no Service answered.
const order: readonly ConnectionResult[] = ["answered", "untried", "silent"];

/** The first connections were tried, so far that one was answered, or all have ended. */
export function firstTried(
  state: SpeakerState,
  { tried, areAll }: Extract<SpeakerEvent, { readonly type: "triedFirst" }>,
  now: Millis,
): void {
  const { dataPath } = state;
  dataPath.first = "over";
  const inTurn = tried.toSorted((a, b) => order.indexOf(a.result) - order.indexOf(b.result));
  const serviceOf = ({ test: { family, to } }: (typeof tried)[number]) => `${family} ${typeof to === "object" ? to.key : to}`;
  const byService = new Map(inTurn.toReversed().map((one) => [serviceOf(one), one]));
  for (const one of inTurn) if (byService.get(serviceOf(one)) === one) connectionTried(state, one, now);
  for (const family of families) {
    const { tests } = dataPath[family];
    const ofFamily = tried.filter(({ test }) => test.family === family);
    const [first] = tests.silentAtFirst;
    // That all have been tried is told by one that is there twice.
    if (first !== undefined && areAll[family] && ofFamily.every(({ result }) => result === "silent"))
      tests.silentAtFirst = [...tests.silentAtFirst, first];
  }
}

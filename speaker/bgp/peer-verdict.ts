import type { BfdStatus } from "#pkg/bfd";
import { Cease, NotificationCode, type PeerView, type Unsendable } from "#pkg/bgp";
import { type CauseOf, type Fact, sentence, type Verdict, verdict } from "#pkg/verdict";

/** What a session waits for before it starts, in words. */
export interface PeerWait {
  readonly for: "password" | "bfd";
  readonly what: string;
}

/** What keeps one peer from hearing of this node's addresses; empty where nothing is known to. */
export function sessionVerdicts(key: string, wait: PeerWait | undefined, view: PeerView | undefined): Verdict[] {
  if (wait !== undefined) {
    const cause = wait.for === "bfd" ? "waitsForBfd" : "waitsForPassword";
    return [verdict("peer", cause, { message: `BGP session with ${key} waits: ${wait.what}` })];
  }
  if (view === undefined) return [];
  if (view.state === "established") return view.unsendable.map((one) => unsendableVerdict(key, one));
  const why = reasonOf(view);
  if (why === undefined) return [];
  const message = `BGP session with ${key} is not up: ${why.what}`;
  return [verdict("peer", refusalOf(why) ?? causeOf[why.reason], { message, evidence: sessionFacts(view) })];
}

/** A router that ended the session with its reason and does not talk any more, as over its limit of prefixes, has said why. */
function reasonOf({ lastDown, lastFailure }: PeerView): End | undefined {
  const isSilent = lastFailure?.reason === "lost" || lastFailure?.reason === "connectTimeout";
  if (lastDown?.reason !== "received" || !isSilent) return lastFailure ?? lastDown;
  return { ...lastDown, what: `${lastDown.what}; since then: ${lastFailure.what}` };
}

/** The same as lines of `/readyz`. Why a session ended says what to do where that is known. */
export function sessionWarnings(...of: Parameters<typeof sessionVerdicts>): string[] {
  return sessionVerdicts(...of).map((one) => (one.state === "Degraded" ? sentence(one) : one.message));
}

type End = Omit<NonNullable<PeerView["lastDown"]>, "secondsAgo">;

const causeOf: Readonly<Record<End["reason"], CauseOf<"peer">>> = {
  received: "notificationReceived",
  sent: "notificationSent",
  holdTimerExpired: "holdTimerExpired",
  sendHoldTimerExpired: "sendHoldTimerExpired",
  connectTimeout: "connectTimeout",
  lost: "connectionLost",
  peerRestarted: "peerRestarted",
};

/** What the router said, where that is no mere fault. */
function refusalOf({ reason, notification }: End): CauseOf<"peer"> | undefined {
  if (reason !== "received" || notification === undefined) return undefined;
  const { code, subcode } = notification;
  if (code === NotificationCode.updateMessage) return "routeRefused";
  return code === NotificationCode.cease ? causeOfCease[subcode] : undefined;
}

const causeOfCease: Readonly<Record<number, CauseOf<"peer">>> = {
  [Cease.maximumNumberOfPrefixesReached]: "prefixLimit",
  [Cease.administrativeShutdown]: "sessionRefused",
  [Cease.peerDeConfigured]: "sessionRefused",
  [Cease.connectionRejected]: "sessionRefused",
};

export interface PeerFacts {
  readonly wait: PeerWait | undefined;
  readonly view: PeerView | undefined;
  /** Of the path; undefined where it is not watched. */
  readonly bfd: BfdStatus | undefined;
  /** The peer is told to prefer every other path. */
  readonly leaving: boolean;
}

/** What is the case with the peer, and for how many seconds. */
export function peerVerdict(
  key: string,
  { wait, view, bfd, leaving }: PeerFacts,
): { readonly verdict: Verdict; readonly seconds: number } {
  const [worst] = sessionVerdicts(key, wait, view);
  const seconds = view?.stateSeconds ?? 0;
  if (worst !== undefined) return { verdict: worst, seconds };
  const evidence = view === undefined ? [] : sessionFacts(view);
  if (view?.state !== "established")
    return { verdict: verdict("peer", "connecting", { message: `BGP session with ${key} is not up yet`, evidence }), seconds };
  const sent = `${view.prefixesAnnounced} prefix${view.prefixesAnnounced === 1 ? "" : "es"}`;
  const up = `BGP session with ${key} is established and carries ${sent}`;
  if (leaving)
    return { verdict: verdict("peer", "leaving", { message: `${up}, marked with GRACEFUL_SHUTDOWN`, evidence }), seconds };
  if (bfd !== undefined && bfd.verdict !== "up") {
    const fact: Fact = { name: "BFD", value: bfd.reason, source: "BFD session" };
    const message = `${up}, and BFD is not up: ${bfd.reason}`;
    return { verdict: verdict("peer", causeOfBfd[bfd.verdict], { message, evidence: [...evidence, fact] }), seconds };
  }
  return { verdict: verdict("peer", "established", { message: up, evidence }), seconds };
}

const causeOfBfd: Readonly<Record<Exclude<BfdStatus["verdict"], "up">, CauseOf<"peer">>> = {
  unknown: "bfdUnknown",
  failed: "bfdFailed",
  adminDown: "bfdAdminDown",
};

function unsendableVerdict(key: string, { family, reason, prefixes }: Unsendable): Verdict {
  const what = `${prefixes} ${family} prefix${prefixes === 1 ? "" : "es"}`;
  const start = `BGP session with ${key} cannot carry ${what}`;
  switch (reason) {
    case "familyNotNegotiated":
      return verdict("peer", reason, {
        message: `${start}: the router does not offer ${family} unicast`,
        next: "enable it there for this neighbour",
      });
    case "noNextHop": {
      const field = family === "IPv4" ? "next-hop" : "next-hop-v6";
      return verdict("peer", reason, {
        message: `${start}: the interface of the session has no ${family} address`,
        next: `give it one, or the advertisement a ${field}`,
      });
    }
    default:
      return reason satisfies never;
  }
}

function sessionFacts({ state, stateSeconds, lastDown, lastFailure, flaps, prefixesAnnounced }: PeerView): Fact[] {
  const source = "BGP session";
  const facts: Fact[] = [
    { name: "state", value: `${state} for ${stateSeconds} s`, source },
    { name: "prefixes announced", value: `${prefixesAnnounced}`, source },
    { name: "times it went down", value: `${flaps}`, source },
  ];
  if (lastFailure !== undefined)
    facts.push({ name: "last attempt", value: `${lastFailure.what}, ${lastFailure.secondsAgo} s ago`, source });
  if (lastDown !== undefined) facts.push({ name: "went down", value: `${lastDown.what}, ${lastDown.secondsAgo} s ago`, source });
  return facts;
}

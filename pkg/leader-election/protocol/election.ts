import type { Millis } from "#pkg/clock";

export interface ElectionTimings {
  /** Others may take the Lease over when it has not changed for so long. */
  readonly leaseMs: Millis;
  /** The leader gives up when it could not renew for so long; less than `leaseMs`, so that it has stopped before another one starts. */
  readonly renewDeadlineMs: Millis;
  /** Between renewals, and between attempts to take the Lease over. */
  readonly retryMs: Millis;
}

// An API server that has just started answers 403 until it has read its Roles (kubernetes#121635), and so does any while a Role is deleted
// and applied again. Both take seconds, and a process that led alone during them would be one of several leaders.
const minAloneAfterMs: Millis = 30_000;
// How long another one may hold the Lease before a process that leads alone sees it; each costs one request.
const minAloneRetryMs: Millis = 10_000;
// No controller may be told to hold it for longer. One that says more was written by somebody else, and nobody would work for as long.
const maxLeaseMs: Millis = 600_000;
// The API takes 32 bits: nobody could take over a Lease in which somebody has set them all.
const maxTransitions = 2 ** 31 - 1;

/** The fields of a Lease that count (coordination.k8s.io/v1). */
export interface Lease {
  /** Empty: it was given back. */
  readonly holder: string;
  readonly durationSeconds: number;
  /** How often it had another holder. */
  readonly transitions: number;
  readonly resourceVersion: string;
}

export interface LeaseRecord extends Omit<Lease, "resourceVersion"> {
  /** This process did not hold it before. */
  readonly acquires: boolean;
}

/** One process among those that may lead. Instants are of its own monotonic clock. */
export interface Election {
  /** Differs from that of every other process, also of an earlier one in the same Pod. */
  readonly identity: string;
  readonly timings: ElectionTimings;
  /** When it asked first. */
  readonly begunAt: Millis;
  /** `alone`: it leads without the Lease, which it has no right to. */
  readonly role: "standby" | "leader" | "alone" | "stopped";
  /** The Lease that the next write replaces: as it was last written here, or seen; undefined without a Lease. */
  readonly lease: Lease | undefined;
  /** The Lease may not be watched, so that it has to be read. */
  readonly isUnwatched: boolean;
  /** The Lease as it was last seen; a watch runs behind the answers to this process's own writes. */
  readonly watched: Lease | undefined;
  /** The last write was refused or has an unknown fate, so that the watch knows better. */
  readonly isUncertain: boolean;
  /** False until it is known whether there is a Lease. */
  readonly observed: boolean;
  /** When the Lease was last seen to be another one, or to be gone. */
  readonly changedAt: Millis;
  /**
   * The time for which the last holder may rely on it, also if it was deleted since; 0 where nobody has ever led, undefined where that is not known
   * and nobody was seen to hold it.
   */
  readonly heldMs: Millis | undefined;
  /** This process made the Lease where it saw none, and has not renewed it since. Another process may have made one that was deleted at once. */
  readonly isMadeAnew: boolean;
  /** When the last write that succeeded was begun; alone, the last request that was forbidden. */
  readonly renewedAt: Millis;
  /** When the request under way was begun. */
  readonly askingSince: Millis | undefined;
  /** No request is begun before. */
  readonly retryAt: Millis;
  /** When the first of those requests was answered since which all that this process has to know or do has been forbidden. */
  readonly forbiddenSince: Millis | undefined;
}

export type ElectionEvent =
  /** The present Lease in the API; undefined without a Lease. */
  | { readonly type: "observed"; readonly lease: Lease | undefined }
  /** The same, in answer to `read`. */
  | { readonly type: "read"; readonly lease: Lease | undefined }
  | { readonly type: "written"; readonly lease: Lease }
  /** The write was refused, because the Lease is no longer the version it was based on, but what was `found` then, if that could be read. */
  | { readonly type: "conflict"; readonly found?: { readonly lease: Lease | undefined } }
  /** It is not known whether the write succeeded, or there was no answer to `read`. */
  | { readonly type: "failed" }
  /** The API refuses the right to the request (403). */
  | { readonly type: "forbidden" }
  /** Nobody has ever led: a Lease that is not there was not deleted. */
  | { readonly type: "unused" }
  /** The watch is refused in the same way, or it is there again. */
  | { readonly type: "watch"; readonly isForbidden: boolean }
  | { readonly type: "timer" }
  /** Take part no more, and give back what is held. */
  | { readonly type: "stop" };

export type ElectionEffect =
  | { readonly type: "read" }
  /** Replace exactly this version; undefined: create the Lease. */
  | { readonly type: "write"; readonly record: LeaseRecord; readonly resourceVersion: string | undefined }
  /** Work for the group from now on. */
  | { readonly type: "lead"; readonly isAlone: boolean }
  /** It has led alone, and goes on by the Lease. */
  | { readonly type: "elected" }
  | { readonly type: "lost"; readonly reason: string };

export function startElection(identity: string, timings: ElectionTimings, now: Millis): Election {
  return {
    identity,
    timings,
    begunAt: now,
    role: "standby",
    lease: undefined,
    isUnwatched: false,
    watched: undefined,
    isUncertain: false,
    observed: false,
    changedAt: -Infinity,
    heldMs: undefined,
    isMadeAnew: false,
    renewedAt: -Infinity,
    askingSince: undefined,
    retryAt: -Infinity,
    forbiddenSince: undefined,
  };
}

/**
 * Whether this process may write for the group: others may take over `leaseMs` after the write that was begun at `renewedAt`. One that leads alone
 * has to be told again and again that it may not use the Lease.
 */
export function mayWrite(election: Election, now: Millis): boolean {
  return leads(election) && now < giveUpAt(election);
}

/** Whether it works for the group, or would if it were in time. */
export function leads({ role }: Election): boolean {
  return role === "leader" || role === "alone";
}

/** When `timer` is due next; Infinity while something else has to happen first. */
export function nextDeadline(election: Election): Millis {
  const { role, askingSince, retryAt, observed } = election;
  if (role === "stopped") return Infinity;
  const mayAsk = askingSince === undefined && (observed || reads(election));
  const askAt = !mayAsk ? Infinity : reads(election) ? retryAt : Math.max(retryAt, freeAt(election));
  return leads(election) ? Math.min(giveUpAt(election), askAt) : askAt;
}

/** Advances by one event. Answers every event in every role, and never throws. */
export function step(election: Election, event: ElectionEvent, now: Millis): [Election, ElectionEffect[]] {
  if (election.role === "stopped") return [election, []];
  switch (event.type) {
    case "observed":
      return observe(election, event.lease, now);
    case "read":
      return read(election, event.lease, now);
    case "written":
      return written(election, event.lease, now);
    case "conflict":
      return event.found === undefined ? failed(election, now) : conflict(election, event.found.lease, now);
    case "failed":
      return failed(election, now);
    case "forbidden":
      return forbidden(election, now);
    case "unused":
      return due({ ...election, heldMs: election.heldMs ?? (isBeginning(election, now) ? 0 : undefined) }, now);
    case "watch":
      return due({ ...election, isUnwatched: event.isForbidden }, now);
    case "timer":
      return due(election, now);
    case "stop":
      return stop(election);
    default:
      return event satisfies never;
  }
}

function observe(election: Election, watched: Lease | undefined, now: Millis): [Election, ElectionEffect[]] {
  const { identity, role, lease, observed, isUncertain, changedAt } = election;
  const seen = { ...election, watched };
  if (role === "leader") {
    // This process knows that earlier terms are over, even if the watch still shows them.
    if (watched !== undefined && watched.holder !== identity && watched.transitions > (lease?.transitions ?? 0))
      return lostTo(seen, watched, now);
    // Others wait for as long as a deleted Lease was worth: until then this process has made another one.
    if (watched === undefined && election.watched !== undefined)
      return due({ ...seen, lease: watched, changedAt: now, retryAt: now }, now);
    return [isUncertain || watched === undefined ? { ...seen, lease: watched } : seen, []];
  }
  const isSame = observed && watched?.resourceVersion === lease?.resourceVersion;
  const isLate = !observed && role === "standby" && !isBeginning(election, now);
  const next = {
    ...seen,
    observed: true,
    lease: watched,
    changedAt: isSame ? changedAt : now,
    heldMs: heldMs(isLate ? { ...election, heldMs: undefined } : election, watched),
  };
  if (now >= freeAt(next)) return due(next, now);
  // It is enough for this process to know that another one holds the Lease.
  if (role === "alone") return lose(next, `${watched?.holder} holds the Lease now`);
  return due({ ...next, forbiddenSince: undefined }, now);
}

function read(election: Election, lease: Lease | undefined, now: Millis): [Election, ElectionEffect[]] {
  const [next, effects] = observe(asked(election, now), lease, now);
  return next.role === "leader" || now < freeAt(next) ? [next, effects] : write(next, now);
}

function failed(election: Election, now: Millis): [Election, ElectionEffect[]] {
  const next = doubted(election, now);
  return next.observed ? observe(next, next.watched, now) : due(next, now);
}

/** The answer is as new as can be, unlike what a watch shows: where another one holds the Lease, this process leads no more. */
function conflict(election: Election, lease: Lease | undefined, now: Millis): [Election, ElectionEffect[]] {
  const next = doubted(election, now);
  const isTaken = next.role === "leader" && lease !== undefined && lease.holder !== next.identity;
  return isTaken ? lostTo({ ...next, watched: lease }, lease, now) : observe(next, lease, now);
}

function forbidden(election: Election, now: Millis): [Election, ElectionEffect[]] {
  const { role, askingSince = now, forbiddenSince = now } = election;
  const next = asked(election, now);
  if (role === "alone") return due({ ...next, renewedAt: askingSince }, now);
  // Counted from its begin: an answer may be old, as one is that came while the process stood still.
  if (role === "leader" || askingSince < forbiddenSince + aloneAfterMs(election)) return due({ ...next, forbiddenSince }, now);
  const alone: Election = {
    ...election,
    role: "alone",
    heldMs: election.heldMs ?? 0, // It leads, and need not wait to do so by a Lease.
    renewedAt: askingSince,
    forbiddenSince: undefined,
  };
  const [after, effects] = due(asked(alone, now), now);
  return [after, [{ type: "lead", isAlone: true }, ...effects]];
}

function written(election: Election, lease: Lease, now: Millis): [Election, ElectionEffect[]] {
  const { role, askingSince, isUnwatched, watched, timings } = election;
  const renewedAt = askingSince ?? -Infinity;
  const next = {
    ...election,
    lease,
    watched: isUnwatched ? lease : watched,
    isUncertain: false,
    changedAt: now,
    heldMs: heldMs(election, lease),
    askingSince: undefined,
    retryAt: renewedAt + timings.retryMs,
    forbiddenSince: undefined,
  };
  if (role === "leader") return due({ ...next, renewedAt }, now);
  // An answer that took longer than the Lease is worth is that of a failed attempt.
  if (now >= renewedAt + timings.renewDeadlineMs) return [next, []];
  if (next.isMadeAnew) return [{ ...next, isMadeAnew: false }, []]; // It leads once it has renewed it.
  return [{ ...next, renewedAt, role: "leader" }, [role === "alone" ? { type: "elected" } : { type: "lead", isAlone: false }]];
}

function due(election: Election, now: Millis): [Election, ElectionEffect[]] {
  const { role, observed, askingSince, retryAt, renewedAt } = election;
  if (leads(election) && now >= giveUpAt(election)) {
    const duration = `${giveUpAt(election) - renewedAt} ms`;
    return lose(election, role === "leader" ? `it could not be renewed for ${duration}` : `it was not refused for ${duration}`);
  }
  if (askingSince !== undefined || now < retryAt) return [election, []];
  if (reads(election)) return [{ ...election, askingSince: now }, [{ type: "read" }]];
  return observed && now >= freeAt(election) ? write(election, now) : [election, []];
}

function write(election: Election, now: Millis): [Election, ElectionEffect[]] {
  const { identity, role, lease, heldMs, timings } = election;
  const acquires = lease?.holder !== identity;
  const transitions = lease === undefined ? 0 : Math.min(lease.transitions + (acquires ? 1 : 0), maxTransitions);
  const record = { holder: identity, durationSeconds: Math.ceil(timings.leaseMs / 1000), transitions, acquires };
  const isMadeAnew = role === "standby" && lease === undefined && heldMs !== 0;
  return [{ ...election, isMadeAnew, askingSince: now }, [{ type: "write", record, resourceVersion: lease?.resourceVersion }]];
}

/** Another one holds the Lease, also where it made a new one because this one was deleted. */
function lostTo(election: Election, lease: Lease, now: Millis): [Election, ElectionEffect[]] {
  const next = { ...election, lease, changedAt: now, heldMs: heldMs(election, lease) };
  return lose(next, `${lease.holder || "nobody"} holds the Lease now`);
}

/** A write under way may still succeed. Nobody else has the Lease then, and this process takes it again. */
function lose(election: Election, reason: string): [Election, ElectionEffect[]] {
  return [{ ...election, role: "standby", renewedAt: -Infinity }, [{ type: "lost", reason }]];
}

function stop(election: Election): [Election, ElectionEffect[]] {
  const { role, identity, lease } = election;
  const stopped: Election = { ...election, role: "stopped" };
  if (role !== "leader" || lease?.holder !== identity) return [stopped, []];
  const record = { holder: "", durationSeconds: 1, transitions: lease.transitions, acquires: false };
  return [stopped, [{ type: "write", record, resourceVersion: lease.resourceVersion }]];
}

/** The request under way has its answer. */
function asked(election: Election, now: Millis): Election {
  return { ...election, askingSince: undefined, retryAt: now + retryMs(election) };
}

/** The same, and the answer does not show the present Lease. */
function doubted(election: Election, now: Millis): Election {
  return { ...asked(election, now), forbiddenSince: undefined, isUncertain: true };
}

/** Whether it asks for the Lease before it writes it. */
function reads({ role, isUnwatched }: Election): boolean {
  return isUnwatched && role !== "leader";
}

/** How long everything has to be forbidden before it leads alone, and may lead alone without being told so again. */
function aloneAfterMs({ timings }: Election): Millis {
  return Math.max(minAloneAfterMs, timings.leaseMs);
}

function retryMs({ role, timings }: Election): Millis {
  return role === "alone" ? Math.max(minAloneRetryMs, timings.retryMs) : timings.retryMs;
}

function giveUpAt(election: Election): Millis {
  const { role, renewedAt, timings } = election;
  return renewedAt + (role === "alone" ? aloneAfterMs(election) : timings.renewDeadlineMs);
}

/**
 * When the Lease may be written: at once by its leader, and where it was given back or is this process's own. A Lease that is gone may have been
 * another one's, also where this process began after that, and counts for as long as if it had just been renewed; where there never was one, nobody
 * goes by it.
 */
function freeAt({ role, lease, identity, changedAt, timings, heldMs = timings.leaseMs }: Election): Millis {
  const isFree = role === "leader" || lease?.holder === "" || lease?.holder === identity;
  return isFree || heldMs === 0 ? -Infinity : changedAt + heldMs;
}

/** Answers to the first requests are news for so long. Later ones may have waited while the process stood still. */
function isBeginning({ begunAt, timings }: Election, now: Millis): boolean {
  return now <= begunAt + timings.retryMs;
}

function heldMs(before: Election, lease: Lease | undefined): Millis | undefined {
  const isHeld = lease !== undefined && lease.holder !== "";
  return isHeld ? Math.min(lease.durationSeconds * 1000, maxLeaseMs) : before.heldMs;
}

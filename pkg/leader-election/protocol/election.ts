import type { Millis } from "#pkg/clock";

export interface ElectionTimings {
  /** Others may take the Lease over when it has not changed for so long. */
  readonly leaseMs: Millis;
  /** The leader gives up when it could not renew for so long; less than `leaseMs`, so that it has stopped before another one starts. */
  readonly renewDeadlineMs: Millis;
  /** Between renewals, and between attempts to take the Lease over. */
  readonly retryMs: Millis;
}

/** What counts of a Lease (coordination.k8s.io/v1). */
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
  readonly role: "standby" | "leader" | "stopped";
  /** The Lease that the next write replaces: as it was last written here, or seen; undefined while there is none. */
  readonly lease: Lease | undefined;
  /** The Lease as the watch has it, which runs behind the answers to this process's own writes. */
  readonly watched: Lease | undefined;
  /** The last write was refused or has an unknown fate, so that the watch knows better. */
  readonly isUncertain: boolean;
  /** False until it is known whether there is a Lease. */
  readonly observed: boolean;
  /** When the Lease was last seen to be another one. */
  readonly changedAt: Millis;
  /** When the last write that succeeded was begun. */
  readonly renewedAt: Millis;
  /** When the write under way was begun. */
  readonly writingSince: Millis | undefined;
  /** Not before: the last write failed, or succeeded. */
  readonly retryAt: Millis;
}

export type ElectionEvent =
  /** The Lease as the API has it now; undefined when there is none. */
  | { readonly type: "observed"; readonly lease: Lease | undefined }
  | { readonly type: "written"; readonly lease: Lease }
  /** The write was refused, because the Lease is no longer the version it was based on. */
  | { readonly type: "conflict" }
  /** It is not known whether the write succeeded. */
  | { readonly type: "failed" }
  | { readonly type: "timer" }
  /** Take part no more, and give back what is held. */
  | { readonly type: "stop" };

export type ElectionEffect =
  /** Replace exactly this version; undefined: create the Lease. */
  | { readonly type: "write"; readonly record: LeaseRecord; readonly resourceVersion: string | undefined }
  | { readonly type: "lead" }
  | { readonly type: "lost"; readonly reason: string };

export function startElection(identity: string, timings: ElectionTimings): Election {
  return {
    identity,
    timings,
    role: "standby",
    lease: undefined,
    watched: undefined,
    isUncertain: false,
    observed: false,
    changedAt: -Infinity,
    renewedAt: -Infinity,
    writingSince: undefined,
    retryAt: -Infinity,
  };
}

/** Whether this process may write for the group: others may take over `leaseMs` after the write that was begun at `renewedAt`. */
export function mayWrite({ role, renewedAt, timings }: Election, now: Millis): boolean {
  return role === "leader" && now < renewedAt + timings.renewDeadlineMs;
}

/** When `timer` is due next; Infinity while something else has to happen first. */
export function nextDeadline(election: Election): Millis {
  const { role, renewedAt, writingSince, retryAt, timings, observed } = election;
  if (role === "stopped" || !observed) return Infinity;
  if (role === "leader") {
    const giveUpAt = renewedAt + timings.renewDeadlineMs;
    return writingSince === undefined ? Math.min(giveUpAt, retryAt) : giveUpAt;
  }
  return writingSince === undefined ? Math.max(retryAt, expiresAt(election)) : Infinity;
}

/** Advances by one event. Answers every event in every role, and never throws. */
export function step(election: Election, event: ElectionEvent, now: Millis): [Election, ElectionEffect[]] {
  if (election.role === "stopped") return [election, []];
  switch (event.type) {
    case "observed":
      return observe(election, event.lease, now);
    case "written":
      return written(election, event.lease, now);
    case "conflict":
    case "failed":
      return observe(
        { ...election, writingSince: undefined, retryAt: now + election.timings.retryMs, isUncertain: true },
        election.watched,
        now,
      );
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
    // What the watch says of earlier terms is known here to be over.
    if (watched !== undefined && watched.holder !== identity && watched.transitions > (lease?.transitions ?? 0))
      return lose({ ...seen, lease: watched, changedAt: now }, `${watched.holder || "nobody"} holds the Lease now`);
    return [isUncertain || watched === undefined ? { ...seen, lease: watched } : seen, []];
  }
  const isSame = observed && watched?.resourceVersion === lease?.resourceVersion;
  return due({ ...seen, observed: true, lease: watched, changedAt: isSame ? changedAt : now }, now);
}

function written(election: Election, lease: Lease, now: Millis): [Election, ElectionEffect[]] {
  const { role, writingSince, timings } = election;
  const renewedAt = writingSince ?? -Infinity;
  const next = {
    ...election,
    lease,
    isUncertain: false,
    changedAt: now,
    renewedAt,
    writingSince: undefined,
    retryAt: renewedAt + timings.retryMs,
  };
  if (role === "leader") return due(next, now);
  // An answer that took longer than the Lease is worth is that of a failed attempt.
  if (now >= renewedAt + timings.renewDeadlineMs) return [{ ...next, renewedAt: -Infinity }, []];
  return [{ ...next, role: "leader" }, [{ type: "lead" }]];
}

function due(election: Election, now: Millis): [Election, ElectionEffect[]] {
  const { identity, role, lease, renewedAt, writingSince, retryAt, timings } = election;
  if (role === "leader" && now >= renewedAt + timings.renewDeadlineMs)
    return lose(election, `it could not be renewed for ${timings.renewDeadlineMs} ms`);
  if (writingSince !== undefined || !election.observed || now < retryAt) return [election, []];
  if (role !== "leader" && now < expiresAt(election)) return [election, []];
  const acquires = lease?.holder !== identity;
  const transitions = lease === undefined ? 0 : lease.transitions + (acquires ? 1 : 0);
  const record = { holder: identity, durationSeconds: Math.ceil(timings.leaseMs / 1000), transitions, acquires };
  return [{ ...election, writingSince: now }, [{ type: "write", record, resourceVersion: lease?.resourceVersion }]];
}

/** A write under way may still succeed. Nobody else has the Lease then, and this process takes it anew. */
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

/** When another's Lease may be taken over: at once where there is none, where it was given back, or where it is this process's own. */
function expiresAt({ lease, identity, changedAt }: Election): Millis {
  if (lease === undefined || lease.holder === "" || lease.holder === identity) return -Infinity;
  return changedAt + lease.durationSeconds * 1000;
}

import { parseDuration } from "#pkg/clock";
import { quote } from "#pkg/text";
import type { Peer } from "../config.ts";
import type { Place } from "../problems.ts";
import type { RawPeer } from "../shape/raw.ts";

export type SessionTimes = Pick<
  Peer,
  | "holdTimeSeconds"
  | "keepaliveSeconds"
  | "connectTimeSeconds"
  | "gracefulRestartSeconds"
  | "longLivedStaleSeconds"
  | "gracefulShutdownSeconds"
>;

const second = 1e9; // in nanoseconds
const duration = 'a duration such as "90s" or "1m30s"';

/** Reads all durations of a peer. */
export function readSessionTimes(fields: RawPeer, at: Place): SessionTimes {
  const seconds = (field: TimeField, fallback: number, allowed: Allowed) =>
    readSeconds(fields[field], fallback, allowed, at.in(field));
  const gracefulRestartSeconds = seconds("graceful-restart-time", 120, { zero: true, from: 1, to: 4095 }); // 12 bits: RFC 4724, section 3.
  const longLivedStaleSeconds = seconds("long-lived-stale-time", 0, { zero: true, from: 1, to: 0xff_ffff }); // 24 bits: RFC 9494, section 3.1.
  if (gracefulRestartSeconds === 0 && longLivedStaleSeconds > 0)
    at.in("long-lived-stale-time").error("needs graceful restart, which graceful-restart-time: 0s turns off (RFC 9494)");
  return {
    ...readHoldAndKeepalive(fields, at),
    connectTimeSeconds: seconds("connect-time", 1, { from: 1, to: 120 }),
    gracefulRestartSeconds,
    longLivedStaleSeconds,
    gracefulShutdownSeconds: seconds("graceful-shutdown-time", 2, { from: 0, to: 600 }),
  };
}

/** `hold-time` and `keepalive-time` (RFC 4271, section 4.2 and 4.4): what is below a second is cut off, as MetalLB does. */
function readHoldAndKeepalive(fields: RawPeer, at: Place) {
  const holdTimeSeconds = readHoldTime(fields["hold-time"] || "90s", at.in("hold-time"));
  const text = fields["keepalive-time"];
  if (text === undefined || text === "") return { holdTimeSeconds, keepaliveSeconds: Math.floor(holdTimeSeconds / 3) };
  return { holdTimeSeconds, keepaliveSeconds: readKeepalive(text, holdTimeSeconds, at.in("keepalive-time")) };
}

function readHoldTime(text: string, at: Place): number {
  const time = parseDuration(text);
  const seconds = Math.trunc((time ?? 0) / second);
  if (time === undefined) at.error(`must be ${duration}, but is ${quote(text)}`);
  else if (time !== 0 && (seconds < 3 || seconds > 65535)) at.error(`must be 0s, or 3s to 65535s, but is ${quote(text)}`);
  else return seconds;
  return 65535; // Refused already: not also a cause to refuse the keepalive time.
}

function readKeepalive(text: string, holdTimeSeconds: number, at: Place): number {
  const time = parseDuration(text);
  const seconds = Math.trunc((time ?? 0) / second);
  if (time === undefined) at.error(`must be ${duration}, but is ${quote(text)}`);
  else if (seconds > holdTimeSeconds)
    at.error(`must not be above hold-time, which is ${holdTimeSeconds}s, but is ${quote(text)}`);
  else if (seconds < 0) at.error(`must not be negative, but is ${quote(text)}`);
  else if (seconds === 0 && holdTimeSeconds > 0) {
    // MetalLB takes it with FRR, so it is no reason to refuse the configuration of a whole cluster.
    const third = Math.floor(holdTimeSeconds / 3);
    at.warn(`${quote(text)} would end the session whenever hold-time has passed: keepalives are sent every ${third}s`);
    return third;
  }
  return seconds;
}

type TimeField = "connect-time" | "graceful-restart-time" | "long-lived-stale-time" | "graceful-shutdown-time";

/** From and to are seconds; `zero` allows 0 too. */
interface Allowed {
  readonly zero?: boolean;
  readonly from: number;
  readonly to: number;
}

function readSeconds(text: string | undefined, fallback: number, { zero, from, to }: Allowed, at: Place): number {
  if (text === undefined || text === "") return fallback;
  const time = parseDuration(text);
  const seconds = (time ?? 0) / second;
  if (time === undefined) at.error(`must be ${duration}, but is ${quote(text)}`);
  else if (!Number.isInteger(seconds) || !((seconds >= from && seconds <= to) || (zero === true && seconds === 0)))
    at.error(`must be whole seconds from ${from}s to ${to}s${zero ? ", or 0s" : ""}, but is ${quote(text)}`);
  else return seconds;
  return fallback;
}

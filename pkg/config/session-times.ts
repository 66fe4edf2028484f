import { parseDuration } from "./duration.ts";
import { type Path, quote } from "./problem.ts";
import type { RawPeer } from "./raw.ts";
import type { Report } from "./report.ts";

const second = 1e9; // in nanoseconds
const duration = 'a duration such as "90s" or "1m30s"';

/** Reads `hold-time` and `keepalive-time` (RFC 4271, section 4.2 and 4.4): whole seconds, what is below a second cut off. */
export function readSessionTimes(
  fields: RawPeer,
  path: Path,
  report: Report,
): { holdTimeSeconds: number; keepaliveSeconds: number } {
  const holdTimeSeconds = readHoldTime(fields["hold-time"] || "90s", [...path, "hold-time"], report);
  const text = fields["keepalive-time"];
  if (text === undefined || text === "") return { holdTimeSeconds, keepaliveSeconds: Math.floor(holdTimeSeconds / 3) };
  return { holdTimeSeconds, keepaliveSeconds: readKeepalive(text, holdTimeSeconds, [...path, "keepalive-time"], report) };
}

function readHoldTime(text: string, path: Path, report: Report): number {
  const time = parseDuration(text);
  const seconds = Math.trunc((time ?? 0) / second);
  if (time === undefined) report.error(path, `must be ${duration}, but is ${quote(text)}`);
  else if (time !== 0 && (seconds < 3 || seconds > 65535))
    report.error(path, `must be 0s, or 3s to 65535s, but is ${quote(text)}`);
  else return seconds;
  return 65535; // Refused already: not also a cause to refuse the keepalive time.
}

function readKeepalive(text: string, holdTimeSeconds: number, path: Path, report: Report): number {
  const time = parseDuration(text);
  const seconds = Math.trunc((time ?? 0) / second);
  if (time === undefined) report.error(path, `must be ${duration}, but is ${quote(text)}`);
  else if (seconds > holdTimeSeconds)
    report.error(path, `must not be above hold-time, which is ${holdTimeSeconds}s, but is ${quote(text)}`);
  else if (seconds < 1 && !(time === 0 && holdTimeSeconds === 0))
    report.error(path, `must be at least 1s, or the session would end whenever hold-time has passed, but is ${quote(text)}`);
  return seconds;
}

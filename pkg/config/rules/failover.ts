import { parseDuration } from "#pkg/clock";
import { quote } from "#pkg/text";
import type { Config } from "../config.ts";
import type { Place } from "../problems.ts";
import type { RawConfig } from "../shape/raw.ts";

const millisecond = 1e6; // in nanoseconds
const least = 10;
const most = 100;

/** Reads `failover`. */
export function readFailover(raw: RawConfig["failover"], at: Place): Pick<Config, "failover"> {
  if (raw?.interval === undefined) return {};
  const time = parseDuration(raw.interval);
  const intervalMs = (time ?? 0) / millisecond;
  if (time !== undefined && intervalMs >= least && intervalMs <= most) return { failover: { intervalMs } };
  at.in("interval").error(`must be a duration from "${least}ms" to "${most}ms", but is ${quote(raw.interval)}`);
  return {};
}

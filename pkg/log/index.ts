/**
 * Logs as JSON lines on standard output: `ts` (RFC 3339), `level`, `msg`, then fields (`event` or `op`, `error`, `service`,
 * `ips`, `pool`, `protocol`, …). Messages are constant; what varies is a field. Levels: all, debug, info, warn, error, none.
 * Lines are bounded, control characters in them escaped. Lines with a field `service` have a rate for each namespace, so that edits of Services
 * in a loop do not fill the log. A log that cannot be written stops nothing: lines are lost, counted, and
 * reported on standard error.
 */
export type { Fields } from "./format.ts";
export { createLog, type Log, type LogLevel, logLevels, logTo, lostLogLines } from "./log.ts";

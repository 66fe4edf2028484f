/**
 * Logs as JSON lines on standard output: `ts` (RFC 3339), `level`, `msg`, then fields (`event` or `op`, `error`, `service`,
 * `ips`, `pool`, `protocol`, …). Messages are constant; what varies is a field. Levels: all, debug, info, warn, error, none.
 */
export { createLog, type Fields, isLogLevel, type Log, type LogLevel, logLevels, silentLog } from "./log.ts";

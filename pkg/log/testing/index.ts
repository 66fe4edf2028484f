import { PassThrough } from "node:stream";
import { SimulatedClock } from "#pkg/clock/testing";
import { createLog, type Log, type LogLevel } from "#pkg/log";

/** A log as the processes have it, in simulated time. */
export class TimedLog {
  readonly clock = new SimulatedClock();
  readonly log;
  readonly #stream = new PassThrough({ highWaterMark: 64 << 20 });

  constructor(level: LogLevel = "info") {
    this.log = createLog(level, this.#stream, this.clock);
  }

  /** The lines since the last time. */
  take(): Record<string, unknown>[] {
    const text = (this.#stream.read() as Buffer | null)?.toString() ?? "";
    const lines = text.split("\n").filter(Boolean);
    return lines.map((line) => JSON.parse(line));
  }
}

/** Drops everything; for tests that do not look at logs. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  with: () => silentLog,
};

import { type Clock, SystemClock } from "#pkg/clock";
import { type Fields, format, type Severity, severities } from "./format.ts";
import { type LineStream, LineWriter } from "./line-writer.ts";
import { NamespaceLimit } from "./namespace-limit.ts";

/** What `--log-level` takes: `all` and `debug` show everything, `none` nothing. */
export const logLevels = ["all", "debug", "info", "warn", "error", "none"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** A log whose every line carries `fields` too. */
  with(fields: Fields): Log;
}

const shown: Readonly<Record<LogLevel, readonly Severity[]>> = {
  all: severities,
  debug: severities,
  info: severities.slice(1),
  warn: severities.slice(2),
  error: severities.slice(3),
  none: [],
};

/** Writes to standard output, or to `stream`. Failed writes end or stop nothing. */
export function createLog(level: LogLevel, stream?: LineStream, clock: Clock = new SystemClock()): Log {
  const output = stream === undefined ? standardOutput() : lineWriter(stream);
  const write = ({ level, message, fields }: Line) => output.write(format(level, message, fields));
  const limit = new NamespaceLimit(clock, (message, fields) => write({ level: "warn", message, fields }));
  return logTo((line) => {
    if (shown[level].includes(line.level) && limit.take(line.level, line.fields)) write(line);
  });
}

/** How many lines could not be written to standard output, for a metric. */
export function lostLogLines(): number {
  return standard?.lost ?? 0;
}

let standard: LineWriter | undefined;

function standardOutput(): LineWriter {
  standard ??= lineWriter(process.stdout);
  return standard;
}

function lineWriter(stream: LineStream): LineWriter {
  return new LineWriter(stream, {
    lossBegan: (reason) => complain(format("error", "log lines are lost", { reason })),
    lossEnded: ({ lines, reason }) => format("warn", "log lines were lost", { lines, reason }),
  });
}

const complainEveryMs = 60_000;
let complainedAt = -Infinity;

/** On standard error, unless that is stuck too; once a minute where a reader is just too slow. */
function complain(line: string): void {
  const now = performance.now();
  if (now - complainedAt < complainEveryMs || process.stderr.writableLength > 0) return;
  if (complainedAt === -Infinity) process.stderr.on("error", () => {}); // Without a listener an error ends the process.
  complainedAt = now;
  process.stderr.write(`${line}\n`);
}

interface Line {
  readonly level: Severity;
  readonly message: string;
  readonly fields: Fields;
}

/** A log that hands each line to `write`, with all its fields. */
export function logTo(write: (line: Line) => void, fields: Fields = {}): Log {
  const at = (level: Severity) => (message: string, more?: Fields) => write({ level, message, fields: { ...fields, ...more } });
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    with: (more) => logTo(write, { ...fields, ...more }),
  };
}

import { createLogger, format, type Logger, transports } from "winston";

/** What `--log-level` takes: `all` and `debug` show everything, `none` nothing. */
export const logLevels = ["all", "debug", "info", "warn", "error", "none"] as const;
export type LogLevel = (typeof logLevels)[number];

/** What varies in a line. An `Error` is written as its message with those of its causes. */
export type Fields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** A log whose every line carries `fields` too. */
  with(fields: Fields): Log;
}

export function isLogLevel(text: string): text is LogLevel {
  return (logLevels as readonly string[]).includes(text);
}

/** Writes to standard output, or to `stream`. */
export function createLog(level: LogLevel, stream?: NodeJS.WritableStream): Log {
  const line = format.printf(({ level, message, fields }) =>
    JSON.stringify({ ts: new Date().toISOString(), level, msg: message, ...(fields as Fields) }, printable),
  );
  const logger = createLogger({
    level: level === "all" || level === "none" ? "debug" : level,
    silent: level === "none",
    format: line,
    transports: [stream === undefined ? new transports.Stream({ stream: process.stdout }) : new transports.Stream({ stream })],
  });
  return new WinstonLog(logger, {});
}

class WinstonLog implements Log {
  readonly #logger: Logger;
  readonly #fields: Fields;

  constructor(logger: Logger, fields: Fields) {
    this.#logger = logger;
    this.#fields = fields;
  }

  debug(message: string, fields?: Fields): void {
    this.#write("debug", message, fields);
  }

  info(message: string, fields?: Fields): void {
    this.#write("info", message, fields);
  }

  warn(message: string, fields?: Fields): void {
    this.#write("warn", message, fields);
  }

  error(message: string, fields?: Fields): void {
    this.#write("error", message, fields);
  }

  with(fields: Fields): Log {
    return new WinstonLog(this.#logger, { ...this.#fields, ...fields });
  }

  #write(level: string, message: string, fields: Fields | undefined): void {
    // Without this, winston would write each line first and look at its level then.
    if (this.#logger.isLevelEnabled(level)) this.#logger.log({ level, message, fields: { ...this.#fields, ...fields } });
  }
}

function printable(_key: string, value: unknown): unknown {
  if (value instanceof Error) return withCauses(value);
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  return value;
}

function withCauses(error: Error): string {
  const messages = [error.message];
  for (
    let cause = error.cause;
    cause !== undefined && messages.length < 8;
    cause = cause instanceof Error ? cause.cause : undefined
  )
    messages.push(cause instanceof Error ? cause.message : String(cause));
  return messages.join(": ");
}

/** Drops everything; for tests that do not look at logs. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  with: () => silentLog,
};

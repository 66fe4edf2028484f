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

const severities = ["debug", "info", "warn", "error"] as const;
type Severity = (typeof severities)[number];

const shown: Readonly<Record<LogLevel, readonly Severity[]>> = {
  all: severities,
  debug: severities,
  info: severities.slice(1),
  warn: severities.slice(2),
  error: severities.slice(3),
  none: [],
};

/** Writes to standard output, or to `stream`. */
export function createLog(level: LogLevel, stream: NodeJS.WritableStream = process.stdout): Log {
  return new LineLog(new Set(shown[level]), stream, {});
}

/** Each line goes straight to the stream: ten thousand come at once where as many Services do, and libraries keep megabytes of them. */
class LineLog implements Log {
  readonly #shown: ReadonlySet<Severity>;
  readonly #stream: NodeJS.WritableStream;
  readonly #fields: Fields;

  constructor(shown: ReadonlySet<Severity>, stream: NodeJS.WritableStream, fields: Fields) {
    this.#shown = shown;
    this.#stream = stream;
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
    return new LineLog(this.#shown, this.#stream, { ...this.#fields, ...fields });
  }

  #write(level: Severity, msg: string, fields: Fields | undefined): void {
    if (!this.#shown.has(level)) return;
    const line = { ts: new Date().toISOString(), level, msg, ...this.#fields, ...fields };
    this.#stream.write(`${JSON.stringify(line, printable)}\n`);
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

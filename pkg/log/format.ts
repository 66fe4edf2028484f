import { escapeControls, upTo } from "#pkg/text";

/** The variable part of a line. An `Error` is written as its message with those of its causes. */
export type Fields = Readonly<Record<string, unknown>>;

export const severities = ["debug", "info", "warn", "error"] as const;
export type Severity = (typeof severities)[number];

// Limits, because text from a Service or a packet must not fill disks: 200 Services can hold 50 MB of annotations.
const maxTextLength = 1024;
const maxStackLength = 4096;
const maxItems = 100;
const maxLineLength = 16 << 10;
const maxCauses = 8;

/**
 * A line of the log, as JSON without its line feed: at most 16 KiB of it. Texts are cut after 1 KiB, lists after 100 items, and no
 * control character stands in it as it is.
 */
export function format(level: Severity, msg: string, ...fields: readonly (Fields | undefined)[]): string {
  const line = { ts: new Date().toISOString(), level, msg: cut(msg, maxTextLength) };
  const text = escapeControls(JSON.stringify(Object.assign({}, line, ...fields), printable));
  if (text.length <= maxLineLength) return text;
  return escapeControls(JSON.stringify({ ...line, cut: text.slice(0, maxLineLength / 2 - 256) })); // Its quotes take two characters each.
}

function printable(key: string, value: unknown): unknown {
  if (typeof value === "string") return cut(value, key === "stack" ? maxStackLength : maxTextLength);
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) return cut(withCauses(value), maxTextLength);
  if (Array.isArray(value)) return firstOf(value);
  if (value instanceof Set) return firstOf([...value]);
  return value instanceof Map ? Object.fromEntries([...value].slice(0, maxItems)) : value;
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${upTo(text, length)}… (${text.length} characters)`;
}

function firstOf(items: readonly unknown[]): readonly unknown[] {
  return items.length <= maxItems ? items : [...items.slice(0, maxItems), `and ${items.length - maxItems} more`];
}

function withCauses(error: Error): string {
  const messages = [error.message];
  for (
    let cause = error.cause;
    cause !== undefined && messages.length < maxCauses;
    cause = cause instanceof Error ? cause.cause : undefined
  )
    messages.push(cause instanceof Error ? cause.message : String(cause));
  return messages.join(": ");
}

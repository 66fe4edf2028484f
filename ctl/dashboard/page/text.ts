import { age as ageIn, count, maskControls, plural } from "#pkg/text";

/** Text of others, without characters that reorder or hide the text beside it. */
export const plain = maskControls;

/** A message on a Service without its beginning that other columns have too: in a narrow column, reasons differ where they are seen. */
export function reason(message: string): string {
  return message
    .replace(/^[\da-f.:]+ of pool \S+ is announced by no node: /, "")
    .replace(/^(no (?:ready )?endpoint[^,]*), so that .* is announced by no node$/, "$1");
}

/** An age such as `45 s`, `12 min`, `3 h` or `5 d`; empty for text that is no date. */
export function age(since: string, now: Date): string {
  return ageIn(since, now, [" s", " min", " h", " d"]);
}

/** `1 node`, `1,234 nodes`. */
export function counted(number: number, what: string): string {
  return `${count(number)} ${plural(number, what)}`;
}

/** Local time of day; the day too where it is another. */
export function clockTime(at: string, now: Date): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "";
  const time = date.toLocaleTimeString("en-GB");
  return date.toDateString() === now.toDateString() ? time : `${date.toLocaleDateString("en-CA")} ${time}`;
}

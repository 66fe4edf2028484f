import { styleText } from "node:util";
import { dump } from "js-yaml";
import { escapeControls, maskControls } from "#pkg/text";
import { type Screen, UsageError } from "../command.ts";

export type Format = "text" | "wide" | "json" | "yaml";

export function readFormat(text: string | undefined): Format {
  if (text === undefined) return "text";
  if (text === "wide" || text === "json" || text === "yaml") return text;
  throw new UsageError(`the output is json, yaml or wide, not ${JSON.stringify(text)}`);
}

/** JSON or YAML in which control characters are escaped. */
export function structured(format: "json" | "yaml", value: unknown): string {
  const plain = JSON.stringify(value, undefined, 2);
  // Every text in double quotes: escapes are understood there, in YAML as in JSON.
  const text =
    format === "json"
      ? `${plain}\n`
      : dump(JSON.parse(plain), { lineWidth: -1, noRefs: true, quoteStyle: "double", forceQuotes: true });
  const lines = text.trimEnd().split("\n"); // Of the layout.
  return `${lines.map(escapeControls).join("\n")}\n`;
}

const colors: Readonly<Record<string, "green" | "yellow" | "red" | "gray">> = {
  Announced: "green",
  Ready: "green",
  Degraded: "yellow",
  Pending: "red",
  NotOurs: "gray",
};

/**
 * A table as kubectl prints them: two blanks between columns, nothing behind the last cell. The last column is cut off where the line ends.
 * States have a colour on a terminal.
 */
export function table(heading: readonly string[], rows: readonly (readonly string[])[], { columns, hasColor }: Screen): string {
  const cells = [heading, ...rows].map((row) => row.map((cell) => maskControls(cell)));
  const widths = heading.map((_, column) => cells.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0));
  const lines = cells.map((row) => {
    const last = row.length - 1;
    const before = widths.slice(0, last).reduce((sum, width) => sum + width + 2, 0);
    const room = columns === undefined ? Infinity : Math.max(8, columns - before);
    return row
      .map((cell, column) => {
        const shown = column === last ? cut(cell, room) : cell;
        const padding = column === last ? "" : " ".repeat((widths[column] ?? 0) - shown.length + 2);
        return `${hasColor ? coloured(shown) : shown}${padding}`;
      })
      .join("")
      .trimEnd();
  });
  return `${lines.join("\n")}\n`;
}

function cut(text: string, room: number): string {
  return text.length > room ? `${text.slice(0, room - 1)}…` : text;
}

export function coloured(text: string): string {
  const color = Object.hasOwn(colors, text) ? colors[text] : undefined;
  return color === undefined ? text : styleText(color, text, { validateStream: false });
}

/** Such as `45s`, `12m`, `3h` or `5d`; empty for what is no date. */
export function age(since: string, now: Date): string {
  const seconds = Math.max(0, Math.floor((now.getTime() - Date.parse(since)) / 1000));
  if (Number.isNaN(seconds)) return "";
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

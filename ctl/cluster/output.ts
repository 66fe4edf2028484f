import { styleText } from "node:util";
import { dump } from "js-yaml";
import { escapeControls, maskControls } from "#pkg/text";
import type { Screen } from "../io.ts";

export type Format = "text" | "wide" | "json" | "yaml";

/** JSON or YAML in which control characters are escaped. */
export function structured(format: "json" | "yaml", value: unknown): string {
  const plain = JSON.stringify(value, undefined, 2);
  // Every text in double quotes: escapes are understood there, in YAML as in JSON.
  const text =
    format === "json"
      ? `${plain}\n`
      : dump(JSON.parse(plain), { lineWidth: -1, noRefs: true, quoteStyle: "double", forceQuotes: true });
  const lines = text.trimEnd().split("\n"); // These ends of lines belong to the layout.
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
 * A table as kubectl prints them: two blanks between columns, nothing behind the last cell. On a terminal states have a colour, and what
 * does not fit is cut: first in the last column, then in the widest of the others.
 */
export function table(heading: readonly string[], rows: readonly (readonly string[])[], { columns, hasColor }: Screen): string {
  const cells = [heading, ...rows].map((row) => row.map((cell) => maskControls(cell)));
  const natural = heading.map((_, column) => cells.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0));
  const widths = columns === undefined ? natural : fitting(natural, columns);
  const lines = cells.map((row) => {
    const last = row.length - 1;
    return row
      .map((cell, column) => {
        const shown = columns === undefined ? cell : cut(cell, widths[column] ?? 0);
        const padding = column === last ? "" : " ".repeat((widths[column] ?? 0) - shown.length + 2);
        return `${hasColor ? coloured(shown) : shown}${padding}`;
      })
      .join("")
      .trimEnd();
  });
  return `${lines.join("\n")}\n`;
}

const minWidth = 8;

/** The widths of the columns, so that a line has this many characters, if no column gets narrower than `minWidth`. */
function fitting(natural: readonly number[], columns: number): number[] {
  const widths = [...natural];
  const last = widths.length - 1;
  const tooMuch = () => widths.reduce((sum, width) => sum + width + 2, -2) - columns;
  const narrow = (column: number) => {
    const width = widths[column] ?? 0;
    widths[column] = Math.max(Math.min(minWidth, width), width - Math.max(0, tooMuch()));
  };
  narrow(last);
  while (tooMuch() > 0) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= minWidth) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}

function cut(text: string, room: number): string {
  return text.length > room ? `${text.slice(0, room - 1)}…` : text;
}

export function coloured(text: string): string {
  const color = Object.hasOwn(colors, text) ? colors[text] : undefined;
  return color === undefined ? text : styleText(color, text, { validateStream: false });
}

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
 * A table as kubectl prints them: two blanks between columns, nothing behind the last cell. On a terminal states have a colour. Where it is
 * too narrow, texts are cut first, then columns are left out, the least important first; addresses and states stay whole.
 */
export function table(heading: readonly string[], rows: readonly (readonly string[])[], { columns, hasColor }: Screen): string {
  const cells = [heading, ...rows].map((row) => row.map((cell) => maskControls(cell)));
  const natural = heading.map((_, column) => cells.reduce((width, row) => Math.max(width, widthOf(row[column] ?? "")), 0));
  const widths = columns === undefined ? natural : fitting(heading, natural, columns);
  const kept = heading.flatMap((_, column) => ((widths[column] ?? 0) > 0 ? [column] : []));
  const lines = cells.map((row) =>
    kept
      .map((column) => {
        const shown = columns === undefined ? (row[column] ?? "") : cut(row[column] ?? "", widths[column] ?? 0);
        return `${hasColor ? coloured(shown) : shown}${" ".repeat(Math.max(0, (widths[column] ?? 0) - widthOf(shown)))}`;
      })
      .join("  ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}

const minWidth = 8;

/** Never cut or left out: a part of one says something else than the whole. */
const whole: ReadonlySet<string> = new Set(["STATE", "ADDRESS", "ADDRESSES", "IPV4", "IPV6"]);
/** Left out first to last; columns that are not listed stay. */
const leastFirst = [
  "MESSAGE",
  "PROTOCOL",
  "VERSION",
  "CONFIGURATION",
  "TIMING",
  "SOURCE",
  "SINCE",
  "TOTAL",
  "CAUSE",
  "POOL",
  "NODES",
  "POD",
];

/** The widths of the columns for a line of this many characters, if that is possible; 0 for a column that is left out. */
function fitting(heading: readonly string[], natural: readonly number[], columns: number): number[] {
  const widths = [...natural];
  const tooMuch = () => widths.reduce((sum, width) => (width === 0 ? sum : sum + width + 2), -2) - columns;
  const narrow = (column: number) => {
    const width = widths[column] ?? 0;
    if (!whole.has(heading[column] ?? "")) widths[column] = Math.max(Math.min(minWidth, width), width - Math.max(0, tooMuch()));
  };
  narrow(widths.length - 1);
  for (const name of leastFirst) {
    const column = heading.indexOf(name);
    // The first column says what the line is about.
    if (tooMuch() > 0 && column > 0) widths[column] = 0;
  }
  while (tooMuch() > 0) {
    const most = Math.max(...widths.map((width, column) => (whole.has(heading[column] ?? "") ? 0 : width)));
    if (most <= minWidth) break;
    narrow(widths.findIndex((width, column) => width === most && !whole.has(heading[column] ?? "")));
  }
  if (widths.at(-1) !== 0)
    widths[widths.length - 1] = Math.max(widths.at(-1) ?? 0, Math.min(natural.at(-1) ?? 0, (widths.at(-1) ?? 0) - tooMuch()));
  return widths;
}

function cut(text: string, room: number): string {
  if (widthOf(text) <= room) return text;
  let shown = "";
  let left = room - 1;
  for (const { segment } of characters.segment(text)) {
    left -= widthOf(segment);
    if (left < 0) break;
    shown += segment;
  }
  return `${shown}…`;
}

const characters = new Intl.Segmenter("en"); // As people see them: with their accents, and flags as one.
const wide =
  /^(?![\uff61-\uffdc])(?:\p{Emoji_Presentation}|.*\ufe0f|[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303e\uff01-\uff60])/u;

/** How many columns of a terminal a text takes. */
function widthOf(text: string): number {
  if (/^[ -~\u00b7\u2026]*$/.test(text)) return text.length;
  return [...characters.segment(text)].reduce((sum, { segment }) => sum + (wide.test(segment) ? 2 : 1), 0);
}

export function coloured(text: string): string {
  const color = Object.hasOwn(colors, text) ? colors[text] : undefined;
  return color === undefined ? text : styleText(color, text, { validateStream: false });
}

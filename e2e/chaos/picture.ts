import type { Millis } from "#pkg/clock";
import { describeAct } from "./acts.ts";
import type { Done, Span } from "./chronicle.ts";

const left = 150;
const rowHeight = 22;
const width = 1_600;
const colors = ["#4477aa", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"];

/**
 * A picture of the answers over time: a row for each address, nodes by colour, red where two answered, white where nobody did; below it the
 * acts.
 */
export function picture(
  spans: ReadonlyMap<string, readonly Span[]>,
  done: readonly Done[],
  nodes: readonly string[],
  end: Millis,
): string {
  const scale = (width - left) / Math.max(1, end);
  const x = (at: Millis) => (left + at * scale).toFixed(1);
  const bar = (row: number, from: Millis, to: Millis, fill: string, title: string) =>
    `<rect x="${x(from)}" y="${row * rowHeight + 3}" width="${Math.max(0.8, (to - from) * scale).toFixed(1)}" height="${rowHeight - 6}" fill="${fill}"><title>${escaped(title)}</title></rect>`;
  const label = (row: number, text: string) => `<text x="4" y="${row * rowHeight + 16}">${escaped(text)}</text>`;
  const lines: string[] = [];
  let row = 0;
  lines.push(
    ...nodes.map(
      (node, index) =>
        `<text x="${left + index * 90}" y="16" fill="${colors[index % colors.length]}">&#9632; ${escaped(node)}</text>`,
    ),
  );
  for (const [address, all] of spans) {
    lines.push(label(++row, address));
    for (const span of all) {
      if (span.nodes.length === 0) continue;
      const [first = ""] = span.nodes;
      const fill = span.nodes.length > 1 ? "#ee3333" : (colors[nodes.indexOf(first) % colors.length] ?? "black");
      lines.push(bar(row, span.from, span.to, fill, `${seconds(span.from)}-${seconds(span.to)} s: ${span.nodes.join(" and ")}`));
    }
  }
  for (const [what, all] of Map.groupBy(done, ({ act }) => describeAct(act))) {
    lines.push(label(++row, what));
    for (const { from, to = end } of all) lines.push(bar(row, from, to, "#555555", `${what}: ${seconds(from)}-${seconds(to)} s`));
  }
  for (let at = 0; at <= end; at += tick(end))
    lines.push(`<text x="${x(at)}" y="${(row + 1) * rowHeight + 16}" text-anchor="middle">${seconds(at)}</text>`);
  const height = (row + 2) * rowHeight;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width + 20}" height="${height}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="white"/>
${lines.join("\n")}
</svg>
`;
}

function tick(end: Millis): Millis {
  return [5_000, 10_000, 30_000, 60_000, 300_000].find((each) => end / each <= 24) ?? 600_000;
}

function seconds(at: Millis): string {
  return (at / 1_000).toFixed(at % 1_000 === 0 ? 0 : 1);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

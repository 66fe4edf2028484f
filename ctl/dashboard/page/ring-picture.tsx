import { useContext, useMemo } from "preact/hooks";
import type { NodeChange } from "#pkg/what-if";
import type { NodeRow } from "../model/rows.ts";
import { seenBy } from "../model/sight.ts";
import { Here } from "./parts.tsx";
import { placeText } from "./store.ts";
import { counted, plain } from "./text.ts";

const width = 720;
const height = 340;
// With more nodes only lines that show a problem are drawn.
const maxMeshed = 16;
// Names of more would lie on one another; all are in the table.
const maxLabelled = 16;
const perimeter = 1_120; // Perimeter of the ellipse on which they lie.
const leastWithNumber = 12;

interface Placed {
  readonly node: NodeRow;
  readonly x: number;
  readonly y: number;
}

/**
 * The nodes as a ring. The more addresses one announces, the larger it is. A line is between two whose speakers see each other, a red one where
 * one of them does not.
 */
export function RingPicture({ nodes, change }: { readonly nodes: readonly NodeRow[]; readonly change: NodeChange | undefined }) {
  const here = useContext(Here);
  const { what, nodes: chosen } = here;
  const loads = new Map(change?.load.map((load) => [load.node, load]));
  const placed = nodes.map((node, index): Placed => {
    const angle = (2 * Math.PI * index) / nodes.length - Math.PI / 2;
    return { node, x: width / 2 + Math.cos(angle) * 240, y: height / 2 - 10 + Math.sin(angle) * 105 };
  });
  const lines = useMemo(() => linesOf(placed), [nodes]);
  const most = Math.max(1, ...nodes.map(({ announces }) => announces));
  return (
    <figure class="ring">
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms. */}
      <svg viewBox={`0 0 ${width} ${height}`} role="group" aria-label={`${counted(nodes.length, "node")} and what they announce`}>
        {lines.map(({ from, to, isBroken, time }) => (
          <g key={`${from.node.id} ${to.node.id}`} class={isBroken ? "line broken" : "line"}>
            <line x1={from.x} y1={from.y} x2={to.x} y2={to.y} />
            {time !== undefined && nodes.length <= 6 && (
              <text x={(from.x + to.x) / 2} y={(from.y + to.y) / 2 - 6}>
                {time.toFixed(1)} ms
              </text>
            )}
          </g>
        ))}
        {placed.map(({ node, x, y }) => {
          const largest = Math.min(36, (0.45 * perimeter) / nodes.length);
          const radius = largest * (0.4 + 0.6 * Math.sqrt(node.announces / most));
          const isChosen = what !== undefined && chosen.includes(node.id);
          const title = `${plain(node.id)} is ${node.verdict.state} and announces ${counted(node.announces, "address")}`;
          const toggled = isChosen ? chosen.filter((one) => one !== node.id) : [...chosen, node.id];
          const place = what === undefined ? { explain: `node/${node.id}` } : { nodes: toggled };
          const load = what === undefined ? undefined : loads.get(node.id);
          const look = isChosen || node.verdict.state === "Pending" ? "bad" : node.verdict.state === "Ready" ? "good" : "poor";
          return (
            <a key={node.id} href={placeText(Object.assign({}, here, place))} class={`node ${look}`}>
              <title>{isChosen ? `${title}; here it ${what === "lose" ? "has failed" : "is drained"}` : title}</title>
              <circle cx={x} cy={y} r={radius} />
              {largest >= leastWithNumber && (
                <text class="number" x={x} y={y + 5}>
                  {load === undefined ? node.announces : `${load.before} → ${load.after}`}
                </text>
              )}
              {nodes.length <= maxLabelled && (
                <text x={x} y={y + radius + 18}>
                  {shortened(node.id)}
                </text>
              )}
            </a>
          );
        })}
      </svg>
      <figcaption>
        {what === undefined
          ? "The number is that of addresses which a node announces."
          : what === "lose"
            ? "Choose nodes that fail. The numbers are those of addresses which a node announces by layer 2, now and then."
            : "Choose nodes to be drained. The numbers are those of addresses which a node announces by layer 2, now and then."}
      </figcaption>
    </figure>
  );
}

function linesOf(placed: readonly Placed[]) {
  return placed.flatMap((from, index) =>
    placed.slice(index + 1).flatMap((to) => {
      const isKnown = from.node.source !== undefined || to.node.source !== undefined;
      const isBroken = !(seenBy(from.node).has(to.node.id) && seenBy(to.node).has(from.node.id));
      if (!isKnown || (!isBroken && placed.length > maxMeshed)) return [];
      const time = from.node.roundTrips[to.node.id] ?? to.node.roundTrips[from.node.id];
      return [{ from, to, isBroken, time: isBroken ? undefined : time }];
    }),
  );
}

function shortened(name: string): string {
  const text = plain(name);
  return text.length > 22 ? `${text.slice(0, 10)}…${text.slice(-10)}` : text;
}

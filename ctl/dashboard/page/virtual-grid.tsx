// biome-ignore-all lint/a11y/useSemanticElements: a table cannot have rows that are not there.
// biome-ignore-all lint/a11y/useFocusableInteractive: the grid has the focus, and names the row that is chosen.
// biome-ignore-all lint/a11y/useKeyWithClickEvents: the grid has the keys.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useMedia } from "./store.ts";

export interface Column<Row> {
  readonly name: string;
  readonly cell: (row: Row) => ComponentChildren;
}

interface Props<Row> {
  readonly label: string;
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
  readonly open: (row: Row) => void;
  /** Given to the grid; the style sheet has its columns. */
  readonly class: string;
}

const rowHeight = 40; // Pixels, as in the style sheet; on a narrow page each has two lines.
const narrowRowHeight = 76;
const headHeight = 36;
const overscan = 8;
// Browsers draw nothing beyond some 16 million pixels.
const maxRows = 200_000;

/**
 * A table of any length, of which only the part in view is in the page. By keyboard: arrows, Page Up and Down, Home and End choose a row, Enter
 * opens it.
 */
export function VirtualGrid<Row extends { readonly id: string }>({ label, rows, columns, open, class: name }: Props<Row>) {
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const [active, setActive] = useState<string>();
  const isNarrow = useMedia("(max-width: 760px)");
  const [height, head] = isNarrow ? [narrowRowHeight, 0] : [rowHeight, headHeight];
  const shown = rows.slice(0, maxRows);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const look = () => setView({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, []);

  const at = shown.findIndex(({ id }) => id === active);
  const choose = (index: number): void => {
    const row = shown[Math.min(shown.length - 1, Math.max(0, index))];
    const element = scroller.current;
    if (row === undefined || element === null) return;
    const top = shown.indexOf(row) * height;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + height > element.scrollTop + element.clientHeight - head)
      element.scrollTop = top + height - element.clientHeight + head;
    setActive(row.id);
  };
  const page = Math.max(1, Math.floor(view.height / height) - 1);
  const steps: Readonly<Record<string, () => number>> = {
    ArrowDown: () => at + 1,
    ArrowUp: () => at - 1,
    PageDown: () => at + page,
    PageUp: () => at - page,
    Home: () => 0,
    End: () => shown.length - 1,
  };
  const pressed = (event: KeyboardEvent): void => {
    const step = steps[event.key];
    const row = shown[at];
    if (step !== undefined) choose(step());
    else if (event.key === "Enter" && row !== undefined) open(row);
    else return;
    event.preventDefault();
  };
  // A list that became shorter begins within what is left of it.
  useEffect(() => {
    const element = scroller.current;
    if (element !== null) setView({ top: element.scrollTop, height: element.clientHeight });
  }, [shown.length]);

  const first = Math.max(0, Math.floor(view.top / height) - overscan);
  const last = Math.min(shown.length, Math.ceil((view.top + view.height) / height) + overscan);
  const isActiveShown = at >= first && at < last;
  return (
    <div class={`grid ${name}`}>
      <div
        class="grid-scroller"
        ref={scroller}
        role="grid"
        tabIndex={0}
        aria-label={label}
        aria-rowcount={rows.length + 1}
        aria-colcount={columns.length}
        aria-activedescendant={isActiveShown ? rowId(name, at) : undefined}
        onKeyDown={pressed}
      >
        <div role="row" aria-rowindex={1} class="grid-row grid-head">
          {columns.map((column) => (
            <span key={column.name} role="columnheader">
              {column.name}
            </span>
          ))}
        </div>
        <div class="grid-space" role="rowgroup" style={{ height: `${shown.length * height}px` }}>
          {shown.slice(first, last).map((row, index) => (
            <div
              key={row.id}
              id={rowId(name, first + index)}
              role="row"
              aria-rowindex={first + index + 2}
              aria-selected={row.id === active}
              class="grid-row"
              style={{ transform: `translateY(${(first + index) * height}px)`, height: `${height}px` }}
              onClick={() => setActive(row.id)}
            >
              {columns.map((column) => (
                <span key={column.name} role="gridcell">
                  {column.cell(row)}
                </span>
              ))}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}

function rowId(name: string, index: number): string {
  return `${name}-${index}`;
}

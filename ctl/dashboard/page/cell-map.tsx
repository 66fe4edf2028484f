import { useRef, useState } from "preact/hooks";
import { count } from "#pkg/text";
import { type Cell, useText } from "../model/cells.ts";
import { plain } from "./text.ts";

interface Props {
  readonly label: string;
  readonly cells: readonly Cell[];
  readonly choose: (cell: Cell) => void;
}

/** Fields in rows, like text. One of them can be reached by Tab, the others from there by arrows. */
export function CellMap({ label, cells, choose }: Props) {
  const group = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(0);
  const focus = (index: number): void => {
    const next = Math.min(cells.length - 1, Math.max(0, index));
    setActive(next);
    (group.current?.children[next] as HTMLElement | undefined)?.focus();
  };
  const pressed = (event: KeyboardEvent): void => {
    const steps: Readonly<Record<string, number>> = {
      ArrowRight: active + 1,
      ArrowLeft: active - 1,
      ArrowDown: active + perRow(group.current),
      ArrowUp: active - perRow(group.current),
      Home: 0,
      End: cells.length - 1,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    focus(step);
  };
  const reachable = Math.min(active, cells.length - 1);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms.
    <div class="cells" role="group" aria-label={label} ref={group} onKeyDown={pressed}>
      {cells.map((cell, index) => (
        <button
          key={`${cell.range.first}`}
          type="button"
          class={`cell ${cell.use} ${level(cell)}`}
          tabIndex={index === reachable ? 0 : -1}
          title={titleOf(cell)}
          aria-label={titleOf(cell)}
          onClick={() => {
            setActive(index);
            choose(cell);
          }}
        />
      ))}
    </div>
  );
}

function perRow(element: HTMLElement | null): number {
  const [first, ...rest] = [...(element?.children ?? [])] as HTMLElement[];
  const next = rest.findIndex((one) => one.offsetTop !== first?.offsetTop);
  return next < 0 ? 1 : next + 1;
}

/** How full a field of several addresses is. */
function level({ range, fill }: Cell): string {
  if (range.first.equals(range.last) || fill === 0) return "";
  return fill <= 0.25 ? "fill-1" : fill <= 0.5 ? "fill-2" : fill <= 0.75 ? "fill-3" : "fill-4";
}

function titleOf({ range, marks, use, keptFor }: Cell): string {
  const [mark] = marks;
  if (!range.first.equals(range.last)) return `${range}: ${count(marks.length)} in use`;
  const kept = keptFor.length === 0 ? "" : ` for ${keptFor.map(plain).join(", ")}`;
  if (mark === undefined) return `${range.first}: ${useText(use)}${kept}`;
  const by = mark.services.length > 0 ? ` by ${mark.services.slice(0, 5).map(plain).join(", ")}` : "";
  return `${range.first}: ${use}${by}`;
}

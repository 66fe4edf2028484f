import { useMemo, useState } from "preact/hooks";
import type { AddressRange } from "#pkg/net";
import { count } from "#pkg/text";
import { type Cell, cellsOf, type Mark, marksIn, marksOf, rangesOf, uses, useText } from "../model/cells.ts";
import type { Model, PoolRow } from "../model/rows.ts";
import { CellMap } from "./cell-map.tsx";
import { Badge, Empty, Explain, Message } from "./parts.tsx";
import { plain } from "./text.ts";

export function Pools({ model }: { readonly model: Model }) {
  const marks = useMemo(() => marksOf(model.services, model.occupied), [model.services, model.occupied]);
  const pools = [...model.pools.values()].sort((a, b) => a.place - b.place);
  return (
    <>
      <h1>Pools</h1>
      <Legend hasNetbox={pools.some(({ netbox }) => netbox === true)} />
      {pools.length === 0 && <Empty>There is no pool.</Empty>}
      {pools.map((pool, index) => (
        <Pool key={pool.id} pool={pool} marks={marks} isOpen={index < 4} />
      ))}
    </>
  );
}

function Legend({ hasNetbox }: { readonly hasNetbox: boolean }) {
  return (
    <ul class="legend" aria-label="Legend">
      {uses
        .filter((use) => hasNetbox || use !== "unknown")
        .map((use) => (
          <li key={use}>
            <span class={`cell ${use}`} aria-hidden="true" /> {useText(use)}
          </li>
        ))}
    </ul>
  );
}

function Pool({ pool, marks, isOpen }: { readonly pool: PoolRow; readonly marks: readonly Mark[]; readonly isOpen: boolean }) {
  const [open, setOpen] = useState(isOpen);
  const { id, protocol, ranges, verdict } = pool;
  return (
    <section class="card" aria-label={`Pool ${plain(id)}`}>
      <h2>
        <Badge state={verdict.state} /> <Explain subject={`pool/${id}`}>{plain(id)}</Explain>{" "}
        <small>{protocol === "layer2" ? "layer 2" : protocol}</small>
      </h2>
      <p>
        <Message verdict={verdict} />
      </p>
      <Usage pool={pool} />
      {ranges === undefined ? (
        <p class="empty">No controller says which addresses it has.</p>
      ) : (
        <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary>Addresses</summary>
          {open && rangesOf(ranges).map((range) => <RangeMap key={`${range}`} whole={range} pool={pool} marks={marks} />)}
        </details>
      )}
    </section>
  );
}

/** A bar for each family of which the pool has addresses. */
export function Usage({ pool: { id, families = [], full = [] } }: { readonly pool: PoolRow }) {
  return (
    <div class="usage">
      {families.map(({ family, inUse, total }) => (
        <p key={family}>
          {family}{" "}
          <meter
            min={0}
            max={total}
            high={total * 0.9}
            value={inUse}
            aria-label={`${family} addresses of pool ${plain(id)} in use`}
          />{" "}
          {count(inUse)} of {count(total)}
          {full.includes(family) && <span class="mark bad">full</span>}
        </p>
      ))}
    </div>
  );
}

/** A map of a range, or of the part of it that was chosen. */
function RangeMap({
  whole,
  pool,
  marks,
}: {
  readonly whole: AddressRange;
  readonly pool: PoolRow;
  readonly marks: readonly Mark[];
}) {
  const [path, setPath] = useState<readonly AddressRange[]>([]); // Parts of parts.
  const range = path.at(-1) ?? whole;
  const inRange = useMemo(() => marksIn(marks, range), [marks, range]);
  const cells = useMemo(() => cellsOf(range, inRange, pool), [range, inRange, pool]);
  const [chosen, setChosen] = useState<Cell>();
  const now = chosen && cells.find((cell) => `${cell.range}` === `${chosen.range}`);
  const each = cells[0] === undefined ? 1n : cells[0].range.last.value - cells[0].range.first.value + 1n;
  const choose = (cell: Cell): void => {
    if (cell.range.first.equals(cell.range.last)) setChosen(cell);
    else setPath([...path, cell.range]);
  };
  return (
    <div class="range">
      <h3>
        {`${range}`}{" "}
        <small>
          {count(Number(range.last.value - range.first.value + 1n))} addresses,{" "}
          {count(inRange.filter(({ services }) => services.length > 0).length)} in use
          {each > 1n && `; one field is ${count(Number(each))}`}
        </small>
        {path.length > 0 && (
          <button type="button" onClick={() => setPath(path.slice(0, -1))}>
            Back to {`${path.at(-2) ?? whole}`}
          </button>
        )}
      </h3>
      <CellMap label={`Addresses ${range}`} cells={cells} choose={choose} />
      {now !== undefined && <Chosen cell={now} />}
    </div>
  );
}

function Chosen({ cell: { range, use, marks, keptFor } }: { readonly cell: Cell }) {
  const [mark] = marks;
  const address = `${range.first}`;
  return (
    <p class="chosen" role="status">
      <strong>{address}</strong> {useText(use)}
      {keptFor.length > 0 && `, kept for ${keptFor.map(plain).join(", ")}`}
      {mark !== undefined && mark.services.length > 0 && (
        <>
          {" by "}
          {mark.services.map((service) => (
            <Explain key={service} subject={`svc/${service}`}>
              {plain(service)}
            </Explain>
          ))}
          {" · "}
          <Explain subject={address}>why</Explain>
        </>
      )}
      {mark?.occupiedBy !== undefined && ` by ${mark.occupiedBy === "" ? "another host" : `the host ${plain(mark.occupiedBy)}`}`}
    </p>
  );
}

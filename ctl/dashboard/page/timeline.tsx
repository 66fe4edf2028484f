import { useContext, useState } from "preact/hooks";
import { earlierThan, incidentsOf } from "../model/events.ts";
import type { EventRow, Model } from "../model/rows.ts";
import { useAnswer } from "./ask.ts";
import { Badge, Empty, Explain, Now } from "./parts.tsx";
import { clockTime, counted, plain } from "./text.ts";

const ranges = { "15 minutes": 15, hour: 60, "6 hours": 360, day: 1_440, week: 10_080 } as const;

interface RecentAnswer {
  readonly events: readonly EventRow[];
  readonly unreachable: readonly { readonly target: { readonly pod: string }; readonly why: string }[];
}

/** The records of processes from before the changes that the program has seen, then these. */
export function Timeline({ model }: { readonly model: Model }) {
  const now = useContext(Now);
  const [search, setSearch] = useState("");
  const [range, setRange] = useState<keyof typeof ranges>("hour");
  const recorded = useAnswer<RecentAnswer>(`recent?minutes=${ranges[range]}`);
  const from = new Date(now.getTime() - ranges[range] * 60_000).toISOString();
  const earlier = recorded.type === "answer" ? earlierThan(model, recorded.answer.events) : [];
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const events = [...earlier, ...[...model.events.values()].filter(({ at }) => at >= from)]
    .filter(({ what, why, subject }) => words.every((word) => `${what} ${why} ${subject}`.toLowerCase().includes(word)))
    .reverse();
  return (
    <>
      <h1>Timeline</h1>
      <p class="empty">What changed, the latest first: as this page saw it, and before that as processes recorded it.</p>
      <form class="tools" onSubmit={(event) => event.preventDefault()}>
        <label>
          Search <input type="search" id="search" value={search} onInput={(event) => setSearch(event.currentTarget.value)} />
        </label>
        <label>
          The last{" "}
          <select value={range} onChange={(event) => setRange(event.currentTarget.value as keyof typeof ranges)}>
            {Object.keys(ranges).map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
      </form>
      {recorded.type === "asking" && <p role="status">Asking processes for their records…</p>}
      {recorded.type === "problem" && <p role="alert">{plain(recorded.problem)}</p>}
      {recorded.type === "answer" &&
        recorded.answer.unreachable.map(({ target, why }) => (
          <p key={target.pod} class="warning">
            The records of {plain(target.pod)} are not among these: {plain(why)}
          </p>
        ))}
      {events.length === 0 && recorded.type !== "asking" && <Empty>Nothing has changed.</Empty>}
      {incidentsOf(events).map((incident) => (
        <Incident key={incident.at(-1)?.id} events={incident} />
      ))}
    </>
  );
}

/** Changes that belong together, as far as time tells. @param events the latest first */
function Incident({ events }: { readonly events: readonly EventRow[] }) {
  const now = useContext(Now);
  const [first, last] = [events.at(-1), events[0]];
  if (first === undefined || last === undefined) return null;
  const worst = events.find(({ state }) => state === "Pending") ?? events.find(({ state }) => state === "Degraded") ?? first;
  return (
    <section aria-label={`Incident at ${clockTime(first.at, now)}`}>
      <h2>
        <time dateTime={first.at}>{clockTime(first.at, now)}</time> {plain(worst.what)}{" "}
        {events.length > 1 && <small>{counted(events.length, "change")}</small>}
      </h2>
      <Events events={events} />
    </section>
  );
}

export function Events({ events }: { readonly events: readonly EventRow[] }) {
  const now = useContext(Now);
  if (events.length === 0) return <Empty>Nothing has changed.</Empty>;
  return (
    <ol class="events">
      {events.map(({ id, at, subject, what, why, state }) => (
        <li key={id}>
          <time dateTime={at}>{clockTime(at, now)}</time> <Badge state={state} />{" "}
          <Explain subject={subject}>{plain(what)}</Explain>
          {why !== "" && <span class="why"> {plain(why)}</span>}
        </li>
      ))}
    </ol>
  );
}

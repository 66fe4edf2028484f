import { useContext, useState } from "preact/hooks";
import type { EventRow, Model } from "../model/rows.ts";
import { Badge, Empty, Explain, Now } from "./parts.tsx";
import { clockTime, plain } from "./text.ts";

export function Timeline({ model }: { readonly model: Model }) {
  const [search, setSearch] = useState("");
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const events = [...model.events.values()]
    .filter(({ what, why, subject }) => words.every((word) => `${what} ${why} ${subject}`.toLowerCase().includes(word)))
    .reverse();
  return (
    <>
      <h1>Timeline</h1>
      <p class="empty">What changed since this page's program began to look, the latest first.</p>
      <form class="tools" onSubmit={(event) => event.preventDefault()}>
        <label>
          Search <input type="search" id="search" value={search} onInput={(event) => setSearch(event.currentTarget.value)} />
        </label>
      </form>
      <Events events={events} />
    </>
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

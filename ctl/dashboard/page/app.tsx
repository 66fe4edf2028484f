import { useEffect, useState } from "preact/hooks";
import type { AboutRow } from "../model/rows.ts";
import { ExplanationDialog } from "./explanation.tsx";
import { Nodes } from "./nodes.tsx";
import { Overview } from "./overview.tsx";
import { Here, Now, Since } from "./parts.tsx";
import { Peers } from "./peers.tsx";
import { Pools } from "./pools.tsx";
import { Services } from "./services.tsx";
import { type Connection, useNow, usePlace, useStream } from "./store.ts";
import { plain } from "./text.ts";
import { Timeline } from "./timeline.tsx";

const views = {
  overview: { name: "Overview", show: Overview },
  services: { name: "Services", show: Services },
  pools: { name: "Pools", show: Pools },
  nodes: { name: "Nodes", show: Nodes },
  peers: { name: "BGP", show: Peers },
  timeline: { name: "Timeline", show: Timeline },
} as const;
type ViewName = keyof typeof views;

export function App() {
  const { model, connection, at } = useStream();
  const place = usePlace();
  const now = useNow();
  const view: ViewName = Object.hasOwn(views, place.view) ? (place.view as ViewName) : "overview";
  const { name, show: Shown } = views[view];
  const about = model.about.get("about");
  const outage = about?.outage ?? about?.silence;
  useEffect(() => {
    document.title = `${name} · Ingot${about === undefined ? "" : ` · ${plain(about.cluster)}`}`;
  }, [name, about]);
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
      const search = document.querySelector<HTMLInputElement>("#search");
      if (event.key !== "/" || isTyping || search === null) return;
      event.preventDefault();
      search.focus();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  return (
    <Now.Provider value={now}>
      <Here.Provider value={Object.assign({}, place, { view })}>
        <header class="top">
          <strong>Ingot</strong> <span class="cluster">{plain(about?.cluster ?? "")}</span>
          <nav aria-label="Views">
            {Object.entries(views).map(([key, one]) => (
              <a key={key} href={`#/${key}`} aria-current={key === view ? "page" : undefined}>
                {one.name}
              </a>
            ))}
          </nav>
          <Theme />
          <Status connection={connection} about={about} />
        </header>
        <main class={connection === "lost" || outage !== undefined ? "old" : undefined}>
          {connection === "lost" && at !== undefined && (
            <p role="alert" class="warning">
              ingotctl does not answer. This page shows what was known <Since since={at} /> ago.
            </p>
          )}
          {outage !== undefined && (
            <p role="alert" class="warning">
              {silentText(about)}: {plain(outage.why)}. This page shows what was known <Since since={outage.since} /> ago.
            </p>
          )}
          {about === undefined ? (
            <p role="status">{connection === "lost" ? "ingotctl does not answer." : "Asking controller and speakers…"}</p>
          ) : (
            <Shown model={model} />
          )}
        </main>
        {place.explain !== undefined && <ExplanationDialog key={place.explain} subject={place.explain} model={model} />}
      </Here.Provider>
    </Now.Provider>
  );
}

/** Names the process that does not answer. */
function silentText(about: AboutRow | undefined): string {
  return about?.outage === undefined ? "No speaker answers" : "The API server does not answer";
}

function Status({ connection, about }: { readonly connection: Connection; readonly about: AboutRow | undefined }) {
  const hasOutage = connection === "live" && (about?.outage ?? about?.silence) !== undefined;
  const live = hasOutage ? silentText(about) : about?.isComplete === true ? "live" : "asking";
  const text = { opening: "opening", live, lost: "ingotctl does not answer" }[connection];
  return (
    <span role="status" class={`status ${hasOutage ? "lost" : connection}`}>
      {text}
    </span>
  );
}

const themes = ["system", "light", "dark"] as const;

/** The browser's preference, until the user chooses another. */
function Theme() {
  const [theme, setTheme] = useState<(typeof themes)[number]>("system");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  return (
    <label class="theme">
      <span class="hidden">Colours</span>
      <select value={theme} onChange={(event) => setTheme(event.currentTarget.value as typeof theme)}>
        {themes.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  );
}

import { useEffect, useState } from "preact/hooks";
import { applyChanges, type Changes } from "../model/changes.ts";
import { emptyModel, type Model } from "../model/rows.ts";

/** `lost`: the program does not answer; the browser asks again every second. */
export type Connection = "opening" | "live" | "lost";

export interface Shown {
  readonly model: Model;
  readonly connection: Connection;
  /** ISO 8601, of the last data. */
  readonly at: string | undefined;
}

/** The program's present data. */
export function useStream(): Shown {
  const [shown, setShown] = useState<Shown>({ model: emptyModel(), connection: "opening", at: undefined });
  useEffect(() => {
    const source = new EventSource("stream");
    const on = (name: string, model: (before: Model, changes: Changes) => Model) =>
      source.addEventListener(name, ({ data }: MessageEvent<string>) => {
        const changes = JSON.parse(data) as Changes;
        setShown((before) => ({ model: model(before.model, changes), connection: "live", at: new Date().toISOString() }));
      });
    on("model", (_, changes) => applyChanges(emptyModel(), changes));
    on("changes", applyChanges);
    source.onerror = () => setShown(({ model, at }) => ({ model, connection: "lost", at }));
    return () => source.close();
  }, []);
  return shown;
}

/** Position of the page: a view, and the explanation beside it. */
export interface PageLocation {
  readonly view: string;
  readonly explain: string | undefined;
  /** The simulated fault; undefined without a simulation. */
  readonly what: "lose" | "drain" | undefined;
  /** The nodes that are taken to fail, or to be drained. */
  readonly nodes: readonly string[];
}

/** The part of the address behind `#`. */
export function placeText({ view, explain, what, nodes = [] }: Partial<PageLocation>): string {
  const query = new URLSearchParams();
  if (explain !== undefined) query.set("explain", explain);
  if (what !== undefined) for (const node of nodes.length === 0 ? [""] : nodes) query.append(what, node);
  return `#/${view}${query.size === 0 ? "" : `?${query}`}`;
}

function readPlace(hash: string): PageLocation {
  const [path = "", text = ""] = hash.replace(/^#\/?/, "").split("?");
  const query = new URLSearchParams(text);
  const what = (["lose", "drain"] as const).find((one) => query.has(one));
  const nodes = what === undefined ? [] : query.getAll(what).filter((node) => node !== "");
  return { view: path, explain: query.get("explain") || undefined, what, nodes };
}

export function usePlace(): PageLocation {
  const [place, setPlace] = useState(() => readPlace(location.hash));
  useEffect(() => {
    const changed = () => setPlace(readPlace(location.hash));
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return place;
}

/** The date, again and again, for ages. */
export function useNow(): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), 5_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const changed = () => setMatches(list.matches);
    list.addEventListener("change", changed);
    return () => list.removeEventListener("change", changed);
  }, [query]);
  return matches;
}

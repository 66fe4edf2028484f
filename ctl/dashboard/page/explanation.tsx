import { useContext, useEffect, useRef, useState } from "preact/hooks";
import type { Moment } from "../../history/timeline.ts";
import type { Explanation } from "../../views/explain.ts";
import type { Model } from "../model/rows.ts";
import { useAnswer } from "./ask.ts";
import { Badge, Empty, Here, Now, Since } from "./parts.tsx";
import { ServicePath } from "./path-picture.tsx";
import { placeText } from "./store.ts";
import { clockTime, plain } from "./text.ts";

interface HistoryAnswer {
  readonly moments: readonly Moment[];
}

/** State of one subject and remedy, as in `ingotctl explain`. The page asks again whenever its table changes. */
export function ExplanationDialog({ subject, model }: { readonly subject: string; readonly model: Model }) {
  const here = useContext(Here);
  const dialog = useRef<HTMLDialogElement>(null);
  const shown = useAnswer<Explanation>(`explain?subject=${encodeURIComponent(subject)}`, tableOf(subject, model));
  useEffect(() => {
    if (dialog.current?.open === false) dialog.current.showModal();
  }, []);
  const leave = () => {
    location.hash = placeText(Object.assign({}, here, { explain: undefined }));
  };
  const row = subject.startsWith("svc/") ? model.services.get(subject.slice("svc/".length)) : undefined;
  const [, node] = /^node\/(.*)$/s.exec(subject) ?? [];
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: by keyboard it is Escape.
    <dialog
      ref={dialog}
      aria-label={`What is the case with ${plain(subject)}`}
      onClose={leave}
      onClick={({ target }) => {
        if (target === dialog.current) dialog.current?.close();
      }}
    >
      <div class="dialog">
        <header>
          <h2>{plain(subject)}</h2>
          <button type="button" onClick={() => dialog.current?.close()}>
            Close
          </button>
        </header>
        {shown.type === "asking" && <p role="status">Asking…</p>}
        {shown.type === "problem" && <p role="alert">{plain(shown.problem)}</p>}
        {row !== undefined && (
          <ServicePath row={row} endpoints={shown.type === "answer" ? shown.answer.endpoints : undefined} model={model} />
        )}
        {shown.type === "answer" && <Verdicts answer={shown.answer} />}
        {hasHistory(subject) && <History subject={subject} />}
        {node !== undefined && (
          <p>
            <a href={placeText({ view: "nodes", what: "lose", nodes: [node] })}>What if it failed?</a>{" "}
            <a href={placeText({ view: "nodes", what: "drain", nodes: [node] })}>What if it were drained?</a>
          </p>
        )}
        <p class="hint">
          <code>ingotctl explain {plain(subject)}</code>
        </p>
      </div>
    </dialog>
  );
}

function tableOf(subject: string, { nodes, peers, pools, processes, services }: Model): object {
  const tables: Readonly<Record<string, object>> = { node: nodes, peer: peers, pool: pools, config: processes };
  const [kind = ""] = subject.split("/");
  return (Object.hasOwn(tables, kind) ? tables[kind] : undefined) ?? services;
}

/** Processes record the history of Services and addresses. */
function hasHistory(subject: string): boolean {
  return subject.startsWith("svc/") || !(subject.includes("/") || subject === "config");
}

function History({ subject }: { readonly subject: string }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>History</summary>
      {isOpen && <Moments subject={subject} />}
    </details>
  );
}

function Moments({ subject }: { readonly subject: string }) {
  const now = useContext(Now);
  const shown = useAnswer<HistoryAnswer>(`history?subject=${encodeURIComponent(subject)}`);
  if (shown.type === "asking") return <p role="status">Asking…</p>;
  if (shown.type === "problem") return <p role="alert">{plain(shown.problem)}</p>;
  const { moments } = shown.answer;
  if (moments.length === 0) return <Empty>Nothing is recorded.</Empty>;
  return (
    <ol class="events">
      {moments.map(({ at, program, node, what, why }) => (
        <li key={`${at} ${node} ${what}`}>
          <time dateTime={at}>{clockTime(at, now)}</time> <strong>{plain(node === "" ? program : node)}</strong> {plain(what)}
          {why !== "" && <span class="why">: {plain(why)}</span>}
        </li>
      ))}
    </ol>
  );
}

function Verdicts({ answer: { explained, unreachable, none } }: { readonly answer: Explanation }) {
  return (
    <>
      {explained.length === 0 && <p>{plain(none)}</p>}
      {explained.map(({ about, verdict: { state, cause, message, next, since, evidence } }) => (
        <article key={`${about} ${cause}`}>
          <h3>{plain(about)}</h3>
          <p>
            <Badge state={state} /> <code>{plain(cause)}</code> for <Since since={since} />
          </p>
          <p class="message">{plain(message)}</p>
          {next !== "" && (
            <p class="next">
              <strong>To do:</strong> {plain(next)}
            </p>
          )}
          {evidence.length > 0 && (
            <dl class="evidence">
              {evidence.map(({ name, value, source }) => (
                <div class="fact" key={`${name} ${value}`}>
                  <dt>{plain(name)}</dt>
                  <dd>
                    {plain(value)} <small>({plain(source)})</small>
                  </dd>
                </div>
              ))}
            </dl>
          )}
        </article>
      ))}
      {unreachable.map(({ target, why }) => (
        <p key={target.pod} class="warning">
          {plain(target.pod)} is not among these: {plain(why)}
        </p>
      ))}
    </>
  );
}

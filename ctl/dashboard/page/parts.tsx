import { type ComponentChildren, createContext } from "preact";
import { useContext, useLayoutEffect, useRef } from "preact/hooks";
import type { RowVerdict } from "../model/rows.ts";
import { type PageLocation, placeText } from "./store.ts";
import { age, plain } from "./text.ts";

export const Now = createContext(new Date());
/** Where the page is. */
export const Here = createContext<PageLocation>({ view: "", explain: undefined, what: undefined, nodes: [] });

const looks: Readonly<Record<string, string>> = {
  Announced: "good",
  Ready: "good",
  Assigned: "good",
  NotOurs: "quiet",
  Degraded: "poor",
  Pending: "bad",
};

/** A state in words, with a colour of its own. */
export function Badge({ state }: { readonly state: string }) {
  return <span class={`badge ${looks[state] ?? "quiet"}`}>{plain(state)}</span>;
}

export function Since({ since, before = "" }: { readonly since: string; readonly before?: string }) {
  const now = useContext(Now);
  const text = age(since, now);
  if (text === "") return null;
  return (
    <>
      {before}
      <time dateTime={since}>{text}</time>
    </>
  );
}

/** Opens the explanation of the subject, beside the present view. */
export function Explain(props: {
  readonly subject: string;
  readonly children: ComponentChildren;
  readonly class?: string;
  readonly tabIndex?: number;
  readonly label?: string;
}) {
  const here = useContext(Here);
  const { subject, children, tabIndex, label } = props;
  const href = placeText(Object.assign({}, here, { explain: subject }));
  return (
    <a href={href} class={`explain ${props.class ?? ""}`} tabIndex={tabIndex} aria-label={label}>
      {children}
    </a>
  );
}

export function Message({ verdict: { cause, message, since } }: { readonly verdict: RowVerdict }) {
  return (
    <>
      <code>{plain(cause)}</code> {plain(message)}
      <Since before=" for " since={since} />
    </>
  );
}

/** A table that scrolls by itself where it is wider than the page; on a narrow page each row is a list of its cells. Its children are the rows. */
export function WideTable(props: {
  readonly label: string;
  readonly heading: readonly string[];
  readonly children: ComponentChildren;
}) {
  const { label, heading, children } = props;
  const table = useRef<HTMLTableElement>(null);
  useLayoutEffect(() => {
    for (const { cells } of table.current?.tBodies[0]?.rows ?? [])
      for (const [index, cell] of [...cells].entries()) cell.dataset.label = heading[index] ?? "";
  });
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard.
    <section class="wide" aria-label={label} tabIndex={0}>
      <table ref={table}>
        <thead>
          <tr>
            {heading.map((column) => (
              <th scope="col" key={column}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}

export function Empty({ children }: { readonly children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

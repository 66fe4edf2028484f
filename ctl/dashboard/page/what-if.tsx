import type { ComponentChildren } from "preact";
import { count } from "#pkg/text";
import type { NodesSimulation, UnknownNodes } from "../../change/simulate.ts";
import type { NodeRow } from "../model/rows.ts";
import { useAnswer } from "./ask.ts";
import { Explain, WideTable } from "./parts.tsx";
import { RingPicture } from "./ring-picture.tsx";
import { counted, plain } from "./text.ts";

// Limit of rows: the first addresses of a node with thousands tell where they would go.
const maxShown = 200;

interface Props {
  readonly nodes: readonly NodeRow[];
  readonly what: "lose" | "drain";
  readonly chosen: readonly string[];
  /** The page asks again when it changes. */
  readonly version: unknown;
}

/** The effects if these nodes failed with all their Pods, or were drained, by the decisions of the speakers themselves. */
export function WhatIf({ nodes, what, chosen, version }: Props) {
  const query = chosen.map((node) => `${what}=${encodeURIComponent(node)}`).join("&");
  const shown = useAnswer<NodesSimulation | UnknownNodes>(`simulate?${query}`, version);
  const answer = shown.type === "answer" && "change" in shown.answer ? shown.answer : undefined;
  return (
    <>
      <RingPicture nodes={nodes} change={answer?.change} />
      <section class="card" aria-label="What would happen">
        <h2>
          If {chosen.map(plain).join(", ")} {what === "lose" ? "failed" : chosen.length === 1 ? "was drained" : "were drained"}
        </h2>
        {shown.type === "asking" && <p role="status">Asking…</p>}
        {shown.type === "problem" && <p role="alert">{plain(shown.problem)}</p>}
        {shown.type === "answer" && "unknown" in shown.answer && (
          <p role="alert">There is no node {shown.answer.unknown.map(plain).join(", ")}.</p>
        )}
        {answer !== undefined && <Outcome simulation={answer} />}
      </section>
    </>
  );
}

function Outcome({ simulation: { change, doubts, unreachable } }: { readonly simulation: NodesSimulation }) {
  const { lost, moved, stay, prefixes } = change;
  return (
    <>
      {lost.length === 0 && <p>Every Service that is announced now would be announced.</p>}
      <Listed title="Not announced any more" heading={["Service", "Address", "Why"]} rows={lost}>
        {({ service, address, why }) => [
          <Explain subject={`svc/${service}`}>{plain(service)}</Explain>,
          plain(address),
          <span class="message">{plain(why)}</span>,
        ]}
      </Listed>
      <Listed title="Taken over" heading={["Address", "Announced by", "Then by", "Services"]} rows={moved}>
        {({ address, before, after, services }) => [
          <Explain subject={address}>{plain(address)}</Explain>,
          before.map(plain).join(", ") || "-",
          after.map(plain).join(", ") || "-",
          services.map(plain).join(", "),
        ]}
      </Listed>
      <Listed title="Prefixes by fewer nodes" heading={["Prefix", "Peer", "By", "Then by"]} rows={prefixes}>
        {({ prefix, peer, before, after }) => [plain(prefix), plain(peer), counted(before, "node"), counted(after, "node")]}
      </Listed>
      <p>{counted(stay, "address")} would stay.</p>
      {[...doubts, ...unreachable.map(({ target, why }) => `${target.pod} was not asked: ${why}`)].map((note) => (
        <p key={note} class="warning">
          {plain(note)}
        </p>
      ))}
    </>
  );
}

interface ListedProps<Row> {
  readonly title: string;
  readonly heading: readonly string[];
  readonly rows: readonly Row[];
  readonly children: (row: Row) => readonly ComponentChildren[];
}

function Listed<Row>({ title, heading, rows, children }: ListedProps<Row>) {
  if (rows.length === 0) return null;
  return (
    <>
      <h3>
        {title}: {count(rows.length)}
      </h3>
      <WideTable label={title} heading={heading}>
        {rows.slice(0, maxShown).map((row, index) => (
          <tr key={`${index}`}>
            {children(row).map((cell, column) => (
              <td key={heading[column]}>{cell}</td>
            ))}
          </tr>
        ))}
      </WideTable>
      {rows.length > maxShown && <p>and {count(rows.length - maxShown)} more</p>}
    </>
  );
}

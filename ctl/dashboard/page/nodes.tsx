import { useContext, useMemo } from "preact/hooks";
import { count } from "#pkg/text";
import { haveOneConfiguration } from "../model/one-configuration.ts";
import type { Model, NodeRow } from "../model/rows.ts";
import { seenBy } from "../model/sight.ts";
import { Badge, Empty, Explain, Here, Message, Since, WideTable } from "./parts.tsx";
import { RingPicture } from "./ring-picture.tsx";
import { placeText } from "./store.ts";
import { counted, plain } from "./text.ts";
import { WhatIf } from "./what-if.tsx";

// A matrix of more is no longer read.
const maxMatrix = 24;

export function Nodes({ model }: { readonly model: Model }) {
  const nodes = useMemo(() => [...model.nodes.values()].sort((a, b) => (a.id < b.id ? -1 : 1)), [model.nodes]);
  const { what, nodes: chosen } = useContext(Here);
  if (nodes.length === 0)
    return (
      <>
        <h1>Nodes</h1>
        <Empty>No speaker runs on any node.</Empty>
      </>
    );
  return (
    <>
      <h1>Nodes</h1>
      {what === undefined ? (
        <p class="links">
          <a href={placeText({ view: "nodes", what: "lose" })}>What if nodes fail?</a>
          <a href={placeText({ view: "nodes", what: "drain" })}>What if nodes are drained?</a>
        </p>
      ) : (
        <p class="links">
          <span>{what === "lose" ? "What if these nodes failed?" : "What if these nodes were drained?"}</span>
          <a href={placeText({ view: "nodes", what: what === "lose" ? "drain" : "lose", nodes: chosen })}>
            {what === "lose" ? "If they were drained instead" : "If they failed instead"}
          </a>
          <a href={placeText({ view: "nodes" })}>Back to the present</a>
        </p>
      )}
      {what !== undefined && chosen.length > 0 ? (
        <WhatIf nodes={nodes} what={what} chosen={chosen} version={model.services} />
      ) : (
        <RingPicture nodes={nodes} change={undefined} />
      )}
      <WideTable label="Nodes" heading={["Node", "State", "Announces", "Sees", "Round trips", "What is the case"]}>
        {nodes.map((node) => (
          <tr key={node.id} class={node.verdict.cause === "noAnswer" ? "old" : undefined}>
            <th scope="row">
              <Explain subject={`node/${node.id}`}>{plain(node.id)}</Explain>
            </th>
            <td>
              <Badge state={node.verdict.state} />
            </td>
            <td>{counted(node.announces, "address")}</td>
            <td>{seesText(node, nodes)}</td>
            <td>{roundTripsText(node)}</td>
            <td class="long">
              <Message verdict={node.verdict} />
            </td>
          </tr>
        ))}
      </WideTable>
      <RoundTrips nodes={nodes} />
      <h2>Controllers and speakers</h2>
      {!haveOneConfiguration(model.processes.values()) && <p class="warning">Not all have the same configuration in force.</p>}
      <WideTable label="Controllers and speakers" heading={["Pod", "Node", "Version", "Configuration", "What is the case"]}>
        {[...model.processes.values()].map(({ id, node, version, hash, leads, problem, silentSince, configuration }) => (
          <tr key={id} class={silentSince === undefined ? undefined : "old"}>
            <th scope="row">{plain(id)}</th>
            <td>{plain(node)}</td>
            <td>{plain(version) || "–"}</td>
            <td>
              <code>{plain(hash ?? "none").slice(0, 12)}</code>
            </td>
            <td class="long">
              {problem === undefined ? (
                `${plain(configuration?.message ?? "answers")}${leads ? "; leads" : ""}`
              ) : (
                <>
                  does not answer
                  <Since before=" for " since={silentSince ?? ""} />: {plain(problem)}
                </>
              )}
            </td>
          </tr>
        ))}
      </WideTable>
    </>
  );
}

function seesText(node: NodeRow, nodes: readonly NodeRow[]): string {
  const { id, sees, source } = node;
  if (source === undefined) return "–";
  const missing = nodes.filter((other) => other.id !== id && !seenBy(node).has(other.id)).map((other) => plain(other.id));
  return missing.length === 0 ? counted(sees.length, "other") : `${count(sees.length)}, not ${missing.slice(0, 5).join(", ")}`;
}

function roundTripsText({ roundTrips }: NodeRow): string {
  const times = Object.values(roundTrips).sort((a, b) => a - b);
  const [shortest, longest] = [times[0], times.at(-1)];
  if (shortest === undefined || longest === undefined) return "–";
  return times.length === 1 ? milliseconds(shortest) : `${milliseconds(shortest)} to ${milliseconds(longest)}`;
}

function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

function RoundTrips({ nodes }: { readonly nodes: readonly NodeRow[] }) {
  if (nodes.length < 2 || nodes.length > maxMatrix || nodes.every(({ roundTrips }) => Object.keys(roundTrips).length === 0))
    return null;
  return (
    <>
      <h2>Round-trip times between speakers</h2>
      <WideTable label="Round-trip times between speakers" heading={["From, to", ...nodes.map(({ id }) => plain(id))]}>
        {nodes.map(({ id, roundTrips }) => (
          <tr key={id}>
            <th scope="row">{plain(id)}</th>
            {nodes.map((other) => {
              const time = roundTrips[other.id];
              return (
                <td key={other.id} class={time !== undefined && time > 25 ? "slow" : ""}>
                  {other.id === id ? "" : time === undefined ? "–" : milliseconds(time)}
                </td>
              );
            })}
          </tr>
        ))}
      </WideTable>
    </>
  );
}

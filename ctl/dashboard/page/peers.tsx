import { count, plural } from "#pkg/text";
import type { BfdRow, Model, PeerRow } from "../model/rows.ts";
import { Badge, Empty, Explain, Since, WideTable } from "./parts.tsx";
import { counted, plain } from "./text.ts";

export function Peers({ model }: { readonly model: Model }) {
  const rows = [...model.peers.values()];
  const peers = [...new Set(rows.map(({ peer }) => peer))].sort();
  const nodes = [...new Set(rows.map(({ node }) => node))].sort();
  const names = new Map(rows.map(({ peer, name }) => [peer, name]));
  return (
    <>
      <h1>BGP peers</h1>
      {rows.length === 0 ? (
        <Empty>No node has a BGP peer.</Empty>
      ) : (
        <WideTable label="BGP peers of each node" heading={["Peer", ...nodes.map((node) => plain(node))]}>
          {peers.map((peer) => (
            <tr key={peer}>
              <th scope="row">
                <Explain subject={`peer/${peer}`}>{plain(peer)}</Explain>
                {names.get(peer) !== undefined && <small> {plain(names.get(peer) ?? "")}</small>}
              </th>
              {nodes.map((node) => (
                <td key={node}>
                  <Session row={model.peers.get(`${peer} ${node}`)} />
                </td>
              ))}
            </tr>
          ))}
        </WideTable>
      )}
      <h2>BFD sessions</h2>
      <Bfd rows={[...model.bfd.values()]} />
    </>
  );
}

function Session({ row }: { readonly row: PeerRow | undefined }) {
  if (row === undefined) return <>–</>;
  const { verdict, session, prefixesAnnounced, prefixesWanted, flaps } = row;
  const prefixes =
    prefixesAnnounced === prefixesWanted ? count(prefixesWanted) : `${count(prefixesAnnounced)} of ${count(prefixesWanted)}`;
  return (
    <span title={plain(verdict.message)}>
      <Badge state={verdict.state} /> {plain(session === "none" ? verdict.cause : session)}
      <br />
      <small>
        {prefixes} {plural(prefixesWanted, "prefix")}, {counted(flaps, "flap")}, <Since since={verdict.since} />
      </small>
    </span>
  );
}

const looks: Readonly<Record<string, string>> = { up: "Ready", failed: "Pending", adminDown: "NotOurs", unknown: "Degraded" };

function Bfd({ rows }: { readonly rows: readonly BfdRow[] }) {
  if (rows.length === 0) return <Empty>No peer has a BFD session.</Empty>;
  return (
    <WideTable label="BFD sessions" heading={["Node", "Peer", "State", "Profile", "Detection", "Round trip", "Reason"]}>
      {rows.map(({ id, node, peer, interface: name, verdict, profile, detectionMs, roundTripMs, reason, since }) => (
        <tr key={id}>
          <th scope="row">
            <Explain subject={`node/${node}`}>{plain(node)}</Explain>
          </th>
          <td>
            {plain(peer)}
            {name !== undefined && ` on ${plain(name)}`}
          </td>
          <td>
            <span class={looks[verdict] === "Ready" ? "mark good" : "mark bad"}>{plain(verdict)}</span>
          </td>
          <td>{plain(profile)}</td>
          <td>{detectionMs === undefined || detectionMs === 0 ? "–" : `${Math.round(detectionMs)} ms`}</td>
          <td>{roundTripMs === undefined ? "–" : `${roundTripMs.toFixed(roundTripMs < 10 ? 2 : 0)} ms`}</td>
          <td class="long">
            {plain(reason)}
            <Since before=" for " since={since ?? ""} />
          </td>
        </tr>
      ))}
    </WideTable>
  );
}

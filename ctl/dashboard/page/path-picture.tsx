import type { ComponentChildren } from "preact";
import { count } from "#pkg/text";
import { isProblem } from "#pkg/verdict";
import type { EndpointsOnNode } from "../../cluster/answers.ts";
import type { Model, PeerRow, ServiceRow } from "../model/rows.ts";
import { Explain } from "./parts.tsx";
import { counted, plain } from "./text.ts";

type Look = "good" | "poor" | "bad" | "quiet";

/** One station on a client's way to a Service. */
interface Station {
  readonly title: string;
  readonly items: readonly {
    readonly text: string;
    readonly look: Look;
    /** What `explain` takes. */
    readonly subject?: string;
  }[];
  /** In the place of items. */
  readonly none?: string;
}

const maxItems = 6;
const severity: readonly Look[] = ["quiet", "good", "poor", "bad"];

/** The way of a packet, station by station; the one where it ends is red. */
function Path({
  label,
  stations,
  children,
}: {
  readonly label: string;
  readonly stations: readonly Station[];
  readonly children?: ComponentChildren;
}) {
  return (
    <figure class="path">
      <ol aria-label={label}>
        {stations.map(({ title, items, none }) => (
          <li key={title} class={lookOf(items, none)}>
            <strong>{title}</strong>
            {items.slice(0, maxItems).map(({ text, look, subject }) => (
              <span key={text} class={look}>
                {subject === undefined ? plain(text) : <Explain subject={subject}>{plain(text)}</Explain>}
              </span>
            ))}
            {items.length > maxItems && <span class="quiet">and {count(items.length - maxItems)} more</span>}
            {items.length === 0 && none !== undefined && <span class="bad">{none}</span>}
          </li>
        ))}
      </ol>
      {children}
    </figure>
  );
}

/** A station is as good as its best item, and poor where not all are good. */
function lookOf(items: Station["items"], none: string | undefined): Look {
  if (items.length === 0) return none === undefined ? "quiet" : "bad";
  const looks = items.map(({ look }) => severity.indexOf(look)).filter((rank) => rank > 0);
  if (looks.length === 0) return "quiet";
  const [best, worst] = [Math.min(...looks), Math.max(...looks)];
  return best === worst ? (severity[best] ?? "quiet") : "poor";
}

function peerItem({ peer, name, verdict }: PeerRow): Station["items"][number] {
  const look = verdict.state === "Ready" ? "good" : verdict.state === "Pending" ? "bad" : "poor";
  return { text: name ?? peer, look, subject: `peer/${name ?? peer}` };
}

/** Each router once, at its worst. */
function routers(peers: readonly PeerRow[]): Station["items"] {
  const worst = new Map<string, Station["items"][number]>();
  for (const item of peers.map(peerItem)) {
    const known = worst.get(item.text);
    if (known === undefined || severity.indexOf(item.look) > severity.indexOf(known.look)) worst.set(item.text, item);
  }
  return [...worst.values()];
}

function nodeItem(model: Model, node: string, more: string): Station["items"][number] {
  const state = model.nodes.get(node)?.verdict.state;
  const look = state === undefined || state === "Ready" ? "good" : state === "Pending" ? "bad" : "poor";
  return { text: `${node}${more}`, look, subject: `node/${node}` };
}

/** From clients to the endpoints of one Service. @param endpoints undefined where no speaker says it */
export function ServicePath({
  row,
  endpoints,
  model,
}: {
  readonly row: ServiceRow;
  readonly endpoints: readonly EndpointsOnNode[] | undefined;
  readonly model: Model;
}) {
  const announced = row.addresses.filter(({ nodes }) => nodes.length > 0);
  const nodes = [...new Set(announced.flatMap((one) => one.nodes))];
  const isRouted = row.addresses.some(({ protocol }) => protocol !== "layer2" && protocol !== null);
  const peers = [...model.peers.values()].filter(({ node }) => nodes.length === 0 || nodes.includes(node));
  // Somebody else announces them all, as their pools say.
  const isElsewhere = row.addresses.length > 0 && row.addresses.every(({ verdict: { state } }) => state === "NotOurs");
  const hasLan = !isElsewhere && row.addresses.some(({ protocol }) => protocol !== "bgp");
  const hasBgp = row.addresses.some(({ protocol }) => protocol === "bgp");
  const lan: Station["items"] = hasLan
    ? [{ text: isRouted && !hasBgp ? "routes of the node" : "LAN", look: nodes.length > 0 ? "good" : "quiet" }]
    : [];
  const ready = (endpoints ?? []).filter((one) => one.ready > 0);
  const stations: Station[] = [
    {
      title: "Clients ask for",
      items: row.addresses.map(({ address, nodes: by, verdict }) => ({
        text: address,
        look: by.length > 0 ? "good" : verdict.state === "NotOurs" ? "quiet" : "bad",
        subject: address,
      })),
      none: "no address",
    },
    {
      title: "by way of",
      items: [...lan, ...(hasBgp ? routers(peers) : [])],
      ...(!isElsewhere && { none: row.addresses.length === 0 ? "nothing" : "no router" }),
    },
    {
      title: "arrive at",
      items: [
        ...nodes.map((node) => nodeItem(model, node, "")),
        ...keptAt(row).map(([node, connections]) => nodeItem(model, node, `: ${counted(connections, "kept connection")}`)),
      ],
      ...(!isElsewhere && { none: "no node" }),
    },
    {
      title: "and end at",
      items:
        endpoints === undefined
          ? [{ text: "not known", look: "quiet" }]
          : ready.map(({ nodeName = "an unknown node", ready }) => ({
              text: `${counted(ready, "endpoint")} on ${nodeName}`,
              look: "good",
            })),
      none: "no ready endpoint",
    },
  ];
  return <Path label={`The way to ${plain(row.id)}`} stations={stations} />;
}

/** Nodes that go on with connections to addresses of the Service that moved, as far as those have been counted. */
function keptAt({ addresses }: ServiceRow): readonly (readonly [string, number])[] {
  const sums = new Map<string, number>();
  for (const { kept } of addresses)
    for (const { node, connections } of kept) sums.set(node, (sums.get(node) ?? 0) + (connections ?? 0));
  return [...sums].filter(([, sum]) => sum > 0);
}

/** From clients to all Services. */
export function ClusterPath({ model }: { readonly model: Model }) {
  const services = [...model.services.values()].filter(({ verdict }) => verdict.state !== "NotOurs");
  const addresses = new Set(services.flatMap((one) => one.addresses.map(({ address }) => address)));
  const byLan = new Set(
    services.flatMap((one) => one.addresses.flatMap((each) => (each.protocol === "layer2" ? [each.address] : []))),
  );
  const lan: Station["items"] = byLan.size === 0 ? [] : [{ text: `LAN: ${counted(byLan.size, "address")}`, look: "good" }];
  const arriving = [...model.nodes.values()].filter(({ announces, kept }) => announces + kept > 0);
  const well = services.filter(({ verdict }) => !isProblem(verdict)).length;
  const unwell = services.length - well;
  if (services.length === 0) return null;
  const stations: Station[] = [
    {
      title: "Clients ask for",
      items: [{ text: counted(addresses.size, "address"), look: addresses.size > 0 ? "good" : "bad" }],
    },
    { title: "by way of", items: [...lan, ...routers([...model.peers.values()])], none: "nothing" },
    {
      title: "arrive at",
      items: arriving
        .sort((a, b) => b.announces - a.announces)
        .map(({ id, announces, kept }) => {
          const also = kept === 0 ? "" : `, ${counted(kept, "kept connection")}`;
          return nodeItem(model, id, `: ${counted(announces, "address")}${also}`);
        }),
      none: "no node",
    },
    {
      title: "and end at",
      items: [
        ...(well > 0 ? [{ text: `${counted(well, "Service")} well`, look: "good" } as const] : []),
        ...(unwell > 0 ? [{ text: `${counted(unwell, "Service")} not well`, look: "bad" } as const] : []),
      ],
    },
  ];
  return <Path label="The way from clients to Services" stations={stations} />;
}

import { useMemo, useState } from "preact/hooks";
import { count } from "#pkg/text";
import { isProblem } from "#pkg/verdict";
import type { Model, ServiceRow } from "../model/rows.ts";
import { Badge, Empty, Explain, Since } from "./parts.tsx";
import { placeText } from "./store.ts";
import { plain, reason } from "./text.ts";
import { type Column, VirtualGrid } from "./virtual-grid.tsx";

const columns: readonly Column<ServiceRow>[] = [
  { name: "State", cell: ({ verdict }) => <Badge state={verdict.state} /> },
  {
    name: "Service",
    cell: ({ id }) => (
      <Explain subject={`svc/${id}`} tabIndex={-1}>
        {plain(id)}
      </Explain>
    ),
  },
  { name: "Addresses", cell: ({ addresses }) => [...new Set(addresses.map(({ address }) => plain(address)))].join(", ") || "–" },
  { name: "Announced by", cell: (row) => plain(nodesText(row)) || "–" },
  { name: "Pool", cell: ({ addresses }) => plain([...new Set(addresses.map(({ pool }) => pool ?? ""))].join(", ")) || "–" },
  { name: "Since", cell: ({ verdict }) => <Since since={verdict.since} /> },
  {
    name: "Reason",
    cell: ({ verdict }) => (
      <span title={plain(verdict.message)}>
        <code>{plain(verdict.cause)}</code> {isProblem(verdict) && plain(reason(verdict.message))}
      </span>
    ),
  },
];

function nodesText({ addresses }: ServiceRow): string {
  return [...new Set(addresses.flatMap(({ nodes }) => nodes))].join(", ");
}

const byName = new Intl.Collator("en", { numeric: true });
const order = ["Pending", "Degraded", "Assigned", "NotOurs", "Ready", "Announced"];
const sorts = {
  name: (a: ServiceRow, b: ServiceRow) => byName.compare(a.id, b.id),
  "worst first": (a: ServiceRow, b: ServiceRow) =>
    order.indexOf(a.verdict.state) - order.indexOf(b.verdict.state) || sorts.name(a, b),
  "newest first": (a: ServiceRow, b: ServiceRow) => b.verdict.since.localeCompare(a.verdict.since) || sorts.name(a, b),
} as const;

const texts = new WeakMap<ServiceRow, string>(); // row -> what is searched

function textOf(row: ServiceRow): string {
  const known = texts.get(row);
  if (known !== undefined) return known;
  const { id, verdict, addresses } = row;
  const parts = addresses.flatMap(({ address, pool, nodes }) => [address, pool ?? "", ...nodes]);
  const text = [id, verdict.state, verdict.cause, verdict.message, ...parts].join(" ").toLowerCase();
  texts.set(row, text);
  return text;
}

function namespaceOf({ id }: ServiceRow): string {
  return id.slice(0, id.indexOf("/"));
}

function Choice(props: {
  readonly label: string;
  readonly value: string;
  readonly values: readonly string[];
  readonly choose: (value: string) => void;
}) {
  const { label, value, values, choose } = props;
  return (
    <label>
      {label}{" "}
      <select value={value} onChange={(event) => choose(event.currentTarget.value)}>
        <option value="">all</option>
        {values.map((one) => (
          <option key={one} value={one}>
            {plain(one)}
          </option>
        ))}
      </select>
    </label>
  );
}

export function Services({ model }: { readonly model: Model }) {
  const [search, setSearch] = useState("");
  const [state, setState] = useState("");
  const [namespace, setNamespace] = useState("");
  const [pool, setPool] = useState("");
  const [sort, setSort] = useState<keyof typeof sorts>("worst first");
  const rows = useMemo(() => {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    return [...model.services.values()]
      .filter(
        (row) =>
          (state === "" || row.verdict.state === state) &&
          (namespace === "" || namespaceOf(row) === namespace) &&
          (pool === "" || row.addresses.some((one) => one.pool === pool)) &&
          words.every((word) => textOf(row).includes(word)),
      )
      .sort(sorts[sort]);
  }, [model.services, search, state, namespace, pool, sort]);
  const [states, namespaces, pools] = useMemo(() => {
    const all = [...model.services.values()];
    const listed = (texts: readonly string[]) => [...new Set(texts)].sort(byName.compare);
    return [
      listed(all.map(({ verdict }) => verdict.state)),
      listed(all.map(namespaceOf)),
      listed(all.flatMap(({ addresses }) => addresses.flatMap((one) => one.pool ?? []))),
    ];
  }, [model.services]);
  return (
    <>
      <h1>Services</h1>
      <form class="tools" onSubmit={(event) => event.preventDefault()}>
        <label>
          Search{" "}
          <input
            type="search"
            id="search"
            placeholder="name, address, node, pool, reason"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        </label>
        <Choice label="Namespace" value={namespace} values={namespaces} choose={setNamespace} />
        <Choice label="State" value={state} values={states} choose={setState} />
        <Choice label="Pool" value={pool} values={pools} choose={setPool} />
        <label>
          Order{" "}
          <select value={sort} onChange={(event) => setSort(event.currentTarget.value as keyof typeof sorts)}>
            {Object.keys(sorts).map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
        <output>
          {count(rows.length)} of {count(model.services.size)}
        </output>
      </form>
      {rows.length === 0 ? (
        <Empty>{model.services.size === 0 ? "There is no Service of type LoadBalancer." : "No Service is like that."}</Empty>
      ) : (
        <VirtualGrid
          label="Services"
          class="services"
          rows={rows}
          columns={columns}
          open={({ id }) => {
            location.hash = placeText({ view: "services", explain: `svc/${id}` });
          }}
        />
      )}
    </>
  );
}

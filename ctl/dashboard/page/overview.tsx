import { count } from "#pkg/text";
import { isProblem } from "#pkg/verdict";
import type { CauseRow, Model, RowVerdict } from "../model/rows.ts";
import { Badge, Explain, Since } from "./parts.tsx";
import { ClusterPath } from "./path-picture.tsx";
import { Usage } from "./pools.tsx";
import { placeText } from "./store.ts";
import { counted, plain } from "./text.ts";
import { Events } from "./timeline.tsx";
import { Trends } from "./trends.tsx";

const maxCauses = 50;
const maxNames = 3;

export function Overview({ model }: { readonly model: Model }) {
  const causes = [...model.causes.values()].sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
  const latest = [...model.events.values()].slice(-8).reverse();
  return (
    <>
      <Answer model={model} causes={causes.filter(({ severity }) => severity !== "note")} />
      <ClusterPath model={model} />
      <Trends model={model} />
      <div class="cards">
        <Counts title="Services" href="#/services" rows={model.services.values()} />
        <Counts title="Nodes" href="#/nodes" rows={model.nodes.values()} />
        <Counts title="BGP sessions" href="#/peers" rows={model.peers.values()} />
        <Pools model={model} />
      </div>
      <Causes title="Worth knowing" causes={causes.filter(({ severity }) => severity === "note")} />
      <h2>
        <a href="#/timeline">Latest changes</a>
      </h2>
      <Events events={latest} />
    </>
  );
}

/** Whether all is well, in words that are read in five seconds: how many Services are not, why, and since when. */
function Answer({ model, causes }: { readonly model: Model; readonly causes: readonly CauseRow[] }) {
  const services = [...model.services.values()];
  const unwell = services.filter(({ verdict }) => isProblem(verdict));
  const down = unwell.filter(({ verdict }) => verdict.state === "Pending").length;
  const isError = causes.some(({ severity }) => severity === "error");
  const answers = [...model.processes.values()].some(({ problem, version }) => problem === undefined && version !== "");
  if (!answers) return <Headline look="bad" title="Nothing is known: no controller or speaker answers" causes={causes} />;
  if (causes.length === 0 && unwell.length === 0) {
    const what = services.length === 0 ? "There is no Service of type LoadBalancer." : `${counted(services.length, "Service")}.`;
    return <Headline look="good" title="All is well" text={what} causes={[]} />;
  }
  const title =
    down > 0 ? `${counted(down, "Service")} ${down === 1 ? "does" : "do"} not work` : "All Services work, but not all is well";
  const text = unwell.length === 0 ? "" : `${count(unwell.length)} of ${counted(services.length, "Service")} not well`;
  return <Headline look={isError ? "bad" : "poor"} title={title} text={text} causes={causes} />;
}

function Headline(props: {
  readonly look: "good" | "poor" | "bad";
  readonly title: string;
  /** Beside the number of causes. */
  readonly text?: string;
  readonly causes: readonly CauseRow[];
}) {
  const { look, title, text = "", causes } = props;
  const [since] = causes.map((one) => one.since).sort();
  return (
    <>
      <section class={`answer ${look}`} aria-label="Is all well?">
        <h1>{title}</h1>
        <p>
          {since !== undefined && (
            <>
              {counted(causes.length, "cause")} for <Since since={since} />
              {text !== "" && "; "}
            </>
          )}
          {text}
        </p>
      </section>
      <Causes title="Why" causes={causes} />
    </>
  );
}

const states = { error: "bad", warning: "poor", note: "quiet" } as const;
/** The worst first: a cause that comes later is the last row of its table. */
const order = Object.keys(states);

/** One entry for each cause, whatever number of nodes and Services suffer from it. */
function Causes({ title, causes }: { readonly title: string; readonly causes: readonly CauseRow[] }) {
  if (causes.length === 0) return null;
  return (
    <>
      <h2>{title}</h2>
      <ul class="problems">
        {causes.slice(0, maxCauses).map(({ id, severity, where, found, fix, since, subject, services = [] }) => (
          <li key={id}>
            <span class={`badge ${states[severity]}`}>{severity}</span>{" "}
            {subject === undefined ? <strong>{plain(where)}</strong> : <Explain subject={subject}>{plain(where)}</Explain>}{" "}
            {plain(found)}
            <Since before=" · for " since={since} />
            {fix !== "" && <p class="next">{plain(fix)}</p>}
            {services.length > 0 && !where.startsWith("Service ") && <Suffering services={services} />}
          </li>
        ))}
        {causes.length > maxCauses && <li>and {count(causes.length - maxCauses)} more</li>}
      </ul>
    </>
  );
}

function Suffering({ services }: { readonly services: readonly string[] }) {
  return (
    <p>
      {counted(services.length, "Service")}:{" "}
      {services.slice(0, maxNames).map((service, index) => (
        <span key={service}>
          {index > 0 && ", "}
          <Explain subject={`svc/${service}`}>{plain(service)}</Explain>
        </span>
      ))}
      {services.length > maxNames && <a href={placeText({ view: "services" })}> and {count(services.length - maxNames)} more</a>}
    </p>
  );
}

const maxPools = 8;

function Pools({ model }: { readonly model: Model }) {
  const pools = [...model.pools.values()].sort((a, b) => a.place - b.place);
  return (
    <section class="card">
      <h2>
        <a href="#/pools">Pools</a>
      </h2>
      {pools.slice(0, maxPools).map((pool) => (
        <div key={pool.id} class="pool">
          {plain(pool.id)}
          <Usage pool={pool} />
        </div>
      ))}
      {pools.length > maxPools && <p>and {pools.length - maxPools} more</p>}
    </section>
  );
}

interface CountsProps {
  readonly title: string;
  readonly href: string;
  readonly rows: Iterable<{ readonly verdict: Pick<RowVerdict, "state"> }>;
}

function Counts({ title, href, rows }: CountsProps) {
  const counts = new Map<string, number>(); // state -> how many
  for (const { verdict } of rows) counts.set(verdict.state, (counts.get(verdict.state) ?? 0) + 1);
  return (
    <section class="card">
      <h2>
        <a href={href}>{title}</a>
      </h2>
      <dl>
        {counts.size === 0 && (
          <div>
            <dt>none</dt>
            <dd />
          </div>
        )}
        {[...counts].sort().map(([state, number]) => (
          <div key={state}>
            <dt>
              <Badge state={state} />
            </dt>
            <dd>{count(number)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

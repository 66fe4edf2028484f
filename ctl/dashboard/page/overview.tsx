import { isProblem } from "#pkg/verdict";
import type { Model, RowVerdict } from "../model/rows.ts";
import { Badge, Explain, Message } from "./parts.tsx";
import { count, plain } from "./text.ts";
import { Events } from "./timeline.tsx";

const maxProblems = 50;

export function Overview({ model }: { readonly model: Model }) {
  const problems = problemsOf(model);
  const latest = [...model.events.values()].slice(-8).reverse();
  const pools = [...model.pools.values()].sort((a, b) => a.place - b.place);
  return (
    <>
      <h1>Overview</h1>
      <div class="cards">
        <Counts title="Services" href="#/services" rows={model.services.values()} />
        <Counts title="Nodes" href="#/nodes" rows={model.nodes.values()} />
        <Counts title="BGP sessions" href="#/peers" rows={model.peers.values()} />
        <section class="card">
          <h2>
            <a href="#/pools">Pools</a>
          </h2>
          <dl>
            {pools.slice(0, 8).map(({ id, inUse = 0, total = 0 }) => (
              <div key={id}>
                <dt>{plain(id)}</dt>
                <dd>
                  {count(inUse)} of {count(total)}
                </dd>
              </div>
            ))}
            {pools.length > 8 && (
              <div>
                <dt>and {pools.length - 8} more</dt>
                <dd />
              </div>
            )}
          </dl>
        </section>
      </div>
      <h2>What is not well</h2>
      {problems.length === 0 ? (
        <p>Nothing is wrong.</p>
      ) : (
        <ul class="problems">
          {problems.slice(0, maxProblems).map(({ subject, about, verdict }) => (
            <li key={`${subject} ${about}`}>
              <Badge state={verdict.state} /> <Explain subject={subject}>{plain(about)}</Explain> <Message verdict={verdict} />
            </li>
          ))}
          {problems.length > maxProblems && <li>and {count(problems.length - maxProblems)} more</li>}
        </ul>
      )}
      <h2>
        <a href="#/timeline">Latest changes</a>
      </h2>
      <Events events={latest} />
    </>
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

interface Problem {
  readonly subject: string;
  readonly about: string;
  readonly verdict: RowVerdict;
}

/** Subjects that do not work come before subjects that work badly. */
function problemsOf(model: Model): readonly Problem[] {
  const problems: Problem[] = [];
  const add = (subject: string, about: string, verdict: RowVerdict | undefined): void => {
    if (verdict !== undefined && isProblem(verdict)) problems.push({ subject, about, verdict });
  };
  for (const { id, node, configuration } of model.processes.values())
    add(`node/${node}`, `configuration of ${id}`, configuration);
  for (const { id, verdict } of model.nodes.values()) add(`node/${id}`, `node ${id}`, verdict);
  for (const { id, verdict } of model.pools.values()) add(`pool/${id}`, `pool ${id}`, verdict);
  for (const { peer, node, verdict } of model.peers.values()) add(`peer/${peer}`, `peer ${peer} of ${node}`, verdict);
  for (const { id, verdict } of model.services.values()) add(`svc/${id}`, id, verdict);
  const isPending = ({ verdict }: Problem) => (verdict.state === "Pending" ? 0 : 1);
  return problems.sort((a, b) => isPending(a) - isPending(b));
}

import type {
  AboutRow,
  AddressRow,
  BfdRow,
  EventRow,
  Model,
  NodeRow,
  PeerRow,
  ProcessRow,
  RowVerdict,
  ServiceRow,
  Table,
} from "./rows.ts";

/** How many are kept; the oldest go first. */
export const maxEvents = 500;

type NewEvent = Omit<EventRow, "id" | "at">;

/** An address that other nodes announce than before. */
interface Move extends NewEvent {
  readonly address: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
}

// Limit of addresses that make the same move together, such as those of a node that failed.
const maxMovesApart = 5;

/** Differences between two models, addresses first. @param at when they were noticed, as ISO 8601 */
export function eventsBetween(before: Model, after: Model, at: string): readonly Omit<EventRow, "id">[] {
  const found = [
    ...summarized(changed(before.services, after.services, (old, now) => serviceEvents(old, now, after))),
    ...changed(before.nodes, after.nodes, nodeEvents),
    ...changed(before.peers, after.peers, (old, now) => (isSilent(now ?? old, before, after) ? [] : peerEvents(old, now))),
    ...changed(before.bfd, after.bfd, (old, now) => (isSilent(now, before, after) ? [] : bfdEvents(old, now))),
    ...changed(before.pools, after.pools, (old, now) =>
      now === undefined || old?.verdict.cause === now.verdict.cause
        ? []
        : [event(`pool/${now.id}`, `pool ${now.id}: ${now.verdict.cause}`, now.verdict)],
    ),
    ...changed(before.processes, after.processes, processEvents),
    ...changed(before.about, after.about, outageEvents),
  ];
  return found.map(({ subject, what, why, state }) => ({ at, subject, what, why, state }));
}

/** Many equal moves as one event. */
function summarized(found: readonly (NewEvent | Move)[]): NewEvent[] {
  const moves = Map.groupBy(
    found.filter((one) => "from" in one),
    ({ from, to }) => `${from} ${to}`,
  );
  const apart = found.filter((one) => !("from" in one) || (moves.get(`${one.from} ${one.to}`)?.length ?? 0) <= maxMovesApart);
  const together = [...moves.values()].filter((some) => some.length > maxMovesApart);
  return [
    ...together.map((some): NewEvent => {
      const [{ from, to, why, state }] = some as [Move];
      return { subject: `node/${from[0] ?? to[0]}`, what: moveText(`${some.length} addresses`, from, to), why, state };
    }),
    ...apart,
  ];
}

/** A table with the new events, and without events that are too old. @param last the number of the latest event so far */
export function withEvents(
  events: Table<EventRow>,
  found: readonly Omit<EventRow, "id">[],
  last: number,
): { readonly events: Table<EventRow>; readonly last: number } {
  if (found.length === 0) return { events, last };
  // The first of thousands of events at once, as when a pool is taken away, tell enough.
  const some = found.slice(0, maxEvents).map((one, index): EventRow => Object.assign({ id: `${last + 1 + index}` }, one));
  const all = [...events.values(), ...some].slice(-maxEvents);
  return { events: new Map(all.map((one) => [one.id, one])), last: last + some.length };
}

// Silence that ends an incident.
const apartMs = 30_000;

/** Groups of changes that follow one another, each within half a minute of the next. @param events sorted, either way */
export function incidentsOf(events: readonly EventRow[]): readonly (readonly EventRow[])[] {
  const incidents: EventRow[][] = [];
  for (const event of events) {
    const incident = incidents.at(-1);
    const before = incident?.at(-1);
    if (before !== undefined && Math.abs(Date.parse(event.at) - Date.parse(before.at)) <= apartMs) incident?.push(event);
    else incidents.push([event]);
  }
  return incidents;
}

function changed<Row, Found extends NewEvent>(
  before: Table<Row>,
  after: Table<Row>,
  of: (old: Row | undefined, now: Row | undefined) => readonly Found[],
): Found[] {
  if (before === after) return [];
  const found: Found[] = [];
  for (const [id, row] of after) if (before.get(id) !== row) found.push(...of(before.get(id), row));
  for (const [id, row] of before) if (!after.has(id)) found.push(...of(row, undefined));
  return found;
}

function event(subject: string, what: string, { message, state }: Pick<RowVerdict, "message" | "state">): NewEvent {
  return { subject, what, why: message, state };
}

function serviceEvents(old: ServiceRow | undefined, now: ServiceRow | undefined, model: Model): readonly (NewEvent | Move)[] {
  const subject = `svc/${(now ?? old)?.id}`;
  if (now === undefined) return [{ subject, what: `${old?.id} is gone`, why: "", state: "NotOurs" }];
  const earlier = (one: AddressRow) =>
    old?.addresses.find(({ address, protocol }) => address === one.address && protocol === one.protocol);
  const found: (NewEvent | Move)[] = now.addresses.flatMap((address) => moved(now, earlier(address), address, model));
  const { message: why, state, cause } = now.verdict;
  for (const address of new Set(old?.addresses.map((one) => one.address)))
    if (!now.addresses.some((one) => one.address === address))
      found.push({ subject, what: `${now.id} gave up ${address}`, why, state });
  const isTold = found.length > 0 && (old === undefined || old.verdict.state === state);
  if (!isTold && old?.verdict.cause !== cause) found.push(event(subject, `${now.id} is ${state}`, now.verdict));
  return found;
}

function moved({ id }: ServiceRow, old: AddressRow | undefined, now: AddressRow, model: Model): Move[] {
  const { address, verdict } = now;
  const before = old?.nodes ?? [];
  const from = before.filter((node) => !now.nodes.includes(node));
  const to = now.nodes.filter((node) => !before.includes(node));
  if (from.length === 0 && to.length === 0) return [];
  const lost = from.map((node) => model.nodes.get(node)?.verdict).find((verdict) => verdict?.cause === "noAnswer");
  const what = `${id}: ${moveText(address, from, to)}`;
  return [{ subject: address, what, why: lost?.message ?? verdict.message, state: verdict.state, address, from, to }];
}

function moveText(what: string, from: readonly string[], to: readonly string[]): string {
  if (to.length === 0) return `${what} not announced by ${from.join(", ")} any more`;
  if (from.length === 0) return `${what} announced by ${to.join(", ")}`;
  return `${what} moved from ${from.join(", ")} to ${to.join(", ")}`;
}

function bfdEvents(old: BfdRow | undefined, now: BfdRow | undefined): readonly NewEvent[] {
  if (now === undefined || old === undefined || now.verdict === old.verdict) return [];
  const state = now.verdict === "up" ? "Ready" : "Degraded";
  return [{ subject: `node/${now.node}`, what: `BFD of ${now.node} with ${now.peer} is ${now.verdict}`, why: now.reason, state }];
}

function nodeEvents(old: NodeRow | undefined, now: NodeRow | undefined): readonly NewEvent[] {
  if (now === undefined)
    return [{ subject: `node/${old?.id}`, what: `${old?.id} has no speaker any more`, why: "", state: "Degraded" }];
  if (old === undefined)
    return now.verdict.state === "Ready" ? [] : [event(`node/${now.id}`, `${now.id}: ${now.verdict.cause}`, now.verdict)];
  const found: NewEvent[] = [];
  if (old.verdict.cause !== now.verdict.cause)
    found.push(event(`node/${now.id}`, `${now.id}: ${now.verdict.cause}`, now.verdict));
  if (now.verdict.cause === "noAnswer" || old.verdict.cause === "noAnswer") return found; // Its view is not known.
  const lost = old.sees.filter((node) => !now.sees.includes(node));
  const seen = now.sees.filter((node) => !old.sees.includes(node));
  const about = { subject: `node/${now.id}`, why: now.source === "memberlist" ? "by the speakers' ring" : "by ready Pods" };
  if (lost.length > 0) found.push({ ...about, what: `${now.id} does not see ${lost.join(", ")} any more`, state: "Degraded" });
  if (seen.length > 0) found.push({ ...about, what: `${now.id} sees ${seen.join(", ")}`, state: "Ready" });
  return found;
}

/** Whether a node's speaker does not answer, or did not: the node's own entry says so, and nothing is known of its peers. */
function isSilent(row: { readonly node: string } | undefined, before: Model, after: Model): boolean {
  const isUnknown = (model: Model) => [undefined, "noAnswer"].includes(model.nodes.get(row?.node ?? "")?.verdict.cause);
  return isUnknown(after) || isUnknown(before);
}

function peerEvents(old: PeerRow | undefined, now: PeerRow | undefined): readonly NewEvent[] {
  if (now === undefined)
    return [{ subject: `peer/${old?.peer}`, what: `${old?.node} has no peer ${old?.peer} any more`, why: "", state: "NotOurs" }];
  // While it cannot connect it finds one reason after another, each time that it tries.
  if (old?.verdict.state === now.verdict.state) return [];
  return [event(`peer/${now.peer}`, `${now.node} with peer ${now.peer}: ${now.verdict.cause}`, now.verdict)];
}

function outageEvents(old: AboutRow | undefined, now: AboutRow | undefined): readonly NewEvent[] {
  if ((old?.outage === undefined) === (now?.outage === undefined)) return [];
  const subject = "config";
  if (now?.outage === undefined) return [{ subject, what: "the API server answers again", why: "", state: "Ready" }];
  return [{ subject, what: "the API server does not answer", why: now.outage.why, state: "Degraded" }];
}

function processEvents(old: ProcessRow | undefined, now: ProcessRow | undefined): readonly NewEvent[] {
  if (now === undefined || old === undefined) return []; // Their nodes tell about speakers; the leader matters among controllers.
  const subject = `node/${now.node}`;
  const found: NewEvent[] = [];
  if (now.leads && !old.leads) found.push({ subject, what: `${now.id} leads`, why: "", state: "Ready" });
  if (now.program === "controller" && now.problem !== undefined && old.problem === undefined)
    found.push({ subject, what: `${now.id} does not answer`, why: now.problem, state: "Degraded" });
  if (now.hash !== old.hash && now.hash !== null && old.hash !== null)
    found.push({
      subject,
      what: `${now.id} has configuration ${now.hash} in force`,
      why: now.configuration?.message ?? "",
      state: "Ready",
    });
  return found;
}

/** Recorded changes of the time before those of the model, of which the oldest may be gone. */
export function earlierThan({ about, events }: Model, recorded: readonly EventRow[]): EventRow[] {
  const [oldest] = events.size < maxEvents ? [] : events.values();
  const since = oldest?.at ?? about.get("about")?.startedAt ?? "";
  return recorded.filter(({ at }) => at < since);
}

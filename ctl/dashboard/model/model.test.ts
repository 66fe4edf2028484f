import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AddressRange, parseAddress, parseRange } from "#pkg/net";
import { verdict } from "#pkg/verdict";
import { buildModel } from "./build.ts";
import { cellsOf, marksOf } from "./cells.ts";
import { applyChanges, changesBetween, keepRows } from "./changes.ts";
import { earlierThan, eventsBetween, incidentsOf, maxEvents, withEvents } from "./events.ts";
import { haveOneConfiguration } from "./one-configuration.ts";
import { recordedEvents } from "./recorded.ts";
import { emptyModel, type Model, type PoolRow, type ProcessRow, type RowVerdict, type ServiceRow } from "./rows.ts";
import { maxSamples, withSample } from "./trends.ts";

const since = "2026-01-02T03:01:00.000Z";
const good: RowVerdict = { state: "Announced", cause: "announced", message: "n announces it", since };

function service(id: string, address: string, ...nodes: string[]): ServiceRow {
  return { id, addresses: [{ address, pool: "lan", protocol: "layer2", nodes, kept: [], verdict: good }], verdict: good };
}

function model(tables: Partial<Model>): Model {
  return Object.assign(emptyModel(), tables);
}

function table<Row extends { readonly id: string }>(...rows: readonly Row[]): ReadonlyMap<string, Row> {
  return new Map(rows.map((row) => [row.id, row]));
}

const rows = fc.uniqueArray(
  fc.record({ id: fc.stringMatching(/^[a-d]$/), text: fc.stringMatching(/^[xy]?$/) }, { noNullPrototype: true }),
  { selector: ({ id }) => id },
);

test("changes make the later model of the earlier one, also by way of JSON", () => {
  fc.assert(
    fc.property(rows, rows, (one, other) => {
      const before = model({ services: table(...one) as never });
      const after = model({ services: keepRows(before.services, other as never[]) });
      const changes = changesBetween(before, after);
      const made = applyChanges(before, JSON.parse(JSON.stringify(changes ?? {})));
      const sorted = ({ services }: Model) => [...services].sort();
      assert.deepEqual(sorted(made), sorted(after));
      assert.equal(changes === undefined, JSON.stringify(sorted(before)) === JSON.stringify(sorted(after)));
    }),
  );
});

test("a row that says the same stays the same object, and so does a table", () => {
  const before = table(service("a/a", "10.0.0.1", "n1"), service("a/b", "10.0.0.2", "n1"));
  assert.equal(keepRows(before, [service("a/a", "10.0.0.1", "n1"), service("a/b", "10.0.0.2", "n1")]), before);
  const after = keepRows(before, [service("a/a", "10.0.0.1", "n1"), service("a/b", "10.0.0.2", "n2")]);
  assert.equal(after.get("a/a"), before.get("a/a"));
  assert.notEqual(after.get("a/b"), before.get("a/b"));
});

const moves: { name: string; before: ServiceRow[]; after: ServiceRow[]; want: string[] }[] = [
  {
    name: "an address that moves",
    before: [service("a/a", "10.0.0.1", "n1")],
    after: [service("a/a", "10.0.0.1", "n2")],
    want: ["a/a: 10.0.0.1 moved from n1 to n2"],
  },
  {
    name: "a Service that is new",
    before: [],
    after: [service("a/a", "10.0.0.1", "n1")],
    want: ["a/a: 10.0.0.1 announced by n1"],
  },
  { name: "a Service that is gone", before: [service("a/a", "10.0.0.1", "n1")], after: [], want: ["a/a is gone"] },
  {
    name: "an address that is given up for another",
    before: [service("a/a", "10.0.0.1", "n1")],
    after: [service("a/a", "10.0.0.2", "n1")],
    want: ["a/a: 10.0.0.2 announced by n1", "a/a gave up 10.0.0.1"],
  },
  {
    name: "many addresses that move together are told once",
    before: Array.from({ length: 6 }, (_, index) => service(`a/${index}`, `10.0.0.${index}`, "n1")),
    after: Array.from({ length: 6 }, (_, index) => service(`a/${index}`, `10.0.0.${index}`, "n2")),
    want: ["6 addresses moved from n1 to n2"],
  },
];
for (const { name, before, after, want } of moves)
  test(`events: ${name}`, () => {
    const events = eventsBetween(model({ services: table(...before) }), model({ services: table(...after) }), since);
    assert.deepEqual(
      events.map(({ what }) => what),
      want,
    );
  });

test("events: when a node's speaker does not answer, that is why its addresses moved", () => {
  const lost: RowVerdict = { state: "Pending", cause: "noAnswer", message: "speaker-n1 does not answer: refused", since: "" };
  const node = { announces: 0, kept: 0, source: undefined, timing: undefined, sees: [], roundTrips: {} };
  const before = model({ services: table(service("a/a", "10.0.0.1", "n1")) });
  const after = model({
    services: table(service("a/a", "10.0.0.1", "n2")),
    nodes: table({ id: "n1", verdict: lost, ...node }),
  });
  const [moved, silent] = eventsBetween(before, after, since);
  assert.deepEqual([moved?.why, silent?.what], [lost.message, "n1: noAnswer"]);
});

test("events: only so many are kept, the latest", () => {
  const event = { at: since, subject: "svc/a/a", what: "", why: "", state: "Ready" } as const;
  const first = withEvents(new Map(), Array(maxEvents).fill(event), 0);
  const { events, last } = withEvents(first.events, [event, event], first.last);
  assert.deepEqual(
    [events.size, last, events.has("2"), events.has("3"), events.has(`${last}`)],
    [maxEvents, maxEvents + 2, false, true, true],
  );
});

function range(text: string): AddressRange {
  const found = parseRange(text);
  assert.ok(found instanceof AddressRange);
  return found;
}

const pool: PoolRow = {
  id: "lan",
  place: 0,
  protocol: "layer2",
  total: 0,
  inUse: 0,
  ranges: [],
  reserved: [{ ranges: ["10.0.0.4-10.0.0.5"], namespace: "shop" }],
  avoidBuggyIPs: true,
  verdict: good,
};

test("a small range has a field for each address, with what it is used for", () => {
  const services = table(service("a/a", "10.0.0.1", "n1"), service("a/b", "10.0.0.2", "n1"), service("a/c", "10.0.0.2", "n1"));
  const occupied = table({ id: "10.0.0.3", mac: "02:00:00:00:00:01", node: "n1", since });
  const cells = cellsOf(range("10.0.0.0-10.0.0.6"), marksOf(services, occupied), pool);
  assert.deepEqual(
    cells.map(({ use }) => use),
    ["excluded", "held", "shared", "occupied", "reserved", "reserved", "free"],
  );
  assert.deepEqual([cells[4]?.keptFor, cells[6]?.keptFor], [["namespace shop"], []]);
});

test("no field is free whose addresses no Service gets: those of a closed pool, and next-hop slots", () => {
  const marks = marksOf(table(service("a/a", "10.0.0.6", "n1")), new Map());
  const usesIn = (text: string, more: Partial<PoolRow>) =>
    cellsOf(range(text), marks, { ...pool, ...more }).map(({ use }) => use);
  assert.deepEqual(usesIn("10.0.0.6-10.0.0.7", { closed: true }), ["held", "excluded"]);
  assert.ok(!usesIn("10.1.0.0-10.1.255.255", { closed: true }).includes("free"));
  const slots = [{ address: "10.0.0.7", node: "n1" }];
  assert.deepEqual(usesIn("10.0.0.6-10.0.0.8", { slots }), ["held", "excluded", "free"]);
});

test("no field of a pool with netbox is free, since somebody else's record in NetBox keeps an address from Services", () => {
  const marks = marksOf(table(service("a/a", "10.0.0.6", "n1")), new Map());
  const cells = cellsOf(range("10.0.0.4-10.0.0.8"), marks, { ...pool, netbox: true });
  assert.deepEqual(
    cells.map(({ use }) => use),
    ["reserved", "reserved", "held", "unknown", "unknown"],
  );
});

for (const text of [
  "10.0.0.0-10.255.255.255",
  "fd00::-fd00::ffff:ffff:ffff:ffff",
  "10.0.0.7-10.0.4.9",
  "0.0.0.0-255.255.255.255",
])
  test(`${text} has at most 256 fields, which follow one another and hold every address in use`, () => {
    const whole = range(text);
    const cells = cellsOf(whole, marksOf(table(service("a/a", `${whole.last}`, "n1")), new Map()), pool);
    assert.ok(cells.length <= 256, `${cells.length}`);
    const ends = cells.map((cell) => [cell.range.first.value, cell.range.last.value] as const);
    assert.deepEqual([ends[0]?.[0], ends.at(-1)?.[1]], [whole.first.value, whole.last.value]);
    for (const [index, [first]] of ends.entries()) if (index > 0) assert.equal(first, (ends[index - 1]?.[1] ?? 0n) + 1n);
    assert.equal(cells.at(-1)?.marks[0]?.address.equals(parseAddress(`${whole.last}`) ?? whole.first), true);
  });

test("changes within half a minute of one another are one incident, in either order", () => {
  const at = [0, 10, 39, 70, 200].map((second) => new Date(Date.UTC(2026, 0, 2) + 1_000 * second).toISOString());
  const events = at.map((at, index) => ({ id: `${index}`, at, subject: "a", what: "b", why: "", state: "Ready" }) as const);
  const groups = (of: typeof events) => incidentsOf(of).map((incident) => incident.map(({ id }) => id).join(""));
  assert.deepEqual(groups(events), ["012", "3", "4"]);
  assert.deepEqual(groups(events.toReversed()), ["4", "3", "210"]);
  assert.deepEqual(groups([]), []);
});

test("a trend counts addresses that moved since its last value, and keeps a quarter of an hour", () => {
  const before = model({
    services: table(service("d/a", "10.0.0.1", "n1"), service("d/b", "10.0.0.2", "n1"), service("d/c", "10.0.0.3")),
  });
  const after = model({
    services: table(service("d/a", "10.0.0.1", "n2"), service("d/b", "10.0.0.2", "n1"), service("d/c", "10.0.0.3", "n2")),
  });
  const once = withSample(new Map(), before, after);
  assert.deepEqual(
    [...once.values()].map(({ id, values }) => [id, values]),
    [
      ["moved", [1]],
      ["sessions", [null]],
      ["roundTrip", [null]],
    ],
  );
  let trends = once;
  for (let i = 0; i < maxSamples; i++) trends = withSample(trends, after, after);
  assert.deepEqual(trends.get("moved")?.values, Array(maxSamples).fill(0));
});

test("a recorded change is about an address, else about its node: a MAC address is nothing that can be explained", () => {
  const moment = (what: string) => ({ at: since, program: "speaker" as const, node: "n1", what, why: "" });
  const whats = ["withdraws 2001:db8::1", "took 192.0.2.1 over from node n2", "sees a frame (uses) of 02:00:00:00:00:01 on eth0"];
  assert.deepEqual(
    recordedEvents(whats.map(moment)).map(({ subject }) => subject),
    ["2001:db8::1", "192.0.2.1", "node/n1"],
  );
});

test("a controller that fell silent says nothing beside the one that leads now, and is believed without one", () => {
  const about = { namespace: "metallb-system", now: since, missing: {} };
  const controller = (pod: string, cause: "assigned" | "poolFull", inUse: number) => {
    const said = { service: "d/web", pool: "lan", addresses: ["10.0.0.1"], verdict: { ...verdict("service", cause), since } };
    const poolVerdict = { ...verdict("pool", cause === "poolFull" ? "full" : "available"), since };
    return {
      target: { program: "controller", pod, node: "n1", notRunning: undefined } as const,
      controllerServices: { leader: true, services: [said] },
      pools: { pools: [{ pool: "lan", protocol: "layer2", total: 9, inUse, families: [], verdict: poolVerdict }] },
    };
  };
  const silent = { problem: "no answer within 2 s", silentSince: since };
  const at = (...heard: Parameters<typeof buildModel>[1]) => {
    const { services, pools } = buildModel(emptyModel(), heard, undefined, about);
    const [web, lan] = [services.get("d/web"), pools.get("lan")];
    return [web?.addresses[0]?.verdict.cause, lan?.inUse, lan?.verdict.cause];
  };
  const [lost, leads] = ["a", "z"].map((pod) => ({ ...controller(pod, "poolFull", 9), ...silent })) as [never, never];
  const now = controller("m", "assigned", 1);
  assert.deepEqual(at(lost, now), at(now));
  assert.deepEqual(at(now, leads), at(now));
  assert.deepEqual(at(lost).slice(0, 2), ["poolFull", 9]);
});

test("of two speakers of one node, as of two installations, the one that answers counts", () => {
  const target = (pod: string) => ({ program: "speaker", pod, node: "n1", notRunning: undefined }) as const;
  const metallb = { problem: "it has no /v1/verdicts: it is MetalLB, or another version of Ingot" }; // That is an answer.
  const silent = { problem: "no answer within 2 s", silentSince: since };
  const ready = { kind: "node" as const, name: "n1", ...verdict("node", "ready"), since };
  const heard = [
    { target: target("a"), ...silent },
    { target: target("m"), verdicts: { verdicts: [ready] } },
    { target: target("z"), ...metallb },
  ];
  const { nodes } = buildModel(emptyModel(), heard, undefined, { namespace: "metallb-system", now: since, missing: {} });
  assert.deepEqual(
    [...nodes].map(([id, row]) => [id, row.verdict.cause]),
    [["n1", "ready"]],
  );
});

test("each cause of one node has a row of its own", () => {
  const target = { program: "speaker", pod: "speaker-n1", node: "n1", notRunning: undefined } as const;
  const verdicts = (["excluded", "apiUnreachable"] as const).map((cause) => {
    return { kind: "node" as const, name: "n1", ...verdict("node", cause), since };
  });
  const heard = [{ target, verdicts: { node: "n1", verdicts } }];
  const { causes } = buildModel(emptyModel(), heard, undefined, {
    namespace: "metallb-system",
    now: since,
    missing: {},
  });
  assert.deepEqual(
    [...causes.values()].flatMap(({ cause = [] }) => cause),
    ["excluded", "apiUnreachable"],
  );
});

test("what a speaker sees is made once of each of its answers", () => {
  const target = { program: "speaker", pod: "speaker-n1", node: "n1", notRunning: undefined } as const;
  const verdicts = { verdicts: [{ kind: "node" as const, name: "n1", ...verdict("node", "ready"), since }] };
  const seen = ["n1", "n2"].map((node) => ({ node, status: "alive", active: true, roundTripMs: 0.4 }));
  const heard = [{ target, verdicts, members: { source: "memberlist", members: seen } }];
  const about = { namespace: "metallb-system", now: since, missing: {} };
  const [one, other] = [0, 1].map(() => buildModel(emptyModel(), heard, undefined, about).nodes.get("n1"));
  assert.deepEqual([one?.sees, Object.entries(one?.roundTrips ?? {})], [["n2"], [["n2", 0.4]]]);
  assert.equal(one?.sees, other?.sees);
  assert.equal(one?.roundTrips, other?.roundTrips);
});

test("records tell of the time before the program began, and of that whose changes are gone from the model", () => {
  const at = (minute: number) => `2026-01-02T03:${10 + minute}:00.000Z`;
  const row = (minute: number) =>
    ({ id: `${minute}`, at: at(minute), subject: "config", what: "", why: "", state: "Ready" }) as const;
  const about = table({ id: "about", startedAt: at(1) } as never) as Model["about"];
  const earlier = (events: Model["events"]) =>
    earlierThan(model({ about, events }), [row(0), row(2), row(4)]).map(({ id }) => id);
  assert.deepEqual(earlier(table(row(3))), ["0"]);
  const full = Array.from({ length: maxEvents }, (_, index) => ({ ...row(3), id: `${index}` }));
  assert.deepEqual(earlier(table(...full)), ["0", "2"]);
});

test("of processes of two versions, as during an upgrade, those of each are compared with one another", () => {
  const have = (...those: readonly [version: string, hash: string | null][]) =>
    haveOneConfiguration(those.map(([version, hash]) => ({ version, hash }) as ProcessRow));
  assert.equal(have(["0.1.0", "aa"], ["0.2.0", "bb"], ["0.2.0", "bb"], ["0.2.0", null]), true);
  assert.equal(have(["0.1.0", "aa"], ["0.2.0", "bb"], ["0.2.0", "aa"]), false);
});

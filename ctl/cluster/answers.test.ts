import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { verdict } from "#pkg/verdict";
import { ingotctl } from "../testing/ingotctl.ts";
import { smallCluster } from "../testing/small-cluster.ts";
import { checkedAnswer } from "./answers.ts";
import type { Processes } from "./processes.ts";

const asked = [
  ...[
    "status",
    "services -A",
    "pools",
    "nodes",
    "peers",
    "members",
    "version",
    "owner 192.0.2.1",
    "check",
    "doctor",
    "doctor --wire",
  ],
  ...["probe 192.0.2.1", "history 192.0.2.1", "simulate lose n1"],
  ...["svc/web", "192.0.2.1", "node/n2", "peer/10.0.0.1", "pool/lan", "config"].map((subject) => `explain ${subject}`),
];

const since = "2026-01-02T03:01:00.000Z";
const family = { family: "IPv4", total: 2, inUse: 1 };
const placed = { address: "192.0.2.1", pool: "lan", protocol: "layer2", owner: "n1", announced: true };
const available = { ...verdict("pool", "available"), since };
const service = { service: "default/web", verdict: { ...verdict("service", "announced"), since } };

/** Answers of either program that the small cluster has not. */
const more: Readonly<Record<string, object>> = {
  "/v1/pools": {
    leader: true,
    pools: [{ pool: "lan", protocol: "layer2", total: 2, inUse: 1, families: [family], verdict: available }],
  },
  "/v1/recorder": {
    program: "speaker",
    node: "n1",
    found: [{ instant: 1, at: since, input: { type: "tick" }, decisions: [{ type: "log", fields: { ips: ["192.0.2.1"] } }] }],
  },
  "/v1/probe": {
    node: "n1",
    isHere: true,
    attempts: [],
    own: { service: "default/web", port: 80, connection: "accepts", endpoints: [] },
  },
  "/v1/conflicts": { occupied: [{ address: "192.0.2.9", mac: "02:00:00:00:00:42", node: "n1", since }] },
};

/** The small cluster, in which one process answers something else. */
function withOdd(pod: string, answer: (path: string, usual: () => Promise<unknown>) => unknown) {
  const { api, processes: some } = smallCluster();
  const usual: Processes["get"] = async (target, path) => {
    const [name = ""] = path.split("?");
    if (name !== "/v1/services") return more[name] ?? some.get(target, path);
    if (target.program === "controller")
      return { leader: true, services: [{ ...service, pool: "lan", addresses: ["192.0.2.1"] }] };
    return { node: target.node, services: [{ ...service, addresses: [{ ...placed, verdict: service.verdict }] }] };
  };
  const get: Processes["get"] = async (target, path) =>
    target.pod === pod ? answer(path, () => usual(target, path)) : usual(target, path);
  return { api, processes: { ...some, get } };
}

const nonsense: unknown[] = [null, 7, "text", [], {}, [null], { verdicts: [null], services: [null], members: 7, pools: {} }];
for (const body of nonsense)
  test(`who answers ${JSON.stringify(body)} to everything is named, and takes nothing from the others`, async () => {
    for (const pod of ["speaker-n1", "controller"])
      for (const args of asked) {
        const { out, err } = await ingotctl(
          args,
          withOdd(pod, () => body),
        );
        assert.doesNotMatch(err, /TypeError|is not iterable|Cannot read/, `${args}, ${pod}`);
        if (args === "status") {
          assert.match(out, /^speaker +n2 /m);
          assert.match(
            err,
            new RegExp(`^ingotctl: ${pod}.* is not among these: its answer to /v1/\\S+ is not one of Ingot: `, "m"),
          );
        }
      }
  });

const lan = { pool: "lan", protocol: "layer2", total: 2, inUse: 1, families: [family], verdict: available };
const nameless = { ...available, evidence: [{ name: "a", value: "b" }] };
const oddPools: object[] = [
  { ...lan, full: 7 },
  { ...lan, ranges: 7 },
  { ...lan, ranges: ["192.0.2.0-192.0.2.9"], reserved: [{ ranges: 7 }] },
  { ...lan, slots: [7, 8] },
  { ...lan, verdict: { ...available, since: undefined } },
  { ...lan, verdict: nameless },
];
for (const odd of oddPools)
  test(`a process is named whose pool is odd: ${JSON.stringify(odd).slice(-120)}`, async () => {
    const answer = (path: string, usual: () => Promise<unknown>) => (path === "/v1/pools" ? { pools: [odd] } : usual());
    for (const pod of ["speaker-n1", "controller"])
      for (const args of ["pools", "explain 192.0.2.5", "explain pool/lan", "owner 192.0.2.5"]) {
        const { out, err } = await ingotctl(args, withOdd(pod, answer));
        if (args.includes("pool"))
          assert.match(
            err,
            new RegExp(`${pod}.* is not among these: its answer to /v1/pools is not one of Ingot: pools\\[\\]\\.`),
            args,
          );
        assert.doesNotMatch(out + err, /TypeError|is not a function|undefined/, args);
      }
  });

test("property: whatever one field of an answer is, every command ends, and says no more than it knows", async () => {
  const odd = fc.jsonValue({ maxDepth: 2 });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...asked),
      fc.constantFrom("speaker-n1", "controller"),
      fc.nat(),
      odd,
      async (args, pod, place, value) => {
        const replaced = withOdd(pod, async (_path, usual) => {
          let left = place % 40;
          return JSON.parse(JSON.stringify(await usual()), (_key, one) => (left-- === 0 ? value : one));
        });
        const { err } = await ingotctl(args, replaced);
        assert.doesNotMatch(err, /TypeError|is not iterable|Cannot read/);
      },
    ),
    { numRuns: 300 },
  );
});

test("the first field that is another is named, and fields that nobody knows are not", () => {
  const check = (body: unknown) => checkedAnswer("speaker", "/v1/members", body);
  const member = { node: "n1", status: "alive", active: true, novel: 1 };
  assert.deepEqual(check({ source: "memberlist", members: [member], novel: {} }), {
    source: "memberlist",
    members: [member],
    novel: {},
  });
  const cases: [unknown, string][] = [
    [[], "it is no object"],
    [{ members: [] }, "source is no text"],
    [{ source: "memberlist", members: [member, { ...member, active: "yes" }] }, "members[].active is no boolean"],
  ];
  for (const [body, wrong] of cases)
    assert.throws(() => check(body), { message: `its answer to /v1/members is not one of Ingot: ${wrong}` });
});

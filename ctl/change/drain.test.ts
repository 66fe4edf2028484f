import assert from "node:assert/strict";
import { test } from "node:test";
import { verdict } from "#pkg/verdict";
import { UsageError } from "../command.ts";
import { fakeApi } from "../testing/api.ts";
import { ingotctl } from "../testing/ingotctl.ts";
import { type Answers, fakeProcesses } from "../testing/processes.ts";

const since = "2026-01-02T03:01:00.000Z";
const now = new Date("2026-01-02T03:04:00.000Z");
const label = "ingot.dev/drain";
const path = "/api/v1/nodes/n1";
const message = "n1 is drained by its label: others take over";
const announced = { ...verdict("service", "announced", { message: "" }), since };

interface At {
  readonly owner?: string;
  readonly protocol?: "layer2" | "interface";
  /** Open connections to what another node owns now. */
  readonly connections?: number | null;
}

/** A cluster with nodes n1 and n2, an address, and a Node n1 with these labels, which has been drained where `isSeen` says so. */
function cluster({ owner = "n2", protocol = "layer2", connections }: At, labels: Record<string, string> = {}, isSeen = true) {
  const api = fakeApi({ [path]: { metadata: { name: "n1", labels: { disk: "ssd", ...labels } } } });
  const speaker = (node: string): Answers => {
    const placed = {
      address: "192.0.2.1",
      pool: "lan",
      protocol,
      owner,
      announced: owner === node,
      verdict: announced,
    };
    const verdicts = node === "n1" && isSeen ? [{ ...verdict("node", "drained", { message }), since }] : [];
    const served = connections === undefined ? [] : [{ address: "192.0.2.1", connections, until: "2026-01-02T03:05:30.000Z" }];
    return {
      "/v1/services": { node, services: [{ service: "default/web", addresses: [placed], verdict: announced }] },
      "/v1/node": { node, verdicts },
      "/v1/handovers": { current: [], served: node === "n1" ? served : [] },
    };
  };
  const processes = fakeProcesses({
    controller: { "/v1/services": { leader: true, services: [] } },
    "speaker-n1": speaker("n1"),
    "speaker-n2": speaker("n2"),
  });
  const labelled = () => (api.stored[path] as { metadata: { labels: object } }).metadata.labels;
  return { api, processes, now, labelled };
}

const cases: { name: string; at: At; isSeen?: boolean; status: number; says: RegExp }[] = [
  { name: "a node without addresses and connections can go", at: {}, status: 0, says: /^n1 can go/ },
  { name: "no open connection is left", at: { connections: 0 }, status: 0, says: /^n1 can go/ },
  {
    name: "connections keep it",
    at: { connections: 12 },
    status: 3,
    says: /192\.0\.2\.1 +12 open connections, kept for 90 s at most\nn1 cannot go yet/,
  },
  { name: "so do connections that were not counted", at: { connections: null }, status: 3, says: /are being counted/ },
  {
    name: "so does an address, and why it stays is said",
    at: { owner: "n1" },
    status: 3,
    says: /announced by layer2 for default\/web\nn1 cannot go yet: n1 is drained by its label: others take over/,
  },
  {
    name: "so does an address in the node's kernel, which may stay for good",
    at: { owner: "n1", protocol: "interface" },
    status: 3,
    says: /n1 cannot go yet: n1 is drained by its label: others take over; those of pools with placement: routed stay\n$/,
  },
  {
    name: "so does a speaker that has not seen the label",
    at: {},
    isSeen: false,
    status: 3,
    says: /cannot go yet: its speaker has not seen/,
  },
];
for (const { name, at, isSeen, status, says } of cases)
  test(`drain: ${name}`, async () => {
    const given = cluster(at, {}, isSeen);
    const { status: ended, out } = await ingotctl("drain n1", given);
    assert.deepEqual([ended, given.labelled()], [status, { disk: "ssd", [label]: "" }]);
    assert.match(out, says);
  });

test("drain --wait ends with the time at the latest, and says what is left", async () => {
  const { status, out, err } = await ingotctl("drain n1 --wait --timeout=60", cluster({ connections: 1 }));
  assert.equal(status, 3);
  assert.equal(err, "n1 is drained from now on: ingotctl uncordon n1 takes it back\n", "for who ends it before");
  assert.match(out, /1 open connection, kept for/);
});

test("drain --wait finds the processes again each time: one that was silent once is asked again", async () => {
  const { api, processes } = cluster({});
  let rounds = 0;
  const given = {
    api,
    now,
    get processes() {
      if (++rounds === 2) throw new UsageError("cannot ask the API server"); // It is back the next time.
      const isSilent = rounds === 1; // For all of the round, as one that hangs is.
      return {
        ...processes,
        get: async (...[target, asked]: Parameters<typeof processes.get>) => {
          if (isSilent && target.pod === "speaker-n1") throw new Error("no answer within 2 s");
          return processes.get(target, asked);
        },
      };
    },
  };
  const { status, out } = await ingotctl("drain n1 --wait", given);
  assert.deepEqual([status, out], [0, "n1 can go: it announces nothing, and no kept connection goes through it\n"]);
});

test("drain: connections count from when no process announces an address at the node any more, although its speaker answers sooner", async () => {
  const [before, after] = [cluster({ owner: "n1" }), cluster({ connections: 12 })].map(({ processes }) => processes);
  if (before === undefined || after === undefined) return assert.fail();
  let hasMoved = false;
  const get = async (...[target, asked]: Parameters<typeof before.get>) => {
    const answer = await (hasMoved ? after : before).get(target, asked);
    if (!asked.startsWith("/v1/services")) return answer;
    hasMoved = true; // Some processes take longer to answer.
    return after.get(target, asked);
  };
  const { status, out } = await ingotctl("drain n1", { ...cluster({}), processes: { ...before, get } });
  assert.equal(status, 3);
  assert.match(out, /12 open connections/);
});

test("drain --wait ends where the Node is deleted, or somebody takes the label off, and not where the API server is away for a moment", async () => {
  const cases: { change: (stored: Record<string, object>) => void; status: number; says: RegExp }[] = [
    { change: (stored) => delete stored[path], status: 1, says: /\ningotctl: there is no node n1\n$/ },
    {
      change: (stored) => Object.assign(stored, { [path]: { metadata: { name: "n1" } } }),
      status: 3,
      says: /\nn1 is drained no more\n$/,
    },
    { change: (stored) => Object.assign(stored, { [path]: new Error("it restarts") }), status: 3, says: /n1 cannot go yet/ },
  ];
  for (const { change, status: wanted, says } of cases) {
    const given = cluster({ owner: "n1" });
    const get = async (...[target, asked]: Parameters<typeof given.processes.get>) => {
      if (asked === "/v1/node") change(given.api.stored);
      return given.processes.get(target, asked);
    };
    const { status, out, err } = await ingotctl("drain n1 --wait --timeout=60", {
      ...given,
      processes: { ...given.processes, get },
    });
    assert.equal(status, wanted);
    assert.match(err + out, says);
  }
});

test("drain: a speaker that does not answer leaves open whether its node can go", async () => {
  const { api, processes } = cluster({});
  const silent = {
    ...processes,
    get: async (...[target, asked]: Parameters<typeof processes.get>) => {
      if (target.pod === "speaker-n1") throw new Error("no answer");
      return processes.get(target, asked);
    },
  };
  const { status, out, err } = await ingotctl("drain n1", { api, processes: silent, now });
  const why = "its speaker does not answer, which alone knows whether connections go through it";
  assert.deepEqual([status, out], [3, `n1 cannot go yet: ${why}\n`]);
  assert.match(err, /speaker-n1 on n1 is not among these: no answer/);
});

test("drain: a node to which central speakers lead routers cannot go yet, nor one of which none of them says anything", async () => {
  const { api, processes, now } = cluster({});
  const led = { address: "203.0.113.7", pool: "far", protocol: "bgp", owner: null, announced: true, verdict: announced };
  const answers: Record<string, object | Error> = {};
  const central = fakeProcesses({ "speaker-central/n1": {}, "speaker-central/n2": {} });
  const drain = async () => {
    const get = async (...[target, asked]: Parameters<typeof processes.get>) => {
      if (!central.targets.includes(target)) return processes.get(target, asked);
      const found = asked.includes("via=n1") ? answers[target.node] : { node: target.node, services: [] };
      if (found instanceof Error) throw found;
      return found;
    };
    return ingotctl("drain n1", {
      api,
      now,
      processes: { ...processes, targets: [...processes.targets, ...central.targets], get },
    });
  };
  const said = (addresses: object[]) => {
    return { node: "central/n1", via: "n1", services: [{ service: "default/far", addresses, verdict: announced }] };
  };
  Object.assign(answers, { "central/n1": new Error("no answer"), "central/n2": said([led]) });
  const leads = await drain();
  assert.match(leads.out, /203\.0\.113\.7 +announced by central speakers for default\/far\nn1 cannot go yet/);
  answers["central/n2"] = said([]);
  assert.match((await drain()).out, /^n1 can go/);
  answers["central/n2"] = { node: "central/n2", services: [{ service: "default/far", addresses: [led], verdict: announced }] };
  assert.match((await drain()).out, /^n1 can go/, "an earlier version lists all, and does not say which");
  answers["central/n2"] = new Error("no answer");
  assert.match((await drain()).out, /^n1 cannot go yet/);
});

test("drain: where central speakers alone run, a node can go that none of them leads to", async () => {
  const { api, processes, now } = cluster({});
  const central = fakeProcesses({ "speaker-central/n1": {}, "speaker-central/n2": {} });
  const targets = [...processes.targets.filter(({ program }) => program === "controller"), ...central.targets];
  const led = { address: "203.0.113.7", pool: "far", protocol: "bgp", owner: null, announced: true, verdict: announced };
  const drain = async (addresses: object[], via?: string) => {
    const services = [{ service: "default/far", addresses, verdict: announced }];
    const get = async (...[target, asked]: Parameters<typeof processes.get>) =>
      target.program === "speaker" ? { node: target.node, via, services } : processes.get(target, asked);
    return ingotctl("drain n1", { api, now, processes: { ...processes, targets, get } });
  };
  assert.match((await drain([led], "n1")).out, /announced by central speakers for default\/far\nn1 cannot go yet\n/);
  assert.equal((await drain([], "n1")).out, "n1 can go: it announces nothing, and no kept connection goes through it\n");
  assert.match((await drain([led])).out, /^n1 cannot go yet: it has no speaker/, "an earlier version does not say which");
});

test("drain: a node without a speaker cannot go yet, and that is why", async () => {
  const { api, processes } = cluster({});
  const others = processes.targets.filter(({ node }) => node !== "n1");
  const { status, out } = await ingotctl("drain n1", { api, processes: { ...processes, targets: others }, now });
  assert.equal(status, 3);
  assert.match(out, /^n1 cannot go yet: it has no speaker/);
});

test("drain and uncordon: a Node that is not there, or that may not be changed", async () => {
  for (const command of ["drain", "uncordon"]) {
    const { status, err } = await ingotctl(`${command} n9`, cluster({}));
    assert.deepEqual([status, err], [1, "ingotctl: there is no node n9\n"]);
    const api = fakeApi({ [path]: new Error("403 forbidden") });
    const refused = await ingotctl(`${command} n1`, { ...cluster({}), api });
    assert.deepEqual([refused.status, refused.err], [2, "ingotctl: cannot read Node n1: 403 forbidden\n"]);
  }
});

const uncordoned: { labels: Record<string, string>; after: Record<string, string>; says: string }[] = [
  { labels: { [label]: "" }, after: {}, says: "n1 may announce addresses\n" },
  { labels: {}, after: {}, says: "n1 may announce addresses\n" },
  {
    labels: { [label]: "when-cordoned" },
    after: { [label]: "when-cordoned" },
    says: "n1 is drained while it is cordoned: kubectl uncordon n1\n",
  },
];
for (const { labels, after, says } of uncordoned)
  test(`uncordon: ${JSON.stringify(labels)}`, async () => {
    const given = cluster({}, labels);
    const { status, out } = await ingotctl("uncordon n1", given);
    assert.deepEqual([status, out, given.labelled()], [0, says, { disk: "ssd", ...after }]);
  });

test("uncordon -o json: a node that stays cordoned stays drained where its label asks for that", async () => {
  for (const [value, taints, drained] of [
    ["when-cordoned", ["node.kubernetes.io/unschedulable"], true],
    ["when-cordoned", ["example.com/spot"], false],
    ["", ["node.kubernetes.io/unschedulable"], false],
  ] as const) {
    const node = { metadata: { name: "n1", labels: { [label]: value } }, spec: { taints: taints.map((key) => ({ key })) } };
    const { out } = await ingotctl("uncordon n1 -o json", { ...cluster({}), api: fakeApi({ [path]: node }) });
    assert.equal(JSON.parse(out).drained, drained, value);
  }
});

test("drain leaves a node alone that is to be drained when it is cordoned", async () => {
  const given = cluster({ owner: "n1" }, { [label]: "when-cordoned" }, false);
  const { status, out } = await ingotctl("drain n1", given);
  assert.equal(status, 3);
  assert.match(out, /n1 cannot go yet: it is drained when it is cordoned: kubectl cordon n1/);
  assert.deepEqual(given.labelled(), { disk: "ssd", [label]: "when-cordoned" });
  const waited = await ingotctl("drain n1 --wait --timeout=60", given);
  assert.equal(waited.err, "n1 is drained while it is cordoned: kubectl cordon n1\n", "it waits for the person");
});

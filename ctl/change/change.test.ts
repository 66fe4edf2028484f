import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { verdict } from "#pkg/verdict";
import type { Processes } from "../cluster/processes.ts";
import { Exit } from "../command.ts";
import { type Given, ingotctl } from "../testing/ingotctl.ts";
import { configMapPath, configuration, smallCluster } from "../testing/small-cluster.ts";

const bigger = configuration.replace("192.0.2.2]", "192.0.2.4]");
const smaller = configuration.replace("192.0.2.1-192.0.2.2", "192.0.2.2/32");
const files = {
  "same.yaml": configuration,
  "bigger.yaml": bigger,
  "smaller.yaml": smaller,
  "peer.yaml": configuration.replace("peer-asn: 65001}", "peer-asn: 65001, hold-time: 30s}"),
  "aggregated.yaml": configuration.replace(
    "203.0.113.0/24]}",
    "203.0.113.0/24], bgp-advertisements: [{aggregation-length: 24}]}",
  ),
  "bfd.yaml": `bfd-profiles: [{name: fast}]\n${configuration.replace("peer-asn: 65001}", "peer-asn: 65001, bfd-profile: fast}")}`,
  "gateway.yaml": configuration.replace("peer-address: 10.0.0.1", "peer-address: gateway"),
  "netbox.yaml": bigger.replace(
    "192.0.2.4]",
    "192.0.2.4], netbox: {url: https://netbox.example.com, token-secret: {name: netbox}, tags: [ingot]}",
  ),
  "fenced.yaml": configuration.replace("192.0.2.2]", "192.0.2.2], sharing: cluster, namespace-selectors: [{}]"),
  "watched.yaml": `failover: {interval: 10ms}\nquotas: [{pools: [lan], ipv4: 1}]\n${configuration}`,
  "tab.yaml": "address-pools:\n\t- name: lan\n",
};
const now = new Date("2026-01-02T03:04:05Z");
const outside = (given: Given = {}): Given => ({ files, now, ...smallCluster(), ...given });

const golden: { args: string; out: string[]; status?: number }[] = [
  { args: "diff same.yaml", out: ["3 Services keep what they have.", "", "Nothing would change."] },
  {
    args: "diff watched.yaml",
    out: ["3 Services keep what they have.", "", "Other settings: quotas, failover."],
  },
  {
    args: "diff bigger.yaml",
    out: [
      "SERVICE       CHANGE  BEFORE  AFTER      WHY",
      "default/late  gains   -       192.0.2.3",
      "",
      "3 Services keep what they have.",
      "",
      "POOL  CHANGE   ADDRESSES    THEN",
      "lan   changed  2 by layer2  4 by layer2",
    ],
  },
  {
    args: "diff netbox.yaml",
    out: [
      "SERVICE       CHANGE  BEFORE  AFTER      WHY",
      "default/late  gains   -       192.0.2.3",
      "",
      "3 Services keep what they have.",
      "",
      "POOL  CHANGE   ADDRESSES    THEN",
      "lan   changed  2 by layer2  4 by layer2",
      "",
      'Note: NetBox is not asked: Services may get other addresses, where pools are kept there ("lan").',
    ],
  },
  {
    args: "diff fenced.yaml",
    out: [
      "3 Services keep what they have.",
      "",
      "POOL  CHANGE   ADDRESSES    THEN",
      "lan   changed  2 by layer2  2 by layer2, other fence",
      "",
      "Note: address-pools[0].namespace-selectors asks for labels of Namespaces: without the right to read them the controller refuses the configuration (component namespaces).",
    ],
  },
  {
    args: "diff smaller.yaml",
    status: Exit.invalid,
    out: [
      "It would be refused, and nothing would change: no pool would be left for addresses in use.",
      "",
      "SERVICE      ADDRESSES",
      "default/web  192.0.2.1",
      "",
      "Without these it would do this:",
      "",
      "SERVICE      CHANGE  BEFORE     AFTER  WHY",
      'default/web  loses   192.0.2.1  -      no pool can serve this Service: pool "lan" has no free IPv4 address (its only one is in use), pool "far" is only for Services that request it (auto-assign is false)',
      "",
      "2 Services keep what they have.",
      "",
      "POOL  CHANGE   ADDRESSES    THEN",
      "lan   changed  2 by layer2  1 by layer2",
    ],
  },
  {
    args: "diff peer.yaml",
    out: [
      "3 Services keep what they have.",
      "",
      "PEER          SESSION   NODES  BECAUSE OF",
      "10.0.0.1:179  restarts  n1,n2  holdTimeSeconds",
    ],
  },
  {
    args: "diff bfd.yaml",
    out: [
      "3 Services keep what they have.",
      "",
      "PEER          BFD SESSION  NODES  BECAUSE OF",
      "10.0.0.1:179  starts       n1,n2",
    ],
  },
  {
    args: "diff aggregated.yaml",
    out: [
      "3 Services keep what they have.",
      "",
      "POOL  CHANGE   ADDRESSES   THEN",
      "far   changed  256 by bgp  256 by bgp, other advertisements",
      "",
      "PREFIX          PEER          CHANGE     NODES  BEFORE  AFTER",
      "203.0.113.0/24  10.0.0.1:179  announced  n1,n2  -       -",
      "203.0.113.7/32  10.0.0.1:179  withdrawn  n1,n2  -       -",
    ],
  },
  {
    args: "simulate lose n1",
    status: Exit.losses,
    out: [
      "NOT ANNOUNCED  ADDRESS    WHY",
      "default/cart   192.0.2.2  noReadyEndpoint",
      "",
      "ADDRESS      POOL  ANNOUNCED BY  THEN BY  SERVICES",
      "203.0.113.7  far   n1,n2         n2       default/far",
      "",
      "1 address stays where it is.",
      "",
      "NODE  ADDRESSES BY LAYER 2  THEN",
      "n1    1                     0",
      "n2    1                     1",
      "",
      "PREFIX          PEER          BY NODES  THEN",
      "203.0.113.7/32  10.0.0.1:179  2         1",
    ],
  },
  {
    args: "simulate drain n1",
    status: Exit.losses,
    out: [
      "NOT ANNOUNCED  ADDRESS    WHY",
      "default/cart   192.0.2.2  noReadyEndpoint",
      "",
      "2 addresses stay where they are.",
      "",
      "NODE  ADDRESSES BY LAYER 2  THEN",
      "n1    1                     0",
      "n2    1                     1",
    ],
  },
  { args: "simulate lose n9", status: Exit.invalid, out: ["there is no node n9"] },
  { args: "simulate config same.yaml", out: ["3 Services keep what they have.", "", "Nothing would change."] },
  { args: "doctor", out: ["Nothing is wrong; looked at: 3 processes, 0 Services."] },
];
for (const { args, out: lines, status: want = Exit.ok } of golden)
  test(`ingotctl ${args}`, async () => {
    const { status, out, err } = await ingotctl(args, outside());
    assert.equal(out, lines.map((line) => `${line}\n`).join(""));
    assert.deepEqual([status, err], [want, ""]);
  });

const ofCentral = [
  "Note: central/n1, central/n2 announce by BGP for all nodes, which are the next hops.",
  "Note: without add-path each prefix has one of its nodes alone at 10.0.0.1:179.",
];
const withCentral: { args: string; out: string[]; status?: number }[] = [
  {
    args: "diff aggregated.yaml",
    out: [
      "3 Services keep what they have.",
      "",
      "POOL  CHANGE   ADDRESSES   THEN",
      "far   changed  256 by bgp  256 by bgp, other advertisements",
      "",
      "PREFIX          PEER          CHANGE     NODES  BEFORE  AFTER",
      "203.0.113.0/24  10.0.0.1:179  announced  n1,n2  -       -",
      "203.0.113.7/32  10.0.0.1:179  withdrawn  n1,n2  -       -",
      "",
      ...ofCentral,
    ],
  },
  {
    args: "diff gateway.yaml",
    out: [
      "3 Services keep what they have.",
      "",
      "PEER          SESSION  NODES                  BECAUSE OF",
      "10.0.0.1:179  ends     central/n1,central/n2",
      "",
      "PREFIX          PEER          CHANGE     NODES  BEFORE  AFTER",
      "203.0.113.7/32  10.0.0.1:179  withdrawn  n1,n2  -       -",
      "",
      "ADDRESS      ANNOUNCED BY  THEN BY  SERVICES",
      "203.0.113.7  n1,n2         -        default/far",
      "",
      ofCentral[0] ?? "",
      "Note: nobody has a session with gateway:179: these are routers of each node's own.",
    ],
  },
  {
    args: "simulate lose n1",
    status: Exit.losses,
    out: [
      "NOT ANNOUNCED  ADDRESS    WHY",
      "default/cart   192.0.2.2  noReadyEndpoint",
      "",
      "ADDRESS      POOL  ANNOUNCED BY  THEN BY  SERVICES",
      "203.0.113.7  far   n1,n2         n2       default/far",
      "",
      "1 address stays where it is.",
      "",
      "NODE  ADDRESSES BY LAYER 2  THEN",
      "n1    1                     0",
      "n2    1                     1",
      "",
      "PREFIX          PEER          BY NODES  THEN",
      "203.0.113.7/32  10.0.0.1:179  2         1",
      "",
      "Note: central/n2 announces by BGP for all nodes, which are the next hops.",
      ofCentral[1] ?? "",
    ],
  },
];
for (const { args, out: lines, status: want = Exit.ok } of withCentral)
  test(`ingotctl ${args}, with central speakers`, async () => {
    const { status, out } = await ingotctl(args, outside(smallCluster(() => true, ["n1", "n2"])));
    assert.equal(out, lines.map((line) => `${line}\n`).join(""));
    assert.equal(status, want);
  });

test("simulate drain: a node that is drained while it is cordoned gives its addresses and routes away", async () => {
  const { api, processes } = smallCluster();
  const nodes = api.stored["/api/v1/nodes"] as { metadata: { name: string; labels: Record<string, string> } }[];
  for (const [value, moved, left] of [
    ["when-cordoned", ["203.0.113.7 n1", "192.0.2.1 n1"], [1]],
    ["false", [], []],
  ] as const) {
    for (const { metadata } of nodes) if (metadata.name === "n2") metadata.labels["ingot.dev/drain"] = value;
    const found = JSON.parse((await ingotctl("simulate drain n2 -o json", outside({ api, processes }))).out);
    assert.deepEqual(
      found.moved.map(({ address, after }: { address: string; after: string[] }) => `${address} ${after}`),
      moved,
    );
    assert.deepEqual([found.lost, found.prefixes.map(({ after }: { after: number }) => after)], [[], left]);
  }
});

test("simulate: a node that cannot deliver counts as well, and a note says so", async () => {
  const { api, processes } = smallCluster();
  const get: Processes["get"] = async (target, path) => {
    const answer = await processes.get(target, path);
    return path === "/v1/node" && target.node === "n2"
      ? { ...(answer as object), verdicts: [{ ...verdict("node", "cannotDeliver"), since: now.toISOString() }] }
      : answer;
  };
  const { out } = await ingotctl("simulate lose n1", outside({ api, processes: { ...processes, get } }));
  assert.match(out, /\nNote: n2 counts as well, and has the verdict cannotDeliver: see ingotctl explain\.\n$/);
});

const page = readFileSync(new URL("../../docs/ingotctl.md", import.meta.url), "utf8");
const shown = [...page.matchAll(/^\$ ingotctl ((?:diff|simulate) .*)\n([\s\S]*?)^```$/gm)];
test("docs/ingotctl.md shows what is printed", async () => {
  assert.ok(shown.length >= 3);
  for (const [, args = "", text] of shown) assert.equal((await ingotctl(args, outside())).out, text);
});

test("docs/ingotctl.md shows what doctor and check say of a Pod that does not run", async () => {
  const { api, processes } = smallCluster();
  const why = "the Pod is Pending: ImagePullBackOff";
  const targets = processes.targets.map((target) => (target.node === "n2" ? { ...target, notRunning: why } : target));
  const { status, out } = await ingotctl("doctor", { now, api, processes: { ...processes, targets } });
  assert.equal(status, Exit.invalid);
  assert.ok(page.includes(`$ ingotctl doctor\n${out}\`\`\`\n`), out);
  const checked = await ingotctl("check", { now, api, processes: { ...processes, targets } });
  assert.ok(page.includes(`$ ingotctl check\n${checked.out.split("\n").slice(0, 6).join("\n")}\n\`\`\`\n`), checked.out);
});

test("diff: Services that the ConfigMap allows to be moved are named", async () => {
  const { api, processes } = smallCluster();
  Object.assign((api.stored[configMapPath] as { metadata: object }).metadata, {
    annotations: { "ingot.dev/allow-renumber": "true" },
  });
  const { status, out } = await ingotctl("diff smaller.yaml", outside({ api, processes }));
  assert.equal(status, Exit.losses);
  const [first] = out.split("\n\n");
  assert.match(
    first ?? "",
    /^No pool would be left .* annotation ingot\.dev\/allow-renumber allows that: these Services would move\.$/,
  );
  assert.match(out, /\ndefault\/web {2}192\.0\.2\.1\n\nSERVICE +CHANGE/);
});

test("diff: what is not valid is shown with its line, and the cluster is not asked", async () => {
  const { status, out, err } = await ingotctl("diff tab.yaml", { files });
  assert.deepEqual([status, out], [Exit.usage, ""]); // There is no cluster to begin with.
  assert.match(err, /cannot ask the cluster/);
  const asked = await ingotctl("diff tab.yaml", outside());
  assert.equal(asked.status, Exit.invalid);
  assert.match(asked.err, /^tab\.yaml:2:1: error: .*tab/);
});

test("diff -o json says whether it would be accepted, and everything else", async () => {
  const { out } = await ingotctl("diff smaller.yaml -o json", outside());
  const { accepted, stranded, kept } = JSON.parse(out);
  assert.deepEqual(
    { accepted, stranded, kept },
    {
      accepted: false,
      stranded: [{ service: "default/web", addresses: ["192.0.2.1"] }],
      kept: 2,
    },
  );
});

test("what may not be read is named", async () => {
  const { api, processes } = smallCluster();
  api.stored["/api/v1/services"] = new Error('403 services is forbidden: User "x" cannot list resource "services"');
  const { status, err } = await ingotctl("diff same.yaml", { files, api, processes });
  assert.equal(status, Exit.usage);
  assert.match(err, /^ingotctl: cannot read services: 403 services is forbidden/);
});

const dataOf = (given: ReturnType<typeof smallCluster>) => given.api.stored[configMapPath] as { data: Record<string, string> };

test("apply: shows what it does, asks, keeps the former configuration, and waits until all have the new one", async () => {
  const cluster = smallCluster();
  const { status, out, err, written } = await ingotctl("apply bigger.yaml", outside({ ...cluster, answers: ["y", ""] }));
  assert.equal(status, Exit.ok);
  assert.match(
    err,
    /default\/late +gains +- +192\.0\.2\.3\n[\s\S]*Apply this\? \[y\/N\] [\s\S]*In force in all 3 processes[\s\S]*Keep it\? \[Y\/n\] $/,
  );
  assert.deepEqual(written, { "/state/config-before-20260102T030405Z.yaml": configuration });
  assert.equal(out, "The way back: ingotctl apply /state/config-before-20260102T030405Z.yaml\n");
  assert.deepEqual(dataOf(cluster).data, { config: bigger, other: "kept" });
});

test("apply: a person who does not want it after all gets the former configuration back", async () => {
  const cluster = smallCluster();
  const { status, out } = await ingotctl("apply bigger.yaml", outside({ ...cluster, answers: ["yes", "n"] }));
  assert.deepEqual([status, out], [Exit.invalid, "The former configuration is back, everywhere.\n"]);
  assert.equal(dataOf(cluster).data.config, configuration);
});

test("apply: the way back leads to the cluster that was changed", async () => {
  const options = "--context prod --kubeconfig it's --system-namespace lb";
  const { api, processes } = smallCluster();
  const moved = (path: string) => path.replace("/namespaces/lb", "/namespaces/metallb-system");
  const there = {
    server: api.server,
    read: (path: string) => api.read(moved(path)),
    list: (path: string) => api.list(moved(path)),
    write: (method: "POST" | "PUT", path: string, object: object) => api.write(method, moved(path), object),
  };
  const { out } = await ingotctl(`apply bigger.yaml --yes ${options} --backup old.yaml`, outside({ api: there, processes }));
  assert.match(out, /The way back: ingotctl apply --kubeconfig 'it'\\''s' --context prod --system-namespace lb old\.yaml\n$/);
});

test("apply: the former configuration does not take the place of the file that is applied", async () => {
  const { status, err, written } = await ingotctl("apply bigger.yaml --yes --backup ./x/../bigger.yaml", outside());
  assert.deepEqual([status, written], [Exit.usage, {}]);
  assert.match(err, /--backup names the file to apply, bigger\.yaml, which would be overwritten: name another one/);
});

test("apply: what was kept of another cluster in the same second is not overwritten", async () => {
  const taken = { ...files, "/state/config-before-20260102T030405Z.yaml": "of another cluster" };
  const { out, written } = await ingotctl("apply bigger.yaml --yes", outside({ files: taken }));
  assert.deepEqual(written, { "/state/config-before-20260102T030405Z-2.yaml": configuration });
  assert.match(out, /The way back: ingotctl apply \/state\/config-before-20260102T030405Z-2\.yaml\n$/);
});

test("apply: what somebody else changes before the person decides is not overwritten", async () => {
  const cluster = smallCluster();
  const beforeAnswer = (question: string) => {
    if (question.startsWith("Keep it?")) Object.assign(dataOf(cluster).data, { config: "somebody else's" });
  };
  const { status, err } = await ingotctl("apply bigger.yaml", outside({ ...cluster, answers: ["yes", "n"], beforeAnswer }));
  assert.equal(dataOf(cluster).data.config, "somebody else's");
  assert.equal(status, Exit.usage);
  assert.match(err, /somebody changed the ConfigMap meanwhile, so it is left as it is; the former configuration is in \/state\//);
});

test("apply: the time to wait is over when it is, however slow one that does not answer is to fail", async () => {
  const { api, processes } = smallCluster(() => false);
  const started = new Date(now);
  let asked = 0;
  const slow: Processes = {
    ...processes,
    async get(target, path) {
      if (target.pod !== "speaker-n2" || path !== "/v1/configuration") return processes.get(target, path);
      asked++;
      started.setTime(started.getTime() + 10_000);
      throw new Error("no answer within 10 s");
    },
  };
  const { status } = await ingotctl("apply bigger.yaml --yes --timeout 60", outside({ api, processes: slow, now: started }));
  assert.deepEqual([status, asked], [Exit.losses, 6]);
});

const unwritten: { name: string; args: string; given?: Given; status: number; says: RegExp }[] = [
  {
    name: "without a yes",
    args: "apply bigger.yaml",
    given: { answers: [""] },
    status: Exit.invalid,
    says: /Nothing was changed/,
  },
  { name: "with nobody to ask", args: "apply bigger.yaml", status: Exit.usage, says: /there is nobody to ask: give --yes/ },
  { name: "that would be refused", args: "apply smaller.yaml --yes", status: Exit.invalid, says: /It would be refused/ },
  { name: "that is not valid", args: "apply tab.yaml --yes", status: Exit.invalid, says: /not valid/ },
  { name: "that is there already", args: "apply same.yaml --yes", status: Exit.ok, says: /has this configuration already/ },
];
for (const { name, args, given = {}, status: want, says } of unwritten)
  test(`apply: a configuration ${name} is not written`, async () => {
    const cluster = smallCluster();
    const { status, out, err } = await ingotctl(args, outside({ ...cluster, ...given }));
    assert.equal(status, want);
    assert.match(`${out}${err}`, says);
    assert.equal(dataOf(cluster).data.config, configuration);
  });

test("apply: one that is there already, and not in force, is said so", async () => {
  const cluster = smallCluster(() => false);
  dataOf(cluster).data.config = bigger;
  const { status, out } = await ingotctl("apply bigger.yaml --yes --timeout 1", outside(cluster));
  assert.equal(status, Exit.losses);
  assert.match(
    out,
    /^The cluster has this configuration already\.\nNot in force in 3 of 3 processes that answer:\n {2}controller/,
  );
});

test("apply: a former configuration that is written again, and not in force, is said so, also to programs", async () => {
  const [cluster, refusing] = [smallCluster(), smallCluster()];
  dataOf(refusing).data.config = bigger;
  let isGoingBack = false;
  const beforeAnswer = (question: string) => {
    isGoingBack = question.startsWith("Keep it?");
  };
  const get: Processes["get"] = (target, path) => (isGoingBack ? refusing : cluster).processes.get(target, path);
  const given = outside({ ...cluster, processes: { ...cluster.processes, get }, beforeAnswer });
  const back = async (args: string) => ingotctl(`apply bigger.yaml --timeout 1${args}`, { ...given, answers: ["y", "n"] });
  const { status, out } = await back("");
  assert.equal(status, Exit.invalid);
  assert.match(
    out,
    /^The former configuration is written again\.\nNot in force in 3 of 3 processes that answer:\n {2}controller/,
  );
  isGoingBack = false;
  assert.equal(JSON.parse((await back(" -o json")).out).inForce, false);
});

test("apply: a way back that fails leaves the person with the file", async () => {
  const cluster = smallCluster();
  const beforeAnswer = (question: string) => {
    if (question.startsWith("Keep it?")) cluster.api.stored[configMapPath] = new Error("no answer within 15 s");
  };
  const { status, err } = await ingotctl("apply bigger.yaml", outside({ ...cluster, answers: ["y", "n"], beforeAnswer }));
  assert.equal(status, Exit.usage);
  assert.match(err, /cannot read ConfigMap .*: no answer within 15 s; the former configuration is in \/state\/config-before-/);
});

test("apply: a write without an answer may be done all the same, and one that is done is said before the wait", async () => {
  for (const why of ["no answer within 15 s", "504 Timeout: request did not complete", "read ECONNRESET", "socket hang up"]) {
    const { api, processes } = smallCluster();
    const write = async () => ({ type: "unread" as const, why });
    const { status, err } = await ingotctl("apply bigger.yaml --yes", outside({ processes, api: { ...api, write } }));
    assert.equal(status, Exit.usage);
    assert.ok(err.endsWith(`cannot write the ConfigMap: ${why}; it may be done all the same: look first\n`), err);
  }
  assert.match((await ingotctl("apply bigger.yaml --yes", outside())).err, /\nThe new configuration is written\.\n$/);
});

test("apply: one that is not in force in time is said so, with the way back", async () => {
  const cluster = smallCluster(() => false);
  const { status, out } = await ingotctl("apply bigger.yaml --yes --backup old.yaml --timeout 1", outside(cluster));
  assert.equal(status, Exit.losses);
  assert.match(out, /^Not in force in 3 of 3 processes that answer:\n {2}controller/);
  assert.match(out, /The way back: ingotctl apply old\.yaml\n$/);
});

test("apply: it is not said to be in force where no process gives an answer that counts", async () => {
  const { api, processes } = smallCluster();
  let asked = 0;
  const silent: Processes = {
    ...processes,
    async get(target, path) {
      if (path !== "/v1/configuration" || dataOf({ api, processes }).data.config === configuration)
        return processes.get(target, path);
      if (target.program === "controller" && ++asked < 4) return {};
      throw new Error("no answer");
    },
  };
  const { status, out } = await ingotctl("apply bigger.yaml --yes --timeout 2", outside({ api, processes: silent }));
  assert.equal(status, Exit.losses, out);
  assert.match(out, /^No process says which configuration it has in force\.\nThe way back: /);
  assert.ok(asked > 3, "it goes on asking");
});

for (const { name, seen, cause, status: want } of [
  { name: "have seen it, and use it", seen: "7", cause: "inForce", status: Exit.ok },
  { name: "have not seen it", seen: "6", cause: "inForce", status: Exit.losses },
  { name: "refuse it", seen: "7", cause: "invalid", status: Exit.losses },
] as const)
  test(`apply: processes of another version, which have another hash of the same, ${name}`, async () => {
    const { api, processes } = smallCluster();
    const others: Processes = {
      ...processes,
      async get(target, path) {
        const body = (await processes.get(target, path)) as object;
        if (path !== "/v1/configuration") return body;
        return {
          ...body,
          version: "0.0.9",
          hash: "aa",
          seen,
          verdict: { ...verdict("configuration", cause), since: now.toISOString() },
        };
      },
    };
    const { status, out } = await ingotctl("apply bigger.yaml --yes --timeout 1", outside({ api, processes: others }));
    assert.equal(status, want, out);
  });

test("apply: while no controller leads, none has the configuration in force", async () => {
  const { api, processes } = smallCluster();
  const leaderless: Processes = {
    ...processes,
    async get(target, path) {
      const body = (await processes.get(target, path)) as object;
      return target.program === "controller" && path === "/v1/configuration" ? { ...body, leader: false, hash: null } : body;
    },
  };
  const given = outside({ api, processes: leaderless });
  const { status, out } = await ingotctl("apply bigger.yaml --yes --timeout 1", given);
  assert.equal(status, Exit.losses);
  assert.match(
    out,
    /^Not in force in 1 of 3 processes that answer:\n {2}controller on \S*: it stands by, and no controller leads\n/,
  );
});

test("apply: where there is no ConfigMap it is created, and there is no way back", async () => {
  const { api, processes } = smallCluster();
  delete api.stored[configMapPath];
  const answering: Processes = {
    ...processes,
    async get(target, path) {
      if (path !== "/v1/configuration" || api.stored[configMapPath] !== undefined) return processes.get(target, path);
      return { version: "1.0.0", hash: null, verdict: {} };
    },
  };
  const { status, out, written } = await ingotctl("apply same.yaml --yes", outside({ api, processes: answering }));
  assert.deepEqual([status, out, written], [Exit.ok, "In force in all 3 processes that answer.\n", {}]);
  const { metadata, data } = api.stored[configMapPath] as { metadata: object; data: object };
  assert.deepEqual({ metadata, data }, { metadata: { name: "config" }, data: { config: configuration } });
});

test("apply: what somebody else changed meanwhile is not overwritten", async () => {
  const { api, processes } = smallCluster();
  const write = async () => ({ type: "unread" as const, why: "409 the object has been modified" });
  const { status, err } = await ingotctl("apply bigger.yaml --yes", outside({ processes, api: { ...api, write } }));
  assert.equal(status, Exit.usage);
  assert.match(err, /cannot write the ConfigMap: 409 the object has been modified; somebody changed it: try again/);
});

test("nothing that a Service is called or annotated with can steer the terminal", async () => {
  const evil = "\u001b]0;owned\u0007\u001b[2J\u202e\r\n\u009b31m";
  for (const args of [
    "diff bigger.yaml",
    "diff smaller.yaml",
    "simulate lose n1",
    "simulate drain n1",
    "apply bigger.yaml --yes",
  ])
    for (const format of ["", " -o json", " -o yaml"]) {
      const { api, processes } = smallCluster();
      const services = api.stored["/api/v1/services"] as { metadata: { name: string; annotations: Record<string, string> } }[];
      for (const [index, { metadata }] of services.entries()) {
        Object.assign(metadata, { name: `${metadata.name}${evil}` });
        if (index === 2) Object.assign(metadata.annotations, { "metallb.universe.tf/address-pool": `lan${evil}` });
      }
      const slices = api.stored["/apis/discovery.k8s.io/v1/endpointslices"] as { metadata: { labels: Record<string, string> } }[];
      for (const { metadata } of slices)
        metadata.labels["kubernetes.io/service-name"] = `${metadata.labels["kubernetes.io/service-name"]}${evil}`;
      const { out, err } = await ingotctl(`${args}${format}`, outside({ api, processes }));
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
      assert.doesNotMatch(out + err, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/, args);
      if (!args.includes("bigger")) assert.match(out, /owned/); // There nobody is worse off.
    }
});

const misused: { args: string; says: RegExp }[] = [
  { args: "diff", says: /diff takes one argument, not 0/ },
  { args: "simulate", says: /simulate takes one or more arguments, not 0/ },
  { args: "simulate explode n1", says: /simulate lose, drain or config, not "explode"/ },
  { args: "simulate lose", says: /simulate lose takes the names of nodes/ },
  { args: "simulate config a b", says: /simulate config takes one file/ },
  { args: "diff --yes same.yaml", says: /diff has no option --yes/ },
  { args: "apply same.yaml --yes --watch", says: /apply has no option --watch/ },
  { args: "support-bundle a.tgz --watch", says: /support-bundle has no option --watch/ },
  { args: "apply same.yaml --timeout soon", says: /the timeout is seconds such as 60, not "soon"/ },
];
for (const { args, says } of misused)
  test(`ingotctl ${args}: is a usage error`, async () => {
    const { status, out, err } = await ingotctl(args, outside());
    assert.deepEqual([status, out], [Exit.usage, ""]);
    assert.match(err, says);
  });

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "js-yaml";
import { type CauseOf, type VerdictDetails, verdict } from "#pkg/verdict";
import type { Processes } from "../cluster/processes.ts";
import { Exit, UsageError } from "../command.ts";
import { commands } from "../commands.ts";
import { run } from "../run.ts";
import { fakeApi } from "../testing/api.ts";
import { ingotctl as ctl, fakeIo, type Given } from "../testing/ingotctl.ts";
import { type Answers, fakeProcesses } from "../testing/processes.ts";

import { isPeer } from "./peers.ts";

const now = new Date("2026-01-02T03:04:05Z");
const since = "2026-01-02T03:01:00.000Z";

const dated = (cause: CauseOf<"service">, details: VerdictDetails = {}) => ({ ...verdict("service", cause, details), since });
const announces = (node: string, address: string) =>
  dated("announced", { message: `${node} announces ${address} of pool lan by layer 2` });
const placed = (address: string, owner: string, by: string) => ({
  address,
  pool: "lan",
  protocol: "layer2",
  owner,
  candidates: ["n1", "n2"],
  announced: owner === by,
  verdict: owner === by ? announces(by, address) : dated("notOwner", { message: `${owner} announces ${address}` }),
});
const service = (key: string, ...addresses: { verdict: object }[]) => ({
  service: key,
  addresses,
  verdict: addresses[0]?.verdict,
});
const self = (program: string, more: object) => ({ program, version: "1.0.0", ...more });
const inForce = { ...verdict("configuration", "inForce"), since };

const refused = dated("poolFull", {
  message: 'pool "lan" has no free IPv4 address (all 1 are in use)',
  evidence: [{ name: "pool", value: "lan", source: "allocator" }],
});
const controller: Answers = {
  "/v1/services": self("controller", {
    leader: true,
    services: [
      { service: "default/web", pool: "lan", addresses: ["192.0.2.1"], verdict: dated("assigned") },
      { service: "default/full", pool: null, addresses: [], verdict: refused },
      { service: "shop/cart", pool: "lan", addresses: ["192.0.2.2"], verdict: dated("assigned") },
      { service: "shop/far", pool: "far", addresses: ["203.0.113.1"], verdict: dated("assigned") },
    ],
  }),
  "/v1/pools": self("controller", {
    leader: true,
    pools: [
      {
        pool: "lan",
        protocol: "layer2",
        total: 2,
        inUse: 2,
        families: [
          { family: "IPv4", total: 2, inUse: 2 },
          { family: "IPv6", total: 2 ** 64, inUse: 0 },
        ],
        full: ["IPv4"],
        verdict: { ...verdict("pool", "full", { message: "pool lan is full" }), since },
      },
    ],
  }),
  "/v1/configuration": self("controller", { leader: true, hash: "0123456789abcdef", verdict: inForce }),
  "/v1/verdicts": self("controller", { verdicts: [] }),
};

const noEndpoint = dated("noReadyEndpoint", {
  message: "no endpoint is ready (the Service has none), so that 192.0.2.2 is announced by no node",
});
const byBgp = (by: string) => ({
  address: "203.0.113.1",
  pool: "far",
  protocol: "bgp",
  owner: null,
  candidates: [],
  announced: by === "n2",
  verdict: by === "n2" ? announces("n2", "203.0.113.1") : dated("noReadyEndpointOnNode", { message: "n1 has no ready endpoint" }),
});
function speaker(node: string): Answers {
  const stuck = { ...placed("192.0.2.2", "n1", node), owner: null, announced: false, verdict: noEndpoint };
  const empty = { service: "default/full", addresses: [], verdict: dated("noIPAllocated") };
  const all = [
    service("default/web", placed("192.0.2.1", "n2", node)),
    service("shop/cart", stuck),
    empty,
    service("shop/far", byBgp(node)),
  ];
  const rpFilter = { ...verdict("node", "rpFilter", { message: "rp_filter is strict on eth0" }), since };
  const ready = { ...verdict("node", "ready", { message: `the speaker on ${node} does its work` }), since };
  const verdicts = node === "n1" ? [rpFilter] : [ready];
  const peer = {
    kind: "peer",
    name: "10.0.0.1:179",
    ...verdict("peer", "connectTimeout", { message: "no answer within 5 s" }),
    since,
  };
  return {
    "/v1/services": self("speaker", { node, services: all }),
    "/v1/services?problems": self("speaker", {
      node,
      services: all.filter((one) => (one.verdict as { state: string }).state !== "Announced"),
    }),
    "/v1/pools": self("speaker", {
      node,
      pools: [
        {
          pool: "lan",
          protocol: "layer2",
          verdict: { ...verdict("pool", "available", { message: "2 nodes may announce it" }), since },
        },
      ],
    }),
    "/v1/configuration": self("speaker", { node, hash: "0123456789abcdef", verdict: inForce }),
    "/v1/node": self("speaker", { node, verdicts }),
    "/v1/verdicts": self("speaker", { node, verdicts: [...verdicts.map((one) => ({ kind: "node", name: node, ...one })), peer] }),
    "/v1/members": {
      source: "memberlist",
      timing: "fast",
      members: ["n1", "n2"].map((name) => ({
        node: name,
        addresses: [],
        status: "alive",
        active: node === name || node === "n1",
      })),
    },
  };
}
const cluster = { "controller-n1": controller, "speaker-n1": speaker("n1"), "speaker-n2": speaker("n2") };

function ingotctl(args: string, given: Given = {}) {
  return ctl(args, Object.assign({ processes: fakeProcesses(cluster), now }, given));
}

const golden: { args: string; out: string[]; err?: string; status?: number }[] = [
  {
    args: "services -A",
    out: [
      "NAMESPACE  NAME  STATE      ADDRESSES    POOL  NODES  SINCE  CAUSE",
      "default    full  Pending    -            -     -      3m     poolFull",
      "default    web   Announced  192.0.2.1    lan   n2     3m     announced",
      "shop       cart  Pending    192.0.2.2    lan   -      3m     noReadyEndpoint",
      "shop       far   Announced  203.0.113.1  far   n2     3m     announced",
    ],
  },
  {
    args: "services --problems",
    out: [
      "NAMESPACE  NAME  STATE    ADDRESSES  POOL  NODES  SINCE  CAUSE",
      "default    full  Pending  -          -     -      3m     poolFull",
    ],
  },
  { args: "services web --problems", out: ["nothing has what is asked for"] },
  { args: "services -n none", out: ["there is no Service of type LoadBalancer in namespace none"] },
  {
    args: "explain svc/full",
    out: [
      "Service default/full: Pending (poolFull) for 3m",
      '  pool "lan" has no free IPv4 address (all 1 are in use)',
      "  To do: add addresses to it or delete a Service that holds one",
      "  - pool: lan (allocator)",
    ],
  },
  {
    args: "explain 192.0.2.1",
    out: [
      "Address 192.0.2.1 of Service default/web: Announced (announced) for 3m",
      "  n2 announces 192.0.2.1 of pool lan by layer 2",
    ],
  },
  {
    args: "explain node/n1",
    out: [
      "Node n1: Degraded (rpFilter) for 3m",
      "  rp_filter is strict on eth0",
      "  To do: sysctl -w net.ipv4.conf.INTERFACE.rp_filter=2",
    ],
  },
  {
    args: "explain pool/lan",
    out: [
      "Pool lan: Degraded (full) for 3m",
      "  pool lan is full",
      "  To do: add addresses to the pool, or delete Services that hold one",
    ],
  },
  { args: "explain svc/shop/none", out: ["there is no Service shop/none of type LoadBalancer"], status: Exit.invalid },
  { args: "owner 192.0.2.1", out: ["n2"] },
  {
    args: "owner 192.0.2.2",
    out: [],
    err: 'ingotctl: no node announces 192.0.2.2 of Service shop/cart: Pending, noReadyEndpoint; see "ingotctl explain 192.0.2.2"\n',
    status: Exit.invalid,
  },
  {
    args: "owner 192.0.2.9",
    out: [],
    err: "ingotctl: no node announces 192.0.2.9: no Service has this address\n",
    status: Exit.invalid,
  },
  {
    args: "pools",
    out: ["POOL  PROTOCOL  IPV4  IPV6    STATE     SINCE  CAUSE", "lan   layer2    2/2   0/2^64  Degraded  3m     full"],
  },
  {
    args: "nodes",
    out: [
      "NODE  STATE     SINCE  CAUSE     MESSAGE",
      "n1    Degraded  3m     rpFilter  rp_filter is strict on eth0",
      "n2    Ready     3m     ready     the speaker on n2 does its work",
    ],
  },
  {
    args: "peers",
    out: [
      "PEER          NODE  STATE    SINCE  CAUSE           MESSAGE",
      "10.0.0.1:179  n1    Pending  3m     connectTimeout  no answer within 5 s",
      "10.0.0.1:179  n2    Pending  3m     connectTimeout  no answer within 5 s",
    ],
  },
  {
    args: "members",
    out: [
      "NODE  SOURCE      TIMING  SEES  DOES NOT SEE",
      "n1    memberlist  fast    2     none",
      "n2    memberlist  fast    1     n1",
    ],
  },
  {
    args: "status",
    out: [
      "PROGRAM     NODE  POD            VERSION  CONFIGURATION     SINCE  STATE",
      "controller  n1    controller-n1  1.0.0    0123456789abcdef  3m     Ready, leads",
      "speaker     n1    speaker-n1     1.0.0    0123456789abcdef  3m     Ready",
      "speaker     n2    speaker-n2     1.0.0    0123456789abcdef  3m     Ready",
      "",
      "Services: 2 Pending, 2 Announced",
      "",
      "PROBLEM                      STATE     CAUSE            MESSAGE",
      "peer 10.0.0.1:179 by n1, n2  Pending   connectTimeout   no answer within 5 s",
      'svc default/full             Pending   poolFull         pool "lan" has no free IPv4 address (all 1 are in use)',
      "svc shop/cart                Pending   noReadyEndpoint  no endpoint is ready (the Service has none), so that 192.0.2.2 is announced by no node",
      "node n1                      Degraded  rpFilter         rp_filter is strict on eth0",
    ],
  },
];
for (const { args, out: lines, err: note = "", status: want = Exit.ok } of golden)
  test(`ingotctl ${args}`, async () => {
    const { status, out, err } = await ingotctl(args);
    assert.equal(out, lines.map((line) => `${line}\n`).join(""));
    assert.deepEqual([status, err], [want, note]);
  });

const grammar: { args: string; same: string }[] = [
  { args: "explain svc web", same: "explain svc/default/web" },
  { args: "explain service cart -n shop", same: "explain svc/shop/cart" },
  { args: "explain services shop/cart", same: "explain svc/shop/cart" },
  { args: "explain node n1", same: "explain node/n1" },
  { args: "explain pool lan", same: "explain pool/lan" },
  { args: "explain peer 10.0.0.1", same: "explain peer/10.0.0.1" },
  { args: "history svc web", same: "history svc/default/web" },
];
for (const { args, same } of grammar)
  test(`ingotctl ${args}: is ingotctl ${same}, as kubectl's grammar has it`, async () => {
    const [one, other] = [await ingotctl(args), await ingotctl(same)];
    assert.deepEqual([one.status, one.out], [other.status, other.out]);
  });

const chosen: { args: string; names: string[]; status?: number }[] = [
  { args: "services web", names: ["web"] },
  { args: "services shop/cart web -A", names: ["web", "cart"] },
  { args: "services shop/cart", names: ["cart"] },
  { args: "services -n=shop", names: ["cart", "far"] },
  { args: "services web --context= --kubeconfig= --namespace=", names: ["web"] },
  { args: "services nosuch", names: [], status: Exit.invalid },
  { args: "services web nosuch", names: ["web"], status: Exit.invalid },
  { args: "services -A --state=pending", names: ["full", "cart"] },
  { args: "services -A --state=Pending,Announced --pool=far", names: ["far"] },
  { args: "services -A --node=n2", names: ["web", "far"] },
  { args: "services -A --cause=noReadyEndpoint", names: ["cart"] },
  { args: "services -A --cause=noReadyEndpoint --state=Announced", names: [] },
  { args: "services -A --sort-by=name", names: ["cart", "far", "full", "web"] },
  { args: "services -A --sort-by=CAUSE", names: ["web", "far", "cart", "full"] },
  { args: "pools lan", names: ["lan"] },
  { args: "pools --cause=available", names: [] },
  { args: "nodes n2", names: ["n2"] },
  { args: "nodes --state=Degraded", names: ["n1"] },
  { args: "peers 10.0.0.1 --node=n2", names: ["10.0.0.1:179"] },
  { args: "peers --state=Ready", names: [] },
];
for (const { args, names, status: want = Exit.ok } of chosen)
  test(`ingotctl ${args}: lists ${names.join(", ") || "nothing"}, for people and for programs`, async () => {
    const { status, out } = await ingotctl(args);
    const column = args.startsWith("services") ? 1 : 0;
    const listed =
      names.length === 0
        ? []
        : out
            .trimEnd()
            .split("\n")
            .slice(1)
            .map((line) => line.split(/ +/)[column]);
    assert.deepEqual([status, listed], [want, names], out);
    const [kind = ""] = args.split(" ");
    const found: { service?: string; pool?: string; node?: string; peer?: string }[] = JSON.parse(
      (await ingotctl(`${args} -o json`)).out,
    )[kind];
    assert.deepEqual(
      found.map(({ service, pool, node, peer }) => service?.split("/")[1] ?? pool ?? peer ?? node),
      names,
    );
  });

test("version lists the versions of all processes", async () => {
  const { status, out } = await ingotctl("version");
  assert.equal(status, Exit.ok);
  assert.match(
    out,
    /^PROGRAM +VERSION +PROCESSES\ningotctl +\S+ +this one\ncontroller +1\.0\.0 +1 process: controller-n1\nspeaker +1\.0\.0 +2 processes: speaker-n1, speaker-n2\n$/,
  );
});

test("status asks for less than all verdicts, and shows the whole of each problem", async () => {
  const paths: string[] = [];
  const all = fakeProcesses(cluster);
  const get: Processes["get"] = async (target, path) => {
    paths.push(path);
    return all.get(target, path);
  };
  const { out } = await ingotctl("status", { processes: { ...all, get } });
  assert.ok(!paths.includes("/v1/services"), paths.join());
  assert.match(out, /svc default\/full +Pending +poolFull +pool "lan" has no free IPv4 address/);
});

test("status lists some of many Services with one cause, so that they hide no other problem", async () => {
  const waiting = Array.from({ length: 3_000 }, (_, index) => ({
    service: `default/full${index}`,
    pool: null,
    addresses: [],
    verdict: { ...verdict("service", "poolFull"), since },
  }));
  const crowded = { ...controller, "/v1/services": self("controller", { leader: true, services: waiting }) };
  const processes = fakeProcesses({ "controller-n1": crowded, "speaker-n1": speaker("n1"), "speaker-n2": speaker("n2") });
  const { out } = await ingotctl("status", { processes });
  assert.match(out, /svc default\/full0 +Pending +poolFull/);
  assert.match(out, /svc, 2995 more +Pending +poolFull +ingotctl services -A --state=Pending --cause=poolFull/);
  assert.match(out, /node n1 +Degraded +rpFilter/);
  assert.equal(JSON.parse((await ingotctl("status -o json", { processes })).out).problems.length, 3_004);
});

for (const columns of [20, 40, 60, 80])
  test(`on a terminal of ${columns} columns no address and no state is cut`, async () => {
    for (const args of ["services -A", "pools", "nodes", "peers", "status", "members"]) {
      const { out } = await ingotctl(args, { columns });
      const wide = await ingotctl(args);
      const kept = (text: string) =>
        text.match(/\b(?:Announced|Pending|Degraded|Ready|NotOurs)\b|192\.0\.2\.\d+(?= |$)|203\.0\.113\.1/gm) ?? [];
      const states = (text: string) => kept(text).filter((word) => !args.startsWith("status") || /^[A-Z]/.test(word));
      assert.deepEqual(
        states(out).sort(),
        states(wide.out.replaceAll(/(no endpoint|pool "lan" has).*/g, "")).sort(),
        `${args}\n${out}`,
      );
      if (columns >= 40) for (const line of out.split("\n")) assert.ok(line.length <= columns, `${args}: ${line}`);
    }
  });

test("where no speaker runs no pool is Ready, but one that nobody is to announce", async () => {
  const answer = cluster["controller-n1"]["/v1/pools"] as unknown as { readonly pools: readonly { readonly verdict: object }[] };
  const [first] = answer.pools;
  const available = { ...first, verdict: { ...first?.verdict, state: "Ready", cause: "available" } };
  const pools = [available, { ...available, pool: "off", protocol: "none" }];
  const processes = fakeProcesses({ "controller-n1": { ...cluster["controller-n1"], "/v1/pools": { ...answer, pools } } });
  const { out } = await ingotctl("pools", { processes });
  assert.match(out, /^lan .* Pending .* noActiveSpeaker$/m);
  assert.match(out, /^off .* Ready .* available$/m);
});

test("the speaker on this machine is asked alone where the API is out of reach, by each command that has --node-local", async () => {
  const subjects: Readonly<Record<string, string>> = {
    explain: "svc/web",
    probe: "192.0.2.1",
    owner: "192.0.2.1",
    history: "192.0.2.1",
  };
  const local = [...commands.values()].filter(({ options }) => Object.hasOwn(options, "node-local")).map(({ name }) => name);
  assert.deepEqual(local.filter((name) => Object.hasOwn(subjects, name)).toSorted(), Object.keys(subjects).toSorted());
  assert.ok(!local.includes("drain"), "it labels a Node");
  for (const name of local) {
    const asked: unknown[] = [];
    const processes = fakeProcesses({ "speaker-n1": cluster["speaker-n1"] });
    const io = fakeIo({ processes, now });
    const unreachable = () => Promise.reject(new UsageError("there is no kubeconfig"));
    const connect: typeof io.cluster.connect = async (options) => {
      asked.push(options.isNodeLocal);
      return { ...processes, isNodeLocal: true };
    };
    const args = [name, subjects[name] ?? "", "--node-local"].filter(Boolean);
    const status = await run(args, { ...io, cluster: { connect, context: unreachable, api: unreachable } });
    assert.notEqual(status, Exit.usage, `${name}: ${io.printed.err}`);
    assert.doesNotMatch(io.printed.out, /no Pod of a controller|get a controller|No controller runs/, name);
    assert.deepEqual(asked, [true], name);
  }
});

test("an address that nobody who answers announces may be announced by who does not", async () => {
  const away = { ...cluster, "speaker-n2": { "/v1/services?brief&problems": new Error("the connection was closed") } };
  const { status, err } = await ingotctl("owner 192.0.2.2", { processes: fakeProcesses(away) });
  assert.match(err, /^ingotctl: no node that answers announces 192\.0\.2\.2 of Service shop\/cart/);
  assert.equal(status, Exit.invalid);
  const gone = await ingotctl("nodes n2", { processes: fakeProcesses({ ...cluster, "speaker-n2": {} }) });
  assert.match(gone.err, /^ingotctl: there is no n2 among the nodes, as far as there are answers\n/);
});

test("that the speaker on this machine leaves an address to other nodes does not say that none announces it", async () => {
  const processes = { ...fakeProcesses({ "speaker-n1": cluster["speaker-n1"] }), isNodeLocal: true };
  const { out } = await ingotctl("explain svc/shop/far --node-local", { processes });
  assert.match(out, /^Service shop\/far: Pending \(noReadyEndpointOnNode\) for 3m\n {2}n1 has no ready endpoint\n/);
  const { err } = await ingotctl("owner 203.0.113.1 --node-local", { processes });
  assert.match(err, /^ingotctl: no node that answers announces 203\.0\.113\.1 of Service shop\/far/);
});

test("owner names the nodes that still have connections to the address", async () => {
  const served = [{ address: "192.0.2.1", connections: 12, until: "2026-01-02T03:14:00.000Z" }];
  const keeps = { ...cluster, "speaker-n1": { ...cluster["speaker-n1"], "/v1/handovers": { current: [], served } } };
  const { out, err } = await ingotctl("owner 192.0.2.1", { processes: fakeProcesses(keeps) });
  assert.equal(out, "n2\n");
  assert.match(err, /open connections to 192\.0\.2\.1 go on at n1 \(12, until 2026-01-02T03:14:00\.000Z at most\)/);
});

test("a speaker that is cut off and sees no owner does not hide who announces an address", async () => {
  const noInterface = dated("noInterface", { message: "192.0.2.1 is announced by no node" });
  const lost = { ...placed("192.0.2.1", "n2", "n1"), owner: null, announced: false, verdict: noInterface };
  const cutOff = self("speaker", { node: "n1", services: [service("default/web", lost)] });
  const processes = fakeProcesses({
    ...cluster,
    "speaker-n1": { ...cluster["speaker-n1"], "/v1/services": cutOff },
  });
  const { out } = await ingotctl("owner 192.0.2.1", { processes });
  assert.equal(out, "n2\n");
  assert.match((await ingotctl("services", { processes })).out, /\ndefault +web +Announced +192\.0\.2\.1 +lan +n2 /);
});

test("a speaker that is starting, and knows of no Service yet, does not hide who announces an address", async () => {
  const starting = self("speaker", { node: "n1", missing: ["Services"], services: [] });
  const well = self("speaker", { node: "n2", missing: [], services: [] });
  const processes = fakeProcesses({
    ...cluster,
    "speaker-n1": { "/v1/services": starting },
    "speaker-n2": { ...cluster["speaker-n2"], "/v1/services?problems&own": well, "/v1/services?brief&problems&own": well },
  });
  assert.equal((await ingotctl("owner 192.0.2.1", { processes })).out, "n2\n");
  assert.match((await ingotctl("services", { processes })).out, /\ndefault +web +Announced +192\.0\.2\.1 +lan +n2 /);
});

const unused: { address: string; says: string; is: string; more?: object }[] = [
  { address: "192.0.2.7", is: "free", says: "it is in pool lan, and free" },
  {
    address: "192.0.2.7",
    more: { netbox: true },
    is: "unknown",
    says: "it is in pool lan, and free if NetBox has no record of it",
  },
  {
    address: "192.0.2.8",
    more: { closed: true },
    is: "closed",
    says: "it is in pool lan, which is closed, so that no Service gets it",
  },
  { address: "192.0.2.8", is: "reserved", says: "it is in pool lan, and reserved for Service shop/kept" },
  {
    address: "192.0.2.9",
    is: "occupied",
    says: "it is in pool lan, and the host with MAC address 02:00:00:00:00:09, seen from n2, has it",
  },
  {
    address: "192.0.2.10",
    is: "occupied",
    says: "it is in pool lan, and another host has it, as an entry of ingot-conflicts says",
  },
  { address: "192.0.2.255", is: "avoided", says: "it is in pool lan, whose avoid-buggy-ips keeps it from all Services" },
  { address: "198.51.100.225", is: "slot", says: "it is a next-hop slot of pool lan, and n2 has it" },
  { address: "198.51.100.1", is: "foreign", says: "it is in no pool, so that no Service gets it" },
];
for (const { address, more, is, says } of unused)
  test(`explain ${address}: an address that no Service has is ${is}`, async () => {
    const facts = {
      ranges: ["192.0.2.0-192.0.2.255"],
      reserved: [{ ranges: ["192.0.2.8-192.0.2.8"], service: "shop/kept" }],
      avoidBuggyIPs: true,
      ...more,
    };
    const [lan] = (controller["/v1/pools"] as { pools: object[] }).pools;
    const occupied = [
      { address: "192.0.2.9", mac: "02:00:00:00:00:09", node: "n2", since },
      { address: "192.0.2.10", mac: "", node: "", since: "" },
    ];
    const processes = fakeProcesses({
      ...cluster,
      "controller-n1": { ...controller, "/v1/pools": self("controller", { leader: true, pools: [{ ...lan, ...facts }] }) },
      "speaker-n2": {
        ...cluster["speaker-n2"],
        "/v1/conflicts": { occupied },
        "/v1/pools": self("speaker", { pools: [{ ...lan, slots: [{ address: "198.51.100.225", node: "n2" }] }] }),
      },
    });
    if (is === "slot") assert.equal((await ingotctl(`owner ${address}`, { processes })).out, "n2\n");
    const { status, out } = await ingotctl(`explain ${address}`, { processes });
    assert.deepEqual([status, out], [Exit.invalid, `no Service has the address ${address}: ${says}\n`]);
    const { address: known } = JSON.parse((await ingotctl(`explain ${address} -o json`, { processes })).out);
    assert.deepEqual(known, { is, pool: is === "foreign" ? null : "lan" });
  });

test("what one speaker alone says of a pool is said to be its view, and what all say is not", async () => {
  const problem = (node: string, name: string) => ({ kind: "pool", name, ...verdict("pool", "noInterface"), since, node });
  const verdicts = (node: string, ...names: string[]) => ({
    ...cluster[`speaker-${node}` as keyof typeof cluster],
    "/v1/verdicts": self("speaker", { node, verdicts: names.map((name) => problem(node, name)) }),
  });
  const explained = async (ofN2: readonly string[]) => {
    const processes = fakeProcesses({ ...cluster, "speaker-n1": verdicts("n1", "lan"), "speaker-n2": verdicts("n2", ...ofN2) });
    return (await ingotctl("explain svc/web", { processes })).out;
  };
  assert.match(await explained([]), /^Pool lan, as seen from n1: Pending \(noInterface\)/m);
  assert.match(await explained(["lan"]), /^Pool lan: Pending \(noInterface\)/m);
});

test("who does not answer is named, and the rest is shown", async () => {
  const away = { ...cluster, "speaker-n2": { "/v1/services": new Error("the connection was closed") }, "speaker-n3": {} };
  const processes = fakeProcesses(away, { "speaker-n3": "the Pod is Pending: ImagePullBackOff" });
  const { status, out, err } = await ingotctl("services", { processes });
  assert.equal(status, Exit.losses);
  assert.match(out, /\ndefault +web +Announced +192\.0\.2\.1 +lan +n2 /);
  const lines = [
    "speaker-n2 on n2 is not among these: it has no /v1/services",
    "speaker-n3 on n3 is not among these: the Pod is Pending: ImagePullBackOff",
  ];
  assert.match(err, /speaker-n2 on n2 is not among these: the connection was closed\n/);
  assert.ok(err.includes(lines[1] ?? ""), err);
});

test("where nobody answers it is not said that something is not there, or well", async () => {
  const away = fakeProcesses({ "controller-n1": {}, "speaker-n1": {} });
  const subjects = ["svc/web", "192.0.2.1", "pool/lan", "peer/10.0.0.1"].map((subject) => `explain ${subject}`);
  for (const args of ["services", "services --problems", "pools", "peers", ...subjects]) {
    const { status, out } = await ingotctl(args, { processes: away });
    assert.match(out, /, as far as there are answers\.?\n$/, args);
    assert.notEqual(status, Exit.ok, args);
  }
  for (const args of ["status", "explain config"])
    assert.match((await ingotctl(args, { processes: away })).out, /^no process answers\.?\n$/i, args);
});

test("while no controller decides, explain does not send people to its verdict", async () => {
  const waiting = service("default/new");
  const one = { ...waiting, addresses: [], verdict: dated("noIPAllocated") };
  const sees = { ...cluster["speaker-n1"], "/v1/services": self("speaker", { node: "n1", services: [one] }) };
  const standsBy = { ...controller, "/v1/services": { ...self("controller", { services: [] }), leader: false } };
  const cases: { of: Record<string, Answers>; want: string }[] = [
    { of: {}, want: "there is none" },
    { of: { "controller-n1": { "/v1/services": new Error("refused") } }, want: "none answers" },
    { of: { "controller-n1": standsBy, "controller-n2": standsBy }, want: "none leads" },
  ];
  for (const { of, want } of cases) {
    const { out } = await ingotctl("explain svc/default/new", { processes: fakeProcesses({ ...of, "speaker-n1": sees }) });
    assert.match(out, /^Service default\/new: Pending \(noIPAllocated\)/);
    assert.match(out, /\n {2}To do: get a controller to work, which assigns addresses: ingotctl doctor says what is wrong\n/);
    assert.ok(out.includes(`\n  - controller: ${want} (ingotctl)\n`), out);
  }
  const ofMetallb = fakeProcesses({ "controller-n1": {}, "speaker-n1": sees });
  assert.doesNotMatch((await ingotctl("explain svc/default/new", { processes: ofMetallb })).out, /get a controller|none answers/);
});

test("a process that says which configuration it has, and does not list its Services, is named by status and doctor", async () => {
  const why = new Error("no answer within 10 s");
  const processes = fakeProcesses({ ...cluster, "controller-n1": { ...controller, "/v1/services": why } });
  const status = await ingotctl("status", { processes });
  assert.match(status.err, /controller-n1 on n1 is not among these: no answer within 10 s\n/);
  assert.equal(status.status, Exit.losses);
  const doctor = await ingotctl("doctor", { processes, api: fakeApi({}) });
  assert.match(doctor.out, /^error: controller controller-n1 on n1: it does not answer: no answer within 10 s\n/);
  assert.equal(doctor.status, Exit.invalid);
});

test("a NIC that is down is one problem to status, explain and doctor, which names node and NIC", async () => {
  const down = { ...verdict("node", "noCarrier", { message: "interface eth0 of n2 is down or has no carrier" }), since };
  const waiting = { ...verdict("node", "waiting", { message: "waits for the ring: see port 7946 and the key" }), since };
  const pool = { kind: "pool", name: "lan", ...verdict("pool", "noInterface"), since };
  const ofNode = [waiting, down].map((one) => ({ kind: "node", name: "n2", ...one }));
  const cutOff: Answers = {
    ...cluster["speaker-n2"],
    "/v1/node": self("speaker", { node: "n2", verdicts: [waiting, down] }),
    "/v1/verdicts": self("speaker", { node: "n2", verdicts: [...ofNode, pool] }),
    "/v1/members": self("speaker", {
      node: "n2",
      source: "memberlist",
      members: [{ node: "n2", status: "alive", active: true }],
    }),
  };
  const given = { processes: fakeProcesses({ ...cluster, "speaker-n2": cutOff }), api: fakeApi({}) };
  for (const args of ["status", "explain node/n2", "explain svc/web", "explain svc/shop/cart", "doctor", "check"]) {
    const { out } = await ingotctl(args, given);
    assert.doesNotMatch(out, /7946|waiting|noInterface|do not see each other/, args);
    if (!args.endsWith("cart"))
      assert.equal(out.match(/interface eth0 of n2 is down or has no carrier/g)?.length, 1, `${args}\n${out}`);
  }
});

for (const [name, without] of [
  ["there is no Pod of a speaker", fakeProcesses({ "controller-n1": controller })],
  ["no Pod of a speaker runs", fakeProcesses({ "controller-n1": controller, "speaker-n1": {} }, { "speaker-n1": "Pending" })],
] as const)
  test(`where ${name} no command calls a Service well, and one cause has them all`, async () => {
    const given = { processes: without, api: fakeApi({}) };
    const { out } = await ingotctl("services", given);
    assert.match(out, /\ndefault +web +Pending +192\.0\.2\.1 +lan +- +noActiveSpeaker\n/);
    assert.match((await ingotctl("explain svc/web", given)).out, /^Service default\/web: Pending \(noActiveSpeaker\)\n/);
    assert.match(
      (await ingotctl("explain 192.0.2.1", given)).out,
      /^Address 192.0.2.1 of \S+ default\/web: Pending \(noActiveSp/,
    );
    const status = await ingotctl("status", given);
    assert.doesNotMatch(status.out, /Nothing is wrong|Assigned/);
    assert.match(status.out, /svc default\/web +Pending +noActiveSpeaker/);
    const doctor = await ingotctl("doctor", given);
    assert.match(doctor.out, /^error: speaker.*\n {2}1 cause, 3 Services: default\/web, shop\/cart, shop\/far\n/m);
    assert.doesNotMatch(doctor.out, /error: Service (?!default\/full)/);
    assert.match((await ingotctl("check", given)).out, /^✗ Services$/m);
    const none = { ...controller, "/v1/services": self("controller", { leader: true, services: [] }) };
    const idle = { ...given, processes: { ...without, get: fakeProcesses({ "controller-n1": none }).get } };
    assert.doesNotMatch((await ingotctl("check", idle)).out, /^✓ (?:ring|nodes|peers|pools|Services)/m);
    assert.match((await ingotctl("status", idle)).out, /^No speaker runs: no address is announced\.$/m);
    assert.doesNotMatch((await ingotctl("status", idle)).out, /Nothing is wrong/);
  });

test("JSON and YAML have the same, and name who did not answer", async () => {
  const json = await ingotctl("explain svc/full -o json");
  const yaml = await ingotctl("explain svc/full --output=yaml");
  const { verdicts, unreachable } = JSON.parse(json.out);
  assert.deepEqual(load(yaml.out), { verdicts, unreachable });
  assert.deepEqual([verdicts[0].verdict.cause, unreachable], ["poolFull", []]);
});

test("on a terminal states are coloured and the last column ends where the line does", async () => {
  const { out } = await ingotctl("nodes", { columns: 48, hasColor: true });
  assert.ok(out.includes("\u001b[33mDegraded\u001b[39m"), out);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are what is taken away.
  for (const line of out.replaceAll(/\u001b\[\d+m/g, "").split("\n")) assert.ok(line.length <= 48, line);
});

// A window's title, a cleared screen, text from right to left, an end of the line, and an octet that a terminal takes for a control.
const evil = "\u001b]0;owned\u0007\u001b[2J\u202e\r\n\u009b31m";
const forged = "FORGED a line of its own";

/** The same answers, with poison in all texts under these keys, as a process that somebody took over may send. */
function poisoned<T>(value: T, keys: ReadonlySet<string>, key = ""): T {
  if (typeof value === "string") return (keys.has(key) && value !== "layer2" ? `${value}${evil}\n${forged}` : value) as T;
  if (value instanceof Error) return new Error(`${value.message}${evil}`) as T;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((one) => poisoned(one, keys, key)) as T;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, poisoned(one, keys, name)])) as T;
}

/** All keys of the answers that have texts. */
function textKeys(value: unknown, key = ""): string[] {
  if (typeof value === "string") return [key];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, one]) => textKeys(one, Array.isArray(value) ? key : name));
}
const keys = [...new Set(textKeys(cluster))];

const asked = [
  ...["status", "services -A", "pools", "nodes", "peers", "members", "owner 192.0.2.1", "doctor", "history 192.0.2.1"],
  ...["svc/full", "svc/shop/far", "192.0.2.1", "node/n1", "peer/10.0.0.1", "pool/lan", "config"].map((one) => `explain ${one}`),
];
const everyFormat = asked.flatMap((one) => ["", " -o wide", " -o json", " -o yaml"].map((format) => `${one}${format}`));
for (const args of [...everyFormat, "check", "check -o json", "check -o junit"])
  test(`ingotctl ${args}: nothing that others wrote can steer the terminal, whichever field it is in`, async () => {
    assert.ok(keys.length > 20, `${keys}`);
    const silent = { "/v1/services": new Error("gone"), "/v1/configuration": new Error("gone"), "/v1/node": new Error("gone") };
    const common = new Set(["message", "next", "value", "cause", "version", "hash", "status", "source", "protocol"]);
    for (const those of [common, ...keys.map((key) => new Set([key]))])
      for (const hasColor of [false, true]) {
        const processes = fakeProcesses(poisoned({ ...cluster, "speaker-n3": silent }, those), { [`speaker-n4${evil}`]: evil });
        const api = fakeApi({ "/api/v1/nodes": [{ metadata: { name: evil } }] });
        const { out, err } = await ingotctl(args, { processes, api, hasColor, ...(hasColor && { columns: 200 }) });
        if (those === common) assert.notEqual(out, "");
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there, but for the colours of states.
        const steering = /(?!\u001b\[(?:3[1-3]|39|90)m)[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
        assert.doesNotMatch(out + err, steering, [...those].join());
        assert.doesNotMatch(out + err, new RegExp(`^${forged}`, "m"), [...those].join());
      }
  });

test("answers of another version: what is not known is ignored, and what is missing is left out", async () => {
  const { novel: _none, ...newer } = JSON.parse(JSON.stringify(cluster), (_key, value) =>
    typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value, novel: { deep: [1] } } : value,
  );
  for (const { args, out: lines } of golden)
    assert.equal((await ingotctl(args, { processes: fakeProcesses(newer) })).out, lines.map((line) => `${line}\n`).join(""));
  const { "/v1/members": _, "/v1/node": __, ...older } = speaker("n1");
  const processes = fakeProcesses({ "controller-n1": controller, "speaker-n1": older });
  const { status, out, err } = await ingotctl("members", { processes });
  assert.deepEqual([status, out], [Exit.losses, "no speaker answers\n"]);
  assert.match(err, /speaker-n1 on n1 is not among these: it has no \/v1\/members/);
  assert.equal((await ingotctl("status", { processes })).status, Exit.ok);
});

test("a peer is shown and explained by the name that the configuration gives it", async () => {
  const down = { ...verdict("peer", "connectTimeout", { message: "no answer within 5 s" }), since };
  const entry = { kind: "peer", name: "10.0.0.1:179", peerName: "tor-a", ...down };
  const answers = { ...speaker("n1"), "/v1/verdicts": self("speaker", { node: "n1", verdicts: [entry] }) };
  const processes = fakeProcesses({ "controller-n1": controller, "speaker-n1": answers });
  const said = async (args: string) => (await ingotctl(args, { processes, now, api: fakeApi({}) })).out;
  assert.match(await said("explain peer/tor-a"), /^Peer tor-a \(10\.0\.0\.1:179\) of node n1/);
  assert.equal(await said("explain peer/10.0.0.1"), await said("explain peer/tor-a"));
  assert.match(await said("peers"), /tor-a \(10\.0\.0\.1:179\) +n1/);
  assert.match(await said("status"), /peer tor-a \(10\.0\.0\.1:179\) by n1/);
  assert.match(await said("doctor"), /peer tor-a \(10\.0\.0\.1:179\) of n1/);
});

test("--watch goes on when the API server does not answer for a while", async () => {
  const io = fakeIo({ processes: fakeProcesses(cluster), now });
  const ended = new Error("Ctrl-C");
  let round = 0;
  const connect: typeof io.cluster.connect = async (...args) => {
    if (round === 1) throw new UsageError("cannot ask the cluster: ECONNREFUSED");
    return io.cluster.connect(...args);
  };
  const sleep = async () => {
    if (++round === 3) throw ended;
  };
  await assert.rejects(run(["pools", "--watch"], { ...io, cluster: { ...io.cluster, connect }, sleep }), ended);
  assert.equal(io.printed.out.split("POOL").length, 3);
  assert.equal(io.printed.err, "ingotctl: cannot ask the cluster: ECONNREFUSED\n");
});

test("--watch on a terminal shows the last known and its age while the API server does not answer", async () => {
  const io = fakeIo({ processes: fakeProcesses(cluster), now, columns: 200 });
  const ended = new Error("Ctrl-C");
  let round = 0;
  const connect: typeof io.cluster.connect = async (...args) => {
    if (round > 0) throw new UsageError("cannot ask the API server: ECONNREFUSED");
    return io.cluster.connect(...args);
  };
  const sleep = async (ms: number) => {
    await io.sleep(ms);
    if (++round === 3) throw ended;
  };
  await assert.rejects(run(["pools", "--watch"], { ...io, cluster: { ...io.cluster, connect }, sleep }), ended);
  const [first = "", second, third] = io.printed.out.split("\u001b[2J\u001b[H");
  assert.match(first, /^POOL/);
  assert.deepEqual([second, third], [`As it was 2s ago:\n${first}`, `As it was 4s ago:\n${first}`]);
});

test("--watch ends when nobody reads what it prints any more", async () => {
  const io = fakeIo({ processes: fakeProcesses(cluster), now });
  const isOutClosed = () => io.printed.out.split("POOL").length > 2;
  assert.equal(await run(["pools", "--watch"], { ...io, isOutClosed }), Exit.ok);
  assert.equal(io.printed.out.split("POOL").length, 3);
});

test("--watch asks again, over the connections that there are, until it is ended", async () => {
  const io = fakeIo({ processes: fakeProcesses(cluster), now });
  const before: (Processes | undefined)[] = [];
  const { connect } = io.cluster;
  const ended = new Error("Ctrl-C");
  const watched = {
    ...io,
    cluster: {
      ...io.cluster,
      async connect(...args: Parameters<typeof connect>) {
        before.push(args[1]);
        return connect(...args);
      },
    },
    async sleep() {
      if (before.length === 3) throw ended;
    },
  };
  await assert.rejects(run(["pools", "--watch"], watched), ended);
  assert.deepEqual([before.length, before[0], before[1] === undefined], [3, undefined, false]);
  assert.equal(io.printed.out.split("POOL").length, 4);
});

const misused: { args: string; says: RegExp }[] = [
  { args: "explain", says: /explain takes one or two arguments, not 0/ },
  { args: "explain nonsense", says: /it is no IP address, nor svc\/NAME/ },
  ...["svc", "node/", "peer"].map((args) => ({ args: `explain ${args}`, says: /it is no IP address, nor svc\/NAME/ })),
  { args: "explain default/web", says: /pool\/NAME or config; did you mean svc\/default\/web\?/ },
  { args: "owner nonsense", says: /"nonsense" is no IP address/ },
  { args: "services -o table", says: /--output is one of wide, json, yaml, not "table"/ },
  { args: "pools --problems", says: /pools has no option --problems/ },
  { args: "members extra", says: /members takes no argument, not 1/ },
  {
    args: "services -A --state=Pendng",
    says: /there is no state "Pendng", did you mean "Pending"\? docs\/verdicts\.md lists them/,
  },
  { args: "services -A --cause=poolFull,noReadyEndpiont", says: /no cause "noReadyEndpiont", did you mean "noReadyEndpoint"\?/ },
  { args: "peers --cause=zzz", says: /there is no cause "zzz"; docs\/verdicts\.md lists them/ },
  { args: "status --outptu=json", says: /status has no option --outptu, did you mean --output\? see "ingotctl help status"/ },
  { args: "services -A --sort-by=colour", says: /--sort-by is one of NAMESPACE, NAME, STATE, .* not "colour"/ },
];
for (const { args, says } of misused)
  test(`ingotctl ${args}: is a usage error`, async () => {
    const { status, out, err } = await ingotctl(args);
    assert.deepEqual([status, out], [Exit.usage, ""]);
    assert.match(err, says);
  });

test("a cluster that cannot be reached, or without Pods, is said to be so", async () => {
  const none = fakeIo();
  assert.equal(await run(["status"], none), Exit.usage);
  assert.match(none.printed.err, /cannot ask the cluster/);
  const empty = await ingotctl("status", { processes: fakeProcesses({}) });
  assert.equal(empty.status, Exit.usage);
  assert.match(empty.err, /there is no Pod of a controller or speaker in namespace metallb-system/);
});

test("status says who has another configuration in force than the controller, or has not seen the ConfigMap as it is", async () => {
  const has = (hash: string | null, seen: string | null, more = {}) =>
    self("speaker", Object.assign({ hash, seen, inForceSince: hash && "2026-01-02T03:03:55.000Z", verdict: inForce }, more));
  const asked = (answer: object): Answers => ({
    "/v1/configuration": answer,
    "/v1/verdicts": { verdicts: [] },
    "/v1/services": { services: [] },
  });
  const processes = {
    "controller-n1": asked(has("aa", "7", { program: "controller", leader: true })),
    "controller-n2": asked(has(null, "7", { program: "controller", leader: false })),
    "speaker-n1": asked(has("aa", "7")),
    "speaker-n2": asked(has("bb", "6")),
    "speaker-n3": asked(has(null, null)),
    "speaker-n4": asked(self("speaker", { hash: "aa", verdict: inForce })), // A process of an earlier version.
    "speaker-n5": asked(has("cc", "7", { version: "0.9.0" })), // So is this one: it has another hash of the same.
    "speaker-n6": asked(has("cc", "6", { version: "0.9.0" })),
    "speaker-n7": asked(has(null, "7", { version: "0.9.0" })),
  };
  const { out } = await ingotctl("status", { processes: fakeProcesses(processes) });
  const [, text = ""] = /\nNot all have the same configuration:\n((?: {2}.*\n)+)/.exec(out) ?? [];
  assert.deepEqual(text.split("\n"), [
    "  speaker-n2 on n2 has configuration bb in force, the controller has aa; has seen version 6 of the configuration, the controller has seen 7",
    "  speaker-n3 on n3 has configuration none in force, the controller has aa; has seen version none of the configuration, the controller has seen 7",
    "  speaker-n6 on n6 has configuration cc in force, the controller has aa; has seen version 6 of the configuration, the controller has seen 7",
    "  speaker-n7 on n7 has configuration none in force, the controller has aa",
    "",
  ]);
  assert.match(out, /speaker +n1 +speaker-n1 +1\.0\.0 +aa +10s +Ready/);
  assert.doesNotMatch(out, /Nothing is wrong/);
  const { lagging } = JSON.parse((await ingotctl("status -o json", { processes: fakeProcesses(processes) })).out);
  assert.deepEqual(
    lagging.map(({ pod }: { pod: string }) => pod),
    ["speaker-n2", "speaker-n3", "speaker-n6", "speaker-n7"],
  );
});

test("during an upgrade explain config has one configuration, where both versions have seen and use the same", async () => {
  const has = (hash: string, version: string, seen = "7") => ({
    "/v1/configuration": { program: "speaker", version, hash, seen, verdict: inForce },
  });
  const both = { "speaker-n1": has("cc", "0.9.0"), "speaker-n2": has("aa", "1.0.0"), "speaker-n3": has("aa", "1.0.0") };
  const { out } = await ingotctl("explain config", { processes: fakeProcesses(both) });
  assert.match(out, /^Configuration: /);
  const other = { ...both, "speaker-n4": has("bb", "1.0.0", "6") };
  assert.match(
    (await ingotctl("explain config", { processes: fakeProcesses(other) })).out,
    /^Configuration of speaker-n1, speaker-n2, speaker-n3: [\s\S]*^Configuration of speaker-n4: /m,
  );
});

test("commands of remedies are for the thing that they are about, also those of peers and of addresses", async () => {
  const leaving = { kind: "peer", name: "10.0.0.1:179", ...verdict("peer", "leaving", { message: "n1 is cordoned" }), since };
  const two = service(
    "shop/cart",
    ...["192.0.2.2", "192.0.2.3"].map((ip) => ({ ...placed(ip, "n1", "n1"), verdict: noEndpoint })),
  );
  const answers = {
    ...speaker("n1"),
    "/v1/verdicts": self("speaker", { node: "n1", verdicts: [leaving] }),
    "/v1/services": self("speaker", { node: "n1", services: [two] }),
  };
  const processes = fakeProcesses({ "controller-n1": controller, "speaker-n1": answers });
  const said = async (args: string) => (await ingotctl(args, { processes, now, api: fakeApi({}) })).out;
  for (const args of ["explain peer/10.0.0.1", "doctor"]) assert.match(await said(args), /ingotctl explain node\/n1/, args);
  for (const args of ["explain svc/shop/cart", "explain 192.0.2.3"]) {
    assert.match(await said(args), /Address 192\.0\.2\.3.*\n.*\n {2}To do: kubectl -n shop get endpointslices .*=cart,/, args);
    assert.doesNotMatch(await said(args), /NAMESPACE|NAME/, args);
  }
});

test("a peer is found by its name, its key, and its address in any form, with or without port, interface and source", () => {
  const keys = [
    "10.0.0.1:179",
    "10.0.0.1:179 from eth0",
    "[2001:db8::1]:179",
    "[fe80::1%eth0]:1790 from 2001:db8::2",
    "eth0:179",
  ];
  const found = (text: string) => keys.filter((peer) => isPeer({ peer, name: peer === "eth0:179" ? "tor-a" : undefined }, text));
  assert.deepEqual(found("10.0.0.1"), keys.slice(0, 2));
  assert.deepEqual(found("10.0.0.1:179"), keys.slice(0, 2));
  for (const text of ["2001:db8::1", "2001:DB8:0::1", "[2001:db8::1]:179"]) assert.deepEqual(found(text), [keys[2]], text);
  for (const text of ["fe80::1", "fe80::1%eth0", "[fe80::1%eth0]:1790", keys[3] ?? ""])
    assert.deepEqual(found(text), [keys[3]], text);
  for (const text of ["tor-a", "eth0", "eth0:179"]) assert.deepEqual(found(text), [keys[4]], text);
  for (const text of ["10.0.0", "10.0.0.10", "179", "", "2001:db8::2"]) assert.deepEqual(found(text), [], text);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { verdict } from "#pkg/verdict";
import type { ProbeAnswer, ProbeAttempt } from "../cluster/answers.ts";
import { Exit } from "../command.ts";
import { ingotctl } from "../testing/ingotctl.ts";
import { fakeProcesses } from "../testing/processes.ts";
import { conclusionsOf } from "./conclusions.ts";

const program = { program: "speaker", version: "1.0.0" };
const at = "192.0.2.1";
const since = "2026-01-02T03:03:55.000Z";
const attempt: ProbeAttempt = {
  address: at,
  owner: "n1",
  isRouted: false,
  interface: "eth0",
  port: 80,
  answeredBy: [{ mac: "02:00:00:00:00:01", node: "n1" }],
  connection: "accepts",
  largest: { octets: 1_500, arrives: true },
  verdict: null,
};
const endpoint = { address: "10.244.0.5", port: 8080, node: "n1", connection: "accepts" } as const;
const own = { service: "shop/web", port: 80, connection: "accepts", endpoints: [endpoint] } as const;
const announced = { ...verdict("service", "announced", { message: "m" }), since };
const address = { address: at, pool: "lan", protocol: "layer2", owner: "n1", candidates: [], verdict: announced };
const services = [{ service: "shop/web", addresses: [address], verdict: announced }];

function cluster(second: object, first: object = { attempts: [], isHere: true, own }) {
  const answers = (node: string, probe: object) => ({
    "/v1/services": { ...program, node, missing: [], services },
    "/v1/probe": { ...program, node, ...probe },
  });
  return fakeProcesses({ "speaker-n1": answers("n1", first), "speaker-n2": answers("n2", second) });
}
const probe = async (args: string, ...given: Parameters<typeof cluster>) => {
  const { status, out } = await ingotctl(`probe ${args}`, { processes: cluster(...given) });
  return { status, lines: out.split("\n") };
};
const tried = (more: Partial<ProbeAttempt> = {}) => ({ attempts: [{ ...attempt, ...more }], isHere: false, own: null });
const first = [at, "  n1: announces it; from there port 80 accepts; 10.244.0.5 port 8080 accepts"];

test("an address that is well, by its Service and by itself", async () => {
  const second = "  n2: answered by 02:00:00:00:00:01 (n1) on eth0; TCP port 80 accepts; packets of 1500 octets arrive";
  for (const args of ["svc/shop/web", "svc web -n shop", at])
    assert.deepEqual(await probe(args, tried()), { status: Exit.ok, lines: [...first, second, ""] }, args);
});

test("an address by BGP is tried through each node", async () => {
  const { status, lines } = await probe(at, tried({ isRouted: true }), {
    ...tried({ owner: "n2", isRouted: true }),
    isHere: true,
    own,
  });
  assert.equal(status, Exit.ok);
  assert.equal(lines[2], "  n1: by way of n2 on eth0; TCP port 80 accepts; packets of 1500 octets arrive");
  assert.equal(lines[3], "  n2: by way of n1 on eth0; TCP port 80 accepts; packets of 1500 octets arrive");
});

test("an address of central speakers is tried through the nodes that they lead to, and they are named", async () => {
  const hop = { ...tried({ owner: "n2", isRouted: true }), isHere: true, own };
  const nextHops = [
    { address: "10.0.0.1", node: "n1" },
    { address: "10.0.0.9", node: null },
  ];
  const processes = fakeProcesses({
    ...Object.fromEntries(
      [
        ["n1", hop],
        ["n2", tried({ isRouted: true })],
        ["central/n1", { attempts: [], isHere: true, own: null, nextHops }],
      ].map(([node, probe]) => [
        `speaker-${node}`,
        { "/v1/node": { ...program, node, verdicts: [] }, "/v1/probe": { ...program, node, ...(probe as object) } },
      ]),
    ),
  });
  const { status, out } = await ingotctl(`probe ${at}`, { processes });
  assert.equal(status, Exit.ok, out);
  assert.deepEqual(out.split("\n").slice(1), [
    "  n1: is a next hop for it; from there port 80 accepts; 10.244.0.5 port 8080 accepts",
    "  n1: by way of n2 on eth0; TCP port 80 accepts; packets of 1500 octets arrive",
    "  n2: by way of n1 on eth0; TCP port 80 accepts; packets of 1500 octets arrive",
    "  central/n1: announces it by way of n1 (10.0.0.1), 10.0.0.9",
    "",
  ]);
});

test("a fault comes with its remedy, and its text steers no terminal", async () => {
  const fault = {
    ...verdict("service", "notAnswered", { message: "nobody \u001b[31manswers", next: "see the \u0007NIC" }),
    since,
  };
  const { status, lines } = await probe(at, tried({ answeredBy: [], connection: null, largest: null, verdict: fault }));
  assert.equal(status, Exit.losses);
  assert.deepEqual(lines.slice(2), ["  n2: answered by nobody on eth0", "silence: nobody ·[31manswers", "  -> see the ·NIC", ""]);
});

test("that nobody could try an address is no good result", async () => {
  const why = "no interface of this node has an address in its subnet";
  const { status, lines } = await probe(at, { attempts: [{ owner: "n1", why }], isHere: false, own: null });
  assert.equal(status, Exit.losses);
  assert.deepEqual(lines.slice(2, 3), [`  n2: not tried by way of n1: ${why}`]);
  assert.match(lines[3] ?? "", /^Nobody could try it: /);
});

test("a Service that there is not, and a subject that is none", async () => {
  assert.equal((await probe("svc/shop/none", tried())).status, Exit.invalid);
  assert.equal((await probe("pool/lan", tried())).status, Exit.usage);
});

const silent: Partial<ProbeAttempt> = {
  connection: "silent",
  verdict: { ...verdict("service", "notConnected", { message: "the port is silent" }), since },
};
const refusing = { ...endpoint, connection: "refuses" } as const;
const mute = { ...endpoint, connection: "silent" } as const;
const causes: { name: string; attempt: Partial<ProbeAttempt>; own?: ProbeAnswer["own"]; want: string[] }[] = [
  { name: "all well", attempt: {}, own, want: [] },
  { name: "the node connects, and what comes from outside is lost", attempt: silent, own, want: ["firewall"] },
  {
    name: "the node does not connect either, endpoints do",
    attempt: silent,
    own: { ...own, connection: "silent" },
    want: ["kube-proxy"],
  },
  {
    name: "the node refuses, endpoints accept",
    attempt: { connection: "refuses" },
    own: { ...own, connection: "refuses" },
    want: ["kube-proxy"],
  },
  {
    name: "what comes from outside is refused, and the node connects",
    attempt: { connection: "refuses" },
    own,
    want: ["firewall"],
  },
  {
    name: "endpoints refuse",
    attempt: { connection: "refuses" },
    own: { ...own, connection: "refuses", endpoints: [refusing] },
    want: ["endpoint"],
  },
  { name: "endpoints are silent", attempt: silent, own: { ...own, connection: "silent", endpoints: [mute] }, want: ["endpoint"] },
  {
    name: "no endpoint is ready",
    attempt: silent,
    own: { ...own, connection: "unreachable", endpoints: [] },
    want: ["endpoint"],
  },
  { name: "one of several endpoints refuses", attempt: {}, own: { ...own, endpoints: [endpoint, refusing] }, want: ["endpoint"] },
  {
    name: "one of several is silent, as one that a network policy guards",
    attempt: {},
    own: { ...own, endpoints: [endpoint, mute] },
    want: [],
  },
  {
    name: "endpoints are not known, and the node connects",
    attempt: silent,
    own: { service: "shop/web", port: 80, connection: "accepts" },
    want: ["firewall"],
  },
  {
    name: "endpoints are not known",
    attempt: silent,
    own: { service: "shop/web", port: 80, connection: "silent" },
    want: ["not told apart"],
  },
  { name: "the owner says nothing", attempt: silent, own: null, want: ["not told apart"] },
  {
    name: "a refused connection, of which nothing more is known, is an answer",
    attempt: { connection: "refuses" },
    own: null,
    want: [],
  },
  { name: "large packets are lost", attempt: { largest: { octets: 1_500, arrives: false } }, own, want: ["packet size"] },
];
for (const { name, attempt: more, own: ofOwner = null, want } of causes)
  test(`causes are told apart: ${name}`, () => {
    const one = { ...attempt, ...more };
    const answers: ProbeAnswer[] = [
      { node: "n1", attempts: [], isHere: true, own: ofOwner },
      { node: "n2", attempts: [one] },
      { node: "n3", attempts: [one] },
    ];
    assert.deepEqual(
      conclusionsOf(at, answers).map(({ what }) => what),
      want,
    );
  });

test("the ping that tries a path sends packets as large as those that were lost, by either family", () => {
  const large = { ...attempt, largest: { octets: 1_500, arrives: false } };
  const fixes = [at, "2001:db8::1"].map((text) => conclusionsOf(text, [{ node: "n2", attempts: [large] }])[0]?.fix);
  assert.deepEqual(
    fixes.map((fix) => /ping .* -s \d+/.exec(fix ?? "")?.[0]),
    ["ping -M do -s 1472", "ping -M do -s 1452"],
  );
});

test("the remedy for what a firewall stops is of the address's family", () => {
  const lost = { ...attempt, ...silent };
  const fixes = [at, "2001:db8::1"].map((text) => {
    const answers: ProbeAnswer[] = [
      { node: "n1", own },
      { node: "n2", attempts: [lost] },
    ];
    return conclusionsOf(text, answers)[0]?.fix.match(/ip6?tables-save|net\.ipv4\.\S+/g);
  });
  assert.deepEqual(fixes, [["iptables-save", "net.ipv4.conf.all.rp_filter"], ["ip6tables-save"]]);
});

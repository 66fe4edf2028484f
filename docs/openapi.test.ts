import assert from "node:assert/strict";
import { test } from "node:test";
import type { Routes } from "#pkg/http";
import { asked, textOf } from "#pkg/http/testing";
import { address, prefix } from "#pkg/net/testing";
import { states } from "#pkg/verdict";
import { controllerApi } from "../controller/api.ts";
import { configText, startWorld } from "../controller/testing/world.ts";
import { checkedAnswer } from "../ctl/cluster/answers.ts";
import { assertDescribed, describedPaths } from "../e2e/demo-cluster/openapi.ts";
import { speakerApi } from "../speaker/api.ts";
import { peerVerdict } from "../speaker/bgp/peer-verdict.ts";
import { SpeakerView } from "../speaker/core/index.ts";
import { ObjectVerdicts } from "../speaker/object-verdicts.ts";
import { Bench, owner, pools } from "../speaker/testing/speaker-bench.ts";
import { read } from "./generate/markdown.ts";

// Answers of processes that are whole are held against the same document wherever e2e/ asks for them.

async function controller(): Promise<Routes> {
  const world = await startWorld(configText("a 10.0.0.0/32"), { one: {}, two: {}, other: { isClaimed: false } });
  return controllerApi({ terms: world, recorder: world.recorder, clock: world.clock });
}

function speaker(bench: Bench): Routes {
  const { recorder, clock } = bench;
  const view = new SpeakerView(bench.state);
  const nodeFacts = () => ({
    missing: ["Nodes"],
    failed: undefined,
    findings: [],
    bfdWarnings: ["a port is in use"],
    lossy: [],
    pathProblems: [],
    refusedWrites: [],
    viewAge: 0,
  });
  const verdict = peerVerdict("10.0.0.1:179", {
    wait: { for: "bfd", what: "BFD", seconds: 1 },
    view: undefined,
    bfd: undefined,
    leavingSeconds: undefined,
    otherRouters: [],
  });
  const common = { users: 1, by: undefined, since: 0, error: undefined, restored: 1 };
  const route = { type: "route", interface: "kube-lb0", prefix: prefix("192.0.2.0/28"), table: 198, protocol: 248 } as const;
  const traits = { protocol: 248, lifetimeSeconds: Infinity, isOnLan: false } as const;
  const held = { type: "address", interface: "kube-lb0", address: address("192.0.2.1"), prefixLength: 32, ...traits } as const;
  const items = [
    { ...common, item: route, place: "placed" as const },
    { ...common, item: held, place: "held" as const, by: "eth0", error: "EACCES" },
  ];
  const peer = { key: "10.0.0.1:179", isEstablished: false, verdict };
  const silent = { macs: ["02:00:00:00:00:09"], connection: "silent", largest: { octets: 1_500, arrives: true } } as const;
  const tested = {
    address: address("192.0.2.1"),
    owner: "n2",
    port: 80,
    interface: "eth0",
    isRouted: true,
    answer: silent,
  } as const;
  const attempt = { tested };
  const endpoint = { address: "10.244.0.2", port: 8080, node: "n1", connection: "accepts" } as const;
  const own = { service: "default/web", port: 80, connection: "refuses", endpoints: [endpoint] } as const;
  return speakerApi({
    view,
    sources: {
      configuration: { inForce: undefined, inForceSince: undefined, seen: undefined, verdict: verdict.verdict, since: 0 },
    },
    objects: new ObjectVerdicts({ view, nodeFacts, clock }),
    bgp: { peers: [peer] as never, describe: () => [] },
    bfd: { describe: () => [] },
    kernel: { restored: 2, interfaces: () => [{ name: "kube-lb0", kind: "dummy", error: undefined }], status: () => items },
    members: { describe: async () => ({ source: "pods", members: [] }) },
    missing: () => [],
    recorder,
    selfTest: { tried: 1 },
    prober: {
      isBusy: false,
      probe: async () => ({
        attempts: [attempt, { owner: "n3", why: "it is down" }],
        own,
        isHere: true,
        nextHops: [
          { address: address("192.0.2.2"), node: "n1" },
          { address: address("192.0.2.2"), node: undefined },
        ],
        why: "",
      }),
      round: async () => ({ attempts: [attempt], next: 100 }),
    },
    clock,
  });
}

const programs = { controller: await controller(), speaker: speaker(Bench.announcing(owner)) };

for (const [program, routes] of Object.entries(programs))
  for (const [path, handler] of Object.entries(routes))
    for (const query of [
      "",
      "problems",
      "brief",
      "brief=names",
      "service=default/one",
      "service=default/web&problems",
      "via=n1",
      "about=192.0.2.1",
      "address=192.0.2.1",
      "from=0",
    ])
      test(`${path}?${query} of the ${program} is as docs/openapi.yaml says, and as ingotctl takes it`, async () => {
        const found = await handler(asked(query));
        assert.equal(found.status, 200);
        assertDescribed(path, textOf(found));
        const isAsked = path !== "/v1/recorder" || query.startsWith("about="); // A whole recording is for `ingotctl replay`.
        if (isAsked) checkedAnswer(program as keyof typeof programs, `${path}?${query}`, JSON.parse(textOf(found)));
      });

test("of a central speaker, via names the addresses for which routers are led to a node", async () => {
  const bench = new Bench("central/n1", { hasRing: true, announceFor: "all", active: ["n1", "n2", "central/n1"] });
  for (const [index, node] of ["n1", "n2"].entries()) bench.setNode(node, {}, [], [`10.0.0.${index + 1}`]);
  const pool = "{name: routed, protocol: bgp, addresses: [192.0.2.0/28]}";
  bench.setConfig(pools(pool, "{my-asn: 64512, peer-asn: 64513, peer-address: 10.0.0.254}"));
  bench.serve("default/web", ["192.0.2.1"], {}, { n1: true, n2: true });
  bench.start();
  bench.settle();
  const via = async (node: string) => {
    const answer = await speaker(bench)["/v1/services"]?.(asked(`via=${node}&brief`));
    const { via, services } = JSON.parse(textOf(answer as never)) as {
      via: string;
      services: { addresses: { address: string }[] }[];
    };
    return [via, ...services.flatMap(({ addresses }) => addresses.map(({ address }) => address))];
  };
  assert.deepEqual(await Promise.all(["n1", "n2", "n3"].map(via)), [["n1", "192.0.2.1"], ["n2", "192.0.2.1"], ["n3"]]);
  bench.setNode("n1", { "ingot.dev/drain": "" }, [], ["10.0.0.1"]);
  bench.settle();
  assert.deepEqual(await via("n1"), ["n1"]);
});

test("docs/openapi.yaml describes every path that is answered, and no other", () => {
  const answered = new Set(Object.values(programs).flatMap((routes) => Object.keys(routes)));
  assert.deepEqual([...answered].sort(), [...describedPaths].sort());
});

test("docs/openapi.yaml has every state", () => {
  const [, listed = ""] = /state: \{ enum: \[([^\]]*)\] \}/.exec(read("docs/openapi.yaml")) ?? [];
  assert.deepEqual(listed.split(", "), Object.keys(states));
});

test("an answer with a field that is not described is found out", () => {
  const answer = { program: "speaker", version: "1", hash: null, verdict: {}, more: 1 };
  assert.throws(() => assertDescribed("/v1/configuration", JSON.stringify(answer)), /must NOT have unevaluated properties/);
});

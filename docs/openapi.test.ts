import assert from "node:assert/strict";
import { test } from "node:test";
import type { Routes } from "#pkg/http";
import { states } from "#pkg/verdict";
import { controllerApi } from "../controller/api.ts";
import { configText, startWorld } from "../controller/testing/world.ts";
import { assertDescribed, describedPaths } from "../e2e/demo-cluster/openapi.ts";
import { speakerApi } from "../speaker/api.ts";
import { peerVerdict } from "../speaker/bgp/peer-verdict.ts";
import { ObjectVerdicts } from "../speaker/object-verdicts.ts";
import { Bench, owner } from "../speaker/testing/speaker-bench.ts";
import { read } from "./generate/markdown.ts";

// Answers of processes that are whole are held against the same document wherever e2e/ asks for them.

async function controller(): Promise<Routes> {
  const world = await startWorld(configText("a 10.0.0.0/32"), { one: {}, two: {}, other: { isClaimed: false } });
  return controllerApi({ controller: () => world.controller, clock: world.clock });
}

function speaker(bench: Bench): Routes {
  const { state, clock } = bench;
  const nodeFacts = () => ({
    missing: ["Nodes"],
    failed: undefined,
    findings: [],
    bfdWarnings: ["a port is in use"],
    viewAge: 0,
  });
  const verdict = peerVerdict("10.0.0.1:179", {
    wait: { for: "bfd", what: "BFD" },
    view: undefined,
    bfd: undefined,
    leaving: false,
  });
  const peer = { key: "10.0.0.1:179", isEstablished: false, verdict };
  return speakerApi({
    state,
    sources: { configuration: { inForce: undefined, verdict: verdict.verdict, since: 0 } },
    objects: new ObjectVerdicts({ state, nodeFacts, clock }),
    bgp: { peers: [peer] as never, describe: () => [] },
    bfd: { describe: () => [] },
    members: { describe: () => ({ source: "pods", members: [] }) },
    clock,
  });
}

const programs = { controller: await controller(), speaker: speaker(Bench.announcing(owner)) };
const local = { host: "localhost", authorization: "", from: "127.0.0.1", isLocal: true };

for (const [program, routes] of Object.entries(programs))
  for (const [path, handler] of Object.entries(routes))
    for (const query of ["", "problems", "service=default/one", "service=default/web&problems"])
      test(`${path}?${query} of the ${program} is as docs/openapi.yaml says`, async () => {
        const { status, body } = await handler({ query: new URLSearchParams(query), ...local });
        assert.equal(status, 200);
        assertDescribed(path, body.toString());
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

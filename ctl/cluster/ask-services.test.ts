import assert from "node:assert/strict";
import { test } from "node:test";
import { verdict } from "#pkg/verdict";
import { fakeProcesses } from "../testing/processes.ts";
import { askServicesBriefly } from "./ask-services.ts";
import type { Processes } from "./processes.ts";

const announced = { ...verdict("service", "announced", { message: "m" }), since: "2026-01-02T03:03:55.000Z" };
const address = { address: "192.0.2.1", pool: "lan", protocol: "layer2", owner: "n2", candidates: [], verdict: announced };
const services = [{ service: "shop/web", addresses: [address], verdict: announced }];
const speaker = (node: string) => ({ "/v1/services": { program: "speaker", version: "1.0.0", node, missing: [], services } });

test("while the first speaker hangs another one is asked for all that it knows, before the silence of the first is certain", async () => {
  const processes = fakeProcesses({ "speaker-n1": speaker("n1"), "speaker-n2": speaker("n2"), "speaker-n3": speaker("n3") });
  const { promise: gaveUp, reject: giveUp } = Promise.withResolvers<never>();
  const asked: string[] = [];
  const get: Processes["get"] = async (target, path) => {
    if (target.node === "n1") return gaveUp;
    if (!path.includes("problems")) {
      asked.push(target.node);
      giveUp(new Error("no answer within 2.5 s"));
    }
    return processes.get(target, path);
  };
  const found = await askServicesBriefly({ ...processes, get });
  assert.deepEqual(
    found.services.map(({ service }) => service),
    ["shop/web"],
  );
  assert.deepEqual([asked, found.unreachable.map(({ target }) => target.node)], [["n2"], ["n1"]]);
});

test("one that answers is the only one that is asked for all", async () => {
  const processes = fakeProcesses({ "speaker-n1": speaker("n1"), "speaker-n2": speaker("n2") });
  const asked: string[] = [];
  const get: Processes["get"] = async (target, path) => {
    if (!path.includes("problems")) asked.push(target.node);
    return processes.get(target, path);
  };
  await askServicesBriefly({ ...processes, get });
  assert.deepEqual(asked, ["n1"]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import "../../../pkg/clock/testing/untracked-promises.ts";
import { slotsConfig, withoutSlotsConfig } from "../cluster/history.ts";
import { World } from "./world.ts";

const slots = Array.from({ length: 16 }, (_, index) => `192.0.2.${224 + index}`);

test("ingotctl says which node owns a slot, and which a pool has", async () => {
  const world = await World.start(slotsConfig, { nodes: 4 });
  const { out } = await world.tool("owner 192.0.2.230");
  assert.match(out, /^node-[0-3]\n$/);
  await world.explains("192.0.2.230", new RegExp(`it is a next-hop slot of pool routed, and ${out.trim()} has it$`, "m"));
  const { pools } = JSON.parse((await world.tool("pools -o json")).out);
  const found = pools[0].slots as { address: string; node: string }[];
  assert.deepEqual(
    found.map(({ address }) => address).filter((address) => address.includes(".")),
    slots,
  );
  await world.explains("pool/routed", [/^Pool routed: Ready/, /next-hop slots: node-0 \d+, node-1 \d+, node-2 \d+, node-3 \d+ /]);
});

test("a Service under policy Local waits, and is announced once its policy is Cluster", async () => {
  const world = await World.start(slotsConfig);
  world.expose("web", [0], { spec: { externalTrafficPolicy: "Local" } });
  await world.explains("svc/web", /\(localBySlots\)/);
  world.apply("web", { spec: { externalTrafficPolicy: "Cluster" } });
  await world.explains("svc/web", /^Service default\/web: Announced/);
});

test("a slot that another host has is left out, until that host is gone", async () => {
  const world = await World.start(withoutSlotsConfig);
  world.cluster.lan.startForeignHost("192.0.2.230");
  world.configure(slotsConfig);
  await world.explains("pool/routed", [
    /^Pool routed: Degraded \(slotsOccupied\)/,
    /other hosts have 1 next-hop slot.*: 192\.0\.2\.230$/m,
  ]);
  assert.equal((await world.tool("owner 192.0.2.230")).out, "");
  world.cluster.lan.endForeignHost("192.0.2.230");
  await world.explains("pool/routed", /^Pool routed: Ready/);
});

test("a prefix outside the nodes' subnets has no owner", async () => {
  const world = await World.start(slotsConfig.replace("192.0.2.224/28", "203.0.113.0/28"));
  await world.explains("pool/routed", [
    /^Pool routed: Degraded \(slotsUnowned\)/,
    /16 next-hop slots of pool routed, 203\.0\.113\.0 to 203\.0\.113\.15, have no owner: no node has an address in their subnet/,
  ]);
});

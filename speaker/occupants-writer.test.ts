import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock";
import { ApiError } from "#pkg/k8s";
import { silentLog } from "#pkg/log";
import { address } from "#pkg/net/testing";
import { decodeQuarantine } from "#pkg/quarantine";
import { OccupantsWriter } from "./occupants-writer.ts";

const x = address("192.0.2.1");
const occupant = { mac: "02:00:00:00:00:42", node: "node1", interface: "eth0" };

function bench() {
  const clock = new SimulatedClock();
  const writes: Readonly<Record<string, string | null>>[] = [];
  const api = { isAway: false };
  const writer = new OccupantsWriter({
    cluster: {
      writeConfigMap: async (_namespace, _name, data) => {
        if (api.isAway) throw new ApiError("Cannot write", 0, "Unreachable");
        writes.push(data);
      },
    },
    namespace: "metallb-system",
    log: silentLog,
    clock,
    random: () => 0.5,
  });
  return { clock, writes, api, writer };
}

test("what is found is written for all, again and again until it succeeds", async () => {
  const { clock, writes, api, writer } = bench();
  api.isAway = true;
  writer.write(x, occupant);
  await setImmediate();
  assert.deepEqual(writes, []);
  api.isAway = false;
  clock.advanceBy(1000);
  await setImmediate();
  const [write = {}] = writes as Record<string, string>[];
  const { mac, node, interface: name } = decodeQuarantine(write).get(x.toString()) ?? {};
  assert.deepEqual({ mac, node, interface: name }, occupant);
  assert.equal(writes.length, 1);
});

test("what is found while another write is under way is written after it, and what nobody has any more is taken out", async () => {
  const { writes, writer } = bench();
  writer.write(address("192.0.2.2"), undefined);
  writer.write(x, occupant);
  writer.write(x, undefined);
  await setImmediate();
  assert.deepEqual(writes, [{ "192.0.2.2": null }, { "192.0.2.1": null }]);
});

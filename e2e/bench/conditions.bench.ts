/**
 * Counts what the conditions of 10,000 Services cost the API server in an hour: patches of the ConfigMaps by which a speaker tells the controller,
 * and of the status of Services. The cores of the speaker that tells and of the controller run in simulated time; octets are those of the patches'
 * bodies. Run it with `node e2e/bench/conditions.bench.ts`, some minutes.
 */
import { aliveKey, announcedConfigMap, announcedConfigMaps, announcedKey, encodeAnnounced } from "#pkg/announced";
import { configMap, service } from "#pkg/k8s/testing";
import { configText, namespace, World } from "../../controller/testing/world.ts";
import type { SpeakerEffect } from "../../speaker/core/effects.ts";
import { amongOthers, nodes } from "../../speaker/testing/speaker-bench.ts";

const count = 10_000;
const stepMs = 500;
const hourMs = 3_600_000;
const addressOf = (i: number) => `10.0.${i >> 8}.${i & 255}`;
const keyOf = (i: number) => `default/s${i}`;

/** Patches, and the octets of their bodies. */
class Written {
  count = 0;
  octets = 0;

  add(body: object): void {
    this.count++;
    this.octets += Buffer.byteLength(JSON.stringify(body));
  }

  /** @returns what was written since the last call, in words */
  take(): string {
    const { count, octets } = this;
    [this.count, this.octets] = [0, 0];
    return `${count} patches, ${count === 0 ? 0 : Math.round(octets / count)} octets each`;
  }
}

const toConfigMaps = new Written();
const toServices = new Written();
const { bench, others, hear } = amongOthers(nodes[0] ?? "", "{name: main, protocol: layer2, addresses: [10.0.0.0/16]}");
const world = new World({ hasConditions: true });
world.config(configText("main 10.0.0.0/16"));
const { writeConditions } = world.cluster;
world.cluster.writeConditions = (...written: Parameters<typeof writeConditions>) => {
  const [{ uid }, { conditions, gone }] = written;
  const dated = conditions.map(({ since: lastTransitionTime, ...rest }) => ({ ...rest, lastTransitionTime }));
  toServices.add({ metadata: { uid }, status: { conditions: [...dated, ...gone] } });
  return writeConditions.apply(world.cluster, written);
};
let beats = 0;
const record = bench.runner.onStep;
bench.runner.onStep = (input, effects) => {
  record?.(input, effects);
  for (const effect of effects) if (effect.type === "writeAnnounced") tell(effect);
};

/** As `speaker/carry-out.ts` writes it. */
function tell({ lines, isNew }: Extract<SpeakerEffect, { type: "writeAnnounced" }>): void {
  const byConfigMap = Map.groupBy(lines, ([key]) => announcedConfigMap(key));
  const [first = ""] = announcedConfigMaps;
  if (isNew || lines.size === 0) byConfigMap.set(first, byConfigMap.get(first) ?? []);
  for (const [name, those] of byConfigMap) {
    const data = Object.fromEntries(those.map(([key, line]) => [announcedKey(key), line && encodeAnnounced(line)]));
    if (name === first && (isNew || lines.size === 0)) data[aliveKey] = new Date(beats++ * 120_000).toISOString();
    toConfigMaps.add({ data });
    const before = world.cluster.configMap(name)?.data ?? {};
    const now = Object.entries({ ...before, ...data }).filter((entry): entry is [string, string] => entry[1] !== null);
    world.cluster.put("configmaps", configMap(`${namespace}/${name}`, Object.fromEntries(now)));
  }
}

/** An hour passes, in which something happens at seconds of it. */
async function hour(what: string, act: (second: number) => void): Promise<void> {
  for (let at = 0; at < hourMs; at += stepMs) {
    if (at % 1_000 === 0) act(at / 1_000);
    bench.clock.advanceBy(stepMs);
    bench.settle();
    world.clock.advanceBy(stepMs);
    await world.settle();
  }
  console.log(`${what.padEnd(62)} ${toConfigMaps.take().padStart(34)} ${toServices.take().padStart(34)}`);
}

/** The next 1,000 Services from this one on have an endpoint, or none. */
function endpoints(first: number, ready: Record<string, boolean>): void {
  for (let i = 0; i < 1_000; i++) bench.endpoints(keyOf((first + i) % count), ready);
}

for (let i = 0; i < count; i++) {
  bench.serve(keyOf(i), [addressOf(i)]);
  world.cluster.put("services", service(keyOf(i), { ingress: [addressOf(i)] }));
}
bench.settle();
world.controller.start();
await world.settle();
console.log(
  `${`${count} Services, three nodes, an hour in which …`.padEnd(62)} ${"ConfigMaps".padStart(34)} ${"Services".padStart(34)}`,
);
await hour("all get their conditions", () => {});
await hour("nothing happens", () => {});
await hour("a node fails, and its third of the addresses moves", (second) => {
  if (second === 0) bench.membersChanged(nodes.slice(0, 2));
});
await hour("1,000 Services a minute are rolled out", (second) => {
  const first = Math.floor(second / 60) * 1_000;
  if (second % 60 === 0) endpoints(first, {});
  else if (second % 60 === 10) endpoints(first, { node1: true });
});
await hour("1,000 Services have no endpoint for ten minutes", (second) => {
  if (second === 0) endpoints(0, {});
  else if (second === 600) endpoints(0, { node1: true });
});
await hour("a node that announces half of them answers ARP for all", (second) => {
  const arp = {
    cause: "strictArp",
    about: "0.0.0.0/0",
    text: "arp_ignore is 0 on eth0; sysctl -w net.ipv4.conf.all.arp_ignore=1",
  };
  if (second > 0) return;
  for (const { state } of others) state.setFaults([arp]);
  hear();
});
process.exit();

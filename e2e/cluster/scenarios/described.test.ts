import assert from "node:assert/strict";
import { patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { described, subjectOf, sum, worldConfiguration, worldFaults } from "#e2e/planted-faults";
import type { World } from "../../simulation/scenarios/world.ts";
import { steps } from "../steps.ts";
import { InstalledCluster, namespace } from "./installed.ts";

const step = steps(async () => {
  const on = await InstalledCluster.start({ nodes: 1 });
  await on.deploy(1);
  await on.install(worldConfiguration);
  await on.serve("web");
  return on;
});

type Expose = (...of: Parameters<World["expose"]>) => Promise<void>;

/** A namespace of the cluster, as far as these faults are planted there: its Services have an endpoint on the only node. */
function placeIn(on: InstalledCluster, own: string): World {
  const expose: Expose = async (name, _nodes, { annotations = {}, spec = {} } = {}) => {
    const meta = { name, namespace: own };
    const ports = [{ name: "http", port: 80 }];
    const whole = { type: "LoadBalancer", ports, ...spec };
    await on.apply({ apiVersion: "v1", kind: "Service", metadata: { ...meta, annotations }, spec: whole });
    const labels = { "kubernetes.io/service-name": name };
    const slice = { apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", metadata: { ...meta, labels } };
    const endpoints = [{ addresses: ["10.244.9.9"], nodeName: "node1", conditions: { ready: true } }];
    await on.apply({ ...slice, addressType: "IPv4", ports, endpoints });
  };
  const assigned = (name: string) => waitFor(`an address of ${name}`, () => on.cluster.addressOf(name, own), patience);
  const configure = (text: string) => on.configure(text);
  return { expose, assigned, configure } as unknown as World;
}

type Judged = Pick<(typeof worldFaults)[string], "cause" | "remedy" | "describe" | "find">;

/** Waits until `kubectl describe` shows cause and remedy, in the namespace where it is planted. */
async function isShown(on: InstalledCluster, name: string, own: string, fault: Judged): Promise<void> {
  const here = (text: RegExp) => new RegExp(text.source.replace(/default(?=\\\/first|")/, own), text.flags);
  const wanted = { causes: [], cause: here(fault.cause), remedy: here(fault.remedy) };
  const look = async () => {
    const shown = await on.kubectl("-n", own, "describe", subjectOf(fault));
    assert.equal(sum(described(shown, wanted)), 2, shown);
    return true;
  };
  await waitFor(`kubectl describe to show ${name}`, look, { ...patience, every: 2_000 });
}

step("kubectl describe shows cause and remedy of faults of Services, as their Events have them", async (on) => {
  // All at once: no two of them ask for one address.
  const names = [
    ...["no-ipv6", "full-family", "address-outside", "other-class", "quota", "sharing-key"],
    ...["node-selectors", "wrong-interface", "no-peers"],
  ];
  const address = await on.addressOf("web");
  const plant = async (name: string) => {
    const fault = worldFaults[name] ?? assert.fail(name);
    await on.kubectl("create", "namespace", name);
    await fault.plant(placeIn(on, name), address);
    return [name, fault] as const;
  };
  const planted = await Promise.all(names.map(plant));
  // One after the other: a kubectl needs a second of a slow processor, and nine at a time leave none for what they are to see.
  for (const [name, fault] of planted) await isShown(on, name, name, fault);
});

step("kubectl describe shows line and column of a wrong field in the configuration", async (on) => {
  const fault = worldFaults["unknown-field"] ?? assert.fail();
  await fault.plant(placeIn(on, namespace), "");
  await isShown(on, "unknown-field", namespace, fault);
});

// At last: the controller does not reach the API any more.
step("kubectl describe shows what is wrong with a node", async (on) => {
  const fault = {
    find: "explain node/node1",
    cause: /node1 cannot deliver IPv4 packets to Pods, .*: its kernel does not forward packets/,
    remedy: /look at what the nodes have in common/, // It is the only one.
  };
  const { host } = on.cluster.node("node1");
  await host.run(["sysctl", "-w", "net.ipv4.ip_forward=0"]);
  await isShown(on, "no-forwarding", "default", fault);
});

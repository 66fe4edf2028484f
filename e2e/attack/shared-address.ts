import { setTimeout as sleep } from "node:timers/promises";
import { DemoCluster } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import type { Scene } from "./scene.ts";

const sharing = { "metallb.universe.tf/allow-shared-ip": "guessed" };
const addresses = (...asked: readonly string[]) => ({ ...sharing, "metallb.universe.tf/loadBalancerIPs": asked.join() });

interface Newcomer {
  readonly name: string;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The owners of an address, by each node that claims it. */
async function owners(cluster: DemoCluster, address: string): Promise<string> {
  const found: string[] = [];
  for (const { name, speaker } of cluster.nodes) {
    const { services } = JSON.parse((await speaker.get("/v1/services")).body) as {
      services: readonly { service: string; addresses: readonly { address: string; announced: boolean }[] }[];
    };
    if (
      services.some(
        (one) => one.service === "default/victim" && one.addresses.some((each) => each.address === address && each.announced),
      )
    )
      found.push(name);
  }
  return found.join("+");
}

/** A tenant who knows another one's sharing key. */
export const sharedAddress: Scene = {
  name: "shared-address",
  tried:
    "a tenant makes Services with another namespace's sharing key and addresses: Local with the same selector and other nodes, Local without a selector, the second address alone, and turns a Cluster one into Local",
  async run(logs) {
    await using cluster = await DemoCluster.start({ logs, nodes: 3 });
    for (const { speaker } of cluster.nodes) await waitFor("the speaker to be ready", () => speaker.ready());
    const started = performance.now();
    const effects: string[] = [];
    for (const policy of ["Local", "Cluster"] as const) {
      const families = ["IPv4", "IPv6"] as const;
      const victim = await cluster.expose("victim", ["node1"], { policy, families, annotations: sharing });
      await waitFor("two addresses", async () => (await victim.addresses()).length === 2);
      const held = await victim.addresses();
      const [first = "", second = ""] = held;
      const before = await waitFor("an owner of each", async () => {
        const found = await Promise.all(held.map((address) => owners(cluster, address)));
        return found.every((name) => name !== "") && found.join();
      });
      await sleep(1_100); // Kubernetes counts the age of a Service in seconds.
      const dual = { ipFamilies: families, ipFamilyPolicy: "RequireDualStack" };
      const newcomers: readonly Newcomer[] = [
        {
          name: "same-selector",
          spec: { ...dual, externalTrafficPolicy: "Local", selector: { app: "victim" } },
          annotations: addresses(first, second),
        },
        {
          name: "no-selector",
          spec: { ...dual, externalTrafficPolicy: "Local", selector: {} },
          annotations: addresses(first, second),
        },
        { name: "second-alone", spec: { ipFamilies: ["IPv6"] }, annotations: addresses(second) },
        { name: "turns", spec: { ...dual }, annotations: addresses(first, second) },
      ];
      const seen = new Set<string>();
      for (const [index, newcomer] of newcomers.entries()) {
        await attack(cluster, newcomer, 90 + index);
        for (let i = 0; i < 30; i++) {
          if (newcomer.name === "turns" && i === 10) await turn(cluster, newcomer);
          const now = await Promise.all((await victim.addresses()).map((address) => owners(cluster, address)));
          if (now.join() !== before)
            seen.add(`${newcomer.name}: ${now.join(" and ")} in place of ${before.replace(",", " and ")}`);
          await sleep(100);
        }
        await cluster.api.delete(reference(newcomer.name));
        await waitFor("the victim as before", async () => {
          const now = await Promise.all((await victim.addresses()).map((address) => owners(cluster, address)));
          return now.join() === before;
        });
      }
      effects.push(
        `${policy}: ${seen.size === 0 ? `both addresses stayed at ${before.replace(",", " and ")}` : [...seen].join("; ")}`,
      );
      if (seen.size > 0) effects.push("MOVED");
      await victim.delete();
    }
    return {
      seconds: (performance.now() - started) / 1000,
      effect: effects.filter((text) => text !== "MOVED").join("; "),
      holds: !effects.includes("MOVED"),
    };
  },
};

function reference(name: string) {
  return { apiVersion: "v1", kind: "Service", metadata: { name, namespace: "evil" } };
}

/** The Service, with a ready endpoint on another node than the victim's. */
async function attack({ api }: DemoCluster, { name, spec, annotations }: Newcomer, port: number): Promise<void> {
  await api.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "evil" } });
  await api.apply({
    ...reference(name),
    metadata: { name, namespace: "evil", annotations },
    spec: { type: "LoadBalancer", selector: { app: name }, ports: [{ name: "x", port }], ...spec },
  });
  for (const [family, address] of [
    ["IPv4", "10.244.2.200"],
    ["IPv6", "fd00:244:2::200"],
  ] as const)
    await api.apply({
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: `${name}-${family.toLowerCase()}`, namespace: "evil", labels: { "kubernetes.io/service-name": name } },
      addressType: family,
      ports: [{ name: "x", port: 8080 }],
      endpoints: [{ addresses: [address], nodeName: "node2", conditions: { ready: true } }],
    });
}

async function turn({ api }: DemoCluster, { name }: Newcomer): Promise<void> {
  await api.patch(reference(name), { spec: { externalTrafficPolicy: "Local" } });
}

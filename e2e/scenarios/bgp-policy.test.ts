import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, suite, test } from "node:test";
import { loadAll } from "js-yaml";
import type { DemoService } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { routerRefusal } from "#e2e/routers";
import { BgpNetwork, nodeAsn, type PlacedRouter, routesFrom, routesTo } from "./bgp-network.ts";
import { Tool } from "./tool.ts";

const component = new URL("../../manifests/components/namespaces/rbac.yaml", import.meta.url);
const selected = "service-selectors: [{match-labels: {exposure: public}}]";

suite("routes by Service, as a router gets them", { skip: await routerRefusal("bird") }, () => {
  let network: BgpNetwork;
  let tool: Tool;
  let router: PlacedRouter;
  let service: DemoService;
  let other: DemoService;
  const stack = new AsyncDisposableStack();

  const configure = (entry: string) =>
    network.cluster.configure(`peers:
- {name: tor, my-asn: ${nodeAsn}, peer-asn: 65010, peer-address: ${router.v4}, connect-time: 1s}
bgp-communities: {gold: "65001:7"}
address-pools:
- name: main
  protocol: bgp
  avoid-buggy-ips: true
  addresses: [198.51.100.0/24]
  bgp-advertisements:
  - ${entry}
    communities: ["65001:1"]
    communities-from: {annotation: example.com/communities, allowed: [gold, "65001:8"]}
    med-from: {label: med, min: 1, max: 20}
`);

  before(async () => {
    network = stack.use(await BgpNetwork.start({ nodes: 1 }));
    tool = stack.use(new Tool(network.cluster));
    const neighbors = network.cluster.nodes.map(({ addresses: [v4] }) => ({ address: v4, asn: nodeAsn }));
    router = await network.router("bird", 1, { asn: 65010, neighbors });
    await configure(selected);
    service = await network.cluster.expose("web", ["node1"]);
    other = await network.cluster.expose("other", ["node1"]);
  });
  after(() => stack.disposeAsync());

  const write = (metadata: object) =>
    network.cluster.api.patch(
      { apiVersion: "v1", kind: "Service", metadata: { namespace: "default", name: "web" } },
      { metadata },
    );
  const node = () => network.cluster.nodes[0]?.addresses[0] ?? "";
  const address = () => service.address();

  async function gets(communities: readonly string[], med: number | undefined): Promise<void> {
    const prefix = `${await address()}/32`;
    await waitFor(`the route with ${communities} and MED ${med}`, async () => {
      const route = (await routesTo(router, prefix)).get(node());
      return route?.communities.toSorted().join() === communities.join() && route.med === med;
    });
  }

  test("a Service without the label that the entry asks for has no route, and says so", async () => {
    await tool.explains("svc/web", /^Service default\/web: Pending \(notAdvertised\)/);
    await routesFrom(router, `${await address()}/32`, []);
  });

  test("a label gives it the route, an annotation its communities, and other Services stay without", async () => {
    await write({ labels: { exposure: "public" } });
    await gets(["65001:1"], undefined);
    await write({ labels: { med: "20" }, annotations: { "example.com/communities": "gold, 65001:8" } });
    await gets(["65001:1", "65001:7", "65001:8"], 20);
    await tool.explains("svc/other", /^Service default\/other: Pending \(notAdvertised\)/);
  });

  test("what is not allowed is left out, and verdict and Event name it", async () => {
    await write({ labels: { med: "21" }, annotations: { "example.com/communities": "gold,no-export" } });
    await gets(["65001:1", "65001:7"], undefined);
    const says =
      /its annotation example\.com\/communities asks for "no-export", and the pool allows the communities gold, 65001:8; its label med asks for "21", and the pool allows a MED from 1 to 20/;
    await tool.explains("svc/web", /^Service default\/web: Degraded \(attributesRefused\)/);
    await tool.explains("svc/web", says);
    await waitFor("an Event", async () => {
      const events = await network.cluster.api.list("v1", "Event", "default");
      return events.some(({ reason, message }) => reason === "announcedWithFault" && says.test(`${message}`));
    });
  });

  test("labels of the namespace count where speakers may read them, and a change of them is followed", async () => {
    for (const object of loadAll(readFileSync(component, "utf8")))
      await network.cluster.api.apply(object as Parameters<typeof network.cluster.api.apply>[0]);
    await configure("namespace-selectors: [{match-labels: {exposure: public}}]");
    await routesFrom(router, `${await address()}/32`, []);
    const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } };
    await network.cluster.api.patch(namespace, { metadata: { labels: { exposure: "public" } } });
    await gets(["65001:1", "65001:7"], undefined);
    await network.cluster.api.patch(namespace, { metadata: { labels: { exposure: null } } });
    await routesFrom(router, `${await address()}/32`, []);
  });

  test("of an aggregate, Services that ask for attributes or have Local have routes of their own, and it goes with the last of the others", async () => {
    await configure("aggregation-length: 28\n    keep-more-specifics: true");
    await gets(["65001:1", "65001:7"], undefined);
    const aggregate = (await routesTo(router, "198.51.100.0/28")).get(node());
    assert.deepEqual(aggregate?.communities, ["65001:1"]);
    const otherPrefix = `${await other.address()}/32`;
    await routesFrom(router, otherPrefix, []);
    await network.cluster.api.patch(
      { apiVersion: "v1", kind: "Service", metadata: { namespace: "default", name: "other" } },
      { spec: { externalTrafficPolicy: "Local" } },
    );
    await routesFrom(router, otherPrefix, [node()]);
    await routesFrom(router, "198.51.100.0/28", []);
  });
});

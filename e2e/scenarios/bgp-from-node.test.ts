import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { Bird, routerRefusal } from "#e2e/routers";
import { BgpNetwork, nodeAsn, type PlacedRouter, routesFrom } from "./bgp-network.ts";
import { Tool } from "./tool.ts";

const prefix = "198.51.100.1/32";

suite("a peer whose values are those of each node", { skip: await routerRefusal("bird", "frr") }, () => {
  let network: BgpNetwork;
  let tool: Tool;
  const routers: PlacedRouter[] = [];
  const stack = new AsyncDisposableStack();

  before(async () => {
    network = stack.use(await BgpNetwork.start({ nodes: 2 }));
    tool = stack.use(new Tool(network.cluster));
    for (const number of [1, 2])
      routers.push(
        await network.router("bird", number, {
          asn: 65010 + number,
          neighbors: network.cluster.nodes.map(({ addresses: [v4] }) => ({ address: v4, asn: nodeAsn })),
        }),
      );
    await annotate("node1", tor(1));
    await network.cluster.configure(`peers:
- name: tor
  my-asn: ${nodeAsn}
  connect-time: 1s
  from-node: {peer-address: {annotation: example.com/tor}, peer-asn: {annotation: example.com/tor-asn}}
address-pools:
- {name: main, protocol: bgp, avoid-buggy-ips: true, addresses: [198.51.100.0/24]}
`);
    await network.cluster.expose("web", ["node1"]);
  });
  after(() => stack.disposeAsync());

  const tor = (number: number) => ({
    "example.com/tor": routers[number - 1]?.v4 ?? "",
    "example.com/tor-asn": `${65010 + number}`,
  });

  async function annotate(node: string, annotations: Readonly<Record<string, string | null>>): Promise<void> {
    await network.cluster.api.patch({ apiVersion: "v1", kind: "Node", metadata: { name: node } }, { metadata: { annotations } });
  }

  const has = (number: number, ...nodes: number[]) =>
    routesFrom(
      routers[number - 1] as PlacedRouter,
      prefix,
      nodes.map((node) => network.cluster.nodes[node - 1]?.addresses[0] ?? ""),
    );

  test("the node with annotations has its router, and the node without has a verdict with its name", async () => {
    await has(1, 1);
    await tool.explains(
      "peer/tor",
      /Pending \(nodeValueRefused\)[\s\S]*Node node2 gives this peer no values: it has no annotation "example\.com\/tor"/,
    );
  });

  test("annotations that come, change and go are followed, and the other node's session stays", async () => {
    await annotate("node2", tor(2));
    await has(2, 2);
    await annotate("node2", tor(1));
    await has(1, 1, 2);
    await has(2);
    await annotate("node2", { "example.com/tor-asn": "sixty-five" });
    await has(1, 1);
    await tool.explains("peer/tor", /its annotation "example\.com\/tor-asn" cannot be peer-asn: "sixty-five"/);
  });

  test("router-id, source-address, my-asn and the key of the password come from the node, for two routers of its rack at once", async () => {
    const [, node] = network.cluster.nodes;
    const source = "172.30.0.180";
    await node?.host.ip(`addr add ${source}/24 dev eth0`);
    const passwords = { rack1: "correct-horse", rack2: "battery-staple" };
    const data = Object.fromEntries(
      Object.entries(passwords).map(([key, value]) => [key, Buffer.from(value).toString("base64")]),
    );
    const metadata = { namespace: "metallb-system", name: "router-passwords", labels: { "ingot-use": "bgp-password" } };
    await network.cluster.api.apply({ apiVersion: "v1", kind: "Secret", metadata, data });
    const rack = await Promise.all(
      [3, 4].map((number) => {
        const neighbors = [{ address: source, asn: 65077, password: passwords.rack2 }];
        return network.router(number === 3 ? "frr" : "bird", number, { asn: 65010 + number, neighbors });
      }),
    );
    await network.cluster.api.patch(
      { apiVersion: "v1", kind: "Node", metadata: { name: "node2" } },
      { metadata: { labels: { rack: "rack2" } } },
    );
    await annotate("node2", {
      "example.com/tor": rack.map(({ v4 }) => v4).join(),
      "example.com/tor-asn": "65013,65014",
      "example.com/asn": "65077",
      "example.com/id": "10.77.0.2",
      "example.com/source": source,
    });
    const annotation = (name: string) => `{annotation: example.com/${name}}`;
    await network.cluster.configure(`peers:
- name: tor
  connect-time: 1s
  password-secret: {name: router-passwords}
  from-node:
    peer-address: ${annotation("tor")}
    peer-asn: ${annotation("tor-asn")}
    my-asn: ${annotation("asn")}
    router-id: ${annotation("id")}
    source-address: ${annotation("source")}
    password-secret-key: {label: rack}
address-pools:
- {name: main, protocol: bgp, avoid-buggy-ips: true, addresses: [198.51.100.0/24]}
`);
    for (const router of rack) {
      const routes = await routesFrom(router, prefix, [source]);
      assert.deepEqual(routes.get(source)?.asPath, [65077]);
    }
    const bird = rack[1]?.router;
    assert.ok(bird instanceof Bird);
    assert.match(await bird.command("show protocols all"), /Neighbor ID: +10\.77\.0\.2\n/);
    await tool.explains("peer/tor", /Node node1 gives this peer no values: it has no annotation/);
  });
});

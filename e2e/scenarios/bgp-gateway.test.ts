import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import type { DemoNode } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { routerRefusal } from "#e2e/routers";
import { BgpNetwork, nodeAsn, type PlacedRouter, routesFrom } from "./bgp-network.ts";
import { Tool } from "./tool.ts";

const routerAsn = 65010;
const bfd = { intervalMs: 300, multiplier: 3 };
const prefixes = { v4: "198.51.100.1/32", v6: "2001:db8:1::/128" };

suite("peers that are the gateways of the node", { skip: await routerRefusal("bird") }, () => {
  let network: BgpNetwork;
  let tool: Tool;
  let node: DemoNode;
  const routers: PlacedRouter[] = [];
  const stack = new AsyncDisposableStack();

  before(async () => {
    network = stack.use(await BgpNetwork.start({ nodes: 1 }));
    tool = stack.use(new Tool(network.cluster));
    [node] = network.cluster.nodes as [DemoNode];
    const [v4, v6] = node.addresses;
    for (const number of [1, 2])
      routers.push(
        await network.router("bird", number, {
          asn: routerAsn,
          neighbors: [
            { address: v4, asn: nodeAsn, bfd },
            { address: v6, asn: nodeAsn, bfd },
          ],
        }),
      );
    for (const family of ["-4", "-6"]) await node.host.run(["ip", family, "route", "flush", "default"]);
    await network.cluster.configure(`peers:
- {name: gateways, my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, peer-address: gateway, hold-time: 90s, connect-time: 1s, bfd-profile: slow}
bfd-profiles:
- {name: slow, transmit-interval: 300, receive-interval: 300}
address-pools:
- {name: main, protocol: bgp, avoid-buggy-ips: true, addresses: [198.51.100.0/24, "2001:db8:1::/64"]}
`);
    await network.cluster.expose("web", ["node1"], { families: ["IPv4", "IPv6"] });
  });
  after(() => stack.disposeAsync());

  /** Sets the default route of each family, to the routers with these numbers. */
  async function route(...numbers: number[]): Promise<void> {
    const those = numbers.map((number) => routers[number - 1] as PlacedRouter);
    const hops = (of: (router: PlacedRouter) => string) => those.flatMap((router) => ["nexthop", "via", of(router)]);
    await node.host.run(["ip", "-4", "route", "replace", "default", ...hops(({ v4 }) => v4)]);
    await node.host.run(["ip", "-6", "route", "replace", "default", ...hops(({ v6 }) => v6)]);
  }

  /** Waits until this router has the route of each family from the node's address of that family, and no other one. */
  async function has(number: number, isThere: boolean): Promise<void> {
    const [v4, v6] = node.addresses;
    const router = routers[number - 1] as PlacedRouter;
    await routesFrom(router, prefixes.v4, isThere ? [v4] : []);
    await routesFrom(router, prefixes.v6, isThere ? [v6] : []);
  }

  test("without a default route the peer waits, and says for what", async () => {
    await tool.explains(
      "peer/gateway",
      /Pending \(waitsForRouter\)[\s\S]*this node has no default route whose next hop is a router/,
    );
  });

  test("the next hop of the default route gets a session for each family, and the next one when the route changes", async () => {
    await route(1);
    await has(1, true);
    await route(2);
    await has(2, true);
    await has(1, false);
  });

  test("a default route that is away for two seconds, as while a DHCP client starts again, ends no session", async () => {
    const { v4 } = routers[1] as PlacedRouter;
    const ownPort = async () => {
      const connections = await node.host.output(["ss", "-Htn", "state", "established", "dst", v4]);
      return /:(\d+)\s/.exec(connections)?.[1];
    };
    const before = await ownPort();
    assert.ok(before);
    await node.host.run(["ip", "-4", "route", "del", "default"]);
    await setTimeout(2_000);
    await route(2);
    await setTimeout(2_000);
    assert.equal(await ownPort(), before);
  });

  test("several next hops get a session each", async () => {
    await route(1, 2);
    for (const number of [1, 2]) await has(number, true);
    for (const { v4 } of routers) await tool.explains(`peer/${v4}`, /Ready \(established\)/);
  });

  test("a gateway that dies is given up by BFD, and the session with the next one stands while the default route moves away from it, and back", async () => {
    const [dead] = routers as [PlacedRouter];
    await dead.host.link("eth0").down();
    await tool.explains(`peer/${dead.v4}`, /(Pending|Degraded) \(/);
    await has(2, true);
    await route(2);
    await waitFor(
      "the dead gateway to be no peer",
      async () => !(await node.speaker.get("/v1/bgp/peers")).body.includes(dead.v4),
    );
    await has(2, true);
    await dead.host.link("eth0").up();
    await dead.host.ip(`addr replace ${dead.v6}/64 dev eth0 nodad`);
    await route(1);
    await has(1, true);
    await has(2, false);
  });

  test("a gateway that does not speak BGP has a verdict that calls it the gateway", async () => {
    const host = await network.cluster.lab.host("plain", { forwarding: true });
    await host.attach(network.cluster.lan, { addresses: ["172.30.0.250/24"] });
    await node.host.ip("route replace default via 172.30.0.250");
    const said = await tool.explains("peer/172.30.0.250", /\(connectionRefused\)/);
    assert.match(said, /172\.30\.0\.250:179, the gateway of this node, is not up: connection refused/);
  });
});

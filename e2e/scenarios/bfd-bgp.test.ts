import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { bfdRefusal, losePackets } from "#e2e/bfd";
import type { DemoNode, Workload } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { BgpNetwork, nodeAsn, type PlacedRouter, routesFrom } from "./bgp-network.ts";
import { metric } from "./observe.ts";

const kinds = ["frr", "bird"] as const;
const routerAsn = 65010;
const bfd = { intervalMs: 100, multiplier: 3 };

interface BfdSession {
  readonly peer: string;
  readonly verdict: string;
  readonly session: { readonly detectionMs: number };
}

interface BgpSession {
  readonly peer: string;
  readonly state: string;
  readonly flaps: number;
  readonly waitsFor?: string;
  readonly notificationSent?: { readonly what: string };
}

async function about<View extends { readonly peer: string }>(speaker: Workload, path: string, peer: string): Promise<View> {
  const views = JSON.parse((await speaker.get(path)).body) as View[];
  const found = views.find((view) => view.peer === peer);
  assert.ok(found, `${peer} is not in ${JSON.stringify(views)}`);
  return found;
}

suite("BFD watches the paths of BGP sessions", { skip: await bfdRefusal(...kinds) }, () => {
  let network: BgpNetwork;
  let node: DemoNode;
  let prefix: string;
  const routers: PlacedRouter[] = [];

  const configure = (interval: number, more: Partial<Record<string, string>> = {}): Promise<unknown> => {
    const peers = routers.map(
      ({ v4 }) =>
        `- {my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, peer-address: ${v4}, hold-time: 90s, bfd-profile: fast${more[v4] ?? ""}}\n`,
    );
    return network.cluster.configure(`peers:
${peers.join("")}bfd-profiles:
- {name: fast, transmit-interval: ${interval}, receive-interval: ${interval}}
address-pools:
- {name: main, protocol: bgp, avoid-buggy-ips: true, addresses: [198.51.100.0/24]}
`);
  };
  const session = ({ v4 }: PlacedRouter) => about<BgpSession>(node.speaker, "/v1/bgp/peers", `${v4}:179`);
  const path = ({ v4 }: PlacedRouter) => about<BfdSession>(node.speaker, "/v1/bfd/sessions", v4);
  const pathsUp = (): Promise<boolean> =>
    waitFor("BFD to be up", async () => {
      const paths = await Promise.all(routers.map(path));
      return paths.every(({ verdict }) => verdict === "up");
    });

  before(async () => {
    network = await BgpNetwork.start({ nodes: 1 });
    [node] = network.cluster.nodes as [DemoNode];
    for (const [index, kind] of kinds.entries()) {
      const neighbors = [{ address: node.addresses[0], asn: nodeAsn, bfd }];
      routers.push(await network.router(kind, index + 1, { asn: routerAsn, neighbors }));
    }
    {
      // BGP comes up later than BFD could. FRR would then end both once, if BFD did not wait for BGP.
      await using _ = await losePackets(node.host, ["input", "output"], "tcp dport 179 drop; tcp sport 179");
      await configure(100);
      await sleep(3_000);
    }
    prefix = `${await (await network.cluster.expose("web", ["node1"])).address()}/32`;
    for (const placed of routers) await routesFrom(placed, prefix, [node.addresses[0]]);
    await pathsUp();
  });
  after(() => network?.[Symbol.asyncDispose]());

  test("both come up once", async () => {
    for (const placed of routers) {
      const peer = placed.v4;
      await waitFor("BFD to count it", async () => (await metric(node.speaker, "metallb_bfd_session_up_events", { peer })) === 1);
      assert.equal(await metric(node.speaker, "metallb_bfd_session_down_events", { peer: placed.v4 }), 0);
      assert.equal((await session(placed)).flaps, 0);
    }
  });

  test("another profile changes the sessions without a flap of either protocol", async () => {
    await configure(150);
    for (const placed of routers)
      await waitFor("the new detection time", async () => (await path(placed)).session.detectionMs === 450);
    await configure(100);
    for (const placed of routers) {
      await waitFor("the old detection time", async () => (await path(placed)).session.detectionMs === 300);
      assert.equal((await session(placed)).flaps, 0);
      assert.equal(await metric(node.speaker, "metallb_bfd_session_down_events", { peer: placed.v4 }), 0);
    }
  });

  test("a path that fails takes sessions and routes long before the hold time is over, and brings them back", async () => {
    await network.cluster.lan.isolate(node.host);
    for (const placed of routers) {
      await routesFrom(placed, prefix, []);
      await waitFor(
        "the speaker to know",
        async () => (await metric(node.speaker, "metallb_bgp_session_up", { peer: `${placed.v4}:179` })) === 0,
      );
      assert.equal(await metric(node.speaker, "metallb_bfd_session_up", { peer: placed.v4 }), 0);
    }
    await network.cluster.lan.rejoin(node.host);
    for (const placed of routers) await routesFrom(placed, prefix, [node.addresses[0]]);
    await pathsUp();
  });

  test("a router that is still reached gets Cease/BFD Down", async () => {
    {
      await using _ = await losePackets(node.host, ["input"]);
      for (const placed of routers) {
        const sent = await waitFor("the notification", async () => (await session(placed)).notificationSent?.what);
        assert.equal(sent, "Cease/BFD Down (6/10)");
        await routesFrom(placed, prefix, []);
      }
    }
    for (const placed of routers) await routesFrom(placed, prefix, [node.addresses[0]]);
    await pathsUp();
  });

  const restartSpeaker = async (): Promise<void> => {
    await node.speaker.stop();
    await node.speaker.start();
    await waitFor("the speaker to be ready", () => node.speaker.ready());
  };

  test("a router that does not speak BFD has a session all the same", async () => {
    const [frr, bird] = routers as [PlacedRouter, PlacedRouter];
    const neighbors = [{ address: node.addresses[0], asn: nodeAsn }];
    await bird.router.reload({ asn: routerAsn, routerId: bird.v4, neighbors });
    await restartSpeaker();
    for (const placed of routers) await routesFrom(placed, prefix, [node.addresses[0]]);
    await waitFor("BFD with FRR to be up", async () => (await path(frr)).verdict === "up");
    const { verdict } = await path(bird);
    const { state, flaps } = await session(bird);
    assert.deepEqual({ verdict, state, flaps }, { verdict: "unknown", state: "established", flaps: 0 });
  });

  test("a strict session waits for BFD, shows that, and starts when it is up", async () => {
    const [frr] = routers as [PlacedRouter];
    await frr.router.reload({ asn: routerAsn, routerId: frr.v4, neighbors: [{ address: node.addresses[0], asn: nodeAsn }] });
    await configure(100, { [frr.v4]: ", bfd-strict: true" });
    await restartSpeaker();
    const waits = /^BFD is not up, and bfd-strict is set: /;
    await waitFor("the session to wait", async () => waits.test((await session(frr)).waitsFor ?? ""));
    assert.match((await node.speaker.get("/readyz")).body, /warning: BGP session with 172\.30\.0\.241:179 waits: BFD is not up/);
    await routesFrom(frr, prefix, []);
    await frr.router.reload({
      asn: routerAsn,
      routerId: frr.v4,
      neighbors: [{ address: node.addresses[0], asn: nodeAsn, bfd }],
    });
    await routesFrom(frr, prefix, [node.addresses[0]]);
  });
});

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { DemoNode } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { Bird, type RouterKind, routerRefusal, startRouter } from "#e2e/routers";
import { BgpNetwork, established, nodeAsn, type PlacedRouter } from "./bgp-network.ts";
import { says } from "./observe.ts";
import { Tool } from "./tool.ts";

const routerAsn = 65010;
const kinds = ["frr", "bird", "openbgpd"] as const;
const holdTimeSeconds = 6;
const script = fileURLToPath(new URL("scripted-peer.ts", import.meta.url));

suite("ingotctl explains why a session ended", { skip: await routerRefusal(...kinds, "gobgp") }, () => {
  let network: BgpNetwork;
  let tool: Tool;
  let node: DemoNode;
  const routers: PlacedRouter[] = [];
  before(async () => {
    network = await BgpNetwork.start({ nodes: 1, speakerArguments: ["--bgp-port=179"] });
    tool = new Tool(network.cluster);
    [node] = network.cluster.nodes as [DemoNode];
    const neighbors = [{ address: node.addresses[0], asn: nodeAsn, holdTimeSeconds }];
    for (const [index, kind] of kinds.entries())
      routers.push(await network.router(kind, index + 1, { asn: routerAsn, neighbors }));
    await configure(routers.map(({ v4 }) => v4));
    await network.cluster.expose("web", ["node1"]);
    for (const each of routers) await established(each);
  });
  after(async () => {
    tool?.[Symbol.dispose]();
    await network?.[Symbol.asyncDispose]();
  });

  const configure = (addresses: readonly string[], seconds = holdTimeSeconds) =>
    network.cluster.configure(`peers:
${addresses.map((each) => `- {my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, peer-address: ${each}, hold-time: ${seconds}s}`).join("\n")}
address-pools:
- {name: main, protocol: bgp, addresses: [198.51.100.0/24]}
`);
  const key = ({ v4 }: PlacedRouter) => `${v4}:179`;
  const well = ({ v4 }: PlacedRouter) => tool.explains(`peer/${v4}`, /: Ready \(established\)/);

  test("a neighbor that is shut down on the router, for as long as it is", async () => {
    for (const each of routers) await each.router.shut(node.addresses[0], "until noon");
    for (const each of routers) {
      const first = await says(node.speaker, "sessionRefused", "peer", key(each));
      await tool.explains(`peer/${each.v4}`, [
        /Pending \(sessionRefused\).*; since then: /s,
        /is not up: peer closed with Cease\/Administrative Shutdown \(6\/2\): "until noon"/,
        /To do: enable this node as a neighbor on the router \(.*\), or take the peer out of the configuration/,
      ]);
      const { since } = await says(node.speaker, "sessionRefused", "peer", key(each));
      assert.ok(Math.abs(Date.parse(since) - Date.parse(first.since)) < 1_000, "attempts to connect do not make it younger");
    }
    await tool.explains("svc/web", /^Service default\/web: Pending \(noSession\)/);
    for (const each of routers) await each.router.unshut(node.addresses[0]);
    for (const each of routers) await well(each);
  });

  test("the router has the speaker's reason, too", async () => {
    await node.speaker.stop();
    for (const { router } of routers)
      await waitFor(`${router.kind} to say why`, async () => {
        for (const { lastError } of await router.neighbors()) assert.match(lastError ?? "", /the speaker of this node stops/);
        return true;
      });
    await node.speaker.start();
    for (const each of routers) await well(each);
  });

  test("a router that stands still", async () => {
    for (const { router } of routers) router.freeze();
    for (const each of routers) {
      await tool.explains(`peer/${each.v4}`, [
        /Pending \(holdTimerExpired\)/,
        new RegExp(`is not up: hold timer expired: nothing received for ${holdTimeSeconds} s`),
        /To do: see whether the router runs, whether it is overloaded, and what drops packets on the path/,
      ]);
    }
    for (const { router } of routers) router.thaw();
    for (const each of routers) await well(each);
  });

  test("a router that counts the node in its confederation, and refuses the attributes of its routes", async () => {
    const neighbors = [{ address: node.addresses[0], asn: nodeAsn }];
    const confederation = { asn: 64999, members: [nodeAsn] };
    const gobgp = await network.router("gobgp", 4, { asn: routerAsn, neighbors, confederation });
    await configure([gobgp.v4]);
    await tool.explains("svc/web", [
      /Peer .*\(routeRefused\)/s,
      /is not up: peer closed with UPDATE Message Error\/Malformed AS_PATH \(3\/11\)/,
      /To do: see the message and the router's log: .* such as a confederation/,
    ]);
    await gobgp.router.stop();
    const { lab } = network.cluster;
    await using _ = await startRouter("bird", { lab, host: gobgp.host }, { asn: routerAsn, routerId: gobgp.v4, neighbors });
    await well(gobgp);
  });

  /** As RFC 7606 has it. They send nothing that would tell the speaker: docs/bgp.md says so. */
  test("FRR and BIRD with the node in their confederation keep the session, and take no route", async () => {
    const neighbors = [{ address: node.addresses[0], asn: nodeAsn }];
    const confederation = { asn: 64999, members: [nodeAsn] };
    const make = (kind: RouterKind, index: number) =>
      network.router(kind, 7 + index, { asn: routerAsn, neighbors, confederation });
    const members = await Promise.all((["bird", "frr"] as const).map(make));
    await configure(members.map(({ v4 }) => v4));
    for (const each of members) {
      await tool.explains(`peer/${each.v4}`, /Ready \(established\)[\s\S]*prefixes announced: 1/);
      assert.deepEqual(await each.router.routes(), []);
    }
    const [{ router }] = members as [PlacedRouter, PlacedRouter];
    assert.ok(router instanceof Bird);
    await waitFor("BIRD to say why", async () => router.process.lines.some((line) => /missing initial AS_CONFED/.test(line)));
  });

  test("a router that comes back without having ended its session, and gets no further than its OPEN", async () => {
    // Long enough for this side to send nothing meanwhile, which the router would answer with a reset.
    const holdTimeSeconds = 240;
    const neighbors = [{ address: node.addresses[0], asn: nodeAsn, holdTimeSeconds }];
    const bird = await network.router("bird", 6, { asn: routerAsn, neighbors });
    await configure([bird.v4], holdTimeSeconds);
    await well(bird);
    // Earlier it could be the other connection of a collision.
    await sleep(6_000);
    // A host with its addresses that knows nothing of the session, as after a loss of power.
    await network.cluster.lan.isolate(bird.host);
    const again = await network.cluster.lab.host("again");
    await again.attach(network.cluster.lan, { addresses: [`${bird.v4}/24`], mac: `02:00:00:00:ff:0${bird.number}` });
    {
      await using _ = await again.spawn("stuck", ["node", script, node.addresses[0], `${routerAsn}`, "stuck"]);
      await tool.explains(`peer/${bird.v4}`, [
        /Pending \(peerRestarted\)/,
        /is not up: the peer restarted: it opened a new session while the previous one was established/,
        /To do: see on the router why it restarted, and why it does not go on with this session/,
      ]);
    }
    await network.cluster.lan.isolate(again);
    await network.cluster.lan.rejoin(bird.host);
    await bird.router.clear(node.addresses[0]);
    await well(bird);
  });
});

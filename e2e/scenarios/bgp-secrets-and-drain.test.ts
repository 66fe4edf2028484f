import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoNode } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { routerRefusal } from "#e2e/routers";
import { BgpNetwork, established, nodeAsn, type PlacedRouter, routesFrom } from "./bgp-network.ts";

const routerAsn = 65010;
const gracefulShutdown = "65535:0";
const prefix = "198.51.100.1/32";

/** What `/v1/bgp/peers` shows, as far as it is looked at here. */
interface PeerState {
  readonly peer: string;
  readonly state?: string;
  readonly waitsFor?: string;
  readonly flaps?: number;
}

suite("a password in a Secret, and a node that is to be left", { skip: await routerRefusal("frr", "bird") }, () => {
  let network: BgpNetwork;
  let node: DemoNode;
  let frr: PlacedRouter;
  let bird: PlacedRouter;
  let configure: (secret: string) => Promise<unknown>;
  const secret = (values: Record<string, string>) => {
    const encoded = Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString("base64")]);
    const labels = { "ingot-use": "bgp-password" };
    const metadata = { namespace: "metallb-system", name: "router-passwords", labels };
    return network.cluster.api.apply({ apiVersion: "v1", kind: "Secret", metadata, data: Object.fromEntries(encoded) });
  };
  const peers = async () => JSON.parse((await node.speaker.get("/v1/bgp/peers")).body) as PeerState[];
  const peerOf = async ({ v4 }: PlacedRouter) => (await peers()).find(({ peer }) => peer === `${v4}:179`);

  before(async () => {
    network = await BgpNetwork.start({ nodes: 1 });
    [node] = network.cluster.nodes as [DemoNode];
    const neighbor = { address: node.addresses[0], asn: nodeAsn };
    frr = await network.router("frr", 1, { asn: routerAsn, neighbors: [{ ...neighbor, password: "correct-horse" }] });
    bird = await network.router("bird", 2, { asn: routerAsn, neighbors: [neighbor] });
    const common = `my-asn: ${nodeAsn}, peer-asn: ${routerAsn}`;
    configure = (secret) =>
      network.cluster.configure(`peers:
- {name: frr, ${common}, peer-address: ${frr.v4}, password-secret: {${secret}}, drain-when-cordoned: true}
- {name: bird, ${common}, peer-address: ${bird.v4}}
address-pools:
- {name: main, protocol: bgp, avoid-buggy-ips: true, addresses: [198.51.100.0/24]}
`);
    await configure("name: router-passwords, key: frr");
    await network.cluster.expose("web", ["node1"]);
    await established(bird);
  });
  after(() => network[Symbol.asyncDispose]());

  test("the ring's key is no password, though speakers may read it", async () => {
    await configure("name: memberlist, key: secretkey");
    await waitFor("the refusal", async () => /memberlist is not marked for this use/.test((await peerOf(frr))?.waitsFor ?? ""));
    await configure("name: router-passwords, key: frr");
  });

  test("while the password is missing, that session alone waits, and shows for what", async () => {
    const missing = "there is no Secret metallb-system/router-passwords, or nothing in it";
    await waitFor("the peer to wait", async () => (await peerOf(frr))?.waitsFor === missing);
    assert.match(
      (await node.speaker.get("/readyz")).body,
      /warning: .*BGP session with 172\.30\.0\.241:179 waits: there is no Secret/,
    );
    await secret({ bird: "x" });
    await waitFor("the other reason", async () => (await peerOf(frr))?.waitsFor?.endsWith('has no key "frr", but bird'));
    await secret({ frr: "correct-horse\n" });
    await established(frr);
    await routesFrom(frr, prefix, [node.addresses[0]]);
    assert.doesNotMatch(node.speaker.process.lines.join("\n"), /correct-horse/);
  });

  test("a Secret that is deleted takes no routes away", async () => {
    const reference = { apiVersion: "v1", kind: "Secret", metadata: { namespace: "metallb-system", name: "router-passwords" } };
    await network.cluster.api.delete(reference);
    await waitFor("the speaker to see it", async () =>
      node.speaker.process.lines.some((line) => line.includes("values of a Secret are gone")),
    );
    assert.deepEqual([(await peerOf(frr))?.state, (await peerOf(frr))?.flaps], ["established", 0]);
  });

  test("while the node is cordoned, routers that ask for it get GRACEFUL_SHUTDOWN", async () => {
    const cordon = (unschedulable: boolean) =>
      network.cluster.api.patch({ apiVersion: "v1", kind: "Node", metadata: { name: "node1" } }, { spec: { unschedulable } });
    const received = (placed: PlacedRouter, communities: string[]) =>
      waitFor(`${placed.router.kind} to get [${communities}]`, async () => {
        const route = (await routesFrom(placed, prefix, [node.addresses[0]])).get(node.addresses[0]);
        return route?.communities.join() === communities.join();
      });
    await received(frr, []);
    await cordon(true);
    await received(frr, [gracefulShutdown]);
    await received(bird, []);
    await cordon(false);
    await received(frr, []);
    assert.deepEqual(
      (await peers()).map(({ flaps }) => flaps),
      [0, 0],
    );
  });

  test("another password begins that session anew, and no other", async () => {
    await secret({ frr: "wrong-horse" });
    await waitFor("the session to end", async () => (await peerOf(frr))?.flaps === 1);
    await secret({ frr: "correct-horse" });
    await established(frr);
    assert.deepEqual((await peerOf(bird))?.flaps, 0);
  });
});

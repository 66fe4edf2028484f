import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoNode, DemoService } from "#e2e/demo-cluster";
import { type Host, waitFor } from "#e2e/lab";
import { type Neighbor, type Router, routerRefusal, startRouter } from "#e2e/routers";
import { BgpNetwork, established, nodeAsn, type PlacedRouter, routesFrom, routesTo } from "./bgp-network.ts";

const routerAsn = 65010;

/** One session in `/v1/bgp/peers`. */
interface Peer {
  readonly peer: string;
  readonly state: string;
  readonly flaps: number;
  readonly messagesSent: { readonly update: number };
  readonly waitsFor?: string;
  readonly lastFailure?: { readonly what: string };
}

suite("peers as they are configured, and as the configuration changes", { skip: await routerRefusal("bird") }, () => {
  let network: BgpNetwork;
  let node: DemoNode;
  let other: DemoNode;
  let service: DemoService;
  let prefix: string;
  let plain: PlacedRouter;
  let secret: PlacedRouter;
  let small: PlacedRouter;
  let waiting: PlacedRouter;
  let colliding: PlacedRouter;
  let distant: { readonly router: Router; readonly address: string };

  const session = (more: string) => `- {my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, ${more}}\n`;
  const selected = "node-selectors: [{match-labels: {kubernetes.io/hostname: node1}}]";
  /** The peers by the name of their router; each test changes some and leaves them as they were. */
  const peers: Record<string, string> = {};
  let advertisement = "{}";

  async function configure(changes: Readonly<Record<string, string>> = {}, more = ""): Promise<void> {
    Object.assign(peers, changes);
    await network.cluster.configure(`peers:
${Object.values(peers).join("")}address-pools:
- name: main
  protocol: bgp
  avoid-buggy-ips: true
  addresses: [198.51.100.0/24]
  bgp-advertisements: [${advertisement}]
${more}`);
  }

  const views = async (): Promise<readonly Peer[]> => JSON.parse((await node.speaker.get("/v1/bgp/peers")).body);
  const view = async (address: string): Promise<Peer> => {
    const found = (await views()).find(({ peer }) => peer.startsWith(`${address}:`));
    assert.ok(found, `a peer ${address}`);
    return found;
  };
  const failing = async (address: string, words: RegExp): Promise<void> => {
    const failed = async (): Promise<boolean> => {
      const { state, lastFailure } = await view(address);
      assert.notEqual(state, "established");
      assert.match(lastFailure?.what ?? "", words);
      return true;
    };
    // Connections that nobody answers, such as those with a wrong password, take their time to fail.
    await waitFor(`the failure ${words}`, failed);
  };
  const flaps = async (): Promise<Record<string, number>> =>
    Object.fromEntries((await views()).map((each) => [each.peer.replace(/:\d+$/, ""), each.flaps]));

  before(async () => {
    network = await BgpNetwork.start({ nodes: 2, speakerArguments: ["--bgp-port=179"] });
    [node, other] = network.cluster.nodes as [DemoNode, DemoNode];
    const bird = (number: number, neighbor: Partial<Neighbor>) =>
      network.router("bird", number, {
        asn: routerAsn,
        neighbors: [{ address: node.addresses[0], asn: nodeAsn, passive: true, ...neighbor }],
      });
    [plain, secret, small, waiting, colliding] = [
      await network.router("bird", 1, {
        asn: routerAsn,
        neighbors: [node, other].map(({ addresses: [address] }) => ({ address, asn: nodeAsn, passive: true })),
      }),
      await bird(2, { password: "right" }),
      await bird(3, { fourOctetAsn: false }),
      await bird(4, { passive: false }),
      await bird(5, { passive: false }),
    ];
    distant = await behindHop();
    peers.plain = session(`name: plain, peer-address: ${plain.v4}`);
    peers.colliding = session(`peer-address: ${colliding.v4}, ${selected}`);
    await configure();
    service = await network.cluster.expose("web", ["node1"]);
    prefix = `${await service.address()}/32`;
    await established(plain);
  });
  after(() => network[Symbol.asyncDispose]());

  /** A BIRD one router away from the nodes. */
  async function behindHop() {
    const { lab, lan } = network.cluster;
    const wan = await lab.switch("far");
    const hop = await lab.host("hop", { forwarding: true });
    await hop.attach(lan, { addresses: ["172.30.0.250/24"] });
    await hop.attach(wan, { addresses: ["172.31.9.1/24"] });
    const host: Host = await lab.host("distant");
    await host.attach(wan, { addresses: ["172.31.9.2/24"] });
    await host.route("default", "172.31.9.1");
    await node.host.route("172.31.9.0/24", "172.30.0.250");
    const address = "172.31.9.2";
    const neighbors = [{ address: node.addresses[0], asn: nodeAsn, passive: true, multihop: 2 }];
    const router = await startRouter("bird", { lab, host }, { asn: routerAsn, routerId: address, neighbors });
    return { router, address };
  }

  const from = ({ addresses: [address] }: DemoNode): string => address;

  test("a session that both ends begin is one session, and stays", async () => {
    await routesFrom(colliding, prefix, [from(node)]);
    assert.equal((await view(colliding.v4)).flaps, 0);
    delete peers.colliding;
    await configure();
    await routesFrom(colliding, prefix, []);
  });

  test("a passive peer is waited for", async () => {
    await configure({ waiting: session(`peer-address: ${waiting.v4}, passive: true, ${selected}`) });
    await routesFrom(waiting, prefix, [from(node)]);
    delete peers.waiting;
    await configure();
    await routesFrom(waiting, prefix, []);
  });

  test("a wrong password, or none, keeps a session down and is reported; a Secret may come later and change", async () => {
    await configure({ secret: session(`peer-address: ${secret.v4}, password: wrong, connect-time: 1s, ${selected}`) });
    await failing(secret.v4, /password/);
    await configure({
      secret: session(`peer-address: ${secret.v4}, password-secret: {name: router-passwords}, connect-time: 1s, ${selected}`),
    });
    const metadata = { name: "router-passwords", namespace: "metallb-system", labels: { "ingot-use": "bgp-password" } };
    const object = { apiVersion: "v1", kind: "Secret", metadata };
    const write = (password: string) =>
      network.cluster.api.apply({ ...object, data: { password: Buffer.from(password).toString("base64") } });
    await waitFor("the lack of the Secret to be reported", async () =>
      /there is no /.test((await view(secret.v4)).waitsFor ?? ""),
    );
    await write("wrong-again");
    await waitFor("it to be taken", async () => (await view(secret.v4)).waitsFor === undefined);
    await write("right");
    await routesFrom(secret, prefix, [from(node)]);
    const { speaker } = node;
    assert.deepEqual(
      speaker.process.lines.filter((line) => /wrong-again|"right"/.test(line)),
      [],
      "no password is logged",
    );
    delete peers.secret;
    await configure();
    await routesFrom(secret, prefix, []);
  });

  test("a router that does not offer AS numbers of four octets gets two", async () => {
    await configure({ small: session(`peer-address: ${small.v4}, ${selected}`) });
    const routes = await routesFrom(small, prefix, [from(node)]);
    assert.deepEqual(routes.get(from(node))?.asPath, [nodeAsn]);
    delete peers.small;
    await configure();
    await routesFrom(small, prefix, []);
  });

  test("another AS number than the router's is refused with words at both ends", async () => {
    await configure({ small: `- {my-asn: ${nodeAsn}, peer-asn: 65099, peer-address: ${small.v4}, ${selected}}\n` });
    await failing(small.v4, /its AS number is 65010, wanted 65099/);
    await waitFor("the router to report it", async () => {
      const [neighbor] = await small.router.neighbors();
      return neighbor?.lastError === "Received: Bad peer AS";
    });
    delete peers.small;
    await configure();
  });

  test("a router behind a router is a peer", async () => {
    const { address, router } = distant;
    await configure({ distant: session(`peer-address: ${address}, ebgp-multihop: true, ebgp-multihop-ttl: 2, ${selected}`) });
    await waitFor("its route", async () => (await router.routes()).some((route) => route.prefix === prefix));
    delete peers.distant;
    await configure();
    await waitFor("its end", async () => (await router.routes()).length === 0);
  });

  test("a change of one peer restarts that one alone, and what needs no restart restarts none", async () => {
    await configure({ small: session(`peer-address: ${small.v4}, ${selected}`) });
    await routesFrom(small, prefix, [from(node)]);
    const before = await flaps();
    const updates = async () => (await view(small.v4)).messagesSent.update;
    const updatesBefore = await updates();

    await configure({ plain: session(`name: plain, peer-address: ${plain.v4}, connect-time: 2s, keepalive-time: 10s`) });
    await configure({}, "- {name: unrelated, protocol: bgp, auto-assign: false, addresses: [203.0.113.0/28]}\n");
    await configure({}, "- {name: unrelated, protocol: layer2, auto-assign: false, addresses: [203.0.113.0/28]}\n");
    advertisement = `{communities: ["65001:9"], peers: [plain]}`;
    await configure();
    await waitFor("the community", async () => {
      return (await routesTo(plain, prefix)).get(from(node))?.communities.includes("65001:9");
    });
    await routesFrom(small, prefix, []);
    assert.deepEqual(await flaps(), before, "no session has ended");
    assert.equal(await updates(), updatesBefore + 1, "the other peer gets one UPDATE: the withdrawal");

    await configure({ plain: session(`name: plain, peer-address: ${plain.v4}, hold-time: 30s`) });
    await waitFor("the session to end", async () => (await view(plain.v4)).flaps === (before[plain.v4] ?? 0) + 1);
    await routesFrom(plain, prefix, [from(node), from(other)]);
    assert.deepEqual(await flaps(), { ...before, [plain.v4]: (before[plain.v4] ?? 0) + 1 });
    advertisement = "{}";
    delete peers.small;
    await configure();
  });

  test("a disabled peer gets a Cease and no more until it is enabled", async () => {
    await routesFrom(plain, prefix, [from(node), from(other)]);
    await configure({ plain: session(`name: plain, peer-address: ${plain.v4}, disabled: true`) });
    await routesFrom(plain, prefix, []);
    for (const { lastError } of await plain.router.neighbors())
      assert.match(lastError ?? "", /^Received: (Administrative shutdown|Peer de-configured)/);
    await configure({ plain: session(`name: plain, peer-address: ${plain.v4}`) });
    await routesFrom(plain, prefix, [from(node), from(other)]);
  });

  test("a peer is for the nodes that its selectors match, as labels come and go", async () => {
    const label = (rack: string | null) =>
      network.cluster.api.patch(
        { apiVersion: "v1", kind: "Node", metadata: { name: other.name } },
        { metadata: { labels: { rack } } },
      );
    await configure({ plain: session(`name: plain, peer-address: ${plain.v4}, node-selectors: [{match-labels: {rack: a}}]`) });
    await routesFrom(plain, prefix, []);
    await label("a");
    await routesFrom(plain, prefix, [from(other)]);
    await label(null);
    await routesFrom(plain, prefix, []);
    await configure({ plain: session(`name: plain, peer-address: ${plain.v4}`) });
    await routesFrom(plain, prefix, [from(node), from(other)]);
  });

  test("routes of a cordoned node carry graceful-shutdown where that is configured, and lose it again", async () => {
    const cordon = (unschedulable: boolean) =>
      network.cluster.api.patch({ apiVersion: "v1", kind: "Node", metadata: { name: node.name } }, { spec: { unschedulable } });
    await configure({ plain: session(`name: plain, peer-address: ${plain.v4}, drain-when-cordoned: true`) });
    await routesFrom(plain, prefix, [from(node), from(other)]);
    const marked = async () => {
      const routes = await routesFrom(plain, prefix, [from(node), from(other)]);
      return [...routes.values()].filter(({ communities }) => communities.includes("65535:0")).map((route) => route.from);
    };
    await cordon(true);
    await waitFor("the community", async () => (await marked()).join() === from(node));
    await cordon(false);
    await waitFor("no community", async () => (await marked()).length === 0);
  });
});

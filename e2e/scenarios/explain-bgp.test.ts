import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { routerRefusal } from "#e2e/routers";
import { BgpNetwork, established, nodeAsn, type PlacedRouter } from "./bgp-network.ts";
import { Tool } from "./tool.ts";

const routerAsn = 65010;

suite("ingotctl explains what routers do", { skip: await routerRefusal("bird") }, () => {
  let network: BgpNetwork;
  let tool: Tool;
  let plain: PlacedRouter;
  let secret: PlacedRouter;
  let limited: PlacedRouter;
  let provider: PlacedRouter;
  before(async () => {
    network = await BgpNetwork.start({ nodes: 1 });
    tool = new Tool(network.cluster);
    const [node] = network.cluster.nodes;
    assert.ok(node);
    const neighbor = { address: node.addresses[0], asn: nodeAsn, passive: true };
    plain = await network.router("bird", 1, { asn: routerAsn, neighbors: [neighbor] });
    secret = await network.router("bird", 2, { asn: routerAsn, neighbors: [{ ...neighbor, password: "right" }] });
    limited = await network.router("bird", 3, { asn: routerAsn, neighbors: [{ ...neighbor, maxPrefixes: 1 }] });
    const role = { own: "provider", strict: true } as const;
    provider = await network.router("bird", 4, { asn: routerAsn, neighbors: [{ ...neighbor, role }] });
    await configure(plain.v4);
    await network.cluster.expose("web", ["node1"]);
    await established(plain);
  });
  after(async () => {
    tool[Symbol.dispose]();
    await network[Symbol.asyncDispose]();
  });

  function configure(address: string, more = ""): Promise<void> {
    return configureAll([`peer-address: ${address}${more}`]);
  }

  async function configureAll(peers: readonly string[], asn = nodeAsn): Promise<void> {
    await network.cluster.configure(`peers:
${peers.map((peer) => `- {my-asn: ${asn}, peer-asn: ${routerAsn}, ${peer}}`).join("\n")}
address-pools:
- {name: main, protocol: bgp, addresses: [198.51.100.0/24]}
bfd-profiles: [{name: fast}]
`);
  }

  test("a session that is well: its Service is announced, and nothing else is said", async () => {
    const text = await tool.explains("svc/web", /: Announced \(announced\)/);
    assert.doesNotMatch(text, /Peer/);
    assert.match(await tool.explains(`peer/${plain.v4}`, /Ready \(established\)/), /^Peer 172\.30\.0\.241:179 of node node1/);
  });

  test("a wrong password looks like a router that does not answer, and is named as that", async () => {
    await configure(secret.v4, ", password: wrong");
    const text = await tool.explains("svc/web", [
      /Peer 172\.30\.0\.242:179 of node node1: Pending \(connectTimeout\)/,
      /^Service default\/web: Pending \(noSession\)/,
      /To do: see that the router runs, that firewalls pass TCP 179, and that password and ttl-security are the same on both sides/,
    ]);
    assert.doesNotMatch(text, /wrong\b.*password|password.*\bwrong\b/i, "the password itself");
    await configure(secret.v4, ", password: right");
    await tool.explains("svc/web", /^Service default\/web: Announced/);
  });

  test("a router that expects another AS number", async () => {
    await configureAll([`peer-address: ${plain.v4}`], nodeAsn + 1);
    await tool.explains(`peer/${plain.v4}`, [/Pending \(notificationReceived\)/, /Bad Peer AS/]);
    await configure(plain.v4);
    await tool.explains(`peer/${plain.v4}`, /Ready \(established\)/);
  });

  test("a router that wants a customer, and is told another role", async () => {
    await configure(provider.v4, ", role: peer");
    await tool.explains(`peer/${provider.v4}`, [/Pending \(roleMismatch\)/, /To do: set role/]);
    await configure(provider.v4, ", role: customer");
    await tool.explains(`peer/${provider.v4}`, /Ready \(established\)/);
    await configure(plain.v4);
    await tool.explains(`peer/${plain.v4}`, /Ready \(established\)/);
  });

  test("one router of two that is not there", async () => {
    await configureAll([plain.v4, "172.30.0.199"].map((address) => `peer-address: ${address}`));
    await tool.explains("svc/web", [
      /^Service default\/web: Degraded \(someSessionsDown\)/,
      /node1 announces 198\.51\.100\.\d+ of pool main by BGP to 172\.30\.0\.241:179, and not to 172\.30\.0\.199:179/,
    ]);
  });

  test("what this side waits for before it connects: the Secret with the password, and BFD", async () => {
    await configure(plain.v4, ", password-secret: {name: routers}");
    await tool.explains(`peer/${plain.v4}`, [
      /Degraded \(waitsForPassword\)/,
      /is established with its former settings, and cannot have .*: .*metallb-system\/routers/,
    ]);
    await configure(limited.v4, ", password-secret: {name: routers}");
    await tool.explains(`peer/${limited.v4}`, [/Pending \(waitsForPassword\)/, /metallb-system\/routers/]);
    await configure(secret.v4, ", bfd-profile: fast, bfd-strict: true");
    await tool.explains(`peer/${secret.v4}`, /Pending \(waitsForBfd\)/);
    await configure(plain.v4);
    await tool.explains(`peer/${plain.v4}`, /Ready \(established\)/);
  });

  test("a router that takes fewer prefixes than there are", async () => {
    await configure(limited.v4);
    await network.cluster.expose("more", ["node1"]);
    await tool.explains(`peer/${limited.v4}`, [
      /Pending \(prefixLimit\)/,
      /is not up: peer closed with Cease\/Maximum Number of Prefixes Reached/,
      /To do: raise the router's limit of prefixes for this neighbor/,
    ]);
  });

  test("a router that has a limit, before it is reached: by the configuration", async () => {
    await configure(plain.v4, ", maximum-prefix: 2");
    await tool.explains(`peer/${plain.v4}`, [
      /Degraded \(prefixLimitNear\)/,
      /carries 2 of 2 IPv4 prefixes that the router takes \(maximum-prefix\)/,
    ]);
    await configure(plain.v4, ", maximum-prefix: 3");
    await tool.explains(`peer/${plain.v4}`, /Ready \(established\)/);
  });
});

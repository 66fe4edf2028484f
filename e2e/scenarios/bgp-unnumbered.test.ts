import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoNode } from "#e2e/demo-cluster";
import { type Host, type Switch, waitFor } from "#e2e/lab";
import { type Router, type RouterKind, routerRefusal, startRouter } from "#e2e/routers";
import { urlHost } from "#pkg/net";
import { BgpNetwork, nodeAsn } from "./bgp-network.ts";
import { Tool } from "./tool.ts";

/** A router on a link of its own with the node, where neither has an address but its link-local one; and a client behind it. */
interface Tor {
  readonly link: Switch;
  readonly host: Host;
  readonly client: Host;
  readonly router: Router;
  readonly linkLocal: string;
}

const prefixes = ["198.51.100.1/32", "2001:db8:1::/128"] as const;

/** The lines of FRR and BIRD as docs/bgp.md has them, with what it advises where other hosts are on the link, and all that a session can agree to besides. */
const texts: Readonly<Record<"frr" | "bird", string>> = {
  frr: `bfd
router bgp 65011
 neighbor eth0 interface remote-as external
 neighbor eth0 password sesame
 neighbor eth0 ttl-security hops 1
 neighbor eth0 local-role provider strict-mode
 neighbor eth0 timers 1 3
 neighbor eth0 timers connect 1
 neighbor eth0 bfd
 address-family ipv4 unicast
  neighbor eth0 activate
 exit-address-family
 address-family ipv6 unicast
  neighbor eth0 activate
 exit-address-family
`,
  bird: `protocol radv {
  interface "eth0" { max ra interval 10; default lifetime 0; };
}
protocol bgp node {
  local as 65012;
  neighbor range fe80::/10 external;
  interface "eth0";
  password "sesame";
  ttl security on;
  local role provider;
  require roles;
  hold time 3;
  ipv4 { extended next hop on; add paths rx; import all; export none; };
  ipv6 { add paths rx; import all; export none; };
}
`,
};

suite("routers that are found by their router advertisements", { skip: await routerRefusal("frr", "bird") }, () => {
  let network: BgpNetwork;
  let tool: Tool;
  let node: DemoNode;
  let frr: Tor;
  let bird: Tor;
  const stack = new AsyncDisposableStack();

  before(async () => {
    network = stack.use(await BgpNetwork.start({ nodes: 1, speakerArguments: ["--bgp-port=179"] }));
    tool = stack.use(new Tool(network.cluster));
    [node] = network.cluster.nodes as [DemoNode];
    const { lab } = network.cluster;
    const links = [await lab.switch("link1"), await lab.switch("link2")] as const;
    for (const link of links) await node.host.attach(link); // eth1 and eth2
    frr = await tor("frr", 1, links[0]);
    bird = await tor("bird", 2, links[1]);
    await configure("[eth1, 'eth?']");
    await network.cluster.expose("web", ["node1"], { families: ["IPv4", "IPv6"] });
  });
  after(() => stack.disposeAsync());

  async function tor(kind: "frr" | "bird", number: number, link: Switch): Promise<Tor> {
    const { lab } = network.cluster;
    const host = await lab.host(`${kind}${number}`, { forwarding: true });
    await host.attach(link, { mac: `02:00:00:00:fe:0${number}` });
    const linkLocal = `fe80::ff:fe00:fe0${number}`;
    const wan = await lab.switch(`wan${number}`);
    await host.attach(wan, { addresses: [`172.31.${number}.1/24`, `fd00:31:${number}::1/64`] });
    const client = await lab.host(`outside${number}`);
    await client.attach(wan, { addresses: [`172.31.${number}.100/24`, `fd00:31:${number}::100/64`] });
    await client.route("default", `172.31.${number}.1`);
    await client.route("default", `fd00:31:${number}::1`);
    await node.host.ip(
      `route add 172.31.${number}.0/24 via inet6 ${linkLocal} dev eth${number}`,
      `route add fd00:31:${number}::/64 via ${linkLocal} dev eth${number}`,
    );
    const router = await start(kind, host, number);
    return { link, host, client, router, linkLocal };
  }

  async function start(kind: "frr" | "bird", host: Host, number: number): Promise<Router> {
    const configuration = { asn: 65010 + number, routerId: `10.255.0.${number}`, neighbors: [], text: texts[kind] };
    return stack.use(await startRouter(kind, { lab: network.cluster.lab, host }, configuration));
  }

  /** @param interfaces of each peer, and more of its fields */
  async function configure(...interfaces: string[]): Promise<void> {
    const peers = interfaces.map((names) => {
      const way = names.includes("eth3")
        ? "peer-asn: internal"
        : "peer-asn: external, password: sesame, ttl-security: 1, role: customer, role-strict: true, add-path: true";
      return `{my-asn: ${nodeAsn}, ${way}, hold-time: 3s, connect-time: 1s, bfd-profile: fast, interface: ${names}}`;
    });
    await network.cluster.configure(`bfd-profiles: [{name: fast}]
peers: [${peers}]
address-pools:
- {name: main, protocol: bgp, avoid-buggy-ips: true, addresses: [198.51.100.0/24, "2001:db8:1::/64"]}
`);
  }

  /** Waits until the router's kernel sends both addresses to the node's link-local one. */
  async function hasRoutes({ router }: Pick<Tor, "router">): Promise<void> {
    for (const prefix of prefixes)
      await waitFor(`${router.kind} to have ${prefix}`, async () => {
        const hops = (await router.kernelRoute(prefix))?.nextHops ?? [];
        assert.deepEqual([hops.length, hops[0]?.interfaceName, hops[0]?.address.startsWith("fe80::")], [1, "eth0", true]);
        return true;
      });
  }

  async function hasTraffic({ client }: Tor): Promise<void> {
    for (const prefix of prefixes) {
      const address = prefix.split("/")[0] ?? "";
      const { body } = await client.get(`http://${urlHost(address)}/`);
      assert.match(body, /on node1/);
    }
  }

  const kinds: readonly RouterKind[] = ["frr", "bird"];
  for (const [index, kind] of kinds.entries())
    test(`${kind} on eth${index + 1} has the routes of both families by IPv6 next hops, and clients behind it reach them`, async () => {
      const placed = kind === "frr" ? frr : bird;
      await hasRoutes(placed);
      await hasTraffic(placed);
      await tool.explains(`peer/eth${index + 1}`, kind === "frr" ? /Ready \(established\)/ : /Degraded \(bfdUnknown\)/);
    });

  test("an interface whose router is silent is waited for, and the verdict says so", async () => {
    await tool.explains("peer/eth0", /Pending \(waitsForRouter\)[\s\S]*no router advertisement was heard on eth0/);
  });

  test("no other host takes the node for a router, and the node's kernel keeps its settings for router advertisements", async () => {
    const host = await network.cluster.lab.host("bystander");
    await host.attach(bird.link);
    await waitFor("the node to be known as a router", async () => / router /.test(await host.output(["ip", "-6", "neigh"])));
    assert.equal((await host.output(["ip", "-6", "route", "show", "default"])).trim(), "");
    for (const name of ["eth0", "eth1", "eth2"])
      assert.equal((await node.host.output(["sysctl", "-n", `net.ipv6.conf.${name}.accept_ra`])).trim(), "1");
  });

  test("a passive peer takes the connection that the router opens, once it knows the node by its advertisements", async () => {
    await configure("eth1, passive: true", "eth2");
    await tool.explains("peer/eth1", /Ready \(established\)/);
    await hasRoutes(frr);
    await configure("[eth1, eth2]");
  });

  test("a cut that no carrier shows ends the session by BFD, and the router's advertisements bring it back", async () => {
    const ended = /"BGP session down"(?=.*"peer":"eth1:179").*"reason":"this node closed with Cease\/BFD Down/;
    const isOver = async () => node.speaker.process.lines.some((line) => ended.test(line));
    await tool.explains("peer/eth1", /Ready \(established\)/);
    await frr.link.isolate(frr.host);
    await waitFor("BFD to end the session, before the hold time is over", isOver);
    await frr.link.rejoin(frr.host);
    await tool.explains("peer/eth1", /Ready \(established\)/);
    await hasRoutes(frr);
    await hasTraffic(frr);
  });

  test("the session is back after the link was, with routes and traffic", async () => {
    await node.host.link("eth1").down();
    await tool.explains("peer/eth1", /(Pending|Degraded) \(/);
    await node.host.link("eth1").up();
    await node.host.ip(
      `route replace 172.31.1.0/24 via inet6 ${frr.linkLocal} dev eth1`,
      `route replace fd00:31:1::/64 via ${frr.linkLocal} dev eth1`,
    );
    await tool.explains("peer/eth1", /Ready \(established\)/);
    await hasRoutes(frr);
    await hasTraffic(frr);
  });

  test("another router on the link takes no session away, and the verdict names it; it has its turn when the first one is gone", async () => {
    const { lab } = network.cluster;
    const other = await lab.host("bird3", { forwarding: true });
    await other.attach(frr.link, { mac: "02:00:00:00:fe:03" });
    const second = await start("bird", other, 3);
    await tool.explains(
      "peer/eth1",
      /Degraded \(severalRouters\)[\s\S]*fe80::ff:fe00:fe03; the session stays with the first one, fe80::ff:fe00:fe01/,
    );
    await hasRoutes(frr);
    await frr.router.stop("SIGKILL");
    await frr.host.link("eth0").down();
    await hasRoutes({ router: second });
    await tool.explains("peer/eth1", /fe80::ff:fe00:fe03/);
  });

  test("peers of the same AS, of which each opens the session itself", async () => {
    const { lab } = network.cluster;
    const links = [await lab.switch("link3"), await lab.switch("link4")] as const;
    for (const link of links) await node.host.attach(link); // eth3 and eth4
    const shown = await node.host.output(["ip", "-json", "-6", "addr", "show", "dev", "eth4", "scope", "link"]);
    const own = (JSON.parse(shown) as { addr_info?: { local: string }[] }[])[0]?.addr_info?.[0]?.local ?? assert.fail(shown);
    const internal = {
      frr: texts.frr
        .replace("router bgp 65011", `router bgp ${nodeAsn}`)
        .replace("external", "internal")
        .replace(/ neighbor eth0 (password|ttl-security|local-role) .*\n/g, ""),
      bird: texts.bird
        .replace("local as 65012", `local as ${nodeAsn}`)
        .replace("neighbor range fe80::/10 external", `neighbor ${own} internal`)
        .replace(/ {2}(password|ttl security|local role|require roles)\b.*\n/g, "")
        .replace("hold time 3;", "direct; hold time 3; connect delay time 1; error wait time 1, 2;"),
    };
    await configure("[eth3, eth4], passive: true");
    for (const [index, kind] of (["frr", "bird"] as const).entries()) {
      const host = await lab.host(`internal-${kind}`, { forwarding: true });
      await host.attach(links[index] ?? assert.fail(), { mac: `02:00:00:00:fe:1${index}` });
      const configuration = { asn: nodeAsn, routerId: `10.255.0.1${index}`, neighbors: [], text: internal[kind] };
      const router = stack.use(await startRouter(kind, { lab, host }, configuration));
      await hasRoutes({ router });
    }
  });

  test("with the peer the sockets for advertisements go", async () => {
    const sockets = async () =>
      (await node.host.output(["cat", "/proc/net/packet"])).split("\n").filter((line) => / 86dd /.test(line));
    assert.equal((await sockets()).length, 2); // eth3 and eth4
    await configure();
    await waitFor("the sockets to be closed", async () => (await sockets()).length === 0);
  });
});

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { both, configure, type DemoCluster, demoConfiguration, filter } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { type Router, routerRefusal, startRouter } from "#e2e/routers";
import { startProxy } from "../demo-cluster/demo-cluster.ts";
import { owner, startCluster } from "./observe.ts";
import { Tool } from "./tool.ts";

const noRouter = await routerRefusal("bird");
const routerAddress = "172.30.0.241";
const configuration = `peers: [{my-asn: 65001, peer-asn: 65010, peer-address: ${routerAddress}}]
${demoConfiguration.replace("protocol: layer2\n", "protocol: layer2\n  self-test: 0s\n")}- {name: routed, protocol: bgp, auto-assign: false, addresses: [198.51.100.0/24]}
`;

suite("whoever asks is told what is in the way of an address", { skip: (await Lab.refusal()) ?? noRouter }, () => {
  let cluster: DemoCluster;
  let router: Router;
  let tool: Tool;
  let owns = ""; // The node that announces the address of web.
  before(async () => {
    cluster = await startCluster({ forwarding: true });
    tool = new Tool(cluster);
    const host = await cluster.lab.host("router", { forwarding: true });
    await host.attach(cluster.lan, { addresses: [`${routerAddress}/24`] });
    const neighbors = cluster.nodes.map(({ addresses: [address] }) => ({ address, asn: 65001, passive: true }));
    const options = { asn: 65010, routerId: routerAddress, neighbors };
    router = await startRouter("bird", { lab: cluster.lab, host }, options);
    await configure(cluster, configuration);
    const nodes = ["node1", "node2"];
    const web = await cluster.expose("web", nodes);
    await cluster.expose("routed", nodes, { annotations: { "metallb.universe.tf/address-pool": "routed" } });
    owns = (await owner(cluster, await web.address())).name;
    for (const name of ["web", "routed"]) await isWell(name);
  });
  after(async () => {
    await router?.[Symbol.asyncDispose]();
    tool?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  const probe = (name: string) => tool.run("probe", `svc/${name}`);

  async function isWell(name: string): Promise<string> {
    return waitFor(`${name} to be well`, async () => {
      const { status, out } = await probe(name);
      return status === 0 && (name === "web" || out.match(/by way of/g)?.length === 3) ? out : undefined;
    });
  }

  /** What is told of a Service, and what `doctor --wire` tells. */
  async function told(name: string, what: string): Promise<string> {
    const out = await waitFor(`${what} to be told`, async () => {
      const { status, out } = await probe(name);
      return status === 3 && new RegExp(`^${what}: `, "m").test(out) ? out : undefined;
    });
    assert.deepEqual(out.match(/^(?! {2})[a-z][a-z -]*(?=: )/gm), [what], out);
    return out;
  }

  test("by BGP each node is tried by another one, and says what it finds on itself", async () => {
    const out = await isWell("routed");
    for (const { name } of cluster.nodes) {
      assert.match(out, new RegExp(`^  ${name}: announces it; from there port 80 accepts; `, "m"));
      assert.match(
        out,
        new RegExp(`^  node\\d: by way of ${name} on eth0; TCP port 80 accepts; packets of 1500 octets arrive$`, "m"),
      );
    }
    const { status, out: found } = await tool.run("doctor", "--wire");
    assert.deepEqual([status, /2 addresses on the wire/.test(found)], [0, true], found);
  });

  for (const name of ["web", "routed"]) {
    const broken = () => cluster.node(name === "web" ? owns : "node2");

    test(`${name}: a firewall that drops what comes from outside`, async () => {
      const drop = "type filter hook ingress device eth0 priority 0; tcp dport 80 drop;";
      const mend = await filter([broken().host], "netdev", [`chain in { ${drop} }`]);
      assert.match(await told(name, "firewall"), new RegExp(`${broken().name} itself connects there`));
      // A round tries a routed address by way of one node.
      if (name === "web") {
        const { status, out } = await tool.run("doctor", "--wire");
        assert.equal(status, 1, out);
        assert.match(out, /^error: address \S+: firewall: .*\n {2}1 cause, 1 Service: default\/web\n {2}-> look for rules/m);
      }
      await mend();
      await isWell(name);
    });

    test(`${name}: a node without kube-proxy`, async () => {
      const { host, proxy } = broken();
      await proxy.stop();
      await host.output(["ip", "-4", "route", "flush", "table", "local", "proto", "99"]);
      assert.match(await told(name, "kube-proxy"), new RegExp(`-> see kube-proxy on ${broken().name}: kubectl`));
      await (await startProxy(host)).waitForLine(/"forwarding"/);
      await isWell(name);
    });

    test(`${name}: a path that takes no large packets`, async () => {
      const drop = "type filter hook ingress device eth0 priority 0; meta length > 1400 drop;";
      const mend = await filter([broken().host], "netdev", [`chain in { ${drop} }`]);
      assert.match(await told(name, "packet size"), /packets of 1500 octets for \S+ are lost/);
      await mend();
      await isWell(name);
    });
  }

  test("endpoints that nothing listens on", async () => {
    const slice = {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "web-ipv4", namespace: "default" },
    };
    const ports = (port: number) => ({ ports: [{ name: "tcp", protocol: "TCP", port }] });
    await cluster.api.patch(slice, ports(8089));
    const mend = both(async () => void (await cluster.api.patch(slice, ports(8080))));
    assert.match(await told("web", "endpoint"), /:8089 on node\d refuses/);
    await mend();
    await isWell("web");
  });

  test("a duplicate, and silence", async () => {
    const address = (await isWell("web")).split("\n")[0] ?? "";
    const quiet = `type filter hook ingress device eth0 priority 0; arp daddr ip ${address} drop;`;
    const mend = await filter([cluster.node(owns).host], "netdev", [`chain in { ${quiet} }`]);
    await told("web", "silence");
    const thief = await cluster.lab.host("thief");
    await thief.attach(cluster.lan, { addresses: [`${address}/24`] });
    await told("web", "duplicate");
    await thief.run(["ip", "address", "flush", "dev", "eth0"]);
    await mend();
    await isWell("web");
  });
});

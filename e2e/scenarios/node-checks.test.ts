import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type DemoCluster, type DemoNode, demoConfiguration } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { checkNames } from "#pkg/node-checks";
import { answer, answered, metric, startCluster } from "./observe.ts";

const configuration = `${demoConfiguration}- name: far
  protocol: layer2
  auto-assign: false
  addresses:
  - 172.31.0.1-172.31.0.9
`;

suite("a speaker warns of what keeps addresses from working on its node", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  let node: DemoNode;
  before(async () => {
    cluster = await startCluster({ nodes: 2, configuration, netAdmin: true });
    node = cluster.node("node1");
  });
  after(() => cluster[Symbol.asyncDispose]());

  let looks = 0;

  /** The kernel does not notify of changed settings: makes the speaker look, by an address more on `lo`. */
  async function look(): Promise<void> {
    await node.host.ip(`addr add 127.0.1.${++looks}/8 dev lo`);
  }

  async function warnings(): Promise<string[]> {
    const { status, body } = await node.speaker.get("/readyz");
    assert.equal(status, 200, "a warning makes no speaker unready");
    const [first, ...rest] = body.trim().split("\n");
    assert.equal(first, "ready");
    // A kernel without dummy interfaces has a bridge in their place, which is said too, and is no check of the node.
    return rest.map((line) => line.replace(/^warning: /, "")).filter((line) => !/ is no dummy but bridge: /.test(line));
  }

  function logged(of: DemoNode, check: string): string[] {
    const lines = of.speaker.process.lines.filter((line) => line.includes(`"check":"${check}"`));
    return lines.map((line) => /"event":"(\w+)"/.exec(line)?.[1] ?? line);
  }

  /** Waits for just these warnings. @returns them */
  async function warned(check: string, ...wanted: RegExp[]): Promise<string[]> {
    const found = await waitFor(`warnings of ${check}`, async () => {
      const all = await warnings();
      return all.length === wanted.length && wanted.every((one, index) => one.test(all[index] ?? "")) && all;
    });
    await waitFor(`them to be counted and logged`, async () => {
      assert.equal(await metric(node.speaker, "ingot_speaker_node_warnings", { check }), wanted.length);
      assert.deepEqual(logged(node, check), Array(wanted.length).fill("nodeWarning"));
      return true;
    });
    return found;
  }

  /** Waits until there are no such warnings. */
  async function resolved(check: string): Promise<void> {
    await waitFor(`no warning of ${check}`, async () => (await warnings()).length === 0);
    await waitFor(`the end to be counted and logged`, async () => {
      assert.equal(await metric(node.speaker, "ingot_speaker_node_warnings", { check }), 0);
      const [came, went] = ["nodeWarning", "nodeWarningResolved"].map(
        (event) => logged(node, check).filter((one) => one === event).length,
      );
      assert.equal(came, went);
      return true;
    });
  }

  /** Does what the warnings say. */
  async function obey(lines: readonly string[]): Promise<void> {
    const settings = lines.flatMap((line) => line.match(/\bnet\.[\w.]+=\d+/g) ?? []).map((text) => text.split("="));
    await node.host.sysctl(Object.fromEntries(settings.map(([name, value]) => [name, Number(value)])));
    await look();
  }

  test("a node that is set up well has none, and every check has its series", async () => {
    for (const check of checkNames) {
      const value = await waitFor("a series", async () => [await metric(node.speaker, "ingot_speaker_node_warnings", { check })]);
      assert.deepEqual(value, [0], check);
    }
    await look();
    await sleep(1_500); // Longer than a change may need to be looked at.
    assert.deepEqual(await warnings(), []);
  });

  test("kube-proxy in mode IPVS without strict ARP", async () => {
    await node.host.sysctl({ "net.ipv4.conf.all.arp_ignore": 0, "net.ipv4.conf.all.arp_announce": 0 });
    await node.host.ip("link add kube-ipvs0 type bridge");
    await obey(await warned("strictArp", /^kube-ipvs0 .* arp_ignore is 0 on eth0/, /^kube-ipvs0 .* arp_announce is 0 on eth0/));
    await resolved("strictArp");
    await node.host.ip("link del kube-ipvs0");
  });

  test("an address of a pool that an interface has", async () => {
    await node.host.ip("addr add 172.30.0.249/24 dev eth0");
    const [line = ""] = await warned("addressBound", /^172\.30\.0\.249 of pool default is bound to eth0/);
    await node.host.output(["sh", "-c", /ip addr del \S+ dev \S+(?=,)/.exec(line)?.[0] ?? "false"]);
    await resolved("addressBound");
  });

  test("IPv6 is off while a pool has addresses of it", async () => {
    await node.host.sysctl({ "net.ipv6.conf.eth0.disable_ipv6": 1 });
    await obey(await warned("ipv6Disabled", /^IPv6 is off on eth0, and pool default/));
    await resolved("ipv6Disabled");
    await node.host.ip(`addr add ${node.addresses[1]}/64 dev eth0`);
  });

  test("an announced address that is in no subnet of the node", async () => {
    const annotations = { "metallb.universe.tf/address-pool": "far" };
    const service = await cluster.expose("far", ["node1"], { policy: "Local", annotations });
    await warned("outsideSubnets", /^address 172\.31\.0\.1 of pool far lies in no subnet of node1 \(172\.30\.0\.0\/24\)/);
    await node.host.ip("addr add 172.31.0.254/24 dev eth0");
    await resolved("outsideSubnets");
    await service.delete();
    await node.host.ip("addr del 172.31.0.254/24 dev eth0");
  });

  test("a node that does not forward to the endpoints on another", async () => {
    const service = await cluster.expose("remote", ["node1", "node2"]);
    const address = await service.address();
    const announced = ({ speaker }: DemoNode) => metric(speaker, "metallb_speaker_announced", { ip: address });
    node = await waitFor("a node to announce it", async () => {
      const values = await Promise.all(cluster.nodes.map(announced));
      return cluster.nodes[values.indexOf(1)];
    });
    await obey(await warned("forwardingOff", /^net\.ipv4\.ip_forward is 0, and Services that are announced from here/));
    await resolved("forwardingOff");
    for (const other of cluster.nodes) if (other !== node) assert.deepEqual(logged(other, "forwardingOff"), []);
    await service.delete();
    node = cluster.node("node1");
  });

  test("a kube-proxy that serves NodePorts at all addresses of the node, those of a pool of protocol interface among them", async () => {
    const configz = JSON.stringify({ "kubeproxy.config.k8s.io": { mode: "iptables", nodePortAddresses: [] } });
    const serve = `require("node:http").createServer((_, response) => response.end('${configz}')).listen(10249, "127.0.0.1")`;
    const kubeProxy = await node.host.spawn("kube-proxy", ["node", "-e", serve]);
    await cluster.configure(`${configuration}- name: nodes
  protocol: interface
  auto-assign: false
  addresses:
  - 172.31.1.1-172.31.1.9
`);
    const annotations = { "metallb.universe.tf/address-pool": "nodes" };
    const service = await cluster.expose("on-nodes", ["node1"], { annotations });
    await service.address();
    await waitFor("the interface", async () => (await node.host.run(["ip", "link", "show", "kube-lb0"])).code === 0);
    await look();
    await warned("nodePorts", /^addresses of pool nodes are on kube-lb0, and kube-proxy serves NodePorts at/);
    await kubeProxy.stop();
    await look();
    await resolved("nodePorts");
    await service.delete();
    await cluster.configure(configuration);
  });

  test("a strict filter drops clients whose answers leave by another interface, and the setting that is named lets them in", async () => {
    const { lab, lan, client } = cluster;
    const service = await cluster.expose("asymmetric", ["node1"], { policy: "Local" });
    const address = await service.address();
    const storage = await lab.switch("storage");
    const router = await lab.host("router", { forwarding: true });
    await router.attach(lan, { addresses: ["172.30.0.254/24"] });
    await router.attach(storage, { addresses: ["172.29.0.1/24"] });
    // The client is one from elsewhere, with an address that nobody's subnet has.
    await client.ip("addr add 198.51.100.7/32 dev lo", `route add ${address}/32 dev eth0 src 198.51.100.7`);
    await router.ip("route add 198.51.100.7/32 via 172.30.0.100");
    await node.host.attach(storage, { addresses: ["172.29.0.11/24"] });
    await node.host.ip("route add default via 172.29.0.1");
    await waitFor("an answer", async () => /^asymmetric-1/.test(await answer(cluster, address)));

    await node.host.sysctl({ "net.ipv4.conf.eth0.rp_filter": 1 });
    await look();
    const lines = await warned("rpFilter", /^rp_filter is strict on eth0, .* clients beyond 172\.30\.0\.0\/24 leave by eth1/);
    assert.doesNotMatch(await answer(cluster, address), /^asymmetric/);
    await obey(lines);
    await resolved("rpFilter");
    await answered(cluster, address, /^asymmetric-1/);
    await service.delete();
  });
});

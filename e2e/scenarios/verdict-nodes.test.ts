import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { after, before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { DemoCluster, DemoNode } from "#e2e/demo-cluster";
import { type Host, Lab, type LabProcess, waitFor } from "#e2e/lab";
import { metallbKey } from "#pkg/memberlist";
import { addressesOf, assigned, startCluster } from "./observe.ts";
import { Tool } from "./tool.ts";

const configuration = `address-pools:
- {name: lan, protocol: layer2, l2-placement: sticky, addresses: [172.30.0.200-172.30.0.209]}
- {name: second, protocol: layer2, auto-assign: false, addresses: [172.30.1.200-172.30.1.209]}
- {name: nics, protocol: interface, placement: lan, auto-assign: false, addresses: [172.30.0.150-172.30.0.159]}
- {name: routed, protocol: interface, auto-assign: false, aggregation-length: 24, addresses: [198.51.100.0/24]}
`;
const pool = (name: string) => ({ "metallb.universe.tf/address-pool": name });
const node = (name: string) => ({ apiVersion: "v1", kind: "Node", metadata: { name } });

suite("what is wrong with nodes and their speakers is the cause of a verdict, until it is mended", {
  skip: await Lab.refusal(),
}, () => {
  let cluster: DemoCluster;
  let tool: Tool;
  let first: DemoNode;
  before(async () => {
    cluster = await startCluster({ nodes: 2, configuration });
    tool = new Tool(cluster);
    for (const { host } of cluster.nodes) await host.sysctl({ "net.ipv4.ip_forward": 1 }); // As kubelets have it.
    first = cluster.node("node1");
    await first.host.ip("link add kube-lb0 type bridge"); // One that the speaker has not made, and so does not set up.
    await cluster.expose("routed", ["node1", "node2"], { annotations: pool("routed") });
    for (const name of ["web", "mail", "dns"]) {
      await cluster.expose(name, ["node1", "node2"]);
      await assigned(cluster, name);
    }
  });
  after(async () => {
    tool?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  let looks = 0;

  /** The kernel does not notify of changed settings: makes the speaker look, by an address more on `lo`. */
  const look = () => first.host.ip(`addr add 127.0.1.${++looks}/8 dev lo`);
  const isWell = () => tool.explains("node/node1", /^Node node1: Ready \(ready\)/);

  test("a kernel that takes the addresses of a subnet away with the first one", async () => {
    await tool.explains("node/node1", [
      /^Node node1: Degraded \(promoteSecondaries\)/,
      /promote_secondaries is 0 on kube-lb0: /,
      /To do: sysctl -w net\.ipv4\.conf\.kube-lb0\.promote_secondaries=1\n/,
    ]);
    await first.host.sysctl({ "net.ipv4.conf.kube-lb0.promote_secondaries": 1 });
    await look();
    await isWell();
  });

  test("an interface without a carrier, in the subnet of a pool", async () => {
    const lan = await cluster.lab.switch("second");
    await first.host.attach(lan, { addresses: ["172.30.1.1/24"] });
    await isWell();
    await lan.unplug(first.host);
    const text = await tool.explains("node/node1", /^Node node1: Pending \(noCarrier\)/);
    assert.match(text, /interface eth1 of node1 is down or has no carrier/);
    assert.match(text, /To do: check its cable and its switch port/);
    await first.host.ip("link del eth1");
    await isWell();
  });

  test("a firewall between two nodes that passes TCP of the ring, and no UDP", async () => {
    const drop = "chain input { type filter hook input priority 0; udp dport 7946 drop; }";
    await first.host.output(["nft", "-f", "-"], { input: `table inet ring {\n${drop}\n}\n` });
    const lost = /UDP packets of the speakers' ring are lost between node1 and node2/;
    await tool.explains("node/node1", [/^Node node1: Degraded \(ringPacketsLost\)/, lost]);
    const { status, body } = await first.speaker.get("/readyz");
    assert.equal(status, 200);
    assert.match(body, lost);
    await first.host.output(["nft", "delete", "table", "inet", "ring"]);
    await isWell();
  });

  test("a program that manages the interface of the addresses", async () => {
    const [{ ifindex }] = JSON.parse(await first.host.output(["ip", "-json", "link", "show", "dev", "kube-lb0"]));
    const networkd = {
      file: `/run/systemd/netif/links/${ifindex}`,
      managed: "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/all.network\n",
      unmanaged: "ADMIN_STATE=unmanaged\n",
      toDo: /To do: give kube-lb0 a \.network file of its own .* Unmanaged=yes/,
    };
    const networkManager = {
      file: `/run/NetworkManager/devices/${ifindex}`,
      managed: "[device]\nmanaged=true\n",
      unmanaged: "[device]\nmanaged=false\n",
      toDo: /To do: set unmanaged-devices=interface-name:kube-lb0 under \[keyfile\]/,
    };
    for (const { file, managed, unmanaged, toDo } of [networkd, networkManager]) {
      const outside = cluster.lab.outside(file);
      mkdirSync(dirname(outside), { recursive: true });
      writeFileSync(outside, managed);
      await look();
      await tool.explains("node/node1", [/^Node node1: Degraded \(interfaceManaged\)/, toDo]);
      writeFileSync(outside, unmanaged);
      await look();
      await isWell();
    }
  });

  test("flannel that takes an address of a Service for the node's own", async () => {
    const annotate = (address: string) =>
      cluster.api.patch(node("node1"), { metadata: { annotations: { "flannel.alpha.coreos.com/public-ip": address } } });
    await annotate("172.30.0.151");
    await tool.explains("node/node1", [
      /^Node node1: Degraded \(flannelAddress\)/,
      /flannel takes 172\.30\.0\.151 of pool nics for this node's own address/,
      /To do: name the node's own address .*public-ip.*\n {2}- address: 172\.30\.0\.151 \(annotations of the Node\)/,
    ]);
    await annotate(first.addresses[0]);
    await isWell();
  });

  test("an address of a Service that somebody has put on an interface of each node", async () => {
    const taken = "198.51.100.7";
    for (const { host } of cluster.nodes) await host.ip(`addr add ${taken}/32 dev eth0`);
    await cluster.expose("taken", ["node1"], { annotations: { "metallb.universe.tf/loadBalancerIPs": taken } });
    await tool.explains("svc/taken", [
      /^Service default\/taken: Pending \(notInKernel\)/,
      /node1 does not have 198\.51\.100\.7 of pool routed in its kernel: interface eth0 has this address already/,
      /To do: remove from that node what is in the way/,
    ]);
    await first.host.ip(`addr del ${taken}/32 dev eth0`);
    await tool.explains("svc/taken", [
      /^Service default\/taken: Degraded \(notInKernel\)/,
      /1 node has 198\.51\.100\.7 of pool routed in the kernel, but not all is well on node2: node2 does not have .*\n {2}To do: remove/,
    ]);
    await cluster.node("node2").host.ip(`addr del ${taken}/32 dev eth0`);
    await tool.explains("svc/taken", /: Announced.*\n {2}node1 has 198\.51\.100\.7 of pool routed in its kernel/);
  });

  test("a speaker of MetalLB in the ring, and a host that may be its node's", async () => {
    const { host, member } = await metallb(cluster, first);
    await tool.explains("pool/lan", [
      /^Pool lan: Degraded \(otherSpeakers\)/,
      /although l2-placement is sticky: the speakers on metallb are not of this release/,
      /To do: replace these speakers/,
    ]);

    // Some of these addresses are at our own nodes.
    const addresses = (await Promise.all(["web", "mail", "dns"].map((name) => addressesOf(cluster, name)))).flat();
    await host.ip(...addresses.map((address) => `addr add ${address}/32 dev eth0`));
    const problem = async () => {
      for (const address of addresses) {
        await host.ip(`route replace 172.30.0.100/32 dev eth0 src ${address}`, "neigh flush all");
        await host.get("http://172.30.0.100:9/", { timeout: 500 }).catch(() => {}); // It asks for the client's MAC address, which is enough.
      }
      const { services } = JSON.parse((await tool.run("services", "-o", "json")).out) as {
        services: { service: string; verdict: { cause: string } }[];
      };
      return services.find(({ verdict }) => verdict.cause === "unidentifiedHost");
    };
    const { service } = await waitFor("the host to be seen", problem, { every: 1_000 });
    await tool.explains(`svc/${service}`, [
      /: Degraded \(unidentifiedHost\)/,
      new RegExp(`a host, ${await host.link("eth0").mac()}, uses .* \\(metallb\\), or any other host`),
      /To do: if it is none of these nodes, give that host another address/,
    ]);

    await cluster.lan.unplug(host);
    await member.stop();
    await tool.explains("pool/lan", /^Pool lan: Ready \(available\)/);
    await tool.explains(`svc/${service}`, /: Announced/);
  });

  test("all nodes out of service", async () => {
    const taint = (taints: readonly object[]) =>
      Promise.all(cluster.nodes.map(({ name }) => cluster.api.patch(node(name), { spec: { taints } })));
    await taint([{ key: "node.kubernetes.io/out-of-service", effect: "NoExecute" }]);
    await tool.explains("svc/web", [
      /^Service default\/web: Pending \(noActiveSpeaker\)/,
      /all nodes with a working speaker have the taint node\.kubernetes\.io\/out-of-service/,
      /To do: once the node is well again, remove the taint/,
      /\nPool lan: Pending \(noActiveSpeaker\)/,
    ]);
    await tool.explains("svc/routed", [
      /^Service default\/routed: Pending \(noActiveSpeaker\)/,
      /node[12] has the taint .*\n {2}To do: once the node is well again, remove the taint/,
    ]);
    await tool.explains(
      "pool/routed",
      /Pending \(noActiveSpeaker\).*\n.*\n {2}To do: once the node is well again, remove the taint/,
    );
    await taint([]);
    for (const service of ["web", "routed"]) await tool.explains(`svc/${service}`, /: Announced/);
  });

  test("speakers that may not open packet sockets", async () => {
    const restart = (without: readonly string[]) =>
      Promise.all(
        cluster.nodes.map(async ({ speaker }) => {
          await speaker.stop();
          speaker.without = without;
          await speaker.start();
        }),
      );
    await restart(["net_raw"]);
    await tool.explains("node/node1", [
      /^Node node1: Pending \(layer2Unavailable\)/,
      /the speaker on node1 cannot announce on layer 2: the process needs the capability NET_RAW\n/,
      /To do: where NET_RAW is missing, add it to the capabilities of the speakers' container/,
    ]);
    await tool.explains("svc/web", [
      /^Service default\/web: Pending \(noActiveSpeaker\)/,
      /no node has a working speaker, .*\n {2}To do: kubectl -n metallb-system get pods -o wide/,
    ]);
    await restart([]);
    await tool.explains("svc/web", /: Announced/);
    await isWell();
  });
});

/** A node whose speaker is MetalLB's, as far as others see it: a member of the ring without anything of ours. */
async function metallb(cluster: DemoCluster, other: DemoNode): Promise<{ host: Host; member: LabProcess }> {
  const metadata = { name: "memberlist", namespace: "metallb-system" };
  const secret = await cluster.api.get({ apiVersion: "v1", kind: "Secret", metadata });
  const { secretkey = "" } = (secret?.data ?? {}) as Record<string, string>;
  const key = Buffer.from(metallbKey(Buffer.from(secretkey, "base64").toString())).toString("hex");
  const host = await cluster.lab.host("metallb");
  await host.attach(cluster.lan, { addresses: ["172.30.0.77/24"] });
  const commands = "/run/metallb-commands"; // Opened for both, it has no end.
  const shell = ["sh", "-c", `mkfifo ${commands} && exec "$@" <>${commands}`, "sh", process.execPath];
  const program = fileURLToPath(new URL("../memberlist/node-process.ts", import.meta.url));
  const flags = ["--name=metallb", "--address=172.30.0.77", `--key=${key}`];
  const member = await host.spawn("metallb", [...shell, program, ...flags]);
  await member.waitForLine(/"ready"/, { timeout: 30_000 });
  writeFileSync(cluster.lab.outside(commands), `join ${other.addresses[0]}:7946\n`);
  await member.waitForLine(/"joined":1/);
  return { host, member };
}

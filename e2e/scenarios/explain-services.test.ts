// Smoke: ingotctl explains what is wrong.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { type DemoCluster, scenes } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { applyService, assigned, eventOf, serviceReference, startCluster } from "./observe.ts";
import { Tool } from "./tool.ts";

const pools = (...addresses: string[]) => `address-pools:
- name: lan
  protocol: layer2
  addresses: [${addresses.join(", ")}]
- name: far
  protocol: layer2
  auto-assign: false
  addresses: [198.51.100.1/32]
`;
const configuration = pools("172.30.0.200/32", "172.30.0.201/32");
const poolOf = (name: string) => ({ "metallb.universe.tf/address-pool": name });

suite("ingotctl explains what people do to their Services", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  let tool: Tool;
  before(async () => {
    cluster = await startCluster({ nodes: 2, configuration, forwarding: true });
    tool = new Tool(cluster);
    await cluster.expose("web", ["node1", "node2"]);
    await assigned(cluster, "web");
  });
  after(async () => {
    tool[Symbol.dispose]();
    await cluster[Symbol.asyncDispose]();
  });

  test("one that is well: the node that announces it is named, and nothing is to be done", async () => {
    const text = await tool.explains("svc/web", [
      /: Announced \(announced\)/,
      /\n {2}node[12] announces 172\.30\.0\.200 of pool lan by layer 2/,
    ]);
    assert.doesNotMatch(text, /To do/);
    const { out } = await tool.run("owner", "172.30.0.200");
    assert.match(out, /^node[12]\n$/);
  });

  test("a pool that is full", async () => {
    await applyService(cluster, "unready");
    await assigned(cluster, "unready");
    await applyService(cluster, "late");
    await tool.explains("svc/late", [
      /^Service default\/late: Pending \(noPoolFits\)/,
      /pool "lan" has no free IPv4 address \(all 2 are in use\)/,
    ]);
    await tool.explains("pool/lan", [/Degraded \(full\)/, /To do: add addresses to the pool/]);
    await cluster.api.delete(serviceReference("late"));
  });

  test("an address that is requested in both ways", async () => {
    const annotations = { "metallb.universe.tf/loadBalancerIPs": "172.30.0.201" };
    await applyService(cluster, "both", { annotations, spec: { loadBalancerIP: "172.30.0.201" } });
    await tool.explains("svc/both", [
      /^Service default\/both: Pending \(malformedRequest\)/,
      /can not have both metallb\.universe\.tf\/loadBalancerIPs .* and spec\.loadBalancerIP/,
    ]);
    await cluster.api.delete(serviceReference("both"));
  });

  test("externalTrafficPolicy Local, with the only endpoint on a node without a speaker", async () => {
    await cluster.api.delete(serviceReference("unready"));
    const scene = scenes["no-speaker"];
    assert.ok(scene);
    const mend = await scene.plant(cluster, "172.30.0.200");
    await tool.prints(scene.find.split(" "), [/\(noReadyEndpointOnActiveNode\)/, scene.remedy]);
    const { status, err } = await tool.run("services");
    assert.equal(status, 3);
    assert.match(err, /speaker-node2 on node2 is not among these: /);
    await mend();
  });

  test("an address in no subnet of the node that announces it", async () => {
    const service = await cluster.expose("outside", ["node1"], { annotations: poolOf("far") });
    assert.equal(await service.address(), "198.51.100.1");
    await tool.explains("svc/outside", [
      /Degraded \(outsideSubnets\)/,
      /^Service default\/outside: Announced/,
      /\nNode node[12]: Degraded \(outsideSubnets\).*\n.*198\.51\.100\.1/,
      /To do: use addresses of a subnet of the node/,
    ]);
    await cluster.api.delete(serviceReference("outside"));
  });

  test("a tab in the YAML: the line and the column, and what is in force meanwhile", async () => {
    await cluster.configure(configuration.replace("  protocol: layer2", "\tprotocol: layer2"));
    await tool.explains("config", [/Degraded \(invalid\)/, /line 3, column 1: .*tab/, /the last good one stays in force/]);
    await tool.prints(["status"], /\nconfiguration by [^\n]+ Degraded +invalid/);
    await tool.explains("svc/web", /^Service default\/web: Announced/);
  });

  test("an edit that strands a Service: the Service and its address are named", async () => {
    await cluster.configure(pools("172.30.0.201/32"));
    await tool.explains("config", [
      /Degraded \(strands\)/,
      /default\/web \(172\.30\.0\.200\)/,
      /To do: put these addresses back into a pool/,
    ]);
    await cluster.configure(configuration);
    await tool.explains("config", /Ready \(inForce\)/);
    await waitFor("it to be said", () => eventOf(cluster, "web", "nodeAssigned", /./));
  });
});

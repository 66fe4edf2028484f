import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoCluster } from "#e2e/demo-cluster";
import { Lab } from "#e2e/lab";
import { startCluster } from "./observe.ts";
import { TenantView } from "./tenant-view.ts";

/** The pool of each Service, by name: its fields, and the endpoints' nodes. */
const causes: readonly {
  readonly reason: string;
  /** Fields of the Service's own pool. */
  readonly pool: string;
  readonly status?: "True" | "False" | "Unknown";
  readonly nodes?: readonly string[];
  readonly policy?: "Local";
  readonly message: RegExp;
}[] = [
  { reason: "Announced", pool: "protocol: layer2", status: "True", message: /is announced by node\d$/ },
  { reason: "AnnouncedWithFault", pool: "protocol: layer2", status: "True", message: /; on node\d: .*in no subnet of node\d/ },
  { reason: "ProtocolNone", pool: "protocol: none", status: "Unknown", message: /protocol: none/ },
  { reason: "NotAssigned", pool: "", message: /no address is assigned/ },
  { reason: "NoReadyEndpoint", pool: "protocol: layer2", nodes: [], message: /see whether its selector matches Pods/ },
  {
    reason: "NoReadyEndpointOnActiveNode",
    pool: "protocol: layer2",
    policy: "Local",
    nodes: ["node2"],
    message: /run a speaker on/,
  },
  {
    reason: "NoNodeSelected",
    pool: 'protocol: layer2, node-selectors: [{match-labels: {rack: "9"}}]',
    message: /node-selectors/,
  },
  { reason: "NoInterface", pool: "protocol: layer2, interfaces: [eth9]", message: /eth9/ },
  { reason: "NotInSubnet", pool: "protocol: layer2, l2-placement: subnet", message: /use addresses of their subnets/ },
  {
    reason: "NoPeer",
    pool: 'protocol: bgp, bgp-advertisements: [{node-selectors: [{match-labels: {rack: "9"}}]}]',
    message: /add a peer under peers/,
  },
  {
    reason: "NoSession",
    pool: "protocol: bgp",
    message: /; on node1: BGP session with 172\.30\.0\.199.*see that the router is up/,
  },
];
const nameOf = (reason: string) => reason.toLowerCase();
const inSubnet = (reason: string) => reason === "Announced";

/** @param isWell nothing keeps a Service from being announced */
function configuration(isWell: boolean): string {
  const pools = causes.map(({ reason, pool }, index) => {
    const addresses = inSubnet(reason) ? "172.30.0.200/32" : `198.51.100.${index}/32`;
    const fields = isWell ? "protocol: layer2" : pool;
    return fields === "" ? "" : `- {name: ${nameOf(reason)}, auto-assign: false, ${fields}, addresses: [${addresses}]}\n`;
  });
  return `peers: [{my-asn: 64512, peer-asn: 64513, peer-address: 172.30.0.199}]\naddress-pools:\n${pools.join("")}`;
}

suite("kubectl wait sees by its condition whether a Service is announced", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  let view: TenantView;
  before(async () => {
    cluster = await startCluster({ nodes: 2, configuration: configuration(false), forwarding: true });
    view = new TenantView(cluster);
    await cluster.node("node2").speaker.stop();
    for (const { reason, nodes = ["node1"], policy = "Cluster" } of causes) {
      const annotations = { "metallb.universe.tf/address-pool": nameOf(reason) };
      await cluster.expose(nameOf(reason), nodes, { policy, annotations });
    }
  });
  after(async () => {
    view?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  for (const { reason, status = "False", message } of causes)
    test(`${reason}: ${status}`, async () => {
      const service = `service/${nameOf(reason)}`;
      const where = (field: string) => `{.status.conditions[?(@.type=="ingot.dev/Announced")].${field}}`;
      await view.kubectl("wait", `--for=jsonpath=${where("reason")}=${reason}`, "--timeout=90s", service);
      await view.kubectl("wait", `--for=condition=ingot.dev/Announced=${status}`, "--timeout=10s", service);
      assert.match(await view.kubectl("get", service, "-o", `jsonpath=${where("message")}`), message);
    });

  test("all of them, when nothing is in the way any more", async () => {
    await cluster.node("node2").speaker.start();
    const services = causes.filter(({ nodes }) => nodes?.length !== 0).map(({ reason }) => `service/${nameOf(reason)}`);
    await cluster.configure(configuration(true));
    await view.kubectl("wait", "--for=condition=ingot.dev/Announced", "--timeout=90s", ...services);
  });
});

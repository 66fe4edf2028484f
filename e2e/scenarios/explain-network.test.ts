import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, suite, test } from "node:test";
import { ApiClient, type DemoCluster, type DemoNode } from "#e2e/demo-cluster";
import { type Host, Lab, programFile } from "#e2e/lab";
import { foreignSpeaker } from "#e2e/planted-faults";
import { owner, startCluster } from "./observe.ts";
import { Tool } from "./tool.ts";

const configuration = "address-pools: [{name: lan, protocol: layer2, addresses: [172.30.0.200-172.30.0.210]}]";

suite("ingotctl explains what is wrong around the cluster", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  let tool: Tool;
  let address: string;
  let announcing: DemoNode;
  before(async () => {
    cluster = await startCluster({ nodes: 2, configuration, forwarding: true });
    tool = new Tool(cluster);
    address = await (await cluster.expose("web", ["node1", "node2"])).address();
    announcing = await owner(cluster, address);
  });
  after(async () => {
    tool[Symbol.dispose]();
    await cluster[Symbol.asyncDispose]();
  });

  test("a speaker with another key of the ring than all others", async () => {
    const { speaker, remove } = await foreignSpeaker(cluster);
    await tool.explains("node/foreign", [/^Node foreign: Pending \(waiting\)/, /key/]);
    await tool.prints(["members"], /\nnode1 +memberlist +\w+ +2 +foreign\n/);
    const { status } = await tool.prints(
      ["doctor"],
      /error: speaker on foreign: it and the speakers on node1, node2.* do not see each other/,
    );
    assert.equal(status, 1);
    await speaker.stop();
    await remove();
  });

  test("nodes that do not reach the API, all of them, and then one alone", async () => {
    const { name } = announcing;
    const drop = "chain output { type filter hook output priority 0; tcp dport 6443 drop; }";
    for (const { host } of cluster.nodes) await host.output(["nft", "-f", "-"], { input: `table inet api {\n${drop}\n}\n` });
    const reach = (host: Host) => host.output(["nft", "delete", "table", "inet", "api"]);
    const unreachable = /Degraded \(apiUnreachable\)/; // After a minute, from when the kernel has given the connections up.
    await tool.explains(
      `node/${name}`,
      [
        unreachable,
        new RegExp(`the speaker on ${name} has not reached the API for \\d+ s .*, and no other .*: it goes on announcing`),
        /To do: see whether the API server is up/,
      ],
      180_000,
    );
    await tool.explains("svc/web", [/^Service default\/web: Announced/, new RegExp(`Node ${name}: .*apiUnreachable`)]);
    for (const { host } of cluster.nodes.filter((node) => node !== announcing)) await reach(host);
    await tool.explains(
      `node/${name}`,
      [/Pending \(apiViewOld\)/, /To do: look for network policies, and at the network between the node and the API\n/],
      180_000,
    );
    await reach(announcing.host);
    for (const node of cluster.nodes) await tool.explains(`node/${node.name}`, /Ready \(ready\)/);
  });

  test("two clusters with one pool on a LAN: the other one's host is named by its MAC address", async () => {
    await using other = await OtherCluster.start(cluster, address);
    await tool.explains("svc/web", [
      /\((addressConflict|unidentifiedHost)\)/,
      new RegExp(other.mac),
      /To do: give that host another address/,
    ]);
    await tool.prints(["doctor"], new RegExp(`Service default/web: .*${other.mac}`));
  });

  test("two clusters with one key, of which one joins a node of the other: no address goes to nodes of the other cluster", async () => {
    const secret = await cluster.api.get({ apiVersion: "v1", kind: "Secret", metadata: { name: "memberlist", namespace } });
    const { secretkey = "" } = (secret?.data ?? {}) as Record<string, string>;
    const more = ["second", "third", "fourth", "fifth"]; // Some of them would go.
    for (const name of more) await (await cluster.expose(name, ["node1"])).address();
    const [node] = cluster.nodes as [DemoNode, ...DemoNode[]];
    const key = Buffer.from(secretkey, "base64").toString();
    await using _ = await OtherCluster.start(cluster, "172.30.0.150", { key, joins: node.addresses[0] });
    const known = /beside is a member of the speakers' ring of node1, and not of this cluster/;
    await tool.explains("node/node1", [/foreignMembers/, known]);
    for (const service of ["web", ...more]) await tool.explains(`svc/${service}`, /node\d announces 172\.30\.0\.\d+ of pool/);
  });
});

const namespace = "metallb-system";

/** A second cluster of one node on the same LAN, with a Service that has this address; maybe with the first one's key, and a Pod at an address of its. */
class OtherCluster implements AsyncDisposable {
  readonly mac: string;
  readonly #stack: AsyncDisposableStack;

  private constructor(mac: string, stack: AsyncDisposableStack) {
    this.mac = mac;
    this.#stack = stack;
  }

  static async start(
    { lab, lan }: DemoCluster,
    address: string,
    ring?: { readonly key: string; readonly joins: string },
  ): Promise<OtherCluster> {
    await using stack = new AsyncDisposableStack();
    const [name, number] = ring === undefined ? ["elsewhere", 88] : ["beside", 89];
    const own = `172.30.0.${number}`;
    const host = await lab.host(name);
    await host.attach(lan, { addresses: [`${own}/24`] });
    const kubeconfig = `/run/${name}.conf`;
    const listen = ["--address", own, "--host", own, "--kubeconfig", kubeconfig];
    const server = stack.use(await host.spawn(`${name}-api`, ["node", programFile("apiserver"), ...listen]));
    await server.waitForLine(/^listening on /);
    const published = stack.use(await host.publish(own, 6443));
    const text = readFileSync(lab.outside(kubeconfig), "utf8").replace(`${own}:6443`, `127.0.0.1:${published.port}`);
    const api = stack.use(new ApiClient(text, published.port));
    await api.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    await api.apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "config", namespace },
      data: { config: configuration },
    });
    await api.apply({ apiVersion: "v1", kind: "Node", metadata: { name } });
    const labels = { app: "metallb", component: "speaker" };
    const conditions = [{ type: "Ready", status: "True" }];
    for (const [nodeName, podIP] of [[name, own], ...(ring === undefined ? [] : [["former", ring.joins]])]) {
      const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: `speaker-${nodeName}`, namespace } };
      const spec = { nodeName, containers: [{ name: "speaker", image: "process" }] };
      await api.apply({ ...pod, metadata: { ...pod.metadata, labels }, spec });
      await api.patch(pod, { status: { phase: "Running", podIP, conditions } }, "status");
    }
    const service = { apiVersion: "v1", kind: "Service", metadata: { name: "mail", namespace: "default" } };
    await api.apply({ ...service, spec: { type: "LoadBalancer", ports: [{ port: 25 }] } });
    await api.patch(service, { status: { loadBalancer: { ingress: [{ ip: address }] } } }, "status");
    await api.apply({
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "mail-1", namespace: "default", labels: { "kubernetes.io/service-name": "mail" } },
      addressType: "IPv4",
      endpoints: [{ addresses: ["10.1.1.1"], nodeName: name, conditions: { ready: true } }],
      ports: [],
    });
    const flags = [`--kubeconfig=${kubeconfig}`, `--namespace=${namespace}`, `--node-name=${name}`];
    const env =
      ring === undefined ? {} : { METALLB_ML_SECRET_KEY: ring.key, METALLB_ML_BIND_ADDR: own, METALLB_ML_LABELS: "app=metallb" };
    const speaker = stack.use(await host.spawn(name, ["node", programFile("speaker"), ...flags], { env }));
    await speaker.waitForLine(ring === undefined ? /"serviceAnnounced"/ : /"synced, announcing addresses"/);
    return new OtherCluster(await host.link("eth0").mac(), stack.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

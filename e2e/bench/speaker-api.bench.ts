/**
 * Measures a speaker's cost for the API server: the bundled process with the rights of the manifests beside a real API server, which
 * counts its requests (audit log), while the kernel counts the octets of its connections. Prints the measured values, and the resulting
 * ones for 1,000 nodes. Run it as root with `node e2e/bench/speaker-api.bench.ts`; it takes a quarter of an hour.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readAuditLog } from "#e2e/cluster";
import { build } from "../../build.ts";
import { MeasuredProcess } from "./measure.ts";
import { BareClient, type RealApi, realApi, runBesideRealApi } from "./real-api.ts";

const restSeconds = 900; // A watch lasts 5 to 10 minutes.
const repeats = 200;
const clusterNodes = 1_000;
const heartbeatsPerHour = 12; // A kubelet writes an unchanged status every 5 minutes.
const names = { node: "node1", service: "web", slice: "web-abcde" };

// About as large as one of a node that has pulled 40 images.
const images = Array.from({ length: 40 }, (_, i) => ({
  names: [
    `registry.example.com/team/image-${i}@sha256:${"0123456789abcdef".repeat(4)}`,
    `registry.example.com/team/image-${i}:v1.${i}`,
  ],
  sizeBytes: 100_000_000 + i,
}));

const slice = (ready: boolean) => ({
  metadata: { name: names.slice, labels: { "kubernetes.io/service-name": names.service } },
  addressType: "IPv4",
  ports: [{ port: 8080 }],
  endpoints: Array.from({ length: 10 }, (_, i) => ({
    addresses: [`10.244.1.${i + 1}`],
    nodeName: names.node,
    conditions: { ready: ready || i > 0 },
    targetRef: { kind: "Pod", namespace: "default", name: `web-7d4b9c6f5d-${i}`, uid: `00000000-0000-4000-8000-00000000000${i}` },
  })),
});

/** Octets that connections of a process to the API server have carried, both ways, without TCP's and IP's headers. */
function octetsOf(pid: number): number {
  const lines = execFileSync("ss", ["-tniHpO", "dport", "=", ":6443"], { encoding: "utf8" }).split("\n");
  const own = lines.filter((line) => line.includes(`pid=${pid},`)).join("\n");
  return [...own.matchAll(/ bytes_(?:received|sent):(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Octets that this host has received and sent, of everybody and with all headers. */
function octetsOfHost(): number {
  const [, counters = ""] = /eth0:(.*)/.exec(readFileSync("/proc/net/dev", "utf8")) ?? [];
  const columns = counters.trim().split(/\s+/).map(Number);
  return (columns[0] ?? 0) + (columns[8] ?? 0);
}

const row = (what: string, ...figures: string[]) => console.log(what.padEnd(52), ...figures.map((figure) => figure.padStart(12)));
const megabytes = (octets: number) => `${(octets / 1e6).toFixed(1)} MB`;

async function measure({ kubeconfigs, directory }: RealApi): Promise<void> {
  using client = new BareClient(kubeconfigs.admin, 4);
  const slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
  const service = { type: "LoadBalancer", allocateLoadBalancerNodePorts: false, ports: [{ port: 80 }], selector: { app: "web" } };
  const config = "address-pools: [{name: main, protocol: layer2, addresses: [192.0.2.0/24]}]";
  await client.send("POST", "/api/v1/nodes", {
    metadata: { name: names.node, labels: { "kubernetes.io/hostname": names.node } },
  });
  await client.send("PATCH", `/api/v1/nodes/${names.node}/status`, { status: { images } });
  await client.send("POST", "/api/v1/namespaces/metallb-system/configmaps", { metadata: { name: "config" }, data: { config } });
  await client.send("POST", "/api/v1/namespaces/default/services", { metadata: { name: names.service }, spec: service });
  const status = (ip: string) => ({ status: { loadBalancer: { ingress: [{ ip }] } } });
  const putStatus = (ip: string) =>
    client.send("PATCH", `/api/v1/namespaces/default/services/${names.service}/status`, status(ip));
  await putStatus("192.0.2.1");
  await client.send("POST", slices, slice(true));

  const dist = join(directory, "dist");
  await build(dist);
  const ring = ["--ml-bindaddr=172.30.0.100", "--ml-labels=app=metallb,component=speaker", "--ml-secret-key=of-a-benchmark"];
  const options = [`--kubeconfig=${kubeconfigs.speaker}`, "--namespace=metallb-system", "--port=0", `--node-name=${names.node}`];
  await using speaker = new MeasuredProcess("speaker", [join(dist, "speaker.js"), ...options, ...ring]);
  await speaker.line(/"event":"serviceAnnounced"/);
  await sleep(5_000);

  const user = "system:serviceaccount:metallb-system:speaker";
  const requests = async () => (await readAuditLog(directory)).filter((request) => request.user === user).length;
  /** What `act` costs, all of it. */
  const cost = async (act: () => Promise<void>, octets = () => octetsOf(speaker.pid)) => {
    const before = { requests: await requests(), octets: octets() };
    await act();
    await sleep(1_000);
    return { requests: (await requests()) - before.requests, octets: octets() - before.octets };
  };
  const each = async (change: (index: number) => Promise<void>) => {
    const { requests, octets } = await cost(async () => {
      for (let index = 0; index < repeats; index++) await change(index);
    });
    return { requests: requests / repeats, octets: octets / repeats };
  };
  row("one speaker", "requests", "octets");
  row("from its start until it announces", `${await requests()}`, `${octetsOf(speaker.pid)}`);
  const rest = await cost(() => sleep(restSeconds * 1000), octetsOfHost); // Nobody else is at work here.
  const perHour = { requests: (rest.requests * 3600) / restSeconds, octets: (rest.octets * 3600) / restSeconds };
  row("at rest, per hour", perHour.requests.toFixed(0), perHour.octets.toFixed(0));
  const endpoint = await each((index) =>
    client.send("PATCH", `${slices}/${names.slice}`, { endpoints: slice(index % 2 === 1).endpoints }),
  );
  row("an endpoint changes, of 10 in its slice", endpoint.requests.toFixed(2), endpoint.octets.toFixed(0));
  const heartbeat = await each((index) => {
    const conditions = [{ type: "Ready", status: "True", lastHeartbeatTime: new Date(1.7e12 + index * 1000).toISOString() }];
    return client.send("PATCH", `/api/v1/nodes/${names.node}/status`, { status: { conditions } });
  });
  row("a kubelet writes its Node's status", heartbeat.requests.toFixed(2), heartbeat.octets.toFixed(0));

  const beats = clusterNodes * heartbeatsPerHour;
  const each1000 = perHour.octets + beats * heartbeat.octets;
  console.log(`\n${clusterNodes} nodes, each with a speaker, by these figures:`);
  row("requests per second, at rest", ((perHour.requests * clusterNodes) / 3600).toFixed(2));
  row("to each speaker per hour, with all nodes' statuses", megabytes(each1000));
  row("to all speakers per second, with all nodes' statuses", megabytes((each1000 * clusterNodes) / 3600));
  row("to all speakers, when one endpoint changes", megabytes(endpoint.octets * clusterNodes));
}

const api = realApi();
if (api === undefined) await runBesideRealApi(import.meta.filename);
else await measure(api);

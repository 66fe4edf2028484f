/**
 * Measures what many nodes cost: the bundled speaker and controller, with the rights and flags of the manifests, beside a real API server
 * with that many Nodes, whose kubelets write as real ones do; then endpoints change ten times a second, too. In the speaker's ring all other nodes have
 * members, which answer it and decide nothing. Clones stand for the other speakers at the API server: they keep the watches that the audit log shows
 * of the real one, each for a node of its own, and decide nothing. Run it as root with
 * `node e2e/bench/nodes.bench.ts [NODES…]`; 500 nodes take 4 minutes. With `ONLY_START=1` in the environment it measures one speaker's start alone, and
 * prints what that asked the API for; with `PROFILES=DIRECTORY` each thread of a speaker leaves a CPU profile there.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { Agent, get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readAuditLog } from "#e2e/cluster";
import { baseManifests, podTemplate } from "#e2e/demo-cluster";
import { GossipState, labelHash, type OwnEntry } from "#pkg/gossip";
import { parseAddress, parsePrefix } from "#pkg/net";
import { isElected } from "#pkg/placement";
import { fnv1a } from "#pkg/text";
import { build } from "../../build.ts";
import { manifestProgram } from "./manifest-program.ts";
import { MeasuredProcess, ProcessUsage } from "./measure.ts";
import { BareClient, type RealApi, realApi, runBesideRealApi } from "./real-api.ts";
import { RingCrowd } from "./ring-crowd.ts";

const windowSeconds = 40;
const afterStartSeconds = 30;
const clones = 20;
const [statusSeconds, leaseSeconds] = [300, 10]; // How often a kubelet writes, where nothing changes.
const endpointChangesPerSecond = 10;
const servicesPerNode = 2; // As many as 10,000 at 5,000 nodes: the thresholds of Kubernetes.
const endpointsPerService = 5;
const ticksPerSecond = 10;
const account = "system:serviceaccount:metallb-system:speaker";

const namespace = "metallb-system";
const secret = "of-a-benchmark";
const port = 7946;
const speakerAddress = "172.30.0.100"; // The cluster gave it to this network. Members of the crowd have addresses of `lo`.
const labelsOfNode = 20;

const isOnlyStart = process.env.ONLY_START === "1";
const profiles = process.env.PROFILES;
const profiling = profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profiles}`];

const nameOf = (node: number) => `node-${node}`;
const addressOf = (node: number) => `10.128.${node >> 8}.${node & 255}`;
const leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
const slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const services = "/api/v1/namespaces/default/services";

// About as many as of a node that has pulled 40 images.
const images = Array.from({ length: 40 }, (_, i) => ({
  names: [
    `registry.example.com/team/image-${i}@sha256:${"0123456789abcdef".repeat(4)}`,
    `registry.example.com/team/image-${i}:v1.${i}`,
  ],
  sizeBytes: 100_000_000 + i,
}));

const labelsOf = (node: number) => ({
  "kubernetes.io/hostname": nameOf(node),
  "kubernetes.io/arch": "amd64",
  "kubernetes.io/os": "linux",
  "node.kubernetes.io/instance-type": "m5.large",
  "topology.kubernetes.io/region": "region-1",
  "topology.kubernetes.io/zone": `zone-${node % 3}`,
});

function statusOf(at: Date): object {
  const time = at.toISOString();
  const conditions = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"].map((type) => {
    return {
      type,
      status: type === "Ready" ? "True" : "False",
      lastHeartbeatTime: time,
      reason: "Kubelet",
      message: "as measured",
    };
  });
  return { status: { conditions, images } };
}

const endpointsOf = (service: number, nodes: number, ready: boolean) =>
  Array.from({ length: endpointsPerService }, (_, i) => ({
    addresses: [`10.244.${service % 256}.${i + 1}`],
    nodeName: nameOf((service + i * 7) % nodes),
    conditions: { ready: ready || i > 0 },
    targetRef: { kind: "Pod", namespace: "default", name: `web-7d4b9c6f5d-${i}`, uid: `00000000-0000-4000-8000-00000000000${i}` },
  }));

async function inParallel(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  const rest = Array.from({ length: count }, (_, index) => index).values();
  const worker = async () => {
    for (const index of rest) await work(index);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

/** As kubelets write it of a speaker. */
function podOf(node: number): { readonly pod: object; readonly status: object } {
  const { metadata, spec } = podTemplate(baseManifests(), "DaemonSet", "speaker");
  const name = `speaker-${nameOf(node)}`;
  const time = new Date().toISOString();
  const conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map((type) => {
    return { type, status: "True", lastTransitionTime: time };
  });
  const status = { phase: "Running", hostIP: addressOf(node), podIP: addressOf(node), startTime: time, conditions };
  return { pod: { metadata: { ...metadata, name }, spec: { ...spec, nodeName: nameOf(node) } }, status: { status } };
}

/** The facts that a speaker tells of its node. */
function entriesOf(node: number): OwnEntry[] {
  const told = new GossipState(nameOf(node));
  const subnet = parsePrefix("10.128.0.0/16") ?? assert.fail();
  told.setReachability({ answers: true, hasKernelAccess: true, interfaces: new Map([["eth0", [subnet]]]) });
  const labels = Array.from(
    { length: labelsOfNode },
    (_, i) => [labelHash(`example.com/label-${i}`), fnv1a(`${node} ${i}`)] as const,
  );
  const untainted = { isOutOfService: false, isCordoned: false, isNotReady: false, isWithoutNetwork: false };
  told.setTraits({ exists: true, ...untainted, labels: new Map(labels) });
  told.setIncarnation(1);
  told.participate();
  return told.takeEntries();
}

const ordinaryOf = (nodes: number) => Math.floor(nodes / 2);

/** One that this node is elected for. */
function addressFor(node: number, nodes: number): string {
  const names = Array.from({ length: nodes }, (_, other) => nameOf(other));
  const texts = Array.from({ length: 1 << 16 }, (_, index) => `10.101.${index >> 8}.${index & 255}`);
  return texts.find((text) => isElected(nameOf(node), names, parseAddress(text) ?? assert.fail())) ?? assert.fail();
}

/** Nodes with their Leases and speakers' Pods, and Services with an address and endpoints. */
async function fill(client: BareClient, nodes: number): Promise<void> {
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  await inParallel(nodes, async (node) => {
    const name = nameOf(node);
    await client.send("POST", "/api/v1/nodes", { metadata: { name, labels: labelsOf(node) } });
    await client.send("PATCH", `/api/v1/nodes/${name}/status`, statusOf(new Date()));
    await client.send("POST", leases, { metadata: { name }, spec: { holderIdentity: name, leaseDurationSeconds: 40 } });
    const { pod, status } = podOf(node);
    await client.send("POST", pods, pod);
    await client.send("PATCH", `${pods}/speaker-${name}/status`, status);
  });
  // The two that are measured announce one each, whatever else they do.
  const owned = [0, ordinaryOf(nodes)].map((node) => addressFor(node, nodes));
  await inParallel(nodes * servicesPerNode, async (index) => {
    const name = `web-${index}`;
    const spec = { type: "LoadBalancer", allocateLoadBalancerNodePorts: false, ports: [{ port: 80 }], selector: { app: name } };
    await client.send("POST", services, { metadata: { name }, spec });
    const ip = owned[index] ?? `10.100.${index >> 8}.${index & 255}`;
    await client.send("PATCH", `${services}/${name}/status`, { status: { loadBalancer: { ingress: [{ ip }] } } });
    await client.send("POST", slices, {
      metadata: { name, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ port: 8080 }],
      endpoints: endpointsOf(index, nodes, true),
    });
  });
}

/** Writes as kubelets do, and changes endpoints. */
class Churn implements Disposable {
  readonly #client: BareClient;
  readonly #nodes: number;
  readonly #timer: NodeJS.Timeout;
  readonly #due = { status: 0, lease: 0, endpoint: 0 };
  #underWay = 0;
  #isOver = false;
  /** Endpoints change, too. */
  hasEndpointChanges = false;
  /** Writes that were not made, because too many were under way. */
  skipped = 0;

  constructor(client: BareClient, nodes: number) {
    this.#client = client;
    this.#nodes = nodes;
    this.#timer = setInterval(() => this.#tick(), 1000 / ticksPerSecond);
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    clearInterval(this.#timer);
  }

  #tick(): void {
    const time = new Date();
    const renewTime = time.toISOString().replace("Z", "000Z");
    this.#some("status", this.#nodes / statusSeconds, (n) => {
      return ["PATCH", `/api/v1/nodes/${nameOf(n % this.#nodes)}/status`, statusOf(time)];
    });
    this.#some("lease", this.#nodes / leaseSeconds, (n) => {
      return ["PATCH", `${leases}/${nameOf(n % this.#nodes)}`, { spec: { renewTime } }];
    });
    const all = this.#nodes * servicesPerNode;
    this.#some("endpoint", this.hasEndpointChanges ? endpointChangesPerSecond : 0, (n) => {
      const endpoints = endpointsOf(n % all, this.#nodes, Math.floor(n / all) % 2 === 1);
      return ["PATCH", `${slices}/web-${n % all}`, { endpoints }];
    });
  }

  #some(what: "status" | "lease" | "endpoint", perSecond: number, write: (index: number) => ["PATCH", string, object]): void {
    const before = Math.floor(this.#due[what]);
    this.#due[what] += perSecond / ticksPerSecond;
    for (let index = before; index < Math.floor(this.#due[what]); index++) {
      if (this.#underWay >= 200) this.skipped++;
      else void this.#send(...write(index));
    }
  }

  async #send(method: "PATCH", path: string, body: object): Promise<void> {
    this.#underWay++;
    try {
      await this.#client.send(method, path, body);
    } catch (error) {
      if (!this.#isOver) throw error; // Else it ended with the client.
    }
    this.#underWay--;
  }
}

/** The watches of other speakers, whose octets are counted and dropped. */
class Clones implements Disposable {
  readonly #agent: Agent;
  readonly #server: string;
  readonly #token: string;
  octets = 0;
  watches = 0;

  constructor(kubeconfig: string) {
    const config = JSON.parse(readFileSync(kubeconfig, "utf8"));
    const { server, "certificate-authority-data": ca } = config.clusters[0].cluster;
    this.#agent = new Agent({ ca: Buffer.from(ca, "base64"), keepAlive: true });
    this.#server = server;
    this.#token = config.users[0].user.token;
  }

  /** @param uris of the watches of the node of this name */
  async start(name: string, uris: readonly string[]): Promise<void> {
    const versions = new Map<string, string>(); // path -> the present version there
    for (const uri of uris) {
      const { pathname } = new URL(uri, this.#server);
      versions.set(pathname, await this.#version(pathname));
    }
    for (let clone = 1; clone <= clones; clone++) {
      for (const uri of uris) {
        const url = new URL(uri.replaceAll(name, nameOf(clone)), this.#server);
        url.searchParams.set("resourceVersion", versions.get(url.pathname) ?? "");
        this.#request(url, (response) => {
          this.watches++;
          response.on("data", (chunk: Buffer) => {
            this.octets += chunk.length;
          });
        });
      }
    }
  }

  async #version(path: string): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#request(new URL(`${path}?limit=1`, this.#server), (response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.on("end", () => resolve(JSON.parse(Buffer.concat(pieces).toString()).metadata.resourceVersion));
    });
    return await promise;
  }

  #request(url: URL, take: Parameters<typeof get>[2]): void {
    get(url, { agent: this.#agent, headers: { authorization: `Bearer ${this.#token}`, accept: "application/json" } }, take).on(
      "error",
      () => {}, // Ended with the benchmark.
    );
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

function apiServer(): ProcessUsage {
  const isOne = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[1] === "kube-apiserver";
    } catch {
      return false; // It has ended.
    }
  };
  const pid = readdirSync("/proc").find((name) => /^\d+$/.test(name) && isOne(name));
  return new ProcessUsage(Number(pid));
}

/** Octets that connections of a process to the API server have received, without TCP's and IP's headers. */
class ReceivedOctets implements Disposable {
  readonly #pid: number;
  readonly #timer = setInterval(() => this.#look(), 500); // Octets between the last look at a connection and its end are lost.
  readonly #of = new Map<string, number>(); // this side's port -> octets

  constructor(pid: number) {
    this.#pid = pid;
  }

  get sum(): number {
    this.#look();
    return this.#of.values().reduce((sum, octets) => sum + octets, 0);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const lines = execFileSync("ss", ["-tniHpO", "dport", "=", ":6443"], { encoding: "utf8" }).split("\n");
    for (const line of lines.filter((line) => line.includes(`pid=${this.#pid},`))) {
      const [, own = "", octets = 0] = /:(\d+) .* bytes_received:(\d+)/.exec(line) ?? [];
      this.#of.set(own, Number(octets));
    }
  }
}

/** Until the controller has written the conditions of all Services: at most 50 a second. */
async function conditionsWritten(directory: string): Promise<void> {
  const patches = async () =>
    (await readAuditLog(directory)).filter(({ verb, resource }) => verb === "patch" && resource === "services/status").length;
  for (let before = -1, now = await patches(); now > before; now = await patches()) {
    before = now;
    await sleep(5_000);
  }
}

/** Requests of speakers so far, without what differs in each of them. */
async function requestsBySpeakers(directory: string): Promise<ReadonlyMap<string, number>> {
  const requests = (await readAuditLog(directory)).filter(({ user }) => user === account);
  const counts = new Map<string, number>();
  for (const { verb, uri } of requests) {
    const request = `${verb} ${uri.replace(/(timeoutSeconds|resourceVersion)=[1-9]\d*&?/g, "")}`;
    counts.set(request, (counts.get(request) ?? 0) + 1);
  }
  return counts;
}

const row = (what: string, ...figures: (string | number)[]) =>
  console.log(what.padEnd(60), ...figures.map((figure) => `${figure}`.padStart(12)));
const share = (seconds: number) => `${((seconds / windowSeconds) * 100).toFixed(1)} %`;
const perSecond = (octets: number) => `${(octets / windowSeconds / 1000).toFixed(1)} kB/s`;

async function measure({ kubeconfigs, directory }: RealApi, nodes: number, dist: string): Promise<void> {
  using client = new BareClient(kubeconfigs.admin, 32);
  const api = apiServer();
  const config = "address-pools: [{name: main, protocol: layer2, addresses: [10.100.0.0/15]}]";
  await client.send("POST", `/api/v1/namespaces/${namespace}/configmaps`, { metadata: { name: "config" }, data: { config } });
  await fill(client, nodes);

  row(`${nodes} nodes, ${nodes * servicesPerNode} Services`, "octets", "CPU", "API server");
  using churn = new Churn(client, nodes);
  if (!isOnlyStart) await sleep(5_000);
  const during = async (act: () => Promise<unknown> = () => sleep(windowSeconds * 1000)) => {
    const before = api.cpuSeconds;
    await act();
    return api.cpuSeconds - before;
  };
  if (!isOnlyStart) row("kubelets alone", "", "", share(await during()));

  const start = (name: "speaker" | "controller", args: readonly string[]) => {
    const { nodeFlags, env } = manifestProgram(name);
    chmodSync(kubeconfigs[name], 0o644); // The programs run as the Pods' users.
    const own = [`--kubeconfig=${kubeconfigs[name]}`, `--namespace=${namespace}`, "--port=0"];
    return new MeasuredProcess(name, [...nodeFlags, ...profiling, join(dist, `${name}.js`), ...own, ...args], env);
  };
  await using controller = isOnlyStart ? undefined : start("controller", []);
  execFileSync("ip", ["route", "replace", "local", "10.128.0.0/16", "dev", "lo"]); // In the network that the cluster made.
  if (controller !== undefined) {
    await sleep(10_000);
    await conditionsWritten(directory); // At first nobody announces, which the controller writes of each Service.
  }

  /** The speaker of a node, beside members of all other nodes. */
  const startSpeaker = async (own: number) => {
    const others = Array.from({ length: nodes }, (_, node) => node).filter((node) => node !== own);
    const members = others.map((node) => ({ name: nameOf(node), address: addressOf(node), entries: entriesOf(node) }));
    await using stack = new AsyncDisposableStack();
    const crowd = stack.use(await RingCrowd.start({ members, secret, port, speaker: speakerAddress }));
    const ring = [`--ml-bindaddr=${speakerAddress}`, "--ml-labels=app=metallb,component=speaker", `--ml-secret-key=${secret}`];
    const startedAt = performance.now();
    const speaker = stack.use(start("speaker", [`--node-name=${nameOf(own)}`, ...ring]));
    const received = stack.use(new ReceivedOctets(speaker.pid));
    await speaker.line(/"event":"serviceAnnounced"/);
    const until = (performance.now() - startedAt) / 1000;
    row(`announces after ${until.toFixed(1)} s`, received.sum, `${speaker.usage.cpuSeconds.toFixed(2)} s`);
    await sleep(afterStartSeconds * 1000);
    row(
      `${afterStartSeconds} s later; it knows ${crowd.known} members`,
      received.sum,
      `${speaker.usage.cpuSeconds.toFixed(2)} s`,
    );
    const { now, peak } = speaker.usage.megabytes;
    row("resident then, and at the most", `${now.toFixed(0)} MB`, `${peak.toFixed(0)} MB`);
    return Object.assign(stack.move(), { speaker, received });
  };
  const ordinary = ordinaryOf(nodes);
  console.log("a speaker that starts:");
  await using started = await startSpeaker(ordinary);
  const { speaker, received } = started;
  if (controller === undefined) {
    const requests = await requestsBySpeakers(directory);
    for (const [request, count] of requests) console.log(`${count} × ${request}`);
    return;
  }
  await conditionsWritten(directory);

  /** The speaker and the controller for a while. @returns octets that the speaker received, and seconds of the API server */
  const look = async (when: string) => {
    const before = { octets: received.sum, cpu: speaker.usage.cpuSeconds, controller: controller.usage.cpuSeconds };
    const server = await during();
    const octets = received.sum - before.octets;
    row(`speaker: ${when}`, perSecond(octets), share(speaker.usage.cpuSeconds - before.cpu), share(server));
    row(`controller: ${when}`, "", share(controller.usage.cpuSeconds - before.controller));
    return { octets, server };
  };
  const rest = await look("kubelets write their status");
  churn.hasEndpointChanges = true;
  const busy = await look(`endpoints change, ${endpointChangesPerSecond} a second`);

  const uris = (await readAuditLog(directory))
    .filter(({ user, verb }) => user === account && verb === "watch")
    .map(({ uri }) => uri);
  const following = uris.map((uri) => uri.replace(/&(?:sendInitialEvents|resourceVersionMatch)=\w*/g, "")); // Without all objects first.
  const byTarget = new Map(following.map((uri) => [uri.replace(/&(?:resourceVersion|timeoutSeconds)=\d*/g, ""), uri]));
  using others = new Clones(kubeconfigs.speaker);
  await others.start(nameOf(ordinary), [...byTarget.values()]);
  await sleep(5_000);
  const octetsBefore = others.octets;
  const withClones = await during();
  const each = (others.octets - octetsBefore) / clones;
  row(`${clones} clones of the speaker: ${others.watches} watches, each clone`, perSecond(each), "", share(withClones));

  const slope = Math.max(0, withClones - busy.server) / clones / windowSeconds;
  console.log(`\n${nodes} speakers, as ${nodes} × the speaker's octets and ${nodes} × what a clone adds to the API server:`);
  const all = (octets: number) => `${((nodes * octets) / windowSeconds / 1e6).toFixed(2)} MB/s`;
  row("API servers send, while kubelets write their status", all(rest.octets));
  row("and while endpoints change; cores that it takes", all(busy.octets), "", (nodes * slope).toFixed(2));
  await started[Symbol.asyncDispose]();
  console.log("\nthe first speaker by name, which tells the controller who announces each Service:");
  await using _ = await startSpeaker(0);
  if (churn.skipped > 0) console.log(`the machine was too slow for ${churn.skipped} writes of kubelets, which were left out`);
}

const api = realApi();
if (api === undefined) {
  const counts = process.argv.slice(2).map(Number);
  for (const nodes of counts.length === 0 ? [500] : counts) await runBesideRealApi(import.meta.filename, `${nodes}`);
} else {
  const dist = mkdtempSync(join(tmpdir(), "ingot-bench-"));
  try {
    for (const path of [dist, api.directory]) chmodSync(path, 0o755); // Their programs and kubeconfigs are there.
    await build(join(dist, "dist"));
    await measure(api, Number(process.argv[3]), join(dist, "dist"));
  } finally {
    rmSync(dist, { recursive: true });
  }
}

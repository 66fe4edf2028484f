/**
 * The server under real kubectl. Needs `kubectl` in PATH, or its command line in KUBECTL (such as "kcp kubectl"), and `diff`; each
 * test is one cluster of its own.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { at } from "./json.ts";
import { ApiServer, type Identity } from "./server.ts";

const [command = "kubectl", ...leading] = (process.env.KUBECTL ?? "kubectl").split(" ");
const missing = spawnSync(command, [...leading, "version", "--client"]).status !== 0;
const options = missing ? { skip: `no ${command}: put kubectl into PATH, or set KUBECTL to its command line` } : {};

const maxRunMilliseconds = 300_000; // So that a kubectl that hangs fails its test, and goes.

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A server, and kubectl set up for it in a directory of its own. */
class Cluster implements AsyncDisposable {
  readonly #watched = Promise.withResolvers<void>();
  readonly server = new ApiServer({ onRequest: ({ verb }) => verb === "watch" && this.#watched.resolve() });
  readonly #directory = mkdtempSync(join(tmpdir(), "apiserver-"));
  readonly #children: ChildProcess[] = [];

  static async start(): Promise<Cluster> {
    const cluster = new Cluster();
    await cluster.server.start();
    return cluster;
  }

  /** Runs kubectl to its end, as the administrator or as someone else; `input` is its standard input. */
  async run(args: string, { input = "", as }: { input?: string; as?: Identity } = {}): Promise<Outcome> {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const child = execFile(
      command,
      this.#arguments(args),
      { env: this.#environment(as), timeout: maxRunMilliseconds },
      (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === "number" ? error.code : error === null ? 0 : -1, stdout, stderr }),
    );
    child.stdin?.end(input);
    return promise;
  }

  /** Runs kubectl, which must succeed. @returns what it printed */
  async ok(args: string, options: { input?: string; as?: Identity } = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    assert.equal(code, 0, `kubectl ${args}: ${stderr}`);
    return stdout;
  }

  /** Waits until something watches. */
  get watched(): Promise<void> {
    return this.#watched.promise;
  }

  /** The lines of a kubectl that goes on until the cluster is disposed. */
  follow(args: string): AsyncIterator<string> {
    const child = spawn(command, this.#arguments(args), {
      env: this.#environment(),
      stdio: ["ignore", "pipe", "inherit"],
      timeout: maxRunMilliseconds,
    });
    this.#children.push(child);
    return createInterface(child.stdout)[Symbol.asyncIterator]();
  }

  file(name: string, content: string): string {
    const path = join(this.#directory, name);
    writeFileSync(path, content);
    return path;
  }

  get directory(): string {
    return this.#directory;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill();
    await this.server[Symbol.asyncDispose]();
    rmSync(this.#directory, { recursive: true });
  }

  /** Arguments are separated by blanks; those in single quotes may have some. */
  #arguments(args: string): string[] {
    const parts = args.match(/'[^']*'|\S+/g) ?? [];
    return [...leading, ...parts.map((part) => part.replaceAll("'", ""))];
  }

  #environment(as?: Identity): NodeJS.ProcessEnv {
    const kubeconfig = this.file("kubeconfig", this.server.kubeconfig(as));
    return { PATH: process.env.PATH, HOME: this.#directory, KUBECONFIG: kubeconfig, KUBE_EDITOR: "sed -i s/8080/9090/" };
  }
}

const web = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports:
  - {name: http, port: 80}
`;
const service = { apiVersion: "v1", kind: "Service", metadata: { name: "web", namespace: "default" } } as const;

test("kubectl apply creates, leaves alone, changes and removes fields, and diff shows it first", options, async () => {
  await using cluster = await Cluster.start();
  assert.match(await cluster.ok("apply -f -", { input: web }), /service\/web created/);
  assert.match(await cluster.ok("apply -f -", { input: web }), /service\/web unchanged/);
  const changed = `${web.replace("port: 80", "port: 81")}  - {name: dns, port: 53, protocol: UDP}\n`;
  const diff = await cluster.run("diff -f -", { input: changed });
  assert.equal(diff.code, 1, "differences are the exit code 1");
  assert.match(diff.stdout, /^-.*port: 80$/m);
  assert.match(diff.stdout, /^\+.*port: 81$/m);
  assert.match(await cluster.ok("apply -f -", { input: changed }), /service\/web configured/);
  assert.equal(await cluster.ok("get svc web -o jsonpath={.spec.ports[*].port}"), "81 53");
  await cluster.ok("apply -f -", { input: web });
  assert.equal(await cluster.ok("get svc web -o jsonpath={.spec.ports[*].port}"), "80");
  assert.equal((await cluster.run("diff -f -", { input: web })).code, 0);
});

test("kubectl apply --server-side owns fields, and conflicts with others", options, async () => {
  await using cluster = await Cluster.start();
  assert.match(await cluster.ok("apply --server-side -f -", { input: web }), /serverside-applied/);
  const other = web.replace("app: web", "app: other");
  const conflict = await cluster.run("apply --server-side --field-manager=other -f -", { input: other });
  assert.equal(conflict.code, 1);
  assert.match(conflict.stderr, /conflict with "kubectl": .spec.selector/);
  await cluster.ok("apply --server-side --field-manager=other --force-conflicts -f -", { input: other });
  assert.deepEqual(at(cluster.server.get(service), "spec", "selector"), { app: "other" });
});

test("kubectl apply -k applies a kustomization, namespace first", options, async () => {
  await using cluster = await Cluster.start();
  cluster.file(
    "kustomization.yaml",
    `namespace: lb\nresources: [all.yaml]\nconfigMapGenerator:\n- name: config\n  literals: [config=x]\n  options: {disableNameSuffixHash: true}\n`,
  );
  cluster.file(
    "all.yaml",
    `apiVersion: v1
kind: ServiceAccount
metadata: {name: speaker}
---
apiVersion: v1
kind: Namespace
metadata: {name: lb}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: speaker}
spec:
  selector: {matchLabels: {app: speaker}}
  template:
    metadata: {labels: {app: speaker}}
    spec: {hostNetwork: true, serviceAccountName: speaker, containers: [{name: speaker, image: "x:1"}]}
`,
  );
  await cluster.ok(`apply -k ${cluster.directory}`);
  assert.equal(
    await cluster.ok("get ds,cm,sa -n lb -o name"),
    "daemonset.apps/speaker\nconfigmap/config\nserviceaccount/speaker\n",
  );
});

test("kubectl get and describe show a Service with its addresses and events", options, async () => {
  await using cluster = await Cluster.start();
  await cluster.ok("apply -f -", { input: web });
  const { metadata } = cluster.server.patch(service, { status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } } });
  cluster.server.create({
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: "web.1", namespace: "default" },
    involvedObject: { kind: "Service", name: "web", namespace: "default", uid: metadata.uid },
    reason: "IPAllocated",
    message: 'Assigned IP ["192.0.2.1"]',
    type: "Normal",
    source: { component: "metallb-controller" },
  });
  assert.match(
    await cluster.ok("get svc web -o wide"),
    /^web +LoadBalancer +10.96.0.10 +192.0.2.1 +80:30000\/TCP +\d+s +app=web$/m,
  );
  assert.match(await cluster.ok("get svc web -o yaml"), /^ {4}- ip: 192.0.2.1$/m);
  assert.equal(at(JSON.parse(await cluster.ok("get svc web -o json")), "spec", "clusterIP"), "10.96.0.10");
  assert.match(await cluster.ok("get events"), /IPAllocated +service\/web +Assigned IP/);
  const described = await cluster.ok("describe service web");
  assert.match(described, /^LoadBalancer Ingress: +192.0.2.1 \(VIP\)$/m);
  assert.match(described, /IPAllocated .* metallb-controller +Assigned IP \["192.0.2.1"\]$/m);
});

test("kubectl patches in all three ways, labels, annotates, edits, scales and deletes", options, async () => {
  await using cluster = await Cluster.start();
  await cluster.ok("apply -f -", { input: web });
  await cluster.ok(`patch svc web -p '{"spec":{"ports":[{"port":8080,"name":"alt"}]}}'`);
  await cluster.ok(`patch svc web --type json -p '[{"op":"replace","path":"/spec/externalTrafficPolicy","value":"Local"}]'`);
  await cluster.ok(
    `patch svc web --type merge --subresource status -p '{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}}'`,
  );
  await cluster.ok("label svc web tier=front");
  await cluster.ok("annotate svc web metallb.universe.tf/address-pool=main");
  await cluster.ok("edit svc web");
  const object = cluster.server.get(service);
  assert.deepEqual(
    [
      at(object, "spec", "externalTrafficPolicy"),
      object?.metadata.labels,
      object?.metadata.annotations?.["metallb.universe.tf/address-pool"],
    ],
    ["Local", { tier: "front" }, "main"],
  );
  assert.equal(await cluster.ok("get svc web -o jsonpath={.spec.ports[*].port}"), "9090 80");
  assert.equal(await cluster.ok("get svc web -o jsonpath={.status.loadBalancer.ingress[0].ip}"), "192.0.2.1");
  await cluster.ok("delete svc web");
  assert.equal(cluster.server.get(service), undefined);

  await cluster.ok("create deployment d --image x:1");
  await cluster.ok("scale deployment d --replicas 3");
  assert.match(await cluster.ok("get deployment d"), /0\/3/);
});

test("kubectl wait sees conditions, values and deletions", options, async () => {
  await using cluster = await Cluster.start();
  await cluster.ok("apply -f -", { input: web });
  const address = cluster.ok("wait svc web --for=jsonpath={.status.loadBalancer.ingress[0].ip}=192.0.2.1 --timeout=2m");
  cluster.server.patch(service, { status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } } });
  await address;
  cluster.server.create({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "n" },
    status: { conditions: [{ type: "Ready", status: "True" }] },
  });
  await cluster.ok("wait node n --for=condition=Ready --timeout=2m");
  cluster.server.patch(service, { metadata: { finalizers: ["example.com/x"] } });
  const deleted = cluster.ok("delete svc web --timeout=2m"); // Waits by itself.
  const gone = cluster.ok("wait svc web --for=delete --timeout=2m");
  await cluster.ok(`patch svc web --type merge -p '{"metadata":{"finalizers":null}}'`);
  await Promise.all([deleted, gone]);
});

test("kubectl get -w shows changes as rows", options, async () => {
  await using cluster = await Cluster.start();
  await cluster.ok("apply -f -", { input: web });
  const lines = cluster.follow("get svc web -w --no-headers");
  assert.match((await lines.next()).value, /<pending>/);
  await cluster.watched; // kubectl does not show changes between its list and its watch.
  cluster.server.patch(service, { status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } } });
  assert.match((await lines.next()).value, /192.0.2.1/);
});

test("kubectl auth says what a ServiceAccount may do, and a refusal is the API's", options, async () => {
  await using cluster = await Cluster.start();
  await cluster.ok("create serviceaccount speaker");
  await cluster.ok("create clusterrole reader --verb get,list --resource services");
  await cluster.ok("create clusterrolebinding speaker --clusterrole reader --serviceaccount default:speaker");
  const as = { serviceAccount: "default/speaker" };
  assert.equal(await cluster.ok("auth can-i list services", { as }), "yes\n");
  assert.equal((await cluster.run("auth can-i update services --subresource status", { as })).stdout, "no\n");
  assert.equal(await cluster.ok("auth can-i list services --as system:serviceaccount:default:speaker"), "yes\n");
  assert.match(await cluster.ok("auth whoami", { as }), /system:serviceaccount:default:speaker/);
  const refused = await cluster.run("label svc kubernetes a=b", { as });
  assert.match(
    refused.stderr,
    /Error from server \(Forbidden\): services "kubernetes" is forbidden: User "system:serviceaccount:default:speaker" cannot patch/,
  );
  assert.match(await cluster.ok("create token speaker"), /^\S+\.\S+\.\S+$/);
});

test("kubectl creates the objects of an installation, and takes a namespace down", options, async () => {
  await using cluster = await Cluster.start();
  await cluster.ok("create namespace metallb-system");
  await cluster.ok("create secret generic -n metallb-system memberlist --from-literal=secretkey=abc");
  await cluster.ok("create configmap -n metallb-system config --from-literal=config=x");
  assert.deepEqual(
    cluster.server.list("v1", "Secret").map(({ data }) => data),
    [{ secretkey: "YWJj" }],
  );
  await cluster.ok("delete namespace metallb-system --timeout=2m");
  assert.match((await cluster.run("get namespace metallb-system")).stderr, /NotFound/);
  const logs = await cluster.run("logs -n default pod/p");
  assert.equal(logs.code, 1);
});

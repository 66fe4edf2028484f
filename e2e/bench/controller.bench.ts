/**
 * Measures how fast the controller gives addresses, and the cost: the bundled process, with the flags of the manifest, against a real API
 * server and etcd on the same machine. A bound from the same run stands beside the figures, the mean of before and after: a bare client
 * that makes the same writes, equally many at once, without decisions. Run it as root with `node e2e/bench/controller.bench.ts [COUNT…]`,
 * where COUNT is a number of Services; 1,000 and then 10,000 of them take some minutes.
 */
import { chmodSync, closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readAuditLog } from "#e2e/cluster";
import { SystemClock, systemRandom } from "#pkg/clock";
import { connect, resources, type Service, serviceReference } from "#pkg/k8s";
import { silentLog } from "#pkg/log/testing";
import { build } from "../../build.ts";
import { manifestProgram } from "./manifest-program.ts";
import { MeasuredProcess, quantile } from "./measure.ts";
import { BareClient, type RealApi, realApi, runBesideRealApi } from "./real-api.ts";

// The controller's own limits.
const [writesAtOnce, eventsAtOnce] = [32, 8];
const repeats = 50;
const idleSeconds = 10;
const services = "/api/v1/namespaces/default/services";
const maps = "/api/v1/namespaces/metallb-system/configmaps";
const account = "system:serviceaccount:metallb-system:controller";

const service = (name: string) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { namespace: "default", name },
  // Without node ports, of which there are just 2,768.
  spec: { type: "LoadBalancer", allocateLoadBalancerNodePorts: false, ports: [{ port: 80 }], selector: { app: name } },
});
const names = (kind: string, count: number) => Array.from({ length: count }, (_, i) => `${kind}-${i}`);

/** Sees the Services, and which of them have addresses. */
class Watcher implements AsyncDisposable {
  readonly services = new Map<string, Service>(); // name -> Service
  readonly #cluster: AsyncDisposable;
  readonly #served = new Set<string>();
  #awaited: { readonly missing: Set<string>; readonly enough: number; readonly resolve: () => void } | undefined;

  constructor(kubeconfig: string) {
    const options = { kubeconfig, userAgent: "bench", log: silentLog, clock: new SystemClock(), random: systemRandom };
    const cluster = connect(options);
    const changed = (key: string, now: Service | undefined): void => {
      const name = key.replace("default/", "");
      if (now !== undefined) this.services.set(name, now);
      if (now === undefined || now.ingress.length === 0) this.#served.delete(name);
      else this.#served.add(name);
      const { missing, enough, resolve } = this.#awaited ?? {};
      if (missing === undefined || !this.#served.has(name) || !missing.delete(name)) return;
      if (missing.size <= (enough ?? 0)) resolve?.();
    };
    cluster.informer(resources.services, {}, { changed }).start();
    this.#cluster = cluster;
  }

  /** Does something, then waits until each of these Services, or `count` of them, has an address. @returns seconds */
  async untilServed(wanted: readonly string[], act: () => Promise<unknown>, count = wanted.length): Promise<number> {
    const missing = new Set(wanted.filter((name) => !this.#served.has(name)));
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#awaited = { missing, enough: missing.size - count, resolve };
    const start = performance.now();
    await act();
    await promise;
    return (performance.now() - start) / 1000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster[Symbol.asyncDispose]();
  }
}

async function inParallel<T>(atOnce: number, items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const rest = items.values();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const item of rest) await work(item);
    }),
  );
}

async function latencies(act: (index: number) => Promise<number>): Promise<string> {
  const seconds: number[] = [];
  for (let index = 0; index < repeats; index++) seconds.push(await act(index));
  return [0.5, 0.99].map((part) => (quantile(seconds, part) * 1000).toFixed(1)).join(" / ");
}

/** How many events the controller has written. Only what was added to the audit log is read: all of it would take a core from the API server. */
function eventCounter(directory: string): () => number {
  let [offset, count, rest] = [0, 0, ""];
  return () => {
    const file = openSync(join(directory, "audit.jsonl"), "r");
    try {
      const added = Buffer.alloc(fstatSync(file).size - offset);
      offset += readSync(file, added, 0, added.length, offset);
      const lines = (rest + added).split("\n");
      rest = lines.pop() ?? "";
      count += lines.filter((line) => line.includes(`"username":"${account}"`) && line.includes('"resource":"events"')).length;
      return count;
    } finally {
      closeSync(file);
    }
  };
}

interface Bound {
  readonly statuses: number;
  readonly events: number;
}

/** The same writes for the same Services, field by field, by a client that knows all the answers. @returns seconds */
async function measureBound({ kubeconfigs }: RealApi, watcher: Watcher, all: readonly string[]): Promise<Bound> {
  using client = new BareClient(kubeconfigs.admin, writesAtOnce);
  const seen = (name: string): Service => {
    const found = watcher.services.get(name);
    if (found === undefined) throw new Error(`Cannot write to Service ${name}: it has not been seen`);
    return found;
  };
  const put = (ingress: object[] | null) => (name: string) => {
    const { uid, resourceVersion } = seen(name);
    const body = { metadata: { uid, resourceVersion }, status: { loadBalancer: { ingress } } };
    return client.send("PATCH", `${services}/${name}/status`, body);
  };
  const clear = async () => {
    await inParallel(writesAtOnce, all, put(null));
    await sleep(1_000); // Until the watcher has seen that.
  };
  await clear();
  const statuses = await watcher.untilServed(all, () => inParallel(writesAtOnce, all, put([{ ip: "192.0.2.1" }])));
  const start = performance.now();
  await inParallel(eventsAtOnce, all, async (name) => {
    const now = new Date().toISOString();
    const event = {
      metadata: { name: `${name}.${performance.now()}`, namespace: "default" },
      involvedObject: serviceReference(seen(name)),
      type: "Normal",
      reason: "IPAllocated",
      message: 'Assigned IP ["192.0.2.1"]',
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component: "bench" },
      reportingComponent: "bench",
      reportingInstance: "",
    };
    await client.send("POST", "/api/v1/namespaces/default/events", event);
  });
  const events = (performance.now() - start) / 1000;
  await clear();
  return { statuses, events };
}

const row = (what: string, ours: string, bound = "") =>
  console.log(`${what.padEnd(58)} ${ours.padStart(14)} ${bound.padStart(16)}`);
const ratio = (figure: number, bound: number) => `${(figure / bound).toFixed(2)} × ${bound.toFixed(2)}`;
const megabytes = ({ now, peak }: { now: number; peak: number }) => `${now.toFixed(0)} (${peak.toFixed(0)})`;

interface Program {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

async function measure(api: RealApi, count: number, { command, env }: Program): Promise<void> {
  const { kubeconfigs, directory } = api;
  await using watcher = new Watcher(kubeconfigs.admin);
  using client = new BareClient(kubeconfigs.admin, writesAtOnce);
  const create = (names: readonly string[]) =>
    inParallel(writesAtOnce, names, (name) => client.send("POST", services, service(name)));
  const [all, more, waiting] = [names(`of-${count}`, count), names("more", repeats), names("waiting", repeats)];
  await create(all);
  const before = await measureBound(api, watcher, all);
  const bareOnes = names("bare", repeats);
  const bareOne = await latencies((index) => {
    const one = bareOnes.slice(index, index + 1);
    return watcher.untilServed(one, async () => {
      await create(one);
      await client.send("PATCH", `${services}/${one[0]}/status`, {
        status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } },
      });
    });
  });
  await inParallel(writesAtOnce, bareOnes, (name) => client.send("DELETE", `${services}/${name}`, {}));

  chmodSync(directory, 0o711); // The controller runs as the Pod's user, who has to read its kubeconfig.
  chmodSync(kubeconfigs.controller, 0o644);
  const options = [`--kubeconfig=${kubeconfigs.controller}`, "--namespace=metallb-system", "--port=0"];
  await using controller = new MeasuredProcess("controller", [...command, ...options], env);
  await controller.line(/"event":"stateSynced"/);
  let from = 0;
  const requests = async () => (await readAuditLog(directory)).slice(from).filter(({ user }) => user === account);
  const countEvents = eventCounter(directory);
  /** Waits until no event was written for a second: they are written in the background. @returns when the last one was */
  const eventsWritten = async () => {
    let [seen, at] = [countEvents(), performance.now()];
    for (; performance.now() - at < 1_000; await sleep(20)) {
      const now = countEvents();
      if (now !== seen) [seen, at] = [now, performance.now()];
    }
    return at;
  };
  await sleep(2_000);
  await eventsWritten(); // Every Service has the event that there is no configuration.
  from = (await readAuditLog(directory)).length;

  console.log(`\n${`${count} waiting Services`.padEnd(58)} ${"Ingot".padStart(14)} ${"× bare client".padStart(16)}`);
  row("  before they are served, MB resident (peak)", megabytes(controller.usage.megabytes));
  let cpu = controller.usage.cpuSeconds;
  const last = count + repeats;
  const pool = `10.0.0.1-10.0.${last >> 8}.${last & 255}`;
  const config = `address-pools: [{name: main, protocol: layer2, addresses: [${pool}]}]`;
  const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "config" }, data: { config } };
  const start = performance.now();
  const seconds = await watcher.untilServed(all, () => client.send("POST", maps, configMap));
  const total = ((await eventsWritten()) - start) / 1000;
  row("  CPU of the controller for all that, s", (controller.usage.cpuSeconds - cpu).toFixed(2));
  row("  MB resident (peak)", megabytes(controller.usage.megabytes));
  const writes = Map.groupBy(await requests(), ({ verb, resource }) => `${verb} ${resource}`);
  for (const [what, { length }] of writes) if (length > 20) row(`  requests per Service: ${what}`, (length / count).toFixed(3));

  const oneMore = await latencies((index) => {
    const one = more.slice(index, index + 1);
    return watcher.untilServed(one, () => create(one));
  });
  row("  one more, until it has its address, p50 / p99, ms", oneMore, bareOne);
  await create(waiting);
  const freed = await latencies((index) =>
    watcher.untilServed(waiting, () => client.send("DELETE", `${services}/${all[index]}`, {}), 1),
  );
  row("  one deleted, until a waiting one has it, p50 / p99, ms", freed);
  await sleep(25_000); // In which a heap that has grown is trimmed.
  row("  MB resident (peak), 25 s later", megabytes(controller.usage.megabytes));
  cpu = controller.usage.cpuSeconds;
  await sleep(idleSeconds * 1000);
  row("  CPU when idle, % of a core", (((controller.usage.cpuSeconds - cpu) / idleSeconds) * 100).toFixed(2));

  await controller[Symbol.asyncDispose]();
  const after = await measureBound(api, watcher, [...all.slice(repeats), ...more]);
  const [statuses, events] = [(before.statuses + after.statuses) / 2, (before.events + after.events) / 2];
  row("  from the configuration until all have addresses, s", seconds.toFixed(2), ratio(seconds, statuses));
  row("  until all events are written, too, s", total.toFixed(2), ratio(total, statuses + events));
}

const api = realApi();
const counts = process.argv.slice(2);
if (api === undefined)
  for (const count of counts.length > 0 ? counts : ["1000", "10000"]) await runBesideRealApi(import.meta.filename, count);
else {
  const directory = mkdtempSync(join(tmpdir(), "ingot-bench-"));
  chmodSync(directory, 0o755); // The controller's user reads its program there.
  try {
    const dist = join(directory, "dist");
    await build(dist);
    const { nodeFlags, env } = manifestProgram("controller");
    await measure(api, Number(process.argv[3]), { command: [...nodeFlags, join(dist, "controller.js")], env });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

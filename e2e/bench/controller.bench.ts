/**
 * How fast the controller gives addresses, and what it costs: the bundled process, with the flags of the manifest, against the
 * tests' API server as another process on the same machine. Beside each figure stand MetalLB v0.12.1's, where it was measured, and
 * a bound from the same run: a plain client that creates the same Services and writes the same statuses, with nobody deciding.
 * Run it with `node e2e/bench/controller.bench.ts`; it takes about two minutes.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { load } from "js-yaml";
import { ApiClient, type Reference } from "#e2e/demo-cluster";
import { SystemClock, systemRandom } from "#pkg/clock";
import { connect, resources } from "#pkg/k8s";
import { silentLog } from "#pkg/log";
import { build } from "../../build.ts";
import { MeasuredProcess, quantile } from "./measure.ts";

const atOnce = 32;
const repeats = 50;
const idleSeconds = 10;
const directory = mkdtempSync(join(tmpdir(), "ingot-bench-"));

const service = (name: string) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { namespace: "default", name },
  spec: { type: "LoadBalancer", ports: [{ port: 80 }], selector: { app: name } },
});
const reference = (name: string): Reference => ({ apiVersion: "v1", kind: "Service", metadata: { namespace: "default", name } });
const names = (kind: string, count: number) => Array.from({ length: count }, (_, i) => `${kind}-${i}`);

/** An API server with nothing in it, and a client that sees when Services have addresses. */
class Api implements AsyncDisposable {
  readonly kubeconfig: string;
  readonly client: ApiClient;
  readonly #process: MeasuredProcess;
  readonly #watcher: AsyncDisposable;
  readonly #served = new Set<string>();
  #awaited: { readonly names: Set<string>; readonly resolve: () => void } | undefined;

  static async start(): Promise<Api> {
    const kubeconfig = join(directory, `kubeconfig-${performance.now()}`);
    const options = ["--port=0", `--kubeconfig=${kubeconfig}`, "--node-ports=1-65535", "--history=100000"];
    const server = new MeasuredProcess(["e2e/apiserver/main.ts", ...options]);
    const [, port] = await server.line(/^listening on .*:(\d+)/);
    const api = new Api(server, kubeconfig, Number(port));
    await api.client.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "metallb-system" } });
    return api;
  }

  private constructor(server: MeasuredProcess, kubeconfig: string, port: number) {
    this.#process = server;
    this.kubeconfig = kubeconfig;
    this.client = new ApiClient(readFileSync(kubeconfig, "utf8"), port);
    const options = { kubeconfig, userAgent: "bench", log: silentLog, clock: new SystemClock(), random: systemRandom };
    const cluster = connect(options);
    cluster
      .informer(
        resources.services,
        {},
        { changed: (_, now) => now !== undefined && now.ingress.length > 0 && this.#see(now.name) },
      )
      .start();
    this.#watcher = cluster;
  }

  /** Runs `act`, then waits until each of these Services, or `count` of them, has an address. @returns seconds */
  async untilServed(services: readonly string[], act: () => Promise<unknown>, count = services.length): Promise<number> {
    const missing = new Set(services.filter((name) => !this.#served.has(name)));
    const { promise, resolve } = Promise.withResolvers<void>();
    const enough = missing.size - count;
    this.#awaited = { names: missing, resolve: () => missing.size <= enough && resolve() };
    const start = performance.now();
    await act();
    await promise;
    return (performance.now() - start) / 1000;
  }

  create(services: readonly string[]): Promise<void> {
    return inParallel(services, (name) => this.client.apply(service(name)));
  }

  /** Writes what a controller would. */
  give(services: readonly string[]): Promise<void> {
    const status = { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } };
    return inParallel(services, (name) => this.client.patch(reference(name), { status }, "status"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watcher[Symbol.asyncDispose]();
    this.client[Symbol.dispose]();
    await this.#process[Symbol.asyncDispose]();
  }

  #see(name: string): void {
    this.#served.add(name);
    if (this.#awaited?.names.delete(name)) this.#awaited.resolve();
  }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const rest = items.values();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const item of rest) await work(item);
    }),
  );
}

interface Latencies {
  readonly p50: number; // milliseconds
  readonly p99: number;
}

/** Does something again and again, each time for the next of these. `act` answers with seconds. */
async function latencies(act: (index: number) => Promise<number>): Promise<Latencies> {
  const seconds: number[] = [];
  for (let index = 0; index < repeats; index++) seconds.push(await act(index));
  return { p50: quantile(seconds, 0.5) * 1000, p99: quantile(seconds, 0.99) * 1000 };
}

interface Bound {
  readonly all: number; // seconds
  readonly oneMore: Latencies;
  readonly freed: Latencies;
}

/** The same work of the API server for the same Services, done by a client that knows all the answers. */
async function measureBound(count: number): Promise<Bound> {
  await using api = await Api.start();
  const [all, more, waiting] = [names("service", count), names("more", repeats), names("waiting", repeats)];
  const seconds = await api.untilServed(all, async () => {
    await api.create(all);
    await api.give(all);
  });
  const oneMore = await latencies((index) => {
    const one = more.slice(index, index + 1);
    return api.untilServed(one, async () => {
      await api.create(one);
      await api.give(one);
    });
  });
  await api.create(waiting);
  const freed = await latencies((index) => {
    const one = waiting.slice(index, index + 1);
    return api.untilServed(one, async () => {
      await api.client.delete(reference(`service-${index}`));
      await api.give(one);
    });
  });
  return { all: seconds, oneMore, freed };
}

function row(what: string, ours: string, bound = "", metallb = ""): void {
  console.log(`${what.padEnd(46)} ${ours.padStart(18)} ${bound.padStart(20)} ${metallb.padStart(10)}`);
}

const ratio = (figure: number, bound: number) => `${(figure / bound).toFixed(1)} × ${bound.toFixed(1)}`;
const megabytes = ({ now, peak }: { now: number; peak: number }) => `${now.toFixed(0)} (${peak.toFixed(0)})`;

function rowOfLatencies(what: string, { p50, p99 }: Latencies, bound: Latencies): void {
  row(`  ${what}, p50, ms`, p50.toFixed(1), ratio(p50, bound.p50));
  row(`  ${what}, p99, ms`, p99.toFixed(1), ratio(p99, bound.p99));
}

async function measure(
  count: number,
  controllerCommand: readonly string[],
  metallb?: readonly [string, string, string],
): Promise<void> {
  const bound = await measureBound(count);
  await using api = await Api.start();
  const [all, more, waiting] = [names("service", count), names("more", repeats), names("waiting", repeats)];
  const last = 1 + count + repeats; // With the first one, which shows that the controller is at work.
  const pool = `10.0.0.1-10.0.${last >> 8}.${last & 255}`;
  await api.client.apply({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace: "metallb-system", name: "config" },
    data: { config: `address-pools: [{name: main, protocol: layer2, addresses: [${pool}]}]` },
  });
  const options = [`--kubeconfig=${api.kubeconfig}`, "--namespace=metallb-system", "--port=0"];
  await using controller = new MeasuredProcess([...controllerCommand, ...options]);
  const working = controller.line(/"msg":"addresses assigned"/);
  await api.untilServed(["first"], () => api.create(["first"]));
  await working;

  console.log(`${count} Services`.padEnd(46), "Ingot".padStart(18), "× plain client".padStart(20), "MetalLB".padStart(10));
  row("  before them, MB resident (peak)", megabytes(controller.usage.megabytes));
  let cpu = controller.usage.cpuSeconds;
  const seconds = await api.untilServed(all, () => api.create(all));
  row("  created, until all have addresses, s", seconds.toFixed(2), ratio(seconds, bound.all), metallb?.[0]);
  row("  CPU of the controller for that, s", (controller.usage.cpuSeconds - cpu).toFixed(2), "", metallb?.[1]);
  row("  MB resident (peak)", megabytes(controller.usage.megabytes), "", metallb?.[2]);
  const oneMore = await latencies((index) => {
    const one = more.slice(index, index + 1);
    return api.untilServed(one, () => api.create(one));
  });
  rowOfLatencies("one more, until it has its address", oneMore, bound.oneMore);
  await api.create(waiting);
  const freed = await latencies((index) => api.untilServed(waiting, () => api.client.delete(reference(`service-${index}`)), 1));
  rowOfLatencies("one deleted, until a waiting one has it", freed, bound.freed);
  await sleep(5_000); // Events are written in the background.
  row("  MB resident (peak), 5 s later", megabytes(controller.usage.megabytes));
  cpu = controller.usage.cpuSeconds;
  await sleep(idleSeconds * 1000);
  row("  CPU when idle, % of a core", (((controller.usage.cpuSeconds - cpu) / idleSeconds) * 100).toFixed(2));
}

interface Deployment {
  readonly spec: { readonly template: { readonly spec: { readonly containers: [{ readonly command: string[] }] } } };
}

try {
  const dist = join(directory, "dist");
  await build(dist);
  const manifest = load(readFileSync(new URL("../../manifests/base/controller.yaml", import.meta.url), "utf8")) as Deployment;
  const [, ...flags] = manifest.spec.template.spec.containers[0].command.slice(0, -1);
  const command = [...flags, join(dist, "controller.js")];
  await measure(1_000, command, ["398", "3.4", "45"]);
  await measure(10_000, command);
} finally {
  rmSync(directory, { recursive: true });
}

/**
 * How long `ingotctl` takes at 10,000 Services: the bundled program against a lab with a controller and three speakers, which it asks through
 * the API server. Beside it stands `kubectl get services`, which asks the same API server for the Services alone. Run it with
 * `node e2e/bench/ingotctl.bench.ts`; it takes some minutes. kubectl is the one in the path, or that of KUBECTL. ONLY="ingotctl status" leaves other
 * commands out, but for kubectl's; where other work disturbs, each row has the load of the machine after it.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { DemoCluster } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { build } from "../../build.ts";
import { quantile } from "./measure.ts";

const count = 10_000;
const broken = 3_000;
const runs = Number(process.env.RUNS ?? 9);
const atOnce = 16;
const configuration = "address-pools: [{name: many, protocol: layer2, addresses: [10.64.0.0/16]}]";
const run = promisify(execFile);

const folder = mkdtempSync(join(tmpdir(), "ingot-bench-"));
try {
  await build(join(folder, "dist"));
  await using cluster = await DemoCluster.start({ nodes: 3, configuration });
  const kubeconfig = join(folder, "kubeconfig");
  writeFileSync(kubeconfig, cluster.kubeconfig, { mode: 0o600 });
  console.log(`making ${count} Services`);
  await populate(cluster);
  const ctl = [process.execPath, join(folder, "dist/ingotctl.js")];
  const isSettled = async () =>
    (await timed([...ctl, "status", "--kubeconfig", kubeconfig])).stdout.includes(`Services: ${count} Announced\n`);
  await waitFor("all to be announced", isSettled, { timeout: 400_000, every: 2_000 });
  await waitFor("all conditions to be written", () => haveConditions(cluster), { timeout: 900_000, every: 15_000 });
  const commands: Readonly<Record<string, readonly string[]>> = {
    "node, to start": [process.execPath, "-e", "0"],
    "kubectl get services -A": [process.env.KUBECTL || "kubectl", "get", "services", "-A", "--kubeconfig", kubeconfig],
    "kubectl get services -A -o json": [
      process.env.KUBECTL || "kubectl",
      "get",
      "services",
      "-A",
      "-o",
      "json",
      "--kubeconfig",
      kubeconfig,
    ],
    "ingotctl services -A": [...ctl, "services", "-A", "--kubeconfig", kubeconfig],
    "ingotctl services -A --problems": [...ctl, "services", "-A", "--problems", "--kubeconfig", kubeconfig],
    "ingotctl status": [...ctl, "status", "--kubeconfig", kubeconfig],
    "ingotctl explain svc/many-5000": [...ctl, "explain", "svc/many-5000", "--kubeconfig", kubeconfig],
    "ingotctl doctor": [...ctl, "doctor", "--kubeconfig", kubeconfig],
    "ingotctl simulate lose node1": [...ctl, "simulate", "lose", "node1", "--kubeconfig", kubeconfig],
  };
  console.log(`\n${"command".padEnd(34)} least  median  most  processor's, least  (s, of ${runs})   MB printed   load`);
  const wanted = Object.entries(commands).filter(
    ([name]) => name.endsWith("services -A") || name.includes(process.env.ONLY ?? ""),
  );
  for (const [name, command] of wanted) await measure(name, command);
  const status = commands["ingotctl status"] ?? [];
  await breakSome(cluster);
  const isBroken = async () => (await timed(status)).stdout.includes(`${count - broken} Announced`);
  await waitFor("some to be not well", isBroken, { timeout: 120_000, every: 2_000 });
  await measure(`status, ${broken} not well`, status);
  const [{ speaker } = cluster.node("node1")] = cluster.nodes;
  speaker.process.kill("SIGSTOP");
  await measure("status, and a speaker that hangs", status);
  speaker.process.kill("SIGCONT");
} finally {
  rmSync(folder, { recursive: true });
}

async function measure(name: string, command: readonly string[]): Promise<void> {
  const results = [];
  for (let index = 0; index < runs; index++) results.push(await timed(command));
  const seconds = results.map((one) => one.seconds);
  const [least, median, most] = [0, 0.5, 1].map((part) => quantile(seconds, part).toFixed(2));
  const printed = ((results[0]?.stdout.length ?? 0) / 1e6).toFixed(1);
  const processor = Math.min(...results.map((one) => one.processorSeconds)).toFixed(2);
  console.log(
    `${name.padEnd(34)} ${least}   ${median}    ${most}  ${processor}                               ${printed.padEnd(10)}   ${loadavg()[0]?.toFixed(1)}`,
  );
}

/** The controller writes them for some minutes, which takes the processors from what is measured. */
async function haveConditions({ api }: DemoCluster): Promise<boolean> {
  const services = await api.list("v1", "Service", "default");
  const written = services.filter(({ status }) => (status as { conditions?: readonly object[] } | undefined)?.conditions?.length);
  return written.length >= count;
}

/** Takes the endpoints of some Services away. */
async function breakSome({ api }: DemoCluster): Promise<void> {
  const names = Array.from({ length: broken }, (_, index) => `many-${index}`).values();
  const work = async (): Promise<void> => {
    for (const name of names)
      await api.delete({ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", metadata: { name, namespace: "default" } });
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

interface Timed {
  readonly stdout: string;
  readonly seconds: number;
  /** Processor time of the command alone: on a busy machine the others wait for it. */
  readonly processorSeconds: number;
}

/** Runs a command to its end, with any exit status. */
async function timed(command: readonly string[]): Promise<Timed> {
  const start = performance.now();
  const timing = 'TIMEFORMAT="processor %U %S"; time "$@"';
  const done = await run("bash", ["-c", timing, "bash", ...command], { maxBuffer: 256 << 20 }).catch(
    (error: { stdout?: string; stderr?: string }) => ({ stdout: error.stdout ?? "", stderr: error.stderr ?? "" }),
  );
  const [, user, system] = /^processor (\S+) (\S+)$/m.exec(done.stderr) ?? [];
  return { stdout: done.stdout, seconds: (performance.now() - start) / 1000, processorSeconds: Number(user) + Number(system) };
}

/** Each Service with a ready endpoint on every node. */
async function populate({ api, nodes }: DemoCluster): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `many-${index}`).values();
  const endpoints = nodes.map(({ name }, index) => ({
    addresses: [`10.244.${index + 1}.1`],
    nodeName: name,
    conditions: { ready: true },
  }));
  const work = async (): Promise<void> => {
    for (const name of names) {
      await api.apply({
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: { name, namespace: "default", labels: { "kubernetes.io/service-name": name } },
        addressType: "IPv4",
        endpoints,
        ports: [],
      });
      await api.apply({
        apiVersion: "v1",
        kind: "Service",
        metadata: { name, namespace: "default" },
        // Without node ports, of which there are just 2,768.
        spec: { type: "LoadBalancer", allocateLoadBalancerNodePorts: false, ports: [{ port: 80 }], selector: { app: name } },
      });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

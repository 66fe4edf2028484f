import { fileURLToPath } from "node:url";
import { DemoCluster } from "#e2e/demo-cluster";
import { type Host, waitFor } from "#e2e/lab";
import { Bird } from "#e2e/routers";
import { allKnowAll } from "../bench/failover-common.ts";
import { ProcessUsage } from "../bench/measure.ts";
import type { Outcome, Scene } from "./scene.ts";

const connectionsPerSecond = 11_000;
const seconds = 10;
const maxLoad = 0.25; // Share of a core, by the main thread.
const tolerated = 3; // Failed probes of a kubelet in a row that are tolerated, where the manifest names no number. A machine that is busy misses some.
const nodeAsn = 65001;
const routerAsn = 65000;
const router = "172.30.0.151";
const caller = "172.30.0.152"; // A router that connects to the node.
const elsewhere = "172.30.0.153";
const attackers = Array.from({ length: 50 }, (_, index) => `172.30.0.${160 + index}`);
const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

const configuration = `peers:
- {peer-address: ${router}, peer-asn: ${routerAsn}, my-asn: ${nodeAsn}, hold-time: 3s}
- {peer-address: ${caller}, peer-asn: ${routerAsn}, my-asn: ${nodeAsn}}
address-pools:
- {name: routed, protocol: bgp, addresses: [198.51.100.0/24]}
`;

/** The attacked port, and the client that has to get in meanwhile. */
interface Target {
  readonly port: 7472 | 179;
  readonly probe: "http" | "bgp";
  readonly callers: readonly ("kubelet" | "prometheus" | "router")[];
}

/** Floods a port of a node's speaker, from one address and from many. The node has a neighbor in the ring, and a session with a router. */
async function flood({ port, probe, callers }: Target): Promise<Outcome> {
  await using cluster = await DemoCluster.start({ nodes: 2, configuration, speakerArguments: ["--bgp-port=179"] });
  const attached = async (name: string, addresses: readonly string[]): Promise<Host> => {
    const host = await cluster.lab.host(name);
    await host.attach(cluster.lan, { addresses: addresses.map((address) => `${address}/24`) });
    return host;
  };
  const [node] = cluster.nodes;
  if (node === undefined) throw new Error("Cannot attack: the cluster is empty");
  const [target] = node.addresses;
  const { speaker } = node;
  const attacker = await attached("attacker", attackers);
  const hosts = {
    kubelet: node.host,
    prometheus: await attached("prometheus", [elsewhere]),
    router: await attached("caller", [caller]),
  };
  const neighbors = cluster.nodes.map(({ addresses: [address] }) => ({ address, asn: nodeAsn, passive: true }));
  const settings = { asn: routerAsn, routerId: router, kernel: false, neighbors };
  await using bird = new Bird({ lab: cluster.lab, host: await attached("router", [router]) }, settings);
  await bird.start();
  await cluster.expose("web", ["node1", "node2"]);
  await allKnowAll(cluster);
  const routes = async () => (await bird.routes()).length;
  await waitFor("the router to have a route from each node", async () => (await routes()) === 2, { timeout: 30_000 });
  const from = cluster.nodes.map(({ speaker }) => speaker.process.lines.length);

  const usage = new ProcessUsage(speaker.process.pid);
  const began = performance.now();
  const effects: string[] = [];
  let holds = true;
  for (const [name, sources] of Object.entries({ "one address": attackers.slice(0, 1), "50 addresses": attackers })) {
    const argv = ["node", script("./connection-flood.ts"), target, `${port}`, `${connectionsPerSecond}`, ...sources];
    await using flooding = await attacker.spawn(`flood-${sources.length}`, argv);
    await flooding.waitForLine(/^flooding$/);
    const [cpu, since] = [usage.mainThreadSeconds, performance.now()];
    const answers = await Promise.all(
      callers.map(async (name) => {
        const argv = ["node", script("./port-probe.ts"), target, `${port}`, probe, `${seconds}`];
        await using prober = await hosts[name].spawn(`${name}-${sources.length}`, argv);
        const answered = await prober.waitForLine(/^answered /, { timeout: 60_000 });
        holds &&= Number(/not (\d+) in a row/.exec(answered)?.[1]) < tolerated;
        return `${name} ${answered}`;
      }),
    );
    const load = (usage.mainThreadSeconds - cpu) / ((performance.now() - since) / 1000);
    await flooding.stop();
    const did = flooding.lines.find((line) => line.startsWith("tried "));
    effects.push(`${name}: ${did}, ${(100 * load).toFixed(1)} % of a core in the main thread, ${answers.join(", ")}`);
    holds &&= load < maxLoad;
  }
  const logged = cluster.nodes.flatMap(({ speaker }, index) => speaker.process.lines.slice(from[index]));
  const lost = logged.filter((line) => /"msg(?:essage)?":"member (?:failed|left)"/.test(line)).length;
  const ended = logged.filter((line) => line.includes(router) && /"msg(?:essage)?":"BGP session down/.test(line)).length;
  const left = await routes();
  return {
    seconds: (performance.now() - began) / 1000,
    effect: `${effects.join("; ")}; ${lost} members lost, ${ended} sessions ended, ${left} of 2 routes at the router`,
    holds: holds && lost === 0 && ended === 0 && left === 2,
  };
}

const tried = (port: number, who: string) =>
  `a host opens ${connectionsPerSecond.toLocaleString("en")} TCP connections/s to port ${port} of a speaker and resets them, from one address, then from 50; meanwhile ${who} each half second`;

/** Kubelet asks on the node itself, Prometheus from elsewhere. */
export const httpConnectionFlood: Scene = {
  name: "http-connection-flood",
  tried: tried(7472, "a kubelet and another host ask for readiness"),
  run: () => flood({ port: 7472, probe: "http", callers: ["kubelet", "prometheus"] }),
};

/** The router's own connections are what it needs where it does not take the node's. */
export const bgpConnectionFlood: Scene = {
  name: "bgp-connection-flood",
  tried: tried(179, "a router of the configuration connects"),
  run: () => flood({ port: 179, probe: "bgp", callers: ["router"] }),
};

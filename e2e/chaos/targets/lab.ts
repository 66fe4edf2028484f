import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { DemoCluster, Workload } from "#e2e/demo-cluster";
import { type Host, type LabProcess, waitFor } from "#e2e/lab";
import { kernelRoute } from "#e2e/routers";
import { BgpNetwork, established, nodeAsn, type PlacedRouter } from "../../scenarios/bgp-network.ts";
import { port, serveFlows } from "../../scenarios/kept-flows.ts";
import { controllers, type OwnWhat, type Renumbering } from "../acts.ts";
import type { ArpAnswers } from "../asker.ts";
import { withoutApi } from "../carry-out.ts";
import type { FlowLine } from "../flow-client.ts";
import { giveClocks, hasClocks, offsetText } from "./clocks.ts";
import {
  bfd,
  configurationFor,
  detectionMs,
  errorWaitSeconds,
  fromPool,
  holdTimeSeconds,
  poolsIn,
  routedPrefix,
  shared,
  type Target,
  type Undo,
  type Variant,
  waysTo,
} from "./target.ts";

const routerAsn = 65010;
const endThreads = new URL("./end-threads.ts", import.meta.url).href;
const threadsEndEveryMs = 300;
const flowsToEach = 20;
// Lines that a process in a lab forgets at once.
const linesForgotten = 10_000;

/**
 * A cluster of processes with the API in memory. @param logs folder for the processes' output @param otherVersion another checkout of the
 * sources, whose programs run too at times
 */
export async function startLabTarget(
  nodes: number,
  variant: Variant,
  logs: string,
  otherVersion: string | undefined,
): Promise<Target> {
  await using stack = new AsyncDisposableStack();
  const network = stack.use(await BgpNetwork.start({ nodes, controllers, logs, netAdmin: variant.hasNics, forwarding: true }));
  const { cluster } = network;
  for (const { speaker } of cluster.nodes) {
    speaker.within = ["env", `NODE_OPTIONS=--import=${endThreads}`];
    await restarted(speaker, undefined);
  }
  const clocks = await giveClocks(cluster, logs);
  const neighbors = cluster.nodes.map(({ addresses: [address] }) => ({
    address,
    asn: nodeAsn,
    holdTimeSeconds,
    errorWaitSeconds,
    ...(variant.hasBfd && { bfd }),
  }));
  const placed = await network.router("bird", 1, { asn: routerAsn, neighbors, multipath: nodes });
  const peer = { address: placed.v4, asn: routerAsn, ownAsn: nodeAsn };
  const configuration = (more?: string) => configurationFor(peer, variant, more);
  await cluster.configure(configuration());
  await established(placed);
  await cluster.client.route(routedPrefix, placed.v4);
  const services = new Map<string, string>();
  for (const [name, pool] of poolsIn(variant)) {
    const service = await cluster.expose(name, ["node1", "node2"].slice(0, name === "web" ? 2 : 1), fromPool(pool));
    services.set(name, await service.address());
  }
  const { routed, answered } = waysTo(services);
  const file = fileURLToPath(new URL("../asker.ts", import.meta.url));
  const asker = stack.use(
    await cluster.client.spawn("asker", ["node", file, ...answered.flatMap((each) => ["--address", each])]),
  );
  await waitFor(
    "each address to have an answer",
    () => {
      const last = asker.lines.findLast((line) => line.startsWith("{"));
      return last !== undefined && !last.includes("[]");
    },
    { timeout: 30_000 },
  );
  const flows = variant.keepsConnections ? await keptFlows(cluster, services) : undefined;
  const macs = await Promise.all(cluster.nodes.map(({ host }) => host.link("eth0").mac()));
  const workloads: Workloads = { controllers: cluster.controllers, speakers: cluster.nodes.map(({ speaker }) => speaker) };
  const kept = stack.move();
  return {
    nodes: cluster.nodes.map(({ name, host, addresses, speaker }, index) => ({
      name,
      addresses,
      mac: macs[index]?.replaceAll(":", "") ?? "",
      run: (argv, options) => host.output(argv, options),
      ask: async (path) => JSON.parse((await speaker.get(path)).body),
    })),
    lan: cluster.lan,
    controlPlane: cluster.controlPlane,
    api: cluster.api,
    router: labRouter(placed),
    services,
    routed,
    can: new Set([
      ...shared,
      "fillDisk",
      "fillControllerDisk",
      "cutControllerApi",
      "renumber",
      "breakPath",
      ...(hasClocks ? (["setClock", "setControllerClock"] as const) : []),
      ...(otherVersion === undefined ? (["endThreads"] as const) : (["otherVersion", "otherControllerVersion"] as const)),
    ]),
    revives: false,
    detectionMs: detectionMs(variant),
    configuration,
    expose: (name, options) => cluster.expose(name, [], options),
    carryOut: (what) => carryOut(workloads, what, { routePods: (node) => cluster.routePods(node), otherVersion, clocks }),
    asked: newLinesOf(asker),
    flows,
    request: async (address) => (await cluster.client.get(`http://${address}/`, { timeout: 1_000 })).status,
    recovered: async () => {},
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  };
}

/** A client that keeps connections to an address of each pool that keeps them. */
async function keptFlows(cluster: DemoCluster, services: ReadonlyMap<string, string>): Promise<Target["flows"]> {
  const addresses = ["web", "stay"].flatMap((name) => services.get(name) ?? []);
  await serveFlows(cluster, addresses);
  const file = fileURLToPath(new URL("../flow-client.ts", import.meta.url));
  const client = await cluster.client.spawn("flow-client", ["node", file, `${port}`, `${flowsToEach}`, ...addresses]);
  const read = () => client.lines.filter((line) => line.startsWith("{")).map((line): FlowLine => JSON.parse(line));
  const now = () => {
    const lines = read();
    const opened = lines.findLast((line) => "opened" in line)?.opened ?? 0;
    return { opened, broken: lines.filter((line) => "why" in line) };
  };
  await waitFor("kept connections", () => now().opened === flowsToEach * addresses.length, { timeout: 30_000 });
  return now;
}

function newLinesOf(asker: LabProcess): Target["asked"] {
  let read = asker.lines.length;
  return async () => {
    if (asker.lines.length < read) read -= linesForgotten;
    const lines = asker.lines.slice(read).filter((line) => line.startsWith("{"));
    read = asker.lines.length;
    return lines.map((line): ArpAnswers => JSON.parse(line));
  };
}

function labRouter({ router, host }: PlacedRouter): Target["router"] {
  return {
    kill: async () => void (await router.stop("SIGKILL")),
    start: () => router.start(),
    freeze: () => router.freeze(),
    thaw: () => router.thaw(),
    nextHops: async (address) => (await kernelRoute(host, `${address}/32`))?.nextHops.map((hop) => hop.address) ?? [],
  };
}

interface Workloads {
  readonly controllers: readonly Workload[];
  /** In the order of the nodes. */
  readonly speakers: readonly Workload[];
}

interface Means {
  readonly routePods: DemoCluster["routePods"];
  readonly otherVersion: string | undefined;
  /** Processes with a clock of their own, if any -> file with its offset. */
  readonly clocks: ReadonlyMap<Workload, string>;
}

async function carryOut(
  { controllers, speakers }: Workloads,
  what: OwnWhat,
  { routePods, otherVersion, clocks }: Means,
): Promise<Undo> {
  const workload = "node" in what ? speakers[what.node] : "controller" in what ? controllers[what.controller] : undefined;
  if (workload === undefined) throw new Error(`Cannot ${what.type} in a lab`);
  switch (what.type) {
    case "killSpeaker":
    case "killController":
      return ended(workload, "SIGKILL");
    case "stopSpeaker":
      return ended(workload, "SIGTERM");
    case "stallSpeaker":
    case "stallController":
      return stalled(workload);
    case "endThreads":
      return threadsEnded(workload, what.threads);
    case "cutControllerApi":
      return withoutApi((argv, options) => workload.host.output(argv, options));
    case "otherVersion":
    case "otherControllerVersion":
      await restarted(workload, otherVersion);
      return () => restarted(workload, undefined);
    case "fillDisk":
    case "fillControllerDisk":
      return printingTo("/dev/full", workload);
    case "renumber":
      return renumbered(workload, what, routePods);
    case "breakPath":
      await workload.host.sysctl({ "net.ipv4.ip_forward": 0 });
      return () => workload.host.sysctl({ "net.ipv4.ip_forward": 1 });
    case "setClock":
    case "setControllerClock":
      return setClock(clocks, workload, what.seconds);
    default:
      throw new Error(`Cannot ${what.type} in a lab`);
  }
}

async function ended(workload: Workload, signal: "SIGKILL" | "SIGTERM"): Promise<Undo> {
  workload.process.kill(signal);
  return async () => {
    await workload.process.stop();
    await workload.start();
  };
}

/** One at a time, the one that has run for longest: that of layer 2, of BFD, the ring's. */
async function threadsEnded({ process }: Workload, count: number): Promise<Undo> {
  await process.waitForLine(/./); // By then it heeds the signal, which would end it otherwise.
  for (let ended = 0; ended < count; ended++) {
    process.kill("SIGUSR2");
    await sleep(threadsEndEveryMs);
  }
  return () => {};
}

/** Restarts it, as a DaemonSet or Deployment does when its image changes. */
async function restarted(workload: Workload, checkout: string | undefined): Promise<void> {
  workload.checkout = checkout;
  await workload.process.stop({ grace: 20_000 });
  await workload.start();
}

/** Its log is a file on a disk that takes no more. It has to run on, as when it has a log. */
async function printingTo(file: string, workload: Workload): Promise<Undo> {
  workload.process.kill("SIGKILL");
  await workload.process.stop();
  workload.within = [...workload.within, "sh", "-c", 'exec "$@" >"$0" 2>&1', file];
  await workload.start();
  return async () => {
    workload.within = workload.within.slice(0, -4);
    await workload.process.stop();
    await workload.start();
  };
}

/** Writes the file that the process's libfaketime reads once a second. */
function setClock(clocks: Means["clocks"], workload: Workload, seconds: number): Undo {
  const file = clocks.get(workload);
  if (file === undefined) throw new Error(`Cannot set the clock of ${workload.name}: it was started without libfaketime`);
  writeFileSync(file, offsetText(seconds));
  return () => writeFileSync(file, offsetText(0));
}

/** Its own address is another one, and as before when that is undone, in the same way. */
async function renumbered(
  workload: Workload,
  what: Extract<OwnWhat, { type: "renumber" }>,
  routePods: Means["routePods"],
): Promise<Undo> {
  const { host, addresses } = workload;
  const [own4, own6] = addresses;
  const [former, other] = [`${own4}/24`, what.how === "mask" ? `${own4}/16` : `172.30.0.${90 + what.node}/24`];
  await host.sysctl({ "net.ipv4.conf.all.promote_secondaries": 1 }); // As nodes have it: else the kernel drops the second with the first.
  const change = async (from: string, to: string, isBack = false): Promise<void> => {
    if (what.speaker === "stands") workload.process.kill("SIGSTOP");
    if (what.how === "remade") await remade(host);
    for (const lines of renumberingLines(what.how, from, to, isBack)) {
      const device = what.how === "bridged" && !isBack ? "br0" : "eth0";
      const again = losesIpv6.has(what.how) ? [`addr replace ${own6}/64 dev ${device} nodad`] : [];
      await host.output(["ip", "-batch", "-"], { input: `${[...lines, ...again].join("\n")}\n` });
      await sleep(300);
    }
    await routePods(workload);
    if (what.speaker === "stands") workload.process.kill("SIGCONT");
  };
  const restart = what.speaker === "killed" ? await ended(workload, "SIGKILL") : () => {};
  await change(former, other);
  return async () => {
    await change(other, former, true);
    await restart();
    // A speaker that starts while its node lacks the address that its Pod has ends, and a kubelet would start it again.
    if (workload.process.exit !== undefined) await workload.start();
  };
}

// IPv6 addresses go with a link, and with all others.
const losesIpv6: ReadonlySet<Renumbering> = new Set(["bounce", "flush", "remade", "bridged"]);

/** Its NIC leaves the node's kernel, which forgets all about it, and is there again as another one. */
async function remade(host: Host): Promise<void> {
  await host.ip("link set eth0 name away", "link set away netns client");
  await host.output(["ip", "-n", "client", "link", "set", "away", "netns", host.name]);
  await host.ip("link set away name eth0");
}

/** Lines of `ip`, all of one list at once. */
function renumberingLines(how: Renumbering, from: string, to: string, isBack: boolean): string[][] {
  const [add, del] = [`addr add ${to} dev eth0`, `addr del ${from} dev eth0`];
  switch (how) {
    case "addFirst":
    case "mask":
      return [[add, del]];
    case "deleteFirst":
      return [[del, add]];
    case "apart":
      return [[del], [add]];
    case "flush":
      return [["addr flush dev eth0 scope global", add]];
    case "bounce":
      return [["link set eth0 down", "link set eth0 up"]];
    case "remade":
      return [[add, "link set eth0 up"]];
    case "bridged":
      if (isBack) return [["link del br0", add]];
      return [
        ["link add br0 type bridge stp_state 0 forward_delay 0", "link set br0 up", "link set eth0 master br0"],
        ["addr flush dev eth0 scope global", `addr add ${to} dev br0`],
      ];
    default:
      return how satisfies never;
  }
}

function stalled({ process }: Workload): Undo {
  process.kill("SIGSTOP");
  return () => void process.kill("SIGCONT");
}

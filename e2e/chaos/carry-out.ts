import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { DemoNode, Workload } from "#e2e/demo-cluster";
import type { Act } from "./acts.ts";
import { offsetText } from "./clocks.ts";
import { configuration, type Field, poolSize } from "./field.ts";

type Undo = () => Promise<void> | void;

const ringPort = 7946;
const apiPort = 6443;
let made = 0;

/** Does it. @returns how to undo it */
export async function carryOut(field: Field, { what }: Act): Promise<Undo> {
  const { cluster, router } = field;
  const { controller, lan, controlPlane } = cluster;
  switch (what.type) {
    case "killSpeaker":
      return ended(nodeOf(field, what.node).speaker, "SIGKILL");
    case "stopSpeaker":
      return ended(nodeOf(field, what.node).speaker, "SIGTERM");
    case "stallSpeaker":
      return stalled(nodeOf(field, what.node).speaker);
    case "otherVersion": {
      const { speaker } = nodeOf(field, what.node);
      await restarted(speaker, field.otherVersion);
      return () => restarted(speaker, undefined);
    }
    case "killController":
      return ended(controller, "SIGKILL");
    case "stallController":
      return stalled(controller);
    case "isolate": {
      const { host } = nodeOf(field, what.node);
      await lan.isolate(host);
      return () => lan.rejoin(host);
    }
    case "unplug": {
      const { host } = nodeOf(field, what.node);
      await lan.unplug(host);
      return () => lan.plug(host);
    }
    case "impair": {
      const { host } = nodeOf(field, what.node);
      await lan.impair(host, what.impairment);
      return () => lan.repair(host);
    }
    case "isolateControlPlane":
      await lan.isolate(controlPlane);
      return () => lan.rejoin(controlPlane);
    case "cutApi":
      return filtered(nodeOf(field, what.node), "output", [`tcp dport ${apiPort} drop`]);
    case "cut":
    case "cutOneWay": {
      const [v4, v6] = nodeOf(field, what.other).addresses;
      const [one, other] = [nodeOf(field, what.node), nodeOf(field, what.other)];
      const undo = await filtered(one, "output", [`ip daddr ${v4} drop`, `ip6 daddr ${v6} drop`]);
      if (what.type === "cutOneWay") return undo;
      const [own4, own6] = one.addresses;
      const undoOther = await filtered(other, "output", [`ip daddr ${own4} drop`, `ip6 daddr ${own6} drop`]);
      return async () => {
        await undo();
        await undoOther();
      };
    }
    case "lose":
      return filtered(nodeOf(field, what.node), "input", [`udp dport ${ringPort} numgen random mod 100 < ${what.percent} drop`]);
    case "killRouter":
      await router.router.stop("SIGKILL");
      return () => router.router.start();
    case "freezeRouter":
      router.router.freeze();
      return () => router.router.thaw();
    case "refusedConfiguration":
      return configured(field, "address-pools: [");
    case "otherConfiguration":
      return configured(field, configuration(router.v4, "- {name: more, protocol: layer2, addresses: [172.30.0.220/30]}\n"));
    case "moreServices": {
      const services = await Promise.all([1, 2, 3].map(() => cluster.expose(`more${++made}`, [])));
      return async () => {
        for (const service of services) await service.delete();
      };
    }
    case "fillPool": {
      const options = { annotations: { "metallb.universe.tf/address-pool": "lan" } };
      const services = await Promise.all(Array.from({ length: poolSize }, () => cluster.expose(`more${++made}`, [], options)));
      return async () => {
        for (const service of services) await service.delete();
      };
    }
    case "fillDisk":
      return printingTo("/dev/full", nodeOf(field, what.node).speaker);
    case "fillControllerDisk":
      return printingTo("/dev/full", controller);
    case "setClock":
      return setClock(field, nodeOf(field, what.node).speaker, what.seconds);
    case "setControllerClock":
      return setClock(field, controller, what.seconds);
    case "rotateKey":
      await rotateKey(field);
      return () => {};
    default:
      return what satisfies never;
  }
}

function nodeOf({ cluster }: Field, index: number): DemoNode {
  const node = cluster.nodes[index];
  if (node === undefined) throw new RangeError(`Cannot find node ${index}: there are ${cluster.nodes.length}`);
  return node;
}

async function ended(workload: Workload, signal: "SIGKILL" | "SIGTERM"): Promise<Undo> {
  workload.process.kill(signal);
  return async () => {
    await workload.process.stop();
    await workload.start();
  };
}

/** As a DaemonSet does when its image is another one. */
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

/** What the process's libfaketime reads once a second. */
function setClock({ clocks }: Field, workload: Workload, seconds: number): Undo {
  const file = clocks.get(workload);
  if (file === undefined) throw new Error(`Cannot set the clock of ${workload.name}: it was started without libfaketime`);
  writeFileSync(file, offsetText(seconds));
  return () => writeFileSync(file, offsetText(0));
}

function stalled({ process }: Workload): Undo {
  process.kill("SIGSTOP");
  return () => void process.kill("SIGCONT");
}

async function filtered({ host }: DemoNode, hook: "input" | "output", rules: readonly string[]): Promise<Undo> {
  const table = `chaos${++made}`;
  const chain = `chain ${hook} { type filter hook ${hook} priority 0; ${rules.join("; ")}; }`;
  await host.output(["nft", "-f", "-"], { input: `table inet ${table} {\n${chain}\n}\n` });
  return async () => void (await host.output(["nft", "delete", "table", "inet", table]));
}

async function configured({ cluster, router }: Field, text: string): Promise<Undo> {
  await cluster.configure(text);
  return () => cluster.configure(configuration(router.v4));
}

/** As docs/operations.md has it: the key before is accepted too. */
async function rotateKey({ cluster: { api } }: Field): Promise<void> {
  const secret = { apiVersion: "v1", kind: "Secret", metadata: { namespace: "metallb-system", name: "memberlist" } };
  const { data } = (await api.get(secret)) as unknown as { data: Record<string, string> };
  const secretkey = Buffer.from(randomBytes(64).toString("base64")).toString("base64");
  await api.patch(secret, { data: { secretkey, "secretkey-old": data.secretkey } });
}

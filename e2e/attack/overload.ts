import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { DemoCluster } from "#e2e/demo-cluster";
import { type Host, waitFor } from "#e2e/lab";
import { allKnowAll } from "../bench/failover-common.ts";
import type { Scene } from "./scene.ts";

const seconds = 30;
const garbagePerSecond = 40_000;
const overcommitted = 4;
const ringPort = "7946";
const metricsPort = "7472";
const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Starts processes that never rest, several for each processor. @returns how to end them */
function burn(): Disposable {
  const burners = Array.from({ length: overcommitted * availableParallelism() }, () =>
    spawn(process.execPath, ["--eval", "for (;;);"], { stdio: "ignore" }),
  );
  return {
    [Symbol.dispose]: () => {
      for (const burner of burners) burner.kill("SIGKILL");
    },
  };
}

/** The MAC address that answers for an address; undefined without an answer within a second. */
async function holder(from: Host, address: string): Promise<string | undefined> {
  const { stdout } = await from.run(["arping", "-r", "-c", "1", "-w", "1", "-i", "eth0", address]);
  return /^[0-9a-f:]{17}$/m.exec(stdout.toLowerCase())?.[0];
}

function total(metrics: string, name: string): number {
  return Number(new RegExp(`^${name}(?:{[^}]*})? (\\d+)`, "m").exec(metrics)?.[1] ?? Number.NaN);
}

/** Everything that may keep a speaker from its work, at once. Each by itself used to make it dead to the others. */
export const overload: Scene = {
  name: "overload",
  tried: `in a cluster of 3, ${overcommitted} processes for each processor never rest, the main thread of every speaker is blocked for 2 s at a time, 600 connections read /metrics of the owner as fast as they are answered, and a host without the key sends it ${garbagePerSecond.toLocaleString("en")} packets/s on port ${ringPort}, all at once`,
  async run(logs) {
    await using cluster = await DemoCluster.start({ logs, speakerNodeArguments: [`--import=${script("./block-main.ts")}`] });
    const service = await cluster.expose("web", ["node1"]);
    await allKnowAll(cluster);
    const address = await service.address();
    const mac = await waitFor("somebody to answer for the address", () => holder(cluster.client, address));
    const macs = await Promise.all(cluster.nodes.map(({ host }) => host.link("eth0").mac()));
    const owner = cluster.nodes[macs.indexOf(mac)];
    if (owner === undefined) throw new Error(`Cannot attack: ${mac} is no node's`);
    const attacker = await cluster.lab.host("attacker");
    await attacker.attach(cluster.lan, { addresses: ["172.30.0.150/24"] });
    const from = cluster.nodes.map(({ speaker }) => speaker.process.lines.length);
    const [target] = owner.addresses;

    const garbage = await attacker.spawn("garbage", [
      "node",
      script("./garbage-packets.ts"),
      target,
      ringPort,
      `${garbagePerSecond}`,
    ]);
    const argv = ["node", script("./http-clients.ts"), target, metricsPort, "many", `${seconds * 2}`];
    const scrapers = await attacker.spawn("scrapers", argv);
    for (const { speaker } of cluster.nodes) speaker.process.kill("SIGUSR2");
    const started = performance.now();
    let asked = 0;
    let elsewhere = 0;
    let silent = 0;
    {
      using _burners = burn();
      while (performance.now() - started < seconds * 1000) {
        asked++;
        const at = await holder(cluster.client, address);
        if (at === undefined) silent++;
        else if (at !== mac) elsewhere++;
      }
      for (const { speaker } of cluster.nodes) speaker.process.kill("SIGUSR2");
      await garbage.stop();
      await scrapers.stop();
    }
    const took = (performance.now() - started) / 1000;
    const blocked: number[] = [];
    for (const { speaker } of cluster.nodes) {
      const line = await speaker.process.waitForLine(/^blocked \d+ times$/, { timeout: 30_000 });
      blocked.push(Number(/\d+/.exec(`${line}`)?.[0]));
    }
    const sent = Number(/^sent (\d+)$/m.exec(garbage.lines.join("\n"))?.[1] ?? 0);
    const logged = cluster.nodes.flatMap(({ speaker }, index) => speaker.process.lines.slice(from[index]));
    const lost = logged.filter((line) => /"msg(?:essage)?":"member (?:failed|left)"/.test(line)).length;
    const { body } = await waitFor("metrics of the owner", () => owner.speaker.get("/metrics").catch(() => undefined), {
      timeout: 30_000,
    });
    const counted = (name: string) => total(body, `ingot_memberlist_${name}_total`);
    return {
      seconds: took,
      effect: `main threads blocked ${blocked.join(", ")} times; ${sent} packets sent (${(sent / took).toFixed(0)}/s), of which the owner did not look at ${counted("packets_dropped")}; ${lost} members lost, the owner suspected others ${counted("suspicions")} times and refuted ${counted("refutations")}; another node answered ${elsewhere} of ${asked} requests for the address, nobody ${silent}`,
      holds: lost === 0 && elsewhere === 0 && sent > 0 && blocked.every((times) => times > 0),
    };
  },
};

import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { DemoCluster } from "#e2e/demo-cluster";
import type { LabProcess } from "#e2e/lab";

import { allKnowAll } from "../bench/failover-common.ts";
import type { ArpAnswers } from "../chaos/asker.ts";
import type { Scene } from "./scene.ts";

const services = 6;
const rounds = 4;
const roundMs = 15_000;
const metricsPort = "7472";
const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** The lines of speakers since the last look. */
class Printed {
  readonly #read = new Map<LabProcess, number>(); // process -> lines read

  take({ nodes }: DemoCluster): readonly string[] {
    return nodes.flatMap(({ speaker: { process } }) => {
      const from = this.#read.get(process) ?? 0;
      const lines = process.lines.slice(from);
      this.#read.set(process, from + lines.length);
      return lines;
    });
  }
}

/** Failures of members other than the one that is dead, if one is. */
function falseDeaths(lines: readonly string[], dead?: string): readonly string[] {
  return lines.filter((line) => line.includes('"member failed"') && !line.includes(`"member":"${dead}"`));
}

/**
 * A node dies while clients give the main threads of all nodes as much work as they can. Nobody who lives may be taken for dead, or answer
 * besides.
 */
export const clientsAndKill: Scene = {
  name: "clients-and-kill",
  tried: `in a cluster of 3 with ${services} Services, 600 connections for each node read /metrics as fast as they are answered, and ${rounds} times a speaker is killed and started again`,
  async run(logs) {
    await using cluster = await DemoCluster.start({ logs });
    const addresses: string[] = [];
    for (let index = 0; index < services; index++)
      addresses.push(await (await cluster.expose(`web${index}`, ["node1", "node2", "node3"])).address());
    await allKnowAll(cluster);
    const attacker = await cluster.lab.host("attacker");
    await attacker.attach(cluster.lan, { addresses: ["172.30.0.150/24"] });
    const argv = ["node", script("../chaos/asker.ts"), ...addresses.flatMap((address) => ["--address", address])];
    await using asker = await cluster.client.spawn("asker", argv);
    await asker.waitForLine(/^{/, { timeout: 60_000 });
    await using _clients = await together(
      cluster.nodes.map(({ addresses: [own] }, index) =>
        attacker.spawn(`clients${index}`, ["node", script("./http-clients.ts"), own, metricsPort, "many", "3600"]),
      ),
    );
    const started = performance.now();
    const printed = new Printed();
    printed.take(cluster);
    const wrong: string[] = [];
    let suspicions = 0;
    const judge = (dead?: string): void => {
      const lines = printed.take(cluster);
      wrong.push(...falseDeaths(lines, dead));
      suspicions += lines.filter((line) => line.includes("was suspected")).length;
    };
    for (let round = 0; round < rounds; round++) {
      const victim = cluster.nodes[round % cluster.nodes.length];
      if (victim === undefined) continue;
      await sleep(roundMs);
      judge();
      victim.speaker.process.kill("SIGKILL");
      await sleep(roundMs);
      judge(victim.name);
      await victim.speaker.process.stop();
      await victim.speaker.start();
    }
    const rows = asker.lines.filter((line) => line.startsWith("{")).map((line): ArpAnswers => JSON.parse(line));
    const both = rows.flatMap(({ at, answers }) => (Object.values(answers).some((macs) => macs.length > 1) ? [at] : []));
    return {
      seconds: (performance.now() - started) / 1000,
      effect: `${wrong.length} times a speaker that lived was taken for dead, ${suspicions} lines of suspicion; of ${rows.length} looks ${both.length} saw two nodes answer for an address`,
      holds: wrong.length === 0 && both.length === 0,
    };
  },
};

async function together(all: readonly Promise<AsyncDisposable>[]): Promise<AsyncDisposableStack> {
  const stack = new AsyncDisposableStack();
  for (const one of all) stack.use(await one);
  return stack;
}

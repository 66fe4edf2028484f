import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { DemoCluster } from "#e2e/demo-cluster";
import { type Host, waitFor } from "#e2e/lab";
import type { Answered } from "./ask-who.ts";
import type { Scene } from "./scene.ts";

const services = 4;
const boundSeconds = 6;
/** States of the node that the attacker impersonates, and their seconds. */
const phases = { alive: 10, failed: 40, returned: 20 };
const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Asks who has the addresses, all the time. @returns the rounds so far */
async function startAsking(client: Host, addresses: readonly string[]) {
  const [link] = JSON.parse(await client.output(["ip", "-json", "address", "show", "dev", "eth0"]));
  const own = link.addr_info.map(({ local, prefixlen }: { local: string; prefixlen: number }) => `${local}/${prefixlen}`);
  return await client.spawn("asker", [process.execPath, script("./ask-who.ts"), link.address, own.join(), ...addresses]);
}

/** The longest that an address was answered for by none of these, in seconds. */
function longestSilence(rounds: readonly Answered[], addresses: readonly string[], macs: readonly string[]): number {
  const [first, last] = [rounds[0]?.at ?? 0, rounds.at(-1)?.at ?? 0];
  const silences = addresses.flatMap((address) => {
    const answered = rounds.filter((round) => round.macs[address]?.some((mac) => macs.includes(mac)));
    const times = [first, ...answered.map(({ at }) => at), last];
    return times.map((at, index) => at - (times[index - 1] ?? at));
  });
  return Math.max(...silences) / 1000;
}

/** A host on the LAN that sends in the name of a node that lives, then is dead, then is back. */
export const arpForgedAfterFailure: Scene = {
  name: "arp-forged-after-failure",
  tried:
    "a host on the LAN sends each speaker seven ARP and NDP frames a second for each address in the name of another node, answers challenges to that one with a key of its own, and goes on while its speaker is killed and started again",
  async run(logs) {
    await using cluster = await DemoCluster.start({ logs });
    for (const { speaker } of cluster.nodes) await waitFor("the speaker to be ready", () => speaker.ready());
    const addresses: string[] = [];
    for (let i = 1; i <= services; i++) {
      const families = { families: ["IPv4", "IPv6"] as const };
      const service = await cluster.expose(`web${i}`, ["node1", "node2", "node3"], families);
      await service.address();
      addresses.push(...(await service.addresses()));
    }
    const macs = await Promise.all(cluster.nodes.map(({ host }) => host.link("eth0").mac()));
    await using asker = await startAsking(cluster.client, addresses);
    const rounds = () => asker.lines.flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Answered] : []));
    const last = () => rounds().at(-1)?.macs ?? {};
    const isAnswered = (address: string) => last()[address]?.length === 1;
    await waitFor("each address to be answered", () => addresses.every(isAnswered));
    // The node with most addresses: a node that takes over from it would leave that to it.
    const had = macs.map((mac) => addresses.filter((address) => last()[address]?.includes(mac)));
    const node = had.indexOf(had.toSorted((a, b) => b.length - a.length)[0] ?? []);
    const [dead, mac = ""] = [cluster.nodes[node], macs[node]];
    if (dead === undefined) throw new Error("Cannot attack: nobody answers");
    const others = macs.filter((other) => other !== mac);

    const attacker = await cluster.lab.host("attacker");
    await attacker.attach(cluster.lan);
    await using stack = new AsyncDisposableStack();
    const forgers = await Promise.all(
      others.map(async (victim, index) => {
        const argv = [process.execPath, script("./forge-arp.ts"), mac, victim, ...addresses];
        const forger = stack.use(await attacker.spawn(`forger${index}`, argv));
        await forger.waitForLine(/^sending$/);
        return forger;
      }),
    );
    const during = async (seconds: number, by: readonly string[]) => {
      const from = rounds().length;
      await sleep(seconds * 1000);
      return longestSilence(rounds().slice(from), addresses, by);
    };
    const alive = await during(phases.alive, macs);
    dead.speaker.process.kill("SIGKILL");
    const failed = await during(phases.failed, others);
    await dead.speaker.start();
    const returned = await during(phases.returned, macs);
    let [sent, proofs] = [0, 0];
    for (const forger of forgers) {
      await forger.stop();
      const [, frames = 0, answers = 0] = /^sent (\d+), answered (\d+)$/m.exec(forger.lines.join("\n")) ?? [];
      [sent, proofs] = [sent + Number(frames), proofs + Number(answers)];
    }
    const longest = [alive, failed, returned].map((seconds) => seconds.toFixed(1));
    return {
      seconds: phases.alive + phases.failed + phases.returned,
      effect: `${sent} frames and ${proofs} forged proofs sent for ${addresses.length} addresses, of which ${had[node]?.length} were the node's; the longest that one had no answer: ${longest[0]} s while the node lived, ${longest[1]} s from when it failed, ${longest[2]} s from when it was back`,
      holds: Math.max(alive, failed, returned) <= boundSeconds && sent > 1000 && proofs > 0,
    };
  },
};

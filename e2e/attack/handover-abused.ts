import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { DemoNode } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { excludeLabel } from "#pkg/placement";
import { KeptFlows } from "../scenarios/kept-flows.ts";
import { metric, owner } from "../scenarios/observe.ts";
import type { NewFlows, TcpFlows } from "../scenarios/tcp-flows.ts";
import type { Scene } from "./scene.ts";

const flows = 25;
const perSecond = 50;
const forgedEach = 1_000;
const port = "81";
const attackerAddress = "172.30.0.66";
const seconds = 20;
const settledMs = 1_000;

/** Packets that a node handed to another one so far. */
const handedBy = async ({ speaker }: DemoNode): Promise<number> => (await metric(speaker, "ingot_handover_packets_total")) ?? 0;

/** Counts packets of the attacker's that come to a node, whoever sends them to it. */
async function watch({ host }: DemoNode): Promise<() => Promise<number>> {
  const rule = `ip saddr ${attackerAddress} tcp dport ${port} counter;`;
  await host.output(["nft", `table ip watch { chain in { type filter hook prerouting priority -400; ${rule} }; }`]);
  return async () => Number(/packets (\d+)/.exec(await host.output(["nft", "list", "table", "ip", "watch"]))?.[1]);
}

/** When the kernel ends the hand-over of the address, in seconds from now. */
async function endsIn({ host }: DemoNode, address: string): Promise<number> {
  const shown = await host.output(["nft", "list", "map", "ip", "ingot", "owned"]);
  const [, left = ""] = new RegExp(`${address.replaceAll(".", "\\.")}\\s+timeout \\S+ expires (\\S+)`).exec(shown) ?? [];
  const units: Readonly<Record<string, number>> = { h: 3_600, m: 60, s: 1, ms: 0.001 };
  return [...left.matchAll(/(\d+)(ms|[hms])/g)].reduce(
    (sum, [, count, unit = ""]) => sum + Number(count) * (units[unit] ?? 0),
    0,
  );
}

/** A host on the LAN, and a tenant, while a node hands packets of connections to the former owner of their address. */
export const handoverAbused: Scene = {
  name: "handover-abused",
  tried: `while an address's packets are handed to its former owner, a host on the LAN sends the new owner ${forgedEach} segments of connections that nobody has, in the name of each of: a strange MAC address, the former owner's, a third node's, the new owner's own; and a client opens ${perSecond} connections a second to the former owner, so that it never has none`,
  async run() {
    await using kept = await KeptFlows.start();
    const { cluster, v4 } = kept;
    const former = await owner(cluster, v4);
    const client = await kept.open(v4, flows);
    const attacker = await cluster.lab.host("attacker");
    await attacker.attach(cluster.lan, { addresses: [`${attackerAddress}/24`] });
    await kept.label(former, excludeLabel, "");
    const next = await waitFor("another owner", async () => {
      const node = await owner(cluster, v4);
      return node === former ? undefined : node;
    });
    const [third] = cluster.nodes.filter((node) => node !== former && node !== next);
    if (third === undefined) throw new Error("Cannot attack: there is no third node");
    const macOf = ({ host }: DemoNode) => host.link("eth0").mac();
    const names = ["02:66:66:66:66:66", await macOf(former), await macOf(third), await macOf(next)];

    // The attacker's own connections end at the former owner, which serves the address still for who sends to it.
    const program = fileURLToPath(new URL("../scenarios/tcp-flows.ts", import.meta.url));
    const endless = await cluster.lab.host("endless");
    await endless.attach(cluster.lan, { addresses: ["172.30.0.67/24"] });
    await endless.output(["ip", "neighbor", "replace", v4, "lladdr", await macOf(former), "dev", "eth0", "nud", "permanent"]);
    const opener = await endless.spawn("endless", [process.execPath, program, "new", v4, port, `${perSecond}`]);

    const started = performance.now();
    const firstEnd = await endsIn(next, v4);
    const forge = fileURLToPath(new URL("./forge-tcp.ts", import.meta.url));
    const [come, came, comeElsewhere] = [await watch(next), await watch(former), await watch(third)];
    const handed: number[] = [];
    for (const name of names) {
      const before = await came();
      await attacker.output([process.execPath, forge, attackerAddress, v4, port, `${forgedEach}`, await macOf(next), name]);
      await sleep(settledMs);
      handed.push((await came()) - before);
    }
    const [got, elsewhere] = [await come(), await comeElsewhere()];
    await sleep(seconds * 1_000);
    const elapsed = (performance.now() - started) / 1_000;
    const lastEnd = await endsIn(next, v4);
    const answers = read<TcpFlows>(client.lines);
    const opened = read<NewFlows>(opener.lines);
    const others = (await handedBy(former)) + (await handedBy(third));
    const [strange = 0, ...speakers] = handed;
    return {
      seconds: elapsed,
      effect: `of ${got} that came, handed over in each name: ${handed.join(", ")}; ${elsewhere} came to a third node, and others handed on ${others}; ${answers.broken} of ${flows} connections broken, ${answers.answering} answer; ${opened.opened - opened.lost} of ${opened.opened} new connections to the former owner answered, and the end of the hand-over came nearer by ${Math.round(firstEnd - lastEnd)} s in ${Math.round(elapsed)} s`,
      holds:
        strange > 0 &&
        strange <= forgedEach &&
        speakers.every((count) => count === 0) &&
        got <= names.length * forgedEach &&
        elsewhere + others === 0 &&
        answers.broken === 0 &&
        answers.answering === flows &&
        firstEnd <= 600 &&
        firstEnd - lastEnd >= elapsed - 5,
    };
  },
};

function read<T>(lines: readonly string[]): T {
  return JSON.parse(lines.at(-1) ?? "{}") as T;
}

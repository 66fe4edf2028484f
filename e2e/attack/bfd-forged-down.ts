import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { every, OurSessions } from "#e2e/bfd";
import { Lab } from "#e2e/lab";
import type { Scene } from "./scene.ts";

const seconds = 10;
const intervalMs = 50;

/** A host on the peer's link that sends in the peer's name, but has not seen the peer's packets. */
export const bfdForgedDown: Scene = {
  name: "bfd-forged-down",
  tried:
    "a host on the link sends Down and AdminDown packets in the peer's name, with TTL 255 and lower, without and with guessed discriminators",
  async run() {
    await using lab = await Lab.start();
    const lan = await lab.switch("lan");
    const [us, them, attacker] = [await lab.host("us"), await lab.host("them"), await lab.host("attacker")];
    await us.attach(lan, { addresses: ["10.0.0.1/24"], mac: "02:00:00:00:00:01" });
    await them.attach(lan, { addresses: ["10.0.0.2/24"] });
    await attacker.attach(lan, { addresses: ["10.0.0.3/24"] });
    const settings = every(intervalMs);
    await using ours = await OurSessions.start(us, [{ peer: "10.0.0.2", local: "10.0.0.1", settings }]);
    await using theirs = await OurSessions.start(them, [{ peer: "10.0.0.1", local: "10.0.0.2", settings }]);
    await ours.reaches("10.0.0.2", "up");
    await theirs.reaches("10.0.0.1", "up");
    // In the peer's name, without a word of ARP that would turn the peer's packets away.
    await attacker.output(["ip", "address", "add", "10.0.0.2/32", "dev", "lo"]);
    await attacker.output(["ip", "neighbor", "replace", "10.0.0.1", "lladdr", "02:00:00:00:00:01", "dev", "eth0"]);
    const file = fileURLToPath(new URL("./forge-bfd.ts", import.meta.url));
    await using forger = await attacker.spawn("forger", ["node", file, "10.0.0.2", "10.0.0.1"]);
    await forger.waitForLine(/^sending$/);
    await sleep(seconds * 1000);
    await forger.stop();
    const sent = Number(/^sent (\d+)$/m.exec(forger.lines.join("\n"))?.[1] ?? 0);
    const { sessions, ignored } = await ours.counters();
    const downs = sessions.reduce((sum, { downEvents }) => sum + downEvents, 0);
    const reasons = Object.entries(ignored).flatMap(([reason, count]) => (count > 0 ? `${count} ${reason}` : []));
    return {
      seconds,
      effect: `${sent} packets sent; ignored: ${reasons.join(", ") || "none"}; the session went down ${downs} times`,
      holds: downs === 0 && sent > 1_000 && reasons.length > 0,
    };
  },
};

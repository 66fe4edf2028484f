import { fileURLToPath } from "node:url";
import { nodeAddress } from "../bench/bgp-lab.ts";
import { maxTurn, RoutesLab, routeCount } from "./routes-lab.ts";
import type { Scene } from "./scene.ts";

const seconds = 8;
const port = "7472";
const clients = fileURLToPath(new URL("./http-clients.ts", import.meta.url));
const scrapers = fileURLToPath(new URL("../bench/scrapers.ts", import.meta.url));

const attacks: Readonly<Record<string, readonly string[]>> = {
  pipelined: [scrapers, nodeAddress, port, "/metrics", "1", "2000"],
  many: [clients, nodeAddress, port, "many"],
  slow: [clients, nodeAddress, port, "slow"],
  stuck: [clients, nodeAddress, port, "stuck"],
};

/** Each of them used to keep the main thread busy for hundreds of milliseconds at a stretch, or other scrapers out. */
export const http: Scene = {
  name: "http",
  tried: `at ${routeCount} Services one connection sends 2,000 requests for /metrics ahead; 600 ask as fast as they are answered; 600 never end their request; 64 never read their answer; Prometheus on another host asks once a second`,
  async run() {
    await using routes = await RoutesLab.start([]);
    const [{ host: attacker }, { host: prometheus }] = [await routes.lab.host(), await routes.lab.host()];
    // The first pages take longer, while V8 compiles what makes them.
    await prometheus.run(["node", clients, nodeAddress, port, "scrape", "3"], { timeout: 30_000 });
    const began = performance.now();
    const effects: string[] = [];
    let holds = true;
    for (const [name, argv] of Object.entries(attacks)) {
      let scraped = "";
      const turn = await routes.watch(async () => {
        await using _attack = await attacker.spawn(name, ["node", ...argv, `${seconds + 2}`]);
        const scrape = ["node", clients, nodeAddress, port, "scrape", `${seconds}`];
        await using scraper = await prometheus.spawn(`scrape-${name}`, scrape);
        scraped = await scraper.waitForLine(/^answered /, { timeout: 180_000 });
      });
      const [, answered, asked] = /^answered (\d+) of (\d+)/.exec(scraped) ?? [];
      effects.push(
        `${name}: longest turn ${turn.cpu.toFixed(1)} ms (${turn.wall.toFixed(1)} ms by the clock), Prometheus ${scraped}`,
      );
      holds &&= turn.cpu < maxTurn && answered === asked;
    }
    const { now, peak } = routes.speaker.usage.megabytes;
    effects.push(`${now.toFixed(0)} MB resident, at most ${peak.toFixed(0)} MB`);
    const elsewhere = await routes.routesElsewhere();
    return { seconds: (performance.now() - began) / 1000, effect: effects.join("; "), holds: holds && elsewhere === routeCount };
  },
};

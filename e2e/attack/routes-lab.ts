import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type LabProcess, waitFor } from "#e2e/lab";
import type { Bird } from "#e2e/routers";
import { build } from "../../build.ts";
import { BgpLab, type Measured, nodeAsn, routerAsn } from "../bench/bgp-lab.ts";

export const routeCount = 10_000;
/** What a turn of the main thread may take, in milliseconds of its own. */
export const maxTurn = 25;

/** The configuration of the speaker, with these routers. */
export function configuration(addresses: readonly string[]): string {
  const peers = addresses.map((peer) => `- {peer-address: ${peer}, peer-asn: ${routerAsn}, my-asn: ${nodeAsn}}\n`);
  return `peers:\n${peers.join("")}address-pools:\n- {name: main, protocol: bgp, addresses: [10.0.0.0/8]}\n`;
}

/** The longest turns of a thread in a time, in milliseconds: by the clock, and what the thread itself used of it. */
export interface LongestTurn {
  readonly wall: number;
  readonly cpu: number;
}

/** What a hostile router does. */
export interface Flood {
  /** Of `hostile-router.ts`. */
  readonly mode: "refresh" | "update" | "malformed" | "keepalive";
  /** How much it sends at once. */
  readonly octets: number;
}

/** A speaker with 10,000 routes, a BIRD that has them, and hostile routers that have them too. */
export class RoutesLab implements AsyncDisposable {
  readonly lab: BgpLab;
  readonly speaker: Measured;
  readonly #hostile: ReadonlyMap<Flood, LabProcess>;
  readonly #bird: Bird;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    parts: { lab: BgpLab; speaker: Measured; hostile: ReadonlyMap<Flood, LabProcess>; bird: Bird },
    stack: AsyncDisposableStack,
  ) {
    this.lab = parts.lab;
    this.speaker = parts.speaker;
    this.#hostile = parts.hostile;
    this.#bird = parts.bird;
    this.#stack = stack;
  }

  /** @param floods one router for each */
  static async start(floods: readonly Flood[]): Promise<RoutesLab> {
    await using stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), "ingot-attack-"));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    await build(folder);
    const lab = stack.use(await BgpLab.start());
    const { bird, address } = await lab.startRouter();
    const file = fileURLToPath(new URL("./hostile-router.ts", import.meta.url));
    const hostile = new Map<Flood, LabProcess>();
    const addresses = [address];
    for (const flood of floods) {
      const { host, address } = await lab.host();
      const argv = ["node", file, `${routerAsn}`, flood.mode, `${flood.octets}`];
      const router = stack.use(await host.spawn(`hostile-${flood.mode}`, argv));
      await router.waitForLine(/^listening$/);
      hostile.set(flood, router);
      addresses.push(address);
    }
    await lab.create("s", { count: routeCount, first: "10.1.0.0" });
    await lab.configure(configuration(addresses));
    const probe = fileURLToPath(new URL("../bench/turn-probe.ts", import.meta.url));
    const speaker = stack.use(await lab.startSpeaker(folder, [`--import=${probe}`]));
    for (const router of hostile.values())
      await router.waitForLine(new RegExp(`^established ${routeCount}$`), { timeout: 60_000 });
    const routes = new RoutesLab({ lab, speaker, hostile, bird }, stack.move());
    await waitFor("BIRD to have all routes", async () => (await routes.routesElsewhere()) === routeCount, { timeout: 30_000 });
    await sleep(2_000);
    return routes;
  }

  /** How many routes the BIRD has, which nobody attacks. */
  async routesElsewhere(): Promise<number> {
    const [status] = await this.#bird.neighbours();
    return status?.prefixes ?? 0;
  }

  /** The longest turn of the speaker's main thread while something goes on, and three seconds more. */
  async watch(attack: () => Promise<void>): Promise<LongestTurn> {
    await this.#turns(1);
    const from = this.speaker.process.lines.length;
    await attack();
    await this.#turns(3);
    const turns = this.speaker.process.lines.slice(from).flatMap((line) => {
      const [, wall, cpu] = /^longest turn ([\d.]+) ms, ([\d.]+) ms of it$/.exec(line) ?? [];
      return wall === undefined ? [] : { wall: Number(wall), cpu: Number(cpu) };
    });
    return turns.reduce((longest, turn) => (turn.cpu > longest.cpu ? turn : longest), { wall: 0, cpu: 0 });
  }

  /** Waits until the probe has printed so often; it prints once a second, or when the thread is free again. */
  async #turns(count: number): Promise<void> {
    const { process } = this.speaker;
    const from = process.lines.length;
    const printed = () => process.lines.slice(from).filter((line) => line.startsWith("longest turn")).length;
    await waitFor("the speaker's main thread to be free", () => printed() >= count, { timeout: 120_000 });
  }

  /** Lets the router of a flood send it once. Resolves when all is written, or the speaker has closed the session. */
  async flood(flood: Flood): Promise<string> {
    const router = this.#hostile.get(flood);
    if (router === undefined) throw new Error(`Cannot flood with ${flood.mode}: no router was started for it`);
    const from = router.lines.length;
    const find = () => router.lines.slice(from).find((line) => /^(flooded|closed) /.test(line));
    router.kill("SIGUSR2");
    return waitFor("the flood to be over", find, { timeout: 120_000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

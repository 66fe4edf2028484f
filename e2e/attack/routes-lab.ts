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

/** The longest turns of a thread in a time, in milliseconds: by the clock, and what the thread itself used of it. */
export interface LongestTurn {
  readonly wall: number;
  readonly cpu: number;
}

/** A speaker with 10,000 routes, a BIRD that has them, and where asked for a hostile router that has them too. */
export class RoutesLab implements AsyncDisposable {
  readonly lab: BgpLab;
  readonly speaker: Measured;
  readonly hostile: LabProcess;
  readonly #bird: Bird;
  readonly #stack: AsyncDisposableStack;

  private constructor(parts: { lab: BgpLab; speaker: Measured; hostile: LabProcess; bird: Bird }, stack: AsyncDisposableStack) {
    this.lab = parts.lab;
    this.speaker = parts.speaker;
    this.hostile = parts.hostile;
    this.#bird = parts.bird;
    this.#stack = stack;
  }

  /** @param mode of `hostile-router.ts`, and how much it sends at once */
  static async start(mode: string, octets: number): Promise<RoutesLab> {
    await using stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), "ingot-attack-"));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    await build(folder);
    const lab = stack.use(await BgpLab.start());
    const { bird, address } = await lab.startRouter();
    const { host, address: hostileAddress } = await lab.host();
    const file = fileURLToPath(new URL("./hostile-router.ts", import.meta.url));
    const hostile = stack.use(await host.spawn("hostile", ["node", file, `${routerAsn}`, mode, `${octets}`]));
    await hostile.waitForLine(/^listening$/);
    await lab.create("s", { count: routeCount, first: "10.1.0.0" });
    const peers = [address, hostileAddress].map(
      (peer) => `- {peer-address: ${peer}, peer-asn: ${routerAsn}, my-asn: ${nodeAsn}}\n`,
    );
    await lab.configure(
      `peers:\n${peers.join("")}address-pools:\n- {name: main, protocol: bgp, addresses: [10.0.0.0/8], avoid-buggy-ips: false}\n`,
    );
    const probe = fileURLToPath(new URL("../bench/turn-probe.ts", import.meta.url));
    const speaker = stack.use(await lab.startSpeaker(folder, [`--import=${probe}`]));
    await hostile.waitForLine(new RegExp(`^established ${routeCount}$`), { timeout: 60_000 });
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
    const { process } = this.speaker;
    const before = process.lines.length;
    await waitFor("the next turns", () => process.lines.slice(before).some((line) => line.startsWith("longest turn")));
    const from = process.lines.length;
    await attack();
    await sleep(3_000);
    const turns = process.lines.slice(from).flatMap((line) => {
      const [, wall, cpu] = /^longest turn ([\d.]+) ms, ([\d.]+) ms of it$/.exec(line) ?? [];
      return wall === undefined ? [] : { wall: Number(wall), cpu: Number(cpu) };
    });
    return turns.reduce((longest, turn) => (turn.cpu > longest.cpu ? turn : longest), { wall: 0, cpu: 0 });
  }

  /** Lets the hostile router flood once. Resolves when all is written, or the speaker has closed the session. */
  async flood(): Promise<string> {
    const from = this.hostile.lines.length;
    const find = () => this.hostile.lines.slice(from).find((line) => /^(flooded|closed) /.test(line));
    this.hostile.kill("SIGUSR2");
    return waitFor("the flood to be over", find, { timeout: 120_000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

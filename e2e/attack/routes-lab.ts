import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type LabProcess, waitFor } from "#e2e/lab";
import type { Bird } from "#e2e/routers";
import { build } from "../../build.ts";
import { BgpLab, type Measured, nodeAsn, routerAsn } from "../bench/bgp-lab.ts";
import { type LongestTurn, longestTurns, nothing, probeFlag } from "../bench/turns.ts";

export const routeCount = 10_000;
/** Longest allowed turn of the main thread, in milliseconds of its own. */
export const maxTurn = 25;

/** All addresses of the Services are in it. */
export const mainPool = "- {name: main, protocol: bgp, addresses: [10.0.0.0/8]}\n";

/** The configuration of the speaker, with these routers and pools. */
export function configuration(addresses: readonly string[], pools = mainPool): string {
  const fields = `peer-asn: ${routerAsn}, my-asn: ${nodeAsn}, drain-when-cordoned: true`;
  const peers = addresses.map((peer) => `- {peer-address: ${peer}, ${fields}}\n`);
  return `peers:\n${peers.join("")}address-pools:\n${pools}`;
}

/** Actions of a hostile router. */
export interface Flood {
  /** Mode of `hostile-router.ts`. */
  readonly mode: "refresh" | "update" | "malformed" | "keepalive";
  /** How much it sends at once. */
  readonly octets: number;
}

/** A speaker with 10,000 routes, a BIRD that has them, and hostile routers that have them too. */
export class RoutesLab implements AsyncDisposable {
  readonly lab: BgpLab;
  readonly speaker: Measured;
  /** Where the bundles are. */
  readonly bundles: string;
  readonly #hostile: ReadonlyMap<Flood, LabProcess>;
  readonly #bird: Bird;
  /** Addresses of all routers. */
  readonly addresses: readonly string[];
  readonly #stack: AsyncDisposableStack;

  private constructor(
    parts: {
      lab: BgpLab;
      speaker: Measured;
      bundles: string;
      addresses: readonly string[];
      hostile: ReadonlyMap<Flood, LabProcess>;
      bird: Bird;
    },
    stack: AsyncDisposableStack,
  ) {
    this.lab = parts.lab;
    this.speaker = parts.speaker;
    this.bundles = parts.bundles;
    this.addresses = parts.addresses;
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
    const speaker = stack.use(await lab.startSpeaker(folder, [probeFlag]));
    for (const router of hostile.values()) await router.waitForLine(new RegExp(`^established ${routeCount}$`));
    const routes = new RoutesLab({ lab, speaker, bundles: folder, addresses, hostile, bird }, stack.move());
    await waitFor("BIRD to have all routes", async () => (await routes.routesElsewhere()) === routeCount);
    await sleep(2_000);
    return routes;
  }

  /** How many routes the BIRD has, which nobody attacks. */
  async routesElsewhere(): Promise<number> {
    const [status] = await this.#bird.neighbors();
    return status?.prefixes ?? 0;
  }

  /** The longest turn of the speaker's main thread while something goes on, and three seconds more. */
  async watch(attack: () => Promise<void>): Promise<LongestTurn> {
    const [longest] = await longestTurns([this.speaker.process], attack);
    return longest ?? nothing;
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

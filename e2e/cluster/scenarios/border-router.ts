import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Daemon, patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { birdConfiguration, type Neighbor, parseBirdRoutes, parseKernelRoutes, type Route } from "#e2e/routers";
import type { InstalledCluster } from "./installed.ts";

export const routerAsn = 64500;
export const nodeAsn = 64501;

/** The peer for the ConfigMap, in what MetalLB knows too. */
export const metallbPeer = `
peers:
  - peer-address: 172.30.0.2
    peer-asn: ${routerAsn}
    my-asn: ${nodeAsn}
    hold-time: 20s
`;
export const peer = `${metallbPeer.trimEnd()}
    drain-when-cordoned: true
`;

/** BIRD on the cluster's router. It gives its routes to the kernel, which shares out flows among all that are as good. */
export class BorderRouter {
  readonly daemon: Daemon;
  readonly #on: InstalledCluster;
  readonly #control: string;

  private constructor(on: InstalledCluster, control: string, daemon: Daemon) {
    this.#on = on;
    this.#control = control;
    this.daemon = daemon;
  }

  /** @param hosts numbers in the LAN that nodes may have */
  static async start(
    on: InstalledCluster,
    hosts: readonly number[],
    detection: Pick<Neighbor, "holdTimeSeconds" | "bfd" | "errorWaitSeconds"> = { holdTimeSeconds: 20 },
  ): Promise<BorderRouter> {
    const { router, directory } = on.cluster;
    const [file, control] = [join(directory, "bird.conf"), join(directory, "bird.ctl")];
    const neighbors = hosts.map((number) => ({
      address: `172.30.0.${number}`,
      asn: nodeAsn,
      passive: true,
      ...detection,
    }));
    await writeFile(file, birdConfiguration({ asn: routerAsn, routerId: router.ipv4, neighbors, multipath: 16 }));
    const daemon = router.daemon("bird", ["bird", "-f", "-c", file, "-s", control, "-P", join(directory, "bird.pid")]);
    return new BorderRouter(on, control, daemon);
  }

  async routes(address: string): Promise<readonly Pick<Route, "nextHops" | "communities">[]> {
    const lines = await this.#on.cluster.router.run(["birdc", "-v", "-s", this.#control, "show route all"]);
    const text = lines.replace(/^(?:\d{4}[- ]| {5})/gm, "");
    return parseBirdRoutes(text).filter(({ prefix }) => prefix === `${address}/32`);
  }

  /** Where its kernel sends packets to an address. */
  async kernelHops(address: string): Promise<readonly string[]> {
    const route = parseKernelRoutes(
      await this.#on.cluster.router.run(["ip", "-json", "route", "show", "exact", `${address}/32`]),
    );
    return route?.nextHops.map((hop) => hop.address) ?? [];
  }

  /** Waits until the next hops for an address are these nodes. */
  learns(address: string, nodes: readonly string[]): Promise<void> {
    return this.hears(
      address,
      nodes.map((name) => this.#on.cluster.node(name).host.ipv4),
    );
  }

  /** Waits until the next hops for an address are these. */
  async hears(address: string, nextHops: readonly string[]): Promise<void> {
    const wanted = nextHops.toSorted();
    const isLearned = async () => {
      const found = (await this.routes(address)).flatMap(({ nextHops }) => nextHops).sort();
      if (found.join() !== wanted.join()) throw new Error(`its next hops are ${found.join() || "none"}`);
      return true;
    };
    await waitFor(`routes to ${address} by way of ${wanted.join() || "none"}`, isLearned, patience);
  }
}

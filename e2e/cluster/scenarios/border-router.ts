import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Daemon, patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import {
  birdConfiguration,
  frrConfiguration,
  type Neighbor,
  ownVarTmp,
  parseBirdRoutes,
  parseKernelRoutes,
  type Route,
} from "#e2e/routers";
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
    detection: Pick<Neighbor, "holdTimeSeconds" | "bfd" | "errorWaitSeconds" | "addPath"> = { holdTimeSeconds: 20 },
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
  kernelHops(address: string): Promise<readonly string[]> {
    return kernelHops(this.#on.cluster.router, address);
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

/** FRR on the client, which has one address from it and sends there by its own kernel's routes. */
export class ClientRouter {
  readonly #on: InstalledCluster;
  readonly #address: string;

  private constructor(on: InstalledCluster, address: string) {
    this.#on = on;
    this.#address = address;
  }

  /** @param address the only one that it takes routes to */
  static async start(
    on: InstalledCluster,
    hosts: readonly number[],
    address: string,
    detection: Pick<Neighbor, "holdTimeSeconds" | "bfd">,
  ): Promise<ClientRouter> {
    const { client } = on.cluster;
    const folder = "/run/frr-client";
    const neighbors = hosts.map((number) => ({
      address: `172.30.0.${number}`,
      asn: nodeAsn,
      passive: true,
      ...detection,
    }));
    const only = [
      `ip prefix-list only seq 5 permit ${address}/32`,
      `router bgp ${routerAsn}`,
      " address-family ipv4 unicast",
      ...neighbors.map((neighbor) => `  neighbor ${neighbor.address} prefix-list only in`),
    ];
    const text = `${frrConfiguration({ asn: routerAsn, routerId: client.ipv4, neighbors, multipath: 16 })}${only.join("\n")}\n`;
    await client.run(["sh", "-ec", `mkdir -p ${folder}; cat > ${folder}/bgpd.conf; chown -R frr:frr ${folder}`], { input: text });
    for (const program of ["zebra", "bfdd", "bgpd"]) {
      const files = ["-f", program === "bgpd" ? `${folder}/bgpd.conf` : "/dev/null", "-i", `${folder}/${program}.pid`];
      const sockets = ["-z", `${folder}/zserv.api`, "--vty_socket", folder, "-P", "0", "--log", "stdout"];
      const own = program === "bfdd" ? ["--bfdctl", `${folder}/bfdd.sock`] : [];
      client.daemon(program, [...ownVarTmp, `/usr/lib/frr/${program}`, ...files, ...sockets, ...own]);
      const socket = `${folder}/${program === "zebra" ? "zserv.api" : `${program}.vty`}`;
      await waitFor(`${program} on the client`, () => client.run(["test", "-S", socket]).then(() => true), patience);
    }
    return new ClientRouter(on, address);
  }

  kernelHops(): Promise<readonly string[]> {
    return kernelHops(this.#on.cluster.client, this.#address);
  }
}

async function kernelHops(host: Pick<InstalledCluster["cluster"]["router"], "run">, address: string): Promise<readonly string[]> {
  const route = parseKernelRoutes(await host.run(["ip", "-json", "route", "show", "exact", `${address}/32`]));
  return route?.nextHops.map((hop) => hop.address) ?? [];
}

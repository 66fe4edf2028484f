import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Lab, waitFor } from "#e2e/lab";
import { type Router, type RouterConfiguration, type RouterKind, routerRefusal, startRouter } from "./index.ts";

const kinds: readonly RouterKind[] = ["frr", "bird", "gobgp", "openbgpd"];
const refusals = new Map(await Promise.all(kinds.map(async (kind) => [kind, await routerRefusal(kind)] as const)));

/** Next hops of an address in the router's table, sorted; of IPv6 without link-local ones. */
async function nextHops(router: Router, prefix: string): Promise<string> {
  const routes = (await router.routes()).filter((route) => route.prefix === prefix);
  return routes
    .map((route) => route.nextHops[0] ?? "")
    .sort()
    .join(" ");
}

async function until(router: Router, what: string, isRight: (hops: string) => boolean): Promise<void> {
  const hasThem = async (): Promise<boolean> => {
    const seen = [await nextHops(router, "198.51.100.1/32"), await nextHops(router, "2001:db8:1::1/128")];
    if (!isRight(seen.join(" "))) throw new Error(`it has ${seen.join(" and ")}`);
    return true;
  };
  await waitFor(what, hasThem, { timeout: 60_000 });
}

const through = (...last: readonly number[]) =>
  [...last.map((digit) => `10.0.0.10${digit}`), ...last.map((digit) => `fd00::10${digit}`)].join(" ");
const isOneOfEach = (hops: string): boolean => /^10\.0\.0\.10[123] fd00::10[123]$/.test(hops);

suite("RFC 7911: a router learns every path to an address, and one path where it takes no more", { concurrency: true }, () => {
  for (const kind of kinds)
    test(kind, { skip: refusals.get(kind) ?? false }, async () => {
      await using lab = await Lab.start();
      const lan = await lab.switch("lan");
      const [left, right] = [await lab.host("router", { forwarding: true }), await lab.host("speaker")];
      await left.attach(lan, { addresses: ["10.0.0.1/24", "fd00::1/64"] });
      await right.attach(lan, { addresses: ["10.0.0.2/24", "fd00::2/64"] });
      const neighbor = { address: "10.0.0.2", asn: 65002, holdTimeSeconds: 9, families: ["IPv4", "IPv6"] } as const;
      const configuration = (addPath: boolean): RouterConfiguration => {
        return { asn: 65001, routerId: "10.0.0.1", multipath: 4, neighbors: [{ ...neighbor, addPath }] };
      };
      await using router = await startRouter(kind, { lab, host: left }, configuration(true));
      const config = "peers: [{my-asn: 65002, peer-asn: 65001, peer-address: 10.0.0.1, add-path: true}]";
      const program = fileURLToPath(new URL("path-announcer.ts", import.meta.url));
      const speaker = await right.spawn("announcer", ["node", program, config]);

      await until(router, "three paths", (hops) => hops === through(1, 2, 3));
      if (kind === "frr" || kind === "bird") {
        const kernel = await waitFor("ECMP in the kernel", async () => {
          const route = await router.kernelRoute("198.51.100.1/32");
          return route?.nextHops.length === 3 && route;
        });
        assert.deepEqual(kernel.nextHops.map(({ address }) => address).sort(), ["10.0.0.101", "10.0.0.102", "10.0.0.103"]);
      }
      if (kind !== "gobgp") await router.refresh("10.0.0.2");

      // A router that restarts without ADD-PATH, and later with it again.
      await router.stop("SIGKILL");
      await router.start();
      await until(router, "three paths after a restart", (hops) => hops === through(1, 2, 3));
      const goesOn = kind === "gobgp" || kind === "openbgpd"; // Another capability does not end their sessions.
      await router.reload(configuration(false));
      if (goesOn) await router.clear("10.0.0.2");
      await until(router, "one path of each family", isOneOfEach);
      await router.reload(configuration(true));
      if (goesOn) await router.clear("10.0.0.2");
      await until(router, "three paths again", (hops) => hops === through(1, 2, 3));
      speaker.kill("SIGUSR2");
      await until(router, "the second path to be withdrawn", (hops) => hops === through(1, 3));

      // A speaker that dies and comes back with another path alone: FRR 8 to 10.1 drops one stale path at each End-of-RIB. GoBGP takes it back so late
      // that the wait would be longer than that for any other router.
      if (kind === "gobgp") return;
      speaker.kill("SIGKILL");
      await speaker.exited;
      await right.spawn("successor", ["node", program, config, "2"]);
      await until(router, "stale paths to be dropped", (hops) => hops === through(2));
    });
});

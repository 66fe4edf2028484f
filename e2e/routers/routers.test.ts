import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Lab, waitFor } from "#e2e/lab";
import { type RouterConfiguration, type RouterKind, routerRefusal, startRouter } from "./index.ts";

const kinds: readonly RouterKind[] = ["frr", "bird", "gobgp", "openbgpd"];

const refusals = new Map(await Promise.all(kinds.map(async (kind) => [kind, await routerRefusal(kind, "bird")] as const)));

suite("a router in a lab learns the networks of a neighbor, reports both and takes commands", { concurrency: true }, () => {
  for (const kind of kinds)
    test(kind, { skip: refusals.get(kind) ?? false }, async () => {
      await using lab = await Lab.start();
      const lan = await lab.switch("lan");
      const [left, right] = [await lab.host("left", { forwarding: true }), await lab.host("right")];
      await left.attach(lan, { addresses: ["10.0.0.1/24", "fd00::1/64"] });
      await right.attach(lan, { addresses: ["10.0.0.2/24", "fd00::2/64"] });
      const configuration: RouterConfiguration = {
        asn: 65001,
        routerId: "10.0.0.1",
        neighbors: [
          { address: "10.0.0.2", asn: 65002, holdTimeSeconds: 9, password: "secret" },
          { address: "fd00::2", asn: 65002, holdTimeSeconds: 3 },
        ],
      };
      await using router = await startRouter(kind, { lab, host: left }, configuration);
      await using other = await startRouter(
        "bird",
        { lab, host: right },
        {
          asn: 65002,
          routerId: "10.0.0.2",
          neighbors: [
            { address: "10.0.0.1", asn: 65001, password: "secret" },
            { address: "fd00::1", asn: 65001 },
          ],
          networks: ["192.0.2.0/24", "2001:db8::/32"],
        },
      );

      const routes = await waitFor("both routes", async () => {
        const seen = await router.routes();
        return seen.length === 2 && seen.every(({ best }) => best) && seen.toSorted((a, b) => a.prefix.localeCompare(b.prefix));
      });
      assert.deepEqual(
        routes.map(({ nextHops, ...rest }) => ({ ...rest, nextHop: nextHops[0] })),
        ["10.0.0.2", "fd00::2"].map((from, index) => ({
          prefix: ["192.0.2.0/24", "2001:db8::/32"][index],
          from,
          nextHop: from,
          asPath: [65002],
          origin: "igp",
          med: undefined,
          communities: [],
          largeCommunities: [],
          localPref: kind === "bird" || kind === "openbgpd" ? 100 : undefined,
          linkBandwidth: undefined,
          best: true,
          stale: false,
        })),
      );
      const neighbor = (await router.neighbors()).find(({ address }) => address === "10.0.0.2");
      assert.deepEqual({ state: neighbor?.state, prefixes: neighbor?.prefixes }, { state: "established", prefixes: 1 });
      if (kind === "frr" || kind === "bird") {
        const kernel = await waitFor("the kernel to have it", () => router.kernelRoute("192.0.2.0/24"));
        assert.deepEqual(kernel, { nextHops: [{ address: "10.0.0.2", interfaceName: "eth0", weight: 1 }] });
      } else assert.equal(await router.kernelRoute("192.0.2.0/24"), undefined);

      const state = async (address: string) => (await router.neighbors()).find((each) => each.address === address)?.state;
      if (kind === "gobgp") await assert.rejects(router.refresh("10.0.0.2"), RangeError);
      else await router.refresh("10.0.0.2");
      await router.shut("fd00::2");
      await waitFor("one session to end", async () => (await state("fd00::2")) !== "established");
      assert.equal(await state("10.0.0.2"), "established");
      await router.unshut("fd00::2");
      await waitFor("it to come back", async () => (await state("fd00::2")) === "established");

      await other.stop("SIGKILL");
      await waitFor("the route to be stale", async () => {
        const route = (await router.routes()).find(({ prefix }) => prefix === "192.0.2.0/24");
        return route?.stale;
      });
      await other.start();
      await waitFor("it to be well again", async () => {
        const route = (await router.routes()).find(({ prefix }) => prefix === "192.0.2.0/24");
        return route?.stale === false;
      });

      await router.clear("10.0.0.2");
      await waitFor("the session to end", async () => (await state("10.0.0.2")) !== "established");

      await router.reload({ ...configuration, neighbors: configuration.neighbors.slice(1) });
      await waitFor("one neighbor to be gone", async () => (await router.neighbors()).length === 1);

      await waitFor("its session", async () => (await state("fd00::2")) === "established");
      other.freeze();
      await waitFor("the hold time to be over", async () => (await state("fd00::2")) !== "established");
      other.thaw();
    });
});

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Host, Lab, type LabProcess, waitFor } from "#e2e/lab";
import { Frr } from "./frr.ts";
import {
  Bird,
  type Neighbor,
  type Router,
  type RouterConfiguration,
  type RouterKind,
  routerRefusal,
  startRouter,
} from "./index.ts";

const kinds: readonly RouterKind[] = ["frr", "bird"];
const refusals = new Map(await Promise.all(kinds.map(async (kind) => [kind, await routerRefusal(kind)] as const)));
const program = fileURLToPath(new URL("path-announcer.ts", import.meta.url));
const prefix = "198.51.100.1/32";

/** A router and a speaker of BGP on one switch. */
class Scene implements AsyncDisposable {
  readonly router: Router;
  readonly #speaker: Host;
  readonly #stack: AsyncDisposableStack;

  private constructor(router: Router, speaker: Host, stack: AsyncDisposableStack) {
    this.router = router;
    this.#speaker = speaker;
    this.#stack = stack;
  }

  static async start(kind: RouterKind, neighbor: Partial<Neighbor>): Promise<Scene> {
    await using stack = new AsyncDisposableStack();
    const lab = stack.use(await Lab.start());
    const lan = await lab.switch("lan");
    const [left, right] = [await lab.host("router"), await lab.host("speaker")];
    await left.attach(lan, { addresses: ["10.0.0.1/24", "fd00::1/64"] });
    await right.attach(lan, { addresses: ["10.0.0.2/24", "fd00::2/64"] });
    const configuration: RouterConfiguration = {
      asn: 65001,
      routerId: "10.0.0.1",
      neighbors: [{ address: "10.0.0.2", asn: 65002, holdTimeSeconds: 9, ...neighbor }],
    };
    const router = stack.use(await startRouter(kind, { lab, host: left }, configuration));
    return new Scene(router, right, stack.move());
  }

  /** @param fields of the peer, more of them */
  speak(fields: string): Promise<LabProcess> {
    const config = `peers: [{my-asn: 65002, peer-asn: 65001, peer-address: 10.0.0.1, connect-time: 1s, ${fields}}]`;
    return this.#speaker.spawn("announcer", ["node", program, config]);
  }

  async route() {
    return (await this.router.routes()).find((route) => route.prefix === prefix);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

suite("RFC 9234: a router that wants a role takes the one that goes with its own, and no other", { concurrency: true }, () => {
  for (const kind of kinds)
    test(kind, { skip: refusals.get(kind) ?? false }, async () => {
      await using scene = await Scene.start(kind, { role: { own: "provider", strict: true } });
      const without = await scene.speak("graceful-restart-time: 0s");
      await without.waitForLine(/Role Mismatch \(2\/11\)/, { timeout: 60_000 });
      await without.stop();
      const wrong = await scene.speak("graceful-restart-time: 0s, role: provider");
      await wrong.waitForLine(/Role Mismatch \(2\/11\)/, { timeout: 60_000 });
      await wrong.stop();
      assert.equal(await scene.route(), undefined);
      await scene.speak("graceful-restart-time: 0s, role: customer, role-strict: true");
      await waitFor(`${kind} to have a route`, () => scene.route(), { timeout: 90_000 });
    });
});

suite("RFC 9234: routes have OTC for a router that is a customer or a peer", { concurrency: true }, () => {
  for (const kind of kinds)
    for (const [theirs, ours] of [
      ["customer", "provider"],
      ["peer", "peer"],
    ] as const)
      test(`${kind}, ${theirs}`, { skip: refusals.get(kind) ?? false }, async () => {
        await using scene = await Scene.start(kind, { role: { own: theirs, strict: true } });
        await scene.speak(`role: ${ours}, role-strict: true`);
        const { router } = scene;
        assert.ok(router instanceof Frr || router instanceof Bird);
        const question = router instanceof Frr ? `show bgp ipv4 unicast ${prefix}` : `show route all ${prefix}`;
        const hasOtc = async () => /\botc:? 65002\b/i.test(await router.command(question));
        await waitFor("a route with the speaker's AS in OTC", hasOtc, { timeout: 90_000 });
      });
});

suite("RFC 9494: a router keeps routes of a speaker that is gone as the last resort", () => {
  test("bird", { skip: refusals.get("bird") ?? false }, async () => {
    await using scene = await Scene.start("bird", { longLived: true });
    const speaker = await scene.speak("graceful-restart-time: 1s, long-lived-stale-time: 1h");
    await waitFor("a route", () => scene.route());
    speaker.kill("SIGKILL");
    const isStale = async () => (await scene.route())?.communities.includes("65535:6");
    await waitFor("the route to be marked LLGR_STALE", isStale, { timeout: 60_000 });
    await scene.speak("graceful-restart-time: 1s, long-lived-stale-time: 1h");
    const isFresh = async () => (await scene.route())?.communities.length === 0;
    await waitFor("the route to be fresh again", isFresh, { timeout: 60_000 });
  });

  test("a bird that was told nothing of it keeps none, also of a speaker that had it before", {
    skip: refusals.get("bird") ?? false,
  }, async () => {
    await using scene = await Scene.start("bird", { longLived: true });
    const before = await scene.speak("graceful-restart-time: 1s, long-lived-stale-time: 1h");
    await waitFor("a route", () => scene.route());
    before.kill("SIGKILL");
    const isStale = async () => (await scene.route())?.communities.includes("65535:6");
    await waitFor("the route to be marked LLGR_STALE", isStale, { timeout: 60_000 });
    const speaker = await scene.speak("graceful-restart-time: 1s");
    const isFresh = async () => (await scene.route())?.communities.length === 0;
    await waitFor("the route to be fresh again", isFresh, { timeout: 60_000 });
    speaker.kill("SIGKILL");
    await waitFor("the route to go", async () => (await scene.route()) === undefined, { timeout: 60_000 });
  });
});

suite("RFC 8538: a router keeps the routes of a speaker whose session it ended with a NOTIFICATION, if that has the N bit", () => {
  test("frr", { skip: refusals.get("frr") ?? false }, async () => {
    await using scene = await Scene.start("frr", {});
    const speaker = await scene.speak("graceful-restart-time: 10m, graceful-restart-notification: true");
    await waitFor("a route", () => scene.route(), { timeout: 60_000 });
    speaker.kill("SIGSTOP"); // Its kernel acknowledges, and the router's hold timer expires.
    await waitFor("the route to be stale", async () => (await scene.route())?.stale, { timeout: 60_000 });
    speaker.kill("SIGCONT");
    await waitFor("the route to be fresh again", async () => (await scene.route())?.stale === false, { timeout: 60_000 });
    speaker.kill("SIGKILL");
    await waitFor("the route to be stale again", async () => (await scene.route())?.stale, { timeout: 60_000 });
    const without = await scene.speak("graceful-restart-time: 10m");
    await waitFor("the route to be fresh once more", async () => (await scene.route())?.stale === false, { timeout: 60_000 });
    without.kill("SIGSTOP");
    await waitFor("the route to go", async () => (await scene.route()) === undefined, { timeout: 60_000 });
  });
});

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoNode } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { chromiumRefusal, DashboardProcess, patience, type Scene, startScene, Viewer } from "./index.ts";

suite("the dashboard of a running cluster", { skip: chromiumRefusal() || (await Lab.refusal()) }, () => {
  const stack = new AsyncDisposableStack();
  let scene: Scene;
  let dashboard: DashboardProcess;
  let viewer: Viewer;
  before(async () => {
    scene = stack.use(await startScene());
    dashboard = stack.use(await DashboardProcess.start(scene.cluster.kubeconfig));
    viewer = stack.use(await Viewer.start());
  });
  after(() => stack.disposeAsync());

  const open = async (view: string): Promise<void> => {
    await viewer.page.goto(`${dashboard.url}#/${view}`);
    await viewer.page.locator("main h1").waitFor();
  };
  /** The first address of the Service web, and the node that owns it. */
  const webAddress = async (): Promise<{ readonly address: string; readonly owner: string }> => {
    const [address = ""] = await scene.web.addresses();
    const [{ speaker }] = scene.cluster.nodes as [DemoNode];
    const { services } = JSON.parse((await speaker.get("/v1/services?service=default/web")).body);
    const owner = services[0].addresses.find((one: { address: string }) => one.address === address)?.owner;
    assert.ok(owner, JSON.stringify(services));
    return { address, owner };
  };
  /** The page asks again whenever a Service changes. */
  const explains = (wanted: RegExp): Promise<void> =>
    viewer.page
      .getByRole("dialog")
      .filter({ has: viewer.page.getByRole("article"), hasText: wanted })
      .waitFor();

  test("the overview counts what there is and names what is not well, one click from its reason", async () => {
    await open("overview");
    await viewer.page.getByRole("list").getByRole("link", { name: "default/small-second" }).click();
    await explains(/poolFull[\s\S]*"small" has no free IPv4 address[\s\S]*To do:/);
    await viewer.page.getByRole("button", { name: "Close" }).click();
    await viewer.page.waitForURL(/#\/overview$/);
  });

  test("Services have their addresses, nodes and reasons, and can be searched", async () => {
    await open("services");
    await viewer.page.getByRole("searchbox").fill("default/web");
    const row = viewer.page.getByRole("row").filter({ has: viewer.page.getByRole("link", { name: "default/web" }) });
    for (const address of await scene.web.addresses()) await row.getByText(address).first().waitFor();
    await row.getByText("Announced", { exact: true }).waitFor();
  });

  test("pools are maps of their addresses", async () => {
    await open("pools");
    const [address = ""] = await scene.web.addresses();
    const field = (name: string | RegExp) => viewer.page.getByRole("button", { name });
    await field(`${address}: held by default/web`).waitFor();
    await field(/^172\.30\.0\.20\d: shared by default\/dns/).waitFor();
    await field("172.30.0.199: held by default/small-first").waitFor();
    await field("172.30.0.230: reserved for nobody").waitFor();
    await field("198.51.100.0: excluded").waitFor();
    await viewer.page.getByText("16,777,216 addresses, 0 in use; one field is 65,536").waitFor();
  });

  test("nodes have what they announce, whom they see, and how long an answer takes", async () => {
    await open("nodes");
    const times = viewer.page.getByRole("region", { name: "Round-trip times between speakers" });
    const time = times
      .getByRole("row", { name: /^node1 / })
      .getByRole("cell")
      .filter({ hasText: /^\d+(\.\d)? ms$/ });
    await waitFor("node1 to have measured both others", async () => (await time.count()) === 2, patience);
    await viewer.page.getByRole("link", { name: /^node2 is Ready and announces \d+ address/ }).click();
    await explains(/Node node2[\s\S]*Ready/);
  });

  test("BGP sessions stand by peer and node, with prefixes and flaps, and BFD beside them", async () => {
    await open("peers");
    const row = (peer: string) => viewer.page.getByRole("row").filter({ has: viewer.page.getByRole("link", { name: peer }) });
    const session = row("172.30.0.241:179")
      .getByRole("cell")
      .filter({ hasText: /established[\s\S]*1 prefix, \d+ flaps?/ }); // BFD may lose a session on a busy machine.
    await waitFor("all sessions with the router", async () => (await session.count()) === 3, patience);
    const missing = row("172.30.0.242:179")
      .getByRole("cell")
      .filter({ hasText: /Pending|Degraded/ });
    await waitFor("no session with the router that is missing", async () => (await missing.count()) === 3, patience);
    const bfd = viewer.page.getByRole("region", { name: "BFD sessions" }).getByRole("cell", { name: "up", exact: true });
    await waitFor("all BFD sessions", async () => (await bfd.count()) === 3, patience);
  });

  test("a failover is seen while it happens: another node, and on the timeline what moved and why", async (t) => {
    const { address, owner: name } = await webAddress();
    const owner = scene.cluster.node(name);
    await open("services");
    await viewer.page.getByRole("searchbox").fill("default/web");
    const cell = viewer.page.getByRole("row").filter({ has: viewer.page.getByRole("link", { name: "default/web" }) });
    const nodes = async () => (await cell.getByRole("gridcell").nth(3).innerText()).split(", ");
    await waitFor("the owner", async () => (await nodes()).includes(owner.name), patience);
    const start = performance.now();
    owner.speaker.process.kill("SIGKILL");
    await waitFor("another owner", async () => !(await nodes()).includes(owner.name), patience);
    t.diagnostic(`seen ${Math.round(performance.now() - start)} ms after the kill`);
    await open("timeline");
    const moved = new RegExp(`default/web: \\S+ moved from ${owner.name} to node\\d`); // Other Services move, too.
    await viewer.page.getByRole("listitem").filter({ hasText: moved }).first().waitFor();
    await open("nodes");
    await viewer.page.getByRole("link", { name: new RegExp(`^${owner.name} is Pending`) }).waitFor();
    await owner.speaker.start();
    await viewer.page.getByRole("link", { name: new RegExp(`^${owner.name} is Ready`) }).waitFor();
    await waitFor("it to own the address again", async () => (await webAddress()).owner === name, patience);
    await open("services?explain=svc%2Fdefault%2Fweb");
    await viewer.page.getByText("History").click();
    await viewer.page.getByText(`took ${address} over from node ${owner.name}`).first().waitFor();
  });

  test("what the loss of nodes would do is seen by a click on them, before it happens", async () => {
    const { address, owner } = await webAddress();
    await open("nodes");
    await viewer.page.getByRole("link", { name: "What if nodes fail?" }).click();
    const node = viewer.page.getByRole("link", { name: new RegExp(`^${owner} is `) });
    await node.click();
    const outcome = viewer.page.getByRole("region", { name: "What would happen" });
    await outcome.getByRole("heading", { name: `If ${owner} failed` }).waitFor();
    const move = outcome.getByRole("row").filter({ has: viewer.page.getByRole("link", { name: address, exact: true }) });
    await move.getByRole("cell", { name: owner, exact: true }).waitFor();
    assert.notEqual(await move.getByRole("cell").nth(2).innerText(), owner);
    for (const { name } of scene.cluster.nodes.filter((one) => one.name !== owner))
      await viewer.page.getByRole("link", { name: new RegExp(`^${name} is `) }).click();
    await outcome.getByRole("heading", { name: /^Not announced any more: \d+$/ }).waitFor();
    await viewer.assertAccessible("what if");
    await viewer.page.getByRole("link", { name: "If they were drained instead" }).click();
    await outcome.getByRole("heading", { name: /^If .* were drained$/ }).waitFor();
    await outcome.getByText(/^\d+ address(es)? would stay\.$/).waitFor();
    await viewer.page.getByRole("link", { name: "Back to the present" }).click();
    await outcome.waitFor({ state: "detached" });
  });

  test("a Service whose annotation is an attack on the page is shown with it, as text", async () => {
    const attack = '<img src=x onerror="alert(1)"><script>alert(2)</script>\u202e';
    await scene.cluster.expose("attack", ["node3"], { annotations: { "metallb.universe.tf/address-pool": attack } });
    await open("services");
    await viewer.page.getByRole("link", { name: "default/attack" }).click();
    await explains(/<img src=x onerror=/);
    assert.equal(await viewer.page.locator("img, script:not([src])").count(), 0);
  });

  // page.test.ts has each view in light and dark: here are real routers, BFD and maps of many pools.
  test("everybody can use all of it, and nothing was wrong in the browser", async () => {
    await viewer.page.emulateMedia({ colorScheme: "dark" });
    for (const view of ["overview", "services", "pools", "nodes", "peers", "timeline"]) {
      await open(view);
      await viewer.assertAccessible(view);
      await viewer.assertFits(view);
    }
    assert.deepEqual(viewer.complaints, []);
  });

  test("it ends by Ctrl-C", async () => {
    assert.equal(await dashboard.interrupt(), 0, dashboard.output);
  });
});

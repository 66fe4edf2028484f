import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { manyServices } from "../../ctl/dashboard/testing/cluster.ts";
import { FakeDashboard } from "./fake-dashboard.ts";
import { chromiumRefusal, Viewer } from "./index.ts";

const nodes = ["node1", "node2", "node3"];
const views = ["overview", "services", "pools", "nodes", "peers", "timeline"];

function cluster(count: number) {
  return { nodes, services: manyServices(count, nodes), silent: {} };
}

suite("the page in a browser", { skip: chromiumRefusal() }, () => {
  for (const colorScheme of ["light", "dark"] as const)
    for (const width of [1280, 390])
      test(`everybody can use every view, ${colorScheme} and ${width} pixels wide`, async () => {
        await using dashboard = await FakeDashboard.start({ ...cluster(40), silent: { node3: "connection refused" } });
        await using viewer = await Viewer.start({ width, colorScheme });
        const { page } = viewer;
        await page.goto(dashboard.url);
        for (const view of [...views, "services?explain=svc%2Fdefault%2Fweb-1"]) {
          await page.goto(`${dashboard.url}#/${view}`);
          await page.locator(view.includes("explain") ? "dialog article" : "main h1").waitFor();
          await viewer.assertAccessible(view);
          await viewer.assertFits(view);
        }
        assert.deepEqual(viewer.complaints, []);
      });

  test("10,000 Services: the first rows are soon there, and no more rows than can be seen", async (t) => {
    await using dashboard = await FakeDashboard.start(cluster(10_000));
    await using viewer = await Viewer.start();
    const { page } = viewer;
    const start = performance.now();
    await page.goto(`${dashboard.url}#/services`);
    const row = page.locator(".services [role=gridcell]").first();
    await row.waitFor();
    const rowsMs = performance.now() - start;
    const paintMs = await page.evaluate<number>('performance.getEntriesByName("first-contentful-paint")[0].startTime');
    t.diagnostic(`10,000 Services: first paint after ${Math.round(paintMs)} ms, first rows after ${Math.round(rowsMs)} ms`);
    const grid = page.getByRole("grid");
    assert.equal(await grid.getAttribute("aria-rowcount"), "10001");
    const shown = () => page.locator(".services [role=row]").count();
    assert.ok((await shown()) < 60, `${await shown()} rows`);
    await grid.focus();
    await page.keyboard.press("End");
    await page.getByRole("link", { name: "default/web-9999", exact: true }).waitFor();
    assert.ok((await shown()) < 60, `${await shown()} rows`);
    await page.getByRole("searchbox").fill("web-7777");
    await page.getByText("1 of 10,000").waitFor();
    await page.getByRole("link", { name: "default/web-7777" }).waitFor();
    assert.deepEqual(viewer.complaints, []);
  });

  test("all of it can be done by keyboard", async () => {
    await using dashboard = await FakeDashboard.start(cluster(300));
    await using viewer = await Viewer.start();
    const { page } = viewer;
    await page.goto(`${dashboard.url}#/services`);
    await page.locator(".services [role=gridcell]").first().waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("web-12");
    await page.getByText("11 of 300").waitFor();
    await page.getByRole("grid").focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").getByText("Service default/web-120").waitFor();
    await page.keyboard.press("Escape");
    await page.waitForURL(/#\/services$/);
    assert.equal(await page.locator("dialog").count(), 0);
    await page.goto(`${dashboard.url}#/pools`);
    const field = page.getByRole("group", { name: /^Addresses / }).getByRole("button");
    await field.first().focus();
    await page.keyboard.press("Enter"); // Into a part of the range…
    await page.getByRole("heading", { name: /10\.0\.0\.0-10\.0\.255\.255/ }).waitFor();
    await page.getByRole("button", { name: /^Back to/ }).waitFor();
    await field.first().focus();
    await page.keyboard.press("Enter"); // …and into a part of that.
    await page.getByRole("heading", { name: /10\.0\.0\.0-10\.0\.0\.255/ }).waitFor();
    await field.first().focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    await page.getByText("10.0.0.1 held by").waitFor();
    assert.deepEqual(viewer.complaints, []);
  });

  test("what users and processes wrote is shown as text, and nothing of it runs", async () => {
    const attack = '<img src=x onerror="alert(1)"><script>alert(2)</script>\u202e"\'`\\';
    const services = [{ key: `default/${attack}`, address: "10.0.0.1", owner: attack }];
    await using dashboard = await FakeDashboard.start({ nodes: ["node1", attack], services, silent: {} });
    await using viewer = await Viewer.start();
    const { page } = viewer;
    for (const view of [...views, `services?explain=${encodeURIComponent(`svc/default/${attack}`)}`]) {
      await page.goto(`${dashboard.url}#/${view}`);
      await page.locator(view.includes("explain") ? "dialog article" : "main h1").waitFor();
    }
    assert.equal(await page.locator("img, script:not([src])").count(), 0);
    const text = (await page.locator("dialog").textContent()) ?? "";
    assert.ok(text.includes("<script>alert(2)</script>·"), text);
    assert.deepEqual(viewer.complaints, []);
  });

  test("a script that gets into the page all the same does not run", async () => {
    await using dashboard = await FakeDashboard.start(cluster(1));
    await using viewer = await Viewer.start();
    await viewer.page.goto(dashboard.url);
    await viewer.page.locator("main h1").waitFor();
    const put = `document.body.innerHTML = '<img src="x" onerror="window.ran = true">'`;
    await assert.rejects(viewer.page.evaluate(put), /TrustedHTML/);
    const inline = `document.body.append(Object.assign(document.createElement("a"), { href: "javascript:window.ran = true", id: "evil" })), document.querySelector("#evil").click()`;
    await viewer.page.evaluate(inline);
    assert.equal(await viewer.page.evaluate("window.ran"), undefined);
  });

  test("another name that leads to the same address gets nothing", async () => {
    await using dashboard = await FakeDashboard.start(cluster(1));
    await using viewer = await Viewer.start({ names: { "evil.test": "127.0.0.1" } });
    const response = await viewer.page.goto(dashboard.url.replace("127.0.0.1", "evil.test"));
    assert.equal(response?.status(), 421);
    assert.doesNotMatch((await viewer.page.textContent("body")) ?? "", /Ingot/);
  });

  test("another page cannot read it, even one that knows the token", async () => {
    await using dashboard = await FakeDashboard.start(cluster(1));
    await using other = await FakeDashboard.start(cluster(1));
    await using viewer = await Viewer.start();
    await viewer.page.goto(`${new URL(other.url).origin}/nothing`);
    const read = `fetch(${JSON.stringify(dashboard.url)}).then((response) => response.text(), () => "refused")`;
    assert.equal(await viewer.page.evaluate(read), "refused");
  });

  test("when the program ends the page says so, and keeps what it shows", async () => {
    await using viewer = await Viewer.start();
    {
      await using dashboard = await FakeDashboard.start(cluster(3));
      await viewer.page.goto(`${dashboard.url}#/services`);
      await viewer.page.getByRole("link", { name: "default/web-1" }).waitFor();
    }
    await viewer.page.getByText("ingotctl does not answer").waitFor();
    await viewer.page.getByRole("link", { name: "default/web-1" }).waitFor();
  });
});

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "#e2e/lab";
import { manyServices } from "../../ctl/dashboard/testing/cluster.ts";
import { FakeDashboard } from "./fake-dashboard.ts";
import { chromiumRefusal, patience, Viewer } from "./index.ts";

const nodes = ["node1", "node2", "node3"];
const views = ["overview", "services", "pools", "nodes", "peers", "timeline"];

function cluster(count: number) {
  return { nodes, services: manyServices(count, nodes), silent: {} };
}

test("a dashboard that ends before it has an address is an error, and nobody waits for it", async () => {
  await assert.rejects(FakeDashboard.start(cluster(1), "--help"), /^Error: Cannot start the dashboard/);
});

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

  /** Opens the overview. @returns the answer that it begins with */
  async function answerOf({ page }: Viewer, url: string, wanted: RegExp): Promise<string> {
    await page.goto(url);
    const answer = page.getByRole("region", { name: "Is all well?" });
    await answer.filter({ hasText: wanted }).waitFor();
    return answer.innerText();
  }

  for (const [count, text] of [
    [0, "There is no Service of type LoadBalancer."],
    [50, "50 Services."],
    [5_000, "5,000 Services."],
  ] as const)
    test(`${count} Services that are well: the first line says so`, async () => {
      await using dashboard = await FakeDashboard.start(cluster(count));
      await using viewer = await Viewer.start();
      const answer = await answerOf(viewer, dashboard.url, new RegExp(text));
      assert.equal(answer.replaceAll(/\s+/g, " "), `All is well ${text}`);
      await viewer.assertAccessible(text);
      await viewer.assertFits(text);
    });

  test("5,000 Services of which 3,000 wait for one full pool: one cause, with its number of Services and the remedy", async () => {
    await using dashboard = await FakeDashboard.start({ ...cluster(2_000), waiting: 3_000 });
    await using viewer = await Viewer.start();
    const { page } = viewer;
    const answer = await answerOf(viewer, dashboard.url, /3,000 Services do not work/);
    assert.match(answer, /1 cause for \d+ d; 3,000 of 5,000 Services not well/);
    const causes = page.getByRole("list").first().getByRole("listitem");
    assert.equal(await causes.count(), 1);
    assert.match(await causes.innerText(), /error pool lan[\s\S]*no free IPv4 address[\s\S]*3,000 Services: team\/late-0/);
    await page.getByText("full", { exact: true }).waitFor();
    await viewer.assertAccessible("one cause");
    await page.goto(`${dashboard.url}#/services`);
    await page.getByLabel("Namespace").selectOption("team");
    await page.getByText("3,000 of 5,000").waitFor();
    await page.getByLabel("State").selectOption("Announced");
    await page.getByText("0 of 5,000").waitFor();
    await page.getByLabel("Namespace").selectOption("");
    await page.getByLabel("Pool").selectOption("lan");
    await page.getByText("2,000 of 5,000").waitFor();
  });

  test("a speaker that hangs is one cause, and what it said last is grey, with its age", async () => {
    await using dashboard = await FakeDashboard.start(cluster(50));
    await using viewer = await Viewer.start();
    const { page } = viewer;
    await answerOf(viewer, dashboard.url, /All is well/);
    dashboard.cluster = { ...cluster(50), silent: { node3: "it does not answer within 3 s" } };
    const answer = page.getByRole("region", { name: "Is all well?" });
    await answer.filter({ hasText: /1 cause for \d+ s/ }).waitFor();
    await page.getByText("speaker speaker-node3 on node3").waitFor();
    await page.goto(`${dashboard.url}#/nodes`);
    const old = page.getByRole("region", { name: "Controllers and speakers" }).locator("tr.old");
    assert.match(await old.innerText(), /speaker-node3[\s\S]*does not answer for \d+ s: it does not/);
    await viewer.assertAccessible("a speaker that hangs");
    dashboard.cluster = cluster(50);
    await old.waitFor({ state: "detached" });
  });

  test("while no speaker answers, one banner says so, and what the last one said is grey, with its age", async () => {
    await using dashboard = await FakeDashboard.start(cluster(50));
    await using viewer = await Viewer.start();
    const { page } = viewer;
    await answerOf(viewer, dashboard.url, /All is well/);
    dashboard.cluster = { ...cluster(50), silent: Object.fromEntries(nodes.map((node) => [node, "no answer within 2 s"])) };
    await page.getByText(/No speaker answers: no answer within 2 s\. This page shows what was known \d+ s ago/).waitFor();
    assert.equal(await page.getByRole("alert").count(), 1);
    assert.equal(await page.locator("main.old").count(), 1);
    assert.equal(await page.locator("header").getByText("live", { exact: true }).count(), 0);
    await viewer.assertAccessible("silent speakers");
    await viewer.assertFits("silent speakers");
    dashboard.cluster = cluster(50);
    await page.locator("main:not(.old)").waitFor();
  });

  test("where no speaker runs, no Service and no pool looks well, and one cause says why", async () => {
    await using dashboard = await FakeDashboard.start({ nodes: [], services: manyServices(50, nodes), silent: {} });
    await using viewer = await Viewer.start();
    const { page } = viewer;
    const answer = await answerOf(viewer, dashboard.url, /50 Services do not work/);
    assert.match(answer, /1 cause/);
    await page.getByText(/there is no Pod of a speaker/).waitFor();
    await viewer.assertAccessible("no speakers");
    for (const view of ["services", "pools"]) {
      await page.goto(`${dashboard.url}#/${view}`);
      await page.getByText("noActiveSpeaker").first().waitFor();
      assert.doesNotMatch(await page.locator("main").innerText(), /^(?:Ready|Announced|Assigned)$/m, view);
    }
  });

  test("while the API server does not answer, everything is grey, with its age", async () => {
    await using dashboard = await FakeDashboard.start(cluster(50));
    await using viewer = await Viewer.start();
    const { page } = viewer;
    await answerOf(viewer, dashboard.url, /All is well/);
    dashboard.cluster = { ...cluster(50), outage: "connection refused" };
    await page
      .getByText(/The API server does not answer: connection refused\. This page shows what was known \d+ s ago/)
      .waitFor();
    assert.equal(await page.locator("main.old").count(), 1);
    await page.getByRole("heading", { name: "Last known: All is well" }).waitFor();
    await viewer.assertAccessible("an outage");
    await viewer.assertFits("an outage");
    dashboard.cluster = cluster(50);
    await page.locator("main:not(.old)").waitFor();
  });

  test("several faults at a time: each cause stands once on the first screen, with its number of Services and the remedy", async () => {
    const faulty = { ...cluster(50), waiting: 7, isRouterDead: true, silent: { node3: "no answer within 2 s" } };
    await using dashboard = await FakeDashboard.start(cluster(50));
    await using viewer = await Viewer.start();
    const { page } = viewer;
    await answerOf(viewer, dashboard.url, /All is well/);
    const causes = page.getByRole("list").first().getByRole("listitem");
    /** The causes, once there is one for each, and all on the first screen. */
    const each = async (what: string, wanted: readonly RegExp[]): Promise<void> => {
      const areThere = async () => {
        const all = await causes.allInnerTexts();
        assert.equal(all.length, wanted.length, all.join("\n\n"));
        for (const one of wanted) assert.match(all.join("\n\n"), one);
        return true;
      };
      await waitFor(what, areThere, patience);
      const last = await causes.last().boundingBox();
      assert.ok((last?.y ?? Infinity) + (last?.height ?? 0) <= 800, `${what}: the last cause ends at ${last?.y}`);
      await viewer.assertAccessible(what);
      await viewer.assertFits(what);
    };
    const hangs = /^error speaker speaker-node3 on node3 it does not answer: no answer within 2 s/m;
    const router = /^error peer 10\.0\.0\.1:179[\s\S]*ETIMEDOUT[\s\S]*see whether the router is up/m;
    dashboard.cluster = faulty;
    await page.getByRole("heading", { name: "7 Services do not work" }).waitFor();
    await each("a dead router, a full pool, a speaker that hangs", [
      hangs,
      router,
      /^error pool lan[\s\S]*no free IPv4 address[\s\S]*7 Services: team\/late-0, team\/late-1, team\/late-2 and 4 more/m,
    ]);
    dashboard.cluster = { ...faulty, isWithoutController: true, slowMs: 700 };
    const scaled =
      /^error controller no controller runs, because Deployment controller is scaled to 0 replicas[\s\S]*kubectl -n metallb-system scale deployment controller --replicas=1[\s\S]*7 Services: team\/late-0/m;
    await each("no controller besides, and a slow API", [hangs, router, scaled]);
    // The page goes on naming the Deployment while the API does not answer.
    dashboard.cluster = { ...faulty, isWithoutController: true, outage: "no answer within 5 s" };
    await page.getByText(/The API server does not answer: no answer within 5 s\./).waitFor();
    await each("and the API does not answer", [hangs, router, scaled]);
    dashboard.cluster = cluster(50);
    await page.getByRole("heading", { name: "All is well" }).waitFor();
    assert.deepEqual(viewer.complaints, []);
  });

  test("the way to a Service and to all of them is drawn, and the place where it ends is red", async () => {
    await using dashboard = await FakeDashboard.start({ ...cluster(4), waiting: 1 });
    await using viewer = await Viewer.start();
    const { page } = viewer;
    const stations = (label: string) => page.getByRole("list", { name: label }).getByRole("listitem");
    await answerOf(viewer, dashboard.url, /1 Service does not work/);
    const all = await stations("The way from clients to Services").allInnerTexts();
    assert.match(
      all.join(" | "),
      /4 addresses \| by way of\s+LAN: 4 addresses\s+10\.0\.0\.1:179 \| arrive at\s+node1: 2 addresses[\s\S]*1 Service not well/,
    );
    await page.goto(`${dashboard.url}#/services?explain=svc%2Fdefault%2Fweb-1`);
    const way = stations("The way to default/web-1");
    await way.filter({ hasText: "2 endpoints on node2" }).waitFor();
    assert.deepEqual(
      (await way.allInnerTexts()).map((text) => text.split(/\n+/)),
      [
        ["Clients ask for", "10.0.0.1"],
        ["by way of", "LAN"],
        ["arrive at", "node2"],
        ["and end at", "2 endpoints on node2"],
      ],
    );
    dashboard.cluster = { ...cluster(4), waiting: 1, kept: 7 };
    await way.filter({ hasText: "node1: 7 kept connections" }).waitFor();
    await page.goto(`${dashboard.url}#/services?explain=svc%2Fteam%2Flate-0`);
    await stations("The way to team/late-0").filter({ hasText: "no address" }).waitFor();
    assert.ok((await page.locator("dialog .path li.bad").count()) > 0);
    await viewer.assertAccessible("a way that ends");
    const unannounced = { key: "team/none", address: "10.0.9.1", owner: "" };
    dashboard.cluster = { ...cluster(4), services: [...manyServices(4, nodes), unannounced] };
    await page.goto(`${dashboard.url}#/services?explain=svc%2Fteam%2Fnone`);
    await stations("The way to team/none").filter({ hasText: "10.0.9.1" }).waitFor();
    assert.equal(await page.locator("dialog .path .bad").count(), 0, "somebody else announces it, as the pool says");
    assert.deepEqual(viewer.complaints, []);
  });

  test("the timeline has what processes recorded before the page was opened, for the time that is chosen", async () => {
    await using dashboard = await FakeDashboard.start(cluster(4));
    await using viewer = await Viewer.start();
    const { page } = viewer;
    await page.goto(`${dashboard.url}#/timeline`);
    const recorded = page.getByRole("link", { name: "node1 took 10.0.0.1 over from node node9" });
    await recorded.waitFor();
    await viewer.assertAccessible("the timeline");
    await page.getByLabel("The last").selectOption("15 minutes");
    await recorded.waitFor({ state: "detached" });
    await page.getByLabel("The last").selectOption("day");
    await recorded.waitFor();
    assert.deepEqual(viewer.complaints, []);
  });

  test("whatever has a history offers it, and nothing else does", async () => {
    await using dashboard = await FakeDashboard.start(cluster(4));
    await using viewer = await Viewer.start();
    const { page } = viewer;
    for (const [subject, offers] of [
      ["config", 0],
      ["node/node1", 0],
      ["10.0.0.1", 1],
      ["svc/default/web-1", 1],
    ] as const) {
      await page.goto(`${dashboard.url}#/overview?explain=${encodeURIComponent(subject)}`);
      await page.locator("dialog article").first().waitFor();
      const history = page.locator("dialog summary");
      assert.equal(await history.count(), offers, subject);
      if (offers > 0) await history.click();
      assert.equal(await page.getByRole("alert").count(), 0, subject);
      await page.keyboard.press("Escape");
      await page.waitForURL(/#\/overview$/);
    }
    assert.deepEqual(viewer.complaints, []);
  });

  test("an explanation comes also while Services change faster than it is answered, one question at a time", async () => {
    await using dashboard = await FakeDashboard.start(cluster(4));
    await using viewer = await Viewer.start();
    const { page } = viewer;
    let [underway, most] = [0, 0];
    await page.route(/\/explain\?/, async (route) => {
      most = Math.max(most, ++underway);
      await sleep(1_500);
      underway--;
      await route.continue().catch(() => {}); // The page may have left it.
    });
    let kept = 0;
    const changing = setInterval(() => {
      dashboard.cluster = { ...cluster(4), kept: ++kept };
    }, 100);
    try {
      await page.goto(`${dashboard.url}#/services?explain=svc%2Fdefault%2Fweb-1`);
      await page.locator("dialog article").first().waitFor({ timeout: 8_000 });
    } finally {
      clearInterval(changing);
    }
    assert.equal(most, 1);
    assert.deepEqual(viewer.complaints, []);
  });

  test("an explanation that is open follows its subject, also where no Service changes", async () => {
    await using dashboard = await FakeDashboard.start(cluster(4));
    await using viewer = await Viewer.start();
    await viewer.page.goto(`${dashboard.url}#/peers?explain=${encodeURIComponent("peer/10.0.0.1:179")}`);
    const codes = viewer.page.locator("dialog article code");
    await codes.filter({ hasText: "established" }).first().waitFor();
    dashboard.cluster = { ...cluster(4), isRouterDead: true };
    await codes.filter({ hasText: "connectTimeout" }).first().waitFor({ timeout: 8_000 });
    assert.deepEqual(viewer.complaints, []);
  });

  test("--open has the browser open a private file, which leads to the page; the token is in no argument", async () => {
    await using dashboard = await FakeDashboard.start(cluster(1), "--open");
    await using viewer = await Viewer.start();
    const { opened, written } = dashboard.io;
    await waitFor("the file to be opened", async () => opened.length === 1);
    const [file = ""] = opened;
    assert.ok(!file.includes(new URL(dashboard.url).pathname.slice(1, -1)), file);
    const folder = mkdtempSync(join(tmpdir(), "ingot-open-"));
    try {
      writeFileSync(join(folder, "open.html"), written[file] ?? "");
      await viewer.page.goto(`file://${folder}/open.html`);
      await viewer.page.waitForURL(`${dashboard.url}**`);
      await viewer.page.getByRole("heading", { name: "All is well" }).waitFor();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("a wrong token gets nothing but the advice to open the address that was printed", async () => {
    await using dashboard = await FakeDashboard.start(cluster(1));
    await using viewer = await Viewer.start();
    const { origin } = new URL(dashboard.url);
    const response = await viewer.page.goto(`${origin}/${"0".repeat(32)}/`);
    assert.equal(response?.status(), 404);
    assert.equal((await viewer.page.textContent("body"))?.trim(), "open the address that ingotctl printed");
  });

  test("on a phone no column of a table is cut, and each value has its heading", async () => {
    await using dashboard = await FakeDashboard.start(cluster(3));
    await using viewer = await Viewer.start({ width: 360 });
    await viewer.page.goto(dashboard.url);
    const header = await viewer.page.locator("header.top").boundingBox();
    assert.ok((header?.height ?? Infinity) < 150, `the header takes ${header?.height} pixels`);
    for (const view of ["nodes", "peers"]) {
      await viewer.page.goto(`${dashboard.url}#/${view}`);
      await viewer.page.locator(".wide td").first().waitFor();
      const beyond = `[...document.querySelectorAll(".wide")].filter((one) => one.scrollWidth > one.clientWidth).length`;
      assert.equal(await viewer.page.evaluate(beyond), 0, view);
      const cells = viewer.page.locator(".wide td:not(:empty)");
      assert.ok((await cells.count()) > 3);
      for (const cell of await cells.all()) assert.notEqual(await cell.getAttribute("data-label"), "", view);
    }
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
    await viewer.page.getByText("ingotctl does not answer", { exact: true }).waitFor();
    await viewer.page.getByText(/^ingotctl does not answer\. This page shows what was known \d+ s ago\.$/).waitFor();
    await viewer.page.getByRole("link", { name: "default/web-1" }).waitFor();
  });
});

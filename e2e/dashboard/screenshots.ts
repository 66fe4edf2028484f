/** Takes the pictures of docs/dashboard.md in a lab: `make screenshots`. */
import { mkdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { waitFor } from "#e2e/lab";
import { DashboardProcess, patience, startScene, Viewer } from "./index.ts";

interface Picture {
  readonly name: string;
  readonly view: string;
  readonly colorScheme: "light" | "dark";
}

const pictures: readonly Picture[] = [
  { name: "overview", view: "overview", colorScheme: "light" },
  { name: "pools", view: "pools", colorScheme: "dark" },
  { name: "what-if", view: "nodes?lose=node1", colorScheme: "light" },
];
const folder = fileURLToPath(new URL("../../docs/images/", import.meta.url));

mkdirSync(folder, { recursive: true });
await using scene = await startScene();
await using dashboard = await DashboardProcess.start(scene.cluster.kubeconfig);
await using viewer = await Viewer.start({ width: 1000, height: 600 });
const { page } = viewer;
await page.goto(`${dashboard.url}#/nodes`);
// A failover, so that something has moved; and round trips are measured in the course of time.
const [, second] = scene.cluster.nodes;
second?.speaker.process.kill("SIGKILL");
await page.getByRole("link", { name: /^node2 is Pending/ }).waitFor();
await second?.speaker.start();
await page.getByRole("link", { name: /^node2 is Ready/ }).waitFor();
const measured = page.getByRole("region", { name: "Round-trip times between speakers" }).getByText(/ ms$/);
await waitFor("all round trips to be measured", async () => (await measured.count()) === 6, patience);
for (const { name, view, colorScheme } of pictures) {
  await page.emulateMedia({ colorScheme });
  await page.goto(`${dashboard.url}#/${view}`);
  await page.locator(view.includes("lose") ? "text=Taken over" : "main h1").waitFor();
  const file = `${folder}dashboard-${name}.png`;
  await page.screenshot({ path: file });
  console.log(`${file}: ${statSync(file).size} octets`);
}

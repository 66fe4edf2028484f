/**
 * Measures how a speaker's work grows with nodes, Services, endpoints of each Service, routers and pools, of which one is more in each run: the
 * processor's time of its core and its routes, from when it sees the first object until nothing is left to do. Half of the pools are announced on
 * layer 2, the others by BGP. Sockets are others'. Run it with `make bench-sizes`, which draws the plot of docs/performance.md, too.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { endpointSlice, service } from "#pkg/k8s/testing";
import type { InterfaceState } from "#pkg/layer2";
import { BgpTurns } from "./bgp-turns.ts";

const base = { nodes: 50, Services: 1_000, endpoints: 5, routers: 4, pools: 10 };
type Sizes = typeof base;
const most: Sizes = { nodes: 5_000, Services: 100_000, endpoints: 500, routers: 200, pools: 1_000 };
const factors = [1, 2, 5, 10, 20, 50, 100];
const rounds = 3;
const own = "node-0";

const eth0: InterfaceState = {
  index: 2,
  name: "eth0",
  mac: "02:00:00:00:00:01",
  addresses: ["172.16.0.1/16"],
  status: "answering",
  running: true,
};

/** @returns milliseconds of the thread's time */
function work({ nodes, Services, endpoints, routers, pools }: Sizes): number {
  const peer = (index: number) => `{my-asn: 64512, peer-asn: 64513, peer-address: 172.30.${index >> 8}.${index & 255}}`;
  const perPool = 2 ** Math.ceil(Math.log2(Services / pools));
  const address = (index: number): string => {
    const at = (index % pools) * perPool + Math.floor(index / pools);
    return `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`;
  };
  const pool = (index: number) =>
    `{name: p${index}, protocol: ${index % 2 === 0 ? "bgp" : "layer2"}, addresses: [${address(index)}/${32 - Math.log2(perPool)}]}`;
  const list = (count: number, text: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => text(index)).join();
  const turns = new BgpTurns({
    state: { node: own, ignoreExcludeLabel: false, hasRing: true, announceFor: "node" },
    hasAddPath: false,
  });
  const active = Array.from({ length: nodes }, (_, index) => `node-${index}`);
  const text = `peers: [${list(routers, peer)}]\naddress-pools: [${list(pools, pool)}]`;
  const before = process.threadCpuUsage();
  turns.act(() => turns.configure(text));
  turns.act(() => turns.dispatch({ type: "interfaces", interfaces: [eth0] }));
  for (const name of active) turns.node(name, []);
  turns.act(() => turns.dispatch({ type: "members", active, withoutGossip: active.slice(1), isSynced: true }));
  for (let index = 0; index < Services; index++) {
    const [key, name] = [`default/service-${index}`, `service-${index}`];
    turns.dispatch({ type: "service", key, service: service(name, { ingress: [address(index)] }) });
    const ready = Array.from({ length: endpoints }, (_, i) => ({
      nodeName: active[(index + i) % nodes] ?? own,
      ready: 1,
      draining: 0,
    }));
    turns.dispatch({ type: "slice", key, now: { ...endpointSlice(name, {}), endpoints: ready }, before: undefined });
  }
  turns.act(() => turns.dispatch({ type: "start" }));
  const { user, system } = process.threadCpuUsage(before);
  assert.equal(turns.routes.length, routers);
  for (const { advertised, pending } of turns.routes) assert.deepEqual([advertised, pending], [Math.ceil(Services / 2), 0]);
  return (user + system) / 1000;
}

/** Points of a line: how many times as much there is, and milliseconds. */
type Line = readonly (readonly [number, number])[];

/** Draws how many times as long it takes by how many times as much there is. The library is the site's, which `make bench-sizes` fetches. */
async function draw(lines: ReadonlyMap<string, Line>): Promise<string> {
  const library = join(import.meta.dirname, "../../.cache/site/node_modules/echarts/index.js");
  const { init } = await import(library);
  const chart = init(null, null, { renderer: "svg", ssr: true, width: 640, height: 400 });
  const axis = { type: "log", axisLabel: { fontSize: 13 }, nameLocation: "middle", nameGap: 32, nameTextStyle: { fontSize: 13 } };
  const series = [...lines].map(([name, line]) => {
    const [[, first] = [1, 1]] = line;
    return { name, type: "line", symbolSize: 6, data: line.map(([factor, ms]) => [factor, ms / first]) };
  });
  chart.setOption({
    animation: false,
    color: ["#3a66a8", "#c2571a", "#1f7a3d", "#8a4fb0", "#a8871a"],
    legend: { top: 4, itemGap: 18, textStyle: { fontSize: 13 } },
    grid: { left: 64, right: 24, top: 44, bottom: 52 },
    xAxis: { ...axis, name: "times as many" },
    yAxis: { ...axis, name: "times as long", min: 0.5 },
    series,
  });
  const [, drawn = ""] = chart.renderToSVGString().split(/^<svg[^>]*>/);
  chart.dispose();
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 400" role="img" aria-labelledby="title desc">
<title id="title">How a speaker's work grows</title>
<desc id="desc">A logarithmic line each for nodes, Services, endpoints, routers and pools: how many times as long the work takes with up to 100 times as many of them.</desc>
<style>@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } }</style>${drawn.replace(/<style >.*<\/style>\s*/s, "")}`;
}

const lines = new Map<string, Line>();
for (let times = 0; times < 20; times++) work(base); // Code is compiled before it is measured.
for (const what of Object.keys(base) as (keyof Sizes)[]) {
  const line = factors
    .filter((factor) => base[what] * factor <= most[what])
    .map((factor) => {
      const sizes = { ...base, [what]: base[what] * factor };
      return [factor, Math.min(...Array.from({ length: rounds }, () => work(sizes)))] as const;
    });
  lines.set(what, line);
  console.log(what.padEnd(10), line.map(([factor, ms]) => `${base[what] * factor}: ${ms.toFixed(0)} ms`).join(", "));
}
const [file] = process.argv.slice(2);
if (file !== undefined) writeFileSync(file, await draw(lines));

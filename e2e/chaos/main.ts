import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { LabRefused } from "#e2e/lab";
import { routerRefusal } from "#e2e/routers";
import { drawActs } from "./acts.ts";
import { brokenInVain, gapsOf, seconds, spansOf, tellBroken, tellGap, tellGaps } from "./chronicle.ts";
import { picture } from "./picture.ts";
import { type Course, runChaos } from "./run.ts";
import { startKubernetesTarget } from "./targets/kubernetes.ts";
import { startLabTarget } from "./targets/lab.ts";
import { type Target, type Variant, variantOf } from "./targets/target.ts";
import { checkOut } from "./targets/version.ts";
import { type Judgement, judge } from "./verdict.ts";

/** `make chaos`: faults drawn by a seed on real processes, watched from outside. */
const seed = Number(process.env.SEED || Date.now() % 1_000_000);
const minutes = Number(process.env.MINUTES || 5);
const beside = process.env.BESIDE ?? "";
const cluster = process.env.CLUSTER || "lab";
const nodes = 3;
const headings: Readonly<Record<Judgement["result"], string>> = {
  kept: "All promises were kept.",
  broken: "Promises were broken:",
  "not judged": "Not judged: nothing was seen to be wrong, but too little was seen.",
};
const folder = fileURLToPath(new URL(`../../.cache/chaos/${seed}/`, import.meta.url));

if (!(minutes > 0)) fail(`MINUTES has to be a number above 0, but is ${process.env.MINUTES}`);
if (cluster !== "lab" && cluster !== "kubernetes") fail(`CLUSTER has to be lab or kubernetes, but is ${cluster}`);
if (cluster === "kubernetes" && beside !== "") fail("BESIDE works with CLUSTER=lab alone: the image has one version");
const refusal = await routerRefusal("bird");
if (refusal !== false) fail(refusal);
mkdirSync(folder, { recursive: true });
try {
  console.log(`seed ${seed}; the report goes to ${folder}`);
  const variant = variantOf(seed);
  await using target = await startTarget(variant);
  const acts = drawActs(seed, minutes * 60_000, nodes, target.can);
  const has = [
    ...(variant.hasBfd ? ["BFD"] : []),
    ...(variant.hasNics ? ["addresses on NICs"] : []),
    ...(variant.failoverMs === undefined ? [] : [`speakers that watch one another by BFD every ${variant.failoverMs} ms`]),
    ...(variant.keepsConnections ? ["connections that go on when an address moves"] : []),
    ...(beside ? [`programs of ${beside}`] : []),
  ];
  console.log(`${minutes} minutes, ${acts.length} acts on ${nodes} nodes${has.length > 0 ? ` with ${has.join(", ")}` : ""}\n`);
  const course = await runChaos(target, acts, (line) => console.log(line));
  const report = tell(course, variant);
  writeFileSync(`${folder}report.txt`, `${report.lines.join("\n")}\n`);
  console.log(`\n${report.lines.join("\n")}`);
  process.exitCode = report.result === "kept" ? 0 : 1;
} catch (error) {
  if (!(error instanceof LabRefused)) throw error;
  fail(error.message);
}

function startTarget(variant: Variant): Promise<Target> {
  if (cluster === "kubernetes") return startKubernetesTarget(nodes, variant);
  return startLabTarget(nodes, variant, `${folder}logs`, beside === "" ? undefined : checkOut(beside));
}

function tell(
  { done, observer, settledAfter, unsettled, flows, end }: Course,
  { hasNics }: Variant,
): { lines: string[]; result: Judgement["result"] } {
  const { samples, faults, requests, looks } = observer;
  const spans = spansOf(samples, end);
  const gaps = gapsOf(spans, done);
  // Without the right to change the packet filter speakers keep no connection.
  const lostFlows = hasNics ? brokenInVain(flows?.broken ?? [], done) : [];
  const { result, reasons, judgedMs } = judge({ samples, gaps, faults, lostFlows, looks, unsettled, end });
  writeFileSync(
    `${folder}timeline.svg`,
    picture(
      spans,
      done,
      Array.from({ length: nodes }, (_, index) => `node${index + 1}`),
      end,
    ),
  );
  writeFileSync(`${folder}gaps.txt`, gaps.map((gap) => `${tellGap(gap)}\n`).join(""));
  const lines = [
    headings[result],
    ...reasons,
    ...(settledAfter === undefined ? [] : [`Settled ${seconds(settledAfter)} s after the last act.`]),
    `\n${done.length} acts in ${seconds(end)} s, of which ${done.filter(({ hasFailed }) => hasFailed).length} failed`,
    `${seconds(judgedMs)} s were judged by who answered on the LAN: nodes agreed on who is there`,
    `Looks that failed although nothing was done to what they look at: ${[...looks].map(([what, { made, failed }]) => `${failed} of ${made} at ${what}`).join(", ")}`,
    ...[...requests].map(([name, { sent, failed }]) => `${name}: ${failed} of ${sent} requests failed`),
    "",
    ...(flows === undefined ? [] : [...tellBroken(flows, done), ""]),
    ...tellGaps(gaps),
    "Each is in gaps.txt, and who answered when in timeline.svg.",
  ];
  return { lines, result };
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}

import { setImmediate } from "node:timers/promises";
import type { Registry } from "prom-client";
import { type Clock, type Millis, SystemClock, sleep } from "#pkg/clock";
import type { Route } from "#pkg/http";
import type { Pulled, Sample } from "./pulled.ts";

// However many ask, making pages takes at most a tenth of the main thread's time: between two of them is nine times what the first one took,
// which is longer on a busy thread.
const pauseFactor = 9;
const maxPauseMs: Millis = 1_000;
// A page of 10,000 Services has some 50,000 lines, which take 100 ms in all.
const linesAtOnce = 500;

/**
 * The answer of `/metrics`, in the Prometheus text format: made in slices, for all who ask meanwhile, at 10,000 Services at most once a second
 * and more often where it is less work. Every value is read after the request came: who asks too soon after a page waits for the next one.
 */
export function metricsRoute(registry: Registry, clock: Clock = new SystemClock()): () => Promise<Route> {
  let page: Promise<unknown> = Promise.resolve();
  let nextAt: Millis = -Infinity;
  let next: Promise<Route> | undefined; // Not begun.
  const make = async (): Promise<Route> => {
    await page;
    if (nextAt > clock.now()) await sleep(clock, "metrics page", nextAt - clock.now());
    next = undefined;
    const begunAt = clock.now();
    const made = render(registry);
    page = made.catch(() => {});
    try {
      return { status: 200, contentType: registry.contentType, body: await made };
    } finally {
      const endedAt = clock.now();
      nextAt = endedAt + Math.min((endedAt - begunAt) * pauseFactor, maxPauseMs);
    }
  };
  return () => {
    next ??= make();
    return next;
  };
}

async function render(registry: Registry): Promise<Buffer> {
  const slices: Buffer[] = [];
  for (const metric of registry.getMetricsAsArray() as unknown as readonly (Pulled | { readonly name: string })[]) {
    const separator = slices.length === 0 ? "" : "\n";
    if (isPulled(metric)) for (const text of pulledText(metric, separator)) slices.push(await slice(text));
    else slices.push(await slice(`${separator}${await registry.getSingleMetricAsString(metric.name)}\n`));
  }
  return Buffer.concat(slices);
}

/** Ends the turn that made the text. */
async function slice(text: string): Promise<Buffer> {
  const bytes = Buffer.from(text);
  await setImmediate();
  return bytes;
}

function isPulled(metric: Pulled | object): metric is Pulled {
  return "samples" in metric;
}

function* pulledText({ name, help, type, labelNames, samples }: Pulled, separator: string): Generator<string> {
  const found = samples(); // At once, so that no sample is from another moment.
  let lines = [`${separator}# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n# TYPE ${name} ${type}\n`];
  for (const sample of found) {
    lines.push(sampleLine(name, labelNames, sample));
    if (lines.length < linesAtOnce) continue;
    yield lines.join("");
    lines = [];
  }
  yield lines.join("");
}

function sampleLine(name: string, labelNames: readonly string[], { labels, value }: Sample): string {
  const pairs = labelNames.map((label) => `${label}="${escapeValue(labels[label] ?? "")}"`).join(",");
  return `${name}${pairs === "" ? "" : `{${pairs}}`} ${valueText(value)}\n`;
}

function escapeValue(text: string): string {
  return /["\\\n]/.test(text) ? text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"') : text;
}

function valueText(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return Number.isNaN(value) ? "NaN" : `${value}`;
  return value > 0 ? "+Inf" : "-Inf";
}

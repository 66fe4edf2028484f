/**
 * Measures the decisions of a controller where there is much of everything: Services of 1,000 namespaces in one burst, pools that each are for
 * some of the namespaces, and quotas; then another leader that sees all of it for the first time. Writes succeed at once; sockets and the API server
 * are others' (`make bench-controller`). Run it with `make bench-controller`, or `node e2e/bench/controller-core.bench.ts [SERVICES [POOLS]]`.
 */
import assert from "node:assert/strict";
import { parseConfig } from "#pkg/config";
import type { Service } from "#pkg/k8s";
import { service } from "#pkg/k8s/testing";
import type { ControllerEffect } from "../../controller/core/effects.ts";
import type { ControllerEvent } from "../../controller/core/events.ts";
import { createState } from "../../controller/core/state.ts";
import { nextDeadline, step } from "../../controller/core/step.ts";
import { maxSeenAtOnce } from "../../controller/sources.ts";

const [count = 50_000, pools = 1_000] = process.argv.slice(2).map(Number);
const namespaces = 1_000;
const createdInASecond = 250;
const name = (index: number) => `team-${index % namespaces}/service-${index}`;
const range = (index: number) => `10.${index >> 8}.${index & 255}.0/24`;
const poolTexts = Array.from({ length: pools }, (_, index) =>
  pools < namespaces
    ? `{name: p${index}, protocol: layer2, addresses: [${range(index)}]}`
    : `{name: p${index}, protocol: layer2, addresses: [${range(index)}], namespaces: [team-${index % namespaces}]}`,
);
const quotas = Array.from({ length: namespaces }, (_, index) => `{namespaces: [team-${index}], ipv4: 100}`);
const text = `address-pools:\n${poolTexts.map((pool) => `- ${pool}\n`).join("")}quotas:\n${quotas.map((quota) => `- ${quota}\n`).join("")}`;
const parsed = parseConfig(text);
assert.ok(parsed.config, JSON.stringify(parsed.problems?.slice(0, 2)));

/** One controller and what the API has; the longest steps of each type of event. */
class Bench {
  readonly steps = new Map<string, { longest: number; sum: number; count: number }>();
  readonly #state = createState({ seed: 1, configMap: "ns/config", hasConditions: false, hasPoolAnnotations: false });
  readonly #waiting: ControllerEvent[] = [];
  readonly #services: Map<string, Service>;
  #now = 0;
  /** Statuses that were written. */
  written = 0;

  constructor(services: Map<string, Service>) {
    this.#services = services;
    this.#dispatch({ type: "begin" });
    this.#dispatch({ type: "namespacesKnown", labels: { missing: "nobody asks" } });
    this.#dispatch({
      type: "configMap",
      now: { about: undefined, version: "1", secretText: text, mayRenumber: false },
    });
    this.#dispatch({ type: "statusMap", secretText: text, hasSummary: false });
    this.#dispatch({ type: "summaryMap", hash: "" });
    this.#dispatch({ type: "occupied", reported: new Map() });
  }

  /** All Services of a list that is taken over as a whole. */
  see(): void {
    const changed = [...this.#services].map(([key, now]) => ({ key, now }));
    for (let from = 0; from < changed.length; from += maxSeenAtOnce)
      this.#dispatch({ type: "services", changed: changed.slice(from, from + maxSeenAtOnce) });
    for (const key of this.#services.keys()) this.#dispatch({ type: "service", key });
  }

  lead(): void {
    this.#dispatch({ type: "seen", isCurrent: true });
    this.#dispatch({ type: "lead" });
    this.settle();
  }

  settle(): void {
    for (;;) {
      for (let event = this.#waiting.shift(); event !== undefined; event = this.#waiting.shift()) this.#dispatch(event);
      const next = nextDeadline(this.#state);
      if (next === Infinity || this.#now > 600_000) return;
      this.#now = Math.max(this.#now, next);
      this.#dispatch({ type: "timer", chance: 0.5 });
    }
  }

  #dispatch(event: ControllerEvent): void {
    const before = process.threadCpuUsage();
    const effects = step(this.#state, event, this.#now);
    const { user, system } = process.threadCpuUsage(before);
    const ms = (user + system) / 1000;
    const known = this.steps.get(event.type) ?? { longest: 0, sum: 0, count: 0 };
    this.steps.set(event.type, { longest: Math.max(known.longest, ms), sum: known.sum + ms, count: known.count + 1 });
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: ControllerEffect): void {
    if (effect.type === "readConfig") this.#waiting.push({ type: "configRead", secretText: effect.secretText, parsed });
    else if (effect.type === "portion" || effect.type === "judgePortion") this.#waiting.push(effect);
    else if (effect.type === "wake") this.#waiting.push({ type: "continue" });
    else if (effect.type === "writeLastGood")
      this.#waiting.push({ type: "lastGoodWritten", secretText: effect.secretText, failure: undefined });
    else if (effect.type === "collectSummary") this.#waiting.push({ type: "summaryCollected", hash: "1" });
    else if (effect.type === "writeSummary") this.#waiting.push({ type: "summaryWritten", written: { hash: "1", bytes: 1 } });
    else if (effect.type === "writeStatus") {
      const { key } = effect.service;
      const now: Service = { ...effect.service, ingress: effect.addresses.map(String) };
      this.#services.set(key, now);
      this.written++;
      this.#waiting.push({ type: "statusWritten", key, addresses: effect.addresses, result: "written", tookMs: 1 });
      this.#waiting.push({ type: "services", changed: [{ key, now }] }, { type: "service", key });
    }
  }
}

function report(what: string, { steps, written }: Bench): void {
  console.log(`${what}: ${written} statuses written`);
  for (const [type, { longest, sum, count }] of [...steps].sort((a, b) => b[1].sum - a[1].sum).slice(0, 8))
    console.log(
      `  ${type.padEnd(18)} ${sum.toFixed(0).padStart(7)} ms in ${`${count}`.padStart(7)} steps, the longest ${longest.toFixed(1)} ms`,
    );
}

console.log(`${count} Services of ${namespaces} namespaces with quotas, ${pools} pools; the thread's own time:`);
const services = new Map(
  Array.from(
    { length: count },
    (_, index) => [name(index), service(name(index), { created: 1_000 * Math.floor(index / createdInASecond) })] as const,
  ),
);
{
  const first = new Bench(services);
  first.lead();
  first.steps.clear();
  first.see();
  first.settle();
  report("a burst", first);
}
globalThis.gc?.(); // Another process has nothing of this one.
const second = new Bench(services);
second.see();
second.lead();
report("another leader", second);

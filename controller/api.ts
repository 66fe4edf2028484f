import { poolsOf } from "#pkg/allocator";
import { type Clock, dateOf } from "#pkg/clock";
import { describeRecording, findEntries, type Recorder } from "#pkg/core";
import { json, OneLine, type RouteRequest, type Routes } from "#pkg/http";
import { configurationAnswer } from "#pkg/live-config";
import { answer, brief, isProblem, staysWhole, type VerdictEntry } from "#pkg/verdict";
import packageJson from "../package.json" with { type: "json" };
import type { Controller } from "./controller.ts";
import { commonInputs } from "./core/index.ts";

export interface ApiOptions {
  /** The one at work, or the next one. */
  readonly terms: {
    readonly controller: Pick<Controller, "coreOptions" | "view" | "missing">;
  };
  readonly recorder: Recorder;
  readonly clock: Clock;
}

/**
 * Answers of a controller under `/v1`. A standby has decided nothing: it says so, and lists nothing. `?problems` leaves out what is
 * well, `?service=NAMESPACE/NAME` all other Services, and `?brief` details of Services that a list does not show; `=names` all but the names
 * of those that are well.
 */
export function controllerApi({ terms, recorder, clock }: ApiOptions): Routes {
  const date = (at: number) => dateOf(clock, at);
  const self = () => ({ program: "controller", version: packageJson.version, leader: terms.controller.view.isWorking });

  /** @param well gets the names of Services that are listed by these alone */
  function* services({ query }: RouteRequest, well?: string[]) {
    for (const { service, allocation, verdict, since } of terms.controller.view.statuses(
      query.get("service") ?? undefined,
      clock.now(),
    )) {
      if (query.has("problems") && !isProblem(verdict)) {
        yield undefined;
        continue;
      }
      if (well !== undefined && verdict.state === "Assigned") {
        well.push(service.key);
        yield undefined;
        continue;
      }
      const pool = allocation === undefined ? null : poolsOf(allocation).join(",");
      const addresses = allocation?.addresses ?? [];
      yield { service: service.key, pool, addresses: addresses.map(String), verdict: answer({ verdict, since }, date) };
    }
  }

  function* briefServices(asked: RouteRequest, well?: string[]) {
    for (const one of services(asked, well))
      yield one && new OneLine(staysWhole(asked.query, one.verdict) ? one : { ...one, verdict: brief(one.verdict) });
  }

  function* pools() {
    for (const { verdict, since, ...facts } of terms.controller.view.pools())
      yield { ...facts, verdict: answer({ verdict, since }, date) };
  }

  const configuration = () => configurationAnswer(terms.controller.view.configuration, date);

  function* verdicts(asked: RouteRequest): Iterable<VerdictEntry | undefined> {
    if (!terms.controller.view.isWorking) return;
    yield { kind: "configuration", name: "configuration", ...configuration().verdict };
    for (const { pool: name, verdict } of pools())
      if (!asked.query.has("problems") || isProblem(verdict)) yield { kind: "pool", name, ...verdict };
    for (const one of services(asked)) yield one && { kind: "service", name: one.service, ...one.verdict };
  }

  const recording = ({ query }: RouteRequest) => {
    const about = query.get("about");
    const entries = about === null ? describeRecording(recorder) : { found: findEntries(recorder, about, commonInputs, date) };
    return { ...self(), options: terms.controller.coreOptions, epoch: date(0), ...entries };
  };

  return {
    "/v1/recorder": json(recording),
    "/v1/verdicts": json((asked) => ({ ...self(), verdicts: verdicts(asked) })),
    "/v1/services": json((asked) => {
      const well: string[] | undefined = asked.query.get("brief") === "names" ? [] : undefined; // Filled while the others are read.
      return { ...self(), services: asked.query.has("brief") ? briefServices(asked, well) : services(asked), well };
    }),
    "/v1/pools": json(() => ({ ...self(), pools: pools() })),
    "/v1/configuration": json(() => ({ ...self(), missing: terms.controller.missing, ...configuration() })),
  };
}

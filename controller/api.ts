import { type Clock, dateOf } from "#pkg/clock";
import { type Asked, json, type Routes } from "#pkg/http";
import { fingerprint } from "#pkg/live-config";
import { answer, isProblem, type VerdictEntry } from "#pkg/verdict";
import packageJson from "../package.json" with { type: "json" };
import type { Controller } from "./controller.ts";

export interface ApiOptions {
  /** The one at work, or the next one. */
  readonly controller: () => Pick<Controller, "isWorking" | "missing" | "services" | "pools" | "configuration">;
  readonly clock: Clock;
}

/**
 * What a controller answers under `/v1`. One that stands by has decided nothing: it says so, and lists nothing.
 * `?problems` leaves out what is well, `?service=NAMESPACE/NAME` all other Services.
 */
export function controllerApi({ controller, clock }: ApiOptions): Routes {
  const date = (at: number) => dateOf(clock, at);
  const self = () => ({ program: "controller", version: packageJson.version, leader: controller().isWorking });

  function* services({ query }: Asked) {
    for (const { service, allocation, verdict, since } of controller().services(query.get("service") ?? undefined)) {
      if (query.has("problems") && !isProblem(verdict)) {
        yield undefined;
        continue;
      }
      const { pool = null, addresses = [] } = allocation ?? {};
      yield { service: service.key, pool, addresses: addresses.map(String), verdict: answer({ verdict, since }, date) };
    }
  }

  function* pools() {
    for (const { pool, protocol, total, inUse, full, verdict, since } of controller().pools())
      yield { pool, protocol, total, inUse, full, verdict: answer({ verdict, since }, date) };
  }

  const configuration = () => {
    const { inForce, verdict, since } = controller().configuration;
    return { hash: inForce === undefined ? null : fingerprint(inForce), verdict: answer({ verdict, since }, date) };
  };

  function* verdicts(asked: Asked): Iterable<VerdictEntry | undefined> {
    yield { kind: "configuration", name: "configuration", ...configuration().verdict };
    for (const { pool: name, verdict } of pools())
      if (!asked.query.has("problems") || isProblem(verdict)) yield { kind: "pool", name, ...verdict };
    for (const one of services(asked)) yield one && { kind: "service", name: one.service, ...one.verdict };
  }

  return {
    "/v1/verdicts": (asked) => json({ ...self(), verdicts: verdicts(asked) }),
    "/v1/services": (asked) => json({ ...self(), services: services(asked) }),
    "/v1/pools": () => json({ ...self(), pools: pools() }),
    "/v1/configuration": () => json({ ...self(), missing: controller().missing, ...configuration() }),
  };
}

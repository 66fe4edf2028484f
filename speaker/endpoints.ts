import { backOff, type Clock, type Millis, type Random, sleep } from "#pkg/clock";
import { ApiError, type Cluster, type EndpointSlice, type Resource, resources } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import type { Sources } from "./sources.ts";

const firstRetryMs: Millis = 500;
const maxRetryMs: Millis = 15_000;

export interface EndpointsChoice {
  readonly cluster: Pick<Cluster, "hasEndpointSlices">;
  /** Read Endpoints in any case. */
  readonly disableSlices: boolean;
  /** Told of each error before the next attempt. */
  readonly onFailure?: (error: ApiError) => void;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

/** Starts the sources once it is known where the API has endpoints. Until then the process is alive, and can be stopped. */
export function followEndpoints(choice: EndpointsChoice, sources: Pick<Sources, "start" | "startFails">): void {
  void chooseEndpoints({ ...choice, onFailure: (error) => sources.startFails(error) }).then(
    (endpoints) => sources.start(endpoints),
    (error: unknown) => {
      if (!(error instanceof ApiError)) throw error; // The cluster was disposed of.
    },
  );
}

/**
 * Where this API has the endpoints of Services: EndpointSlices, or Endpoints before Kubernetes 1.21. Asks until it answers.
 * @throws {ApiError} `Closed` when the cluster is disposed of meanwhile
 */
export async function chooseEndpoints({
  cluster,
  disableSlices,
  onFailure,
  log,
  clock,
  random,
}: EndpointsChoice): Promise<Resource<EndpointSlice>> {
  if (disableSlices) return resources.endpoints;
  for (let attempt = 0; ; attempt++) {
    try {
      return (await cluster.hasEndpointSlices()) ? resources.endpointSlices : resources.endpoints;
    } catch (error) {
      if (!(error instanceof ApiError) || error.reason === "Closed") throw error;
      onFailure?.(error);
      log.warn("cannot ask the API for EndpointSlices, trying again", { op: "startup", error });
      await sleep(clock, "endpoints choice", backOff(attempt, firstRetryMs, maxRetryMs, random));
    }
  }
}

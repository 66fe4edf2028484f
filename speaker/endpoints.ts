import { backOff, type Clock, type Millis, type Random } from "#pkg/clock";
import { ApiError, type Cluster, type EndpointSlice, type Resource, resources } from "#pkg/k8s";
import type { Log } from "#pkg/log";

const firstRetryMs: Millis = 500;
const longestRetryMs: Millis = 15_000;

export interface EndpointsChoice {
  readonly cluster: Pick<Cluster, "hasEndpointSlices">;
  /** Read Endpoints in any case. */
  readonly disableSlices: boolean;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Where this API tells which endpoints a Service has: EndpointSlices, or Endpoints before Kubernetes 1.21. Asks until it is told.
 * @throws {ApiError} `Closed` when the cluster is disposed of meanwhile
 */
export async function chooseEndpoints({
  cluster,
  disableSlices,
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
      log.warn("cannot ask the API for EndpointSlices, trying again", { op: "startup", error });
      const { promise, resolve } = Promise.withResolvers<void>();
      clock.schedule("endpoints choice", clock.now() + backOff(attempt, firstRetryMs, longestRetryMs, random), resolve);
      await promise;
    }
  }
}

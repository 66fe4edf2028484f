/** For tests: objects, a cluster whose informers see what a test says, and an API server with answers from the test. */
export { Cluster } from "../cluster.ts";
export type { HttpClient, Request } from "../http.ts";
export { selfSigned } from "./certificates.ts";
export {
  accessTo,
  advanceThrough,
  advanceUntilRun,
  close,
  clusterAt,
  type Exchange,
  FakeApi,
  LogLines,
  until,
} from "./fake-api.ts";
export { FakeCluster, FakeInformer } from "./fake-cluster.ts";
export { configMap, endpointSlice, namespace, node, pod, secret, service } from "./objects.ts";

#!/usr/bin/env node
import { randomBytes, randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { guarded, TokenAccess } from "#pkg/api-access";
import { SystemClock, systemRandom } from "#pkg/clock";
import { Checkpoints, Recorder } from "#pkg/core";
import type { FlagValues } from "#pkg/flags";
import { serve } from "#pkg/http";
import { connect, EventRecorder } from "#pkg/k8s";
import { LeaderElector } from "#pkg/leader-election";
import { releaseFreedMemory } from "#pkg/linux";
import { summaryConfigMap } from "#pkg/live-config";
import { createRegistry, metricsRoute } from "#pkg/metrics";
import { HeapTrimmer, liveness, podNamespace, readiness, runDaemon } from "#pkg/process";
import { readClasses } from "#pkg/service";
import { controllerApi } from "./api.ts";
import { Controller, sourceName } from "./controller.ts";
import { flags } from "./flags.ts";
import { MemberlistSecret } from "./memberlist-secret.ts";
import { ControllerMetrics, registerUsage } from "./metrics.ts";
import { Terms } from "./terms.ts";
import { startWebhook } from "./webhook/start-webhook.ts";

await runDaemon({
  usage: "ingot-controller: assigns addresses to Services of type LoadBalancer, as configured in a MetalLB ConfigMap.",
  flags,
  stopTimeoutMs: 9_500, // Within the 10 s that the Pod is given.
  settledAfterMs: 5_000, // Before a burst needs memory, too: a pool for Services that have waited for one. 10,000 of them are read within 2 s.
  async start(values, log) {
    await using stack = new AsyncDisposableStack();
    const clock = new SystemClock();
    const random = systemRandom;
    const namespace = podNamespace(values.namespace);
    const classes = readClasses(values["lb-class"], values["lb-class-default"]);
    const configSource = values["config-source"];
    log.info("controller starting", { op: "startup", namespace, configSource, configMap: values.config, node: process.version });

    const cluster = stack.use(connect({ kubeconfig: values.kubeconfig, userAgent: "ingot-controller", log, clock, random }));
    const events = stack.use(new EventRecorder(cluster, { component: "metallb-controller", namespace, log, clock }));
    const coreOptions = {
      seed: Math.trunc(random() * 2 ** 32),
      configMap: sourceName({ namespace, configMap: values.config, configSource }),
      hasConditions: values["service-conditions"],
      hasPoolAnnotations: values["pool-annotations"],
    };
    const checkpoints = stack.use(
      new Checkpoints({
        program: "controller",
        main: import.meta.url,
        options: coreOptions,
        onThreadEnd: releaseFreedMemory,
        log,
      }),
    );
    const recorder = new Recorder({ makeCheckpoint: checkpoints.make });
    const registry = createRegistry();
    const elector = values["leader-elect"]
      ? stack.use(new LeaderElector({ ...electorOptions(values), cluster, namespace, log, clock }))
      : alone;
    const metrics = new ControllerMetrics(registry);
    const common = { events, namespace, coreOptions, recorder, metrics, log, clock, random };
    const { informer, servedResources } = cluster;
    const reads = { informer: informer.bind(cluster), servedResources: servedResources.bind(cluster) };
    const fenced = { ...reads, ...cluster.fenced(() => elector.mayWrite) };
    const [name = "", uid] = values["status-objects"].split("/");
    const statusObject = uid === undefined ? {} : { statusObject: { cluster, owner: { name, uid } } };
    const terms = stack.use(
      new Terms(
        (restored) =>
          new Controller({
            ...common,
            restored,
            ...statusObject,
            cluster: fenced,
            elector,
            configMap: values.config,
            configSource,
            classes,
          }),
        log,
      ),
    );
    registerUsage(registry, terms, elector, clock);
    const tokens = new TokenAccess({ cluster, clock, log });
    const routes = {
      "/metrics": metricsRoute(registry),
      "/healthz": liveness,
      "/readyz": () => readiness({ missing: terms.controller.missing, refused: terms.controller.view.refused }),
      ...controllerApi({ terms, recorder, clock }),
    };
    const server = stack.use(await serve({ host: "", port: values.port, routes: guarded(routes, values, tokens), log }));
    log.info("serving metrics and health", { op: "startup", port: server.port });

    startWebhook({ ...common, cluster, values, terms, elector, stack });

    terms.start();
    elector.start(terms);
    const secret = values["ml-secret-name"];
    if (secret !== "") stack.use(new MemberlistSecret({ ...common, cluster, name: secret, randomBytes })).start();
    stack.use(new HeapTrimmer(clock));
    return stack.move();
  },
});

/** For `--leader-elect=false`. */
const alone: Pick<LeaderElector, "start" | "isLeader" | "mayWrite"> = {
  start: ({ lead }) => lead(),
  isLeader: true,
  mayWrite: true,
};

function electorOptions(values: FlagValues<typeof flags>) {
  const leaseMs = values["leader-elect-lease-duration"];
  return {
    name: values["leader-elect-resource-name"],
    writtenByLeader: summaryConfigMap,
    // As client-go's: a Pod's name comes again with the same container, this process does not.
    identity: `${hostname()}_${randomUUID()}`,
    timings: { leaseMs, renewDeadlineMs: leaseMs * 0.75, retryMs: leaseMs / 4 },
  };
}

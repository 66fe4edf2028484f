#!/usr/bin/env node
import { randomBytes } from "node:crypto";
import { Allocator } from "#pkg/allocator";
import { SystemClock, systemRandom } from "#pkg/clock";
import { serve } from "#pkg/http";
import { connect, EventRecorder } from "#pkg/k8s";
import { createRegistry, metricsRoute } from "#pkg/metrics";
import { liveness, podNamespace, readiness, runDaemon } from "#pkg/process";
import { Controller } from "./controller.ts";
import { flags } from "./flags.ts";
import { MemberlistSecret } from "./memberlist-secret.ts";
import { createMetrics } from "./metrics.ts";

await runDaemon({
  usage: "ingot-controller: assigns addresses to Services of type LoadBalancer, as configured in a MetalLB ConfigMap.",
  flags,
  stopTimeoutMs: 9_500, // Within the 10 s that the Pod is given.
  async start(values, log) {
    await using stack = new AsyncDisposableStack();
    const clock = new SystemClock();
    const random = systemRandom;
    const namespace = podNamespace(values.namespace);
    log.info("controller starting", { op: "startup", namespace, configMap: values.config, node: process.version });

    const cluster = stack.use(connect({ kubeconfig: values.kubeconfig, userAgent: "ingot-controller", log, clock, random }));
    const events = stack.use(new EventRecorder(cluster, { component: "metallb-controller", log, clock }));
    const allocator = new Allocator();
    const registry = createRegistry();
    const metrics = createMetrics(registry, allocator);
    const common = { cluster, events, namespace, allocator, metrics, log, clock, random };
    const controller = stack.use(new Controller({ ...common, configMap: values.config }));
    const routes = {
      "/metrics": metricsRoute(registry),
      "/healthz": liveness,
      "/readyz": () => readiness(controller),
    };
    const server = stack.use(await serve({ host: "", port: values.port, routes, log }));
    log.info("serving metrics and health", { op: "startup", port: server.port });

    controller.start();
    const secret = values["ml-secret-name"];
    if (secret !== "") {
      const owned = { name: secret, deployment: values.deployment };
      stack.use(new MemberlistSecret({ ...common, ...owned, randomBytes })).start();
    }
    return stack.move();
  },
});

#!/usr/bin/env node
import { SystemClock, systemRandom } from "#pkg/clock";
import { serve } from "#pkg/http";
import { connect, EventRecorder, serviceReference } from "#pkg/k8s";
import { Layer2, Layer2Error } from "#pkg/layer2";
import { createRegistry, KubernetesMetrics, metricsRoute } from "#pkg/metrics";
import { podNamespace, runDaemon } from "#pkg/process";
import { chooseEndpoints } from "./endpoints.ts";
import { flags } from "./flags.ts";
import { readiness } from "./health.ts";
import { registerAnnouncements, registerLayer2 } from "./metrics.ts";
import { PodMembers } from "./pod-members.ts";
import { Sources } from "./sources.ts";
import { Speaker } from "./speaker.ts";

await runDaemon({
  usage: "ingot-speaker: announces the addresses of Services from the node that it runs on.",
  flags,
  stopTimeoutMs: 10_000,
  async start(values, log) {
    await using stack = new AsyncDisposableStack();
    const clock = new SystemClock();
    const random = systemRandom;
    const namespace = podNamespace(values.namespace);
    const node = values["node-name"];
    if (node === "") throw new Error("Cannot tell which node this is: give --node-name or METALLB_NODE_NAME");
    log.info("speaker starting", { op: "startup", namespace, configMap: values.config, node });

    const cluster = stack.use(connect({ kubeconfig: values.kubeconfig, userAgent: "ingot-speaker", log, clock, random }));
    const events = stack.use(new EventRecorder(cluster, { component: "metallb-speaker", host: node, log, clock }));
    const layer2 = stack.use(new Layer2({ log }));
    const speaker = new Speaker({
      ...{ node, layer2, log },
      active: () => members.active(),
      wake: () => setImmediate(() => speaker.reconcile()),
      announced: (service) =>
        events.record(serviceReference(service), "Normal", "nodeAssigned", `announcing from node "${node}"`),
    });
    const members = new PodMembers({
      ...{ cluster, namespace, labels: values["ml-labels"] },
      changed: () => {
        log.info("active speakers changed", { event: "membersChanged", nodes: members.active() });
        speaker.membersChanged();
        sources?.check();
      },
    });
    const registry = createRegistry();
    const metrics = new KubernetesMetrics(registry);
    registerAnnouncements(registry, node, speaker);
    registerLayer2(registry, layer2);

    let sources: Sources | undefined;
    let failed: string | undefined;
    const routes = {
      "/metrics": metricsRoute(registry),
      "/healthz": () => ({ status: 200, contentType: "text/plain", body: "ok\n" }),
      "/readyz": () => readiness({ missing: sources?.missing ?? ["the API"], failed, refused: sources?.refused }),
    };
    stack.use(await serve({ host: values.host, port: values.port, routes, log }));
    try {
      await layer2.start();
    } catch (error) {
      if (!(error instanceof Layer2Error)) throw error;
      // Other protocols do without it; and an unready speaker is no candidate.
      log.error("layer 2 is not available on this node", { op: "startup", error });
      failed = error.message;
    }
    const running = stack.move();
    // Not awaited: until the API answers, the process is well and can be stopped.
    void chooseEndpoints({ cluster, disableSlices: values["disable-epslices"], log, clock, random }).then((endpoints) => {
      if (running.disposed) return;
      const options = { cluster, namespace, configMap: values.config, endpoints, members, speaker, metrics, log };
      sources = running.use(new Sources(options));
      sources.start();
    });
    return running;
  },
});

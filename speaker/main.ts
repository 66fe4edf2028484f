#!/usr/bin/env node
import { guarded, TokenAccess } from "#pkg/api-access";
import { SystemClock, systemRandom } from "#pkg/clock";
import { serve } from "#pkg/http";
import { connect, EventRecorder } from "#pkg/k8s";
import { Layer2 } from "#pkg/layer2";
import { podNamespace, runDaemon } from "#pkg/process";
import { readClasses } from "#pkg/service";
import { speakerApi } from "./api.ts";
import { startBgp } from "./bgp/start-bgp.ts";
import { carryOut } from "./carry-out.ts";
import { viewAgeSeconds } from "./core/api-view.ts";
import { createState } from "./core/state.ts";
import { CoreRunner } from "./core-runner.ts";
import { followEndpoints } from "./endpoints.ts";
import { flags } from "./flags.ts";
import { createMembers, whyNoRing } from "./members/create-members.ts";
import { speakerMetrics } from "./metrics.ts";
import { createChecks, startLayer2 } from "./node-facts.ts";
import { ObjectVerdicts } from "./object-verdicts.ts";
import { OccupantsWriter } from "./occupants-writer.ts";
import { nodeFactsOf, speakerRoutes } from "./routes.ts";
import { Sources } from "./sources.ts";

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
    const classes = readClasses(values["lb-class"], values["lb-class-default"]);
    log.info("speaker starting", { op: "startup", namespace, configMap: values.config, node });

    // The drivers. What they deliver before the core is started waits for it.
    const runner = new CoreRunner(clock, random);
    const emit = runner.dispatch;
    const cluster = stack.use(connect({ kubeconfig: values.kubeconfig, userAgent: "ingot-speaker", log, clock, random }));
    const common = { cluster, namespace, node, clock, random, log };
    const events = stack.use(new EventRecorder(cluster, { component: "metallb-speaker", host: node, log, clock }));
    const layer2 = stack.use(
      new Layer2({
        log,
        refreshMs: values["layer2-refresh"],
        onInterfaces: (interfaces) => emit({ type: "interfaces", interfaces }),
        onSighting: (sighting) => emit({ type: "sighting", sighting }),
      }),
    );
    const failed = await startLayer2(layer2, log);
    const { bgp, bfd } = stack.use(await startBgp({ ...common, port: values["bgp-port"] }));
    const occupants = stack.use(new OccupantsWriter(common));
    const noRing = whyNoRing(values, failed, log);
    const { members, memberlist } = createMembers({ ...common, values, noRing, interfaces: layer2.interfaces(), emit });
    stack.use(members);
    stack.defer(() => layer2.stopAnnouncing()); // The next to go is the ring, and this node answers until its successors do.

    // The core, and what looks at it.
    stack.use(runner);
    const state = createState({ node, ignoreExcludeLabel: values["ignore-exclude-lb"], hasRing: noRing === undefined });
    const checks = stack.use(createChecks({ state, layer2, clock, log }));
    const viewAge = () => viewAgeSeconds(state, clock.now());
    const { registry, metrics, timings } = speakerMetrics({ state, layer2, bgp, bfd, memberlist, checks, viewAge });
    const sources = stack.use(new Sources({ ...common, configMap: values.config, classes, metrics, emit }));
    const nodeFacts = () => nodeFactsOf({ sources, state, members, failed, checks, bfd, viewAge });
    const objects = stack.use(new ObjectVerdicts({ state, nodeFacts, clock }));
    const tokens = new TokenAccess({ cluster, clock, log });
    const routes = {
      ...speakerRoutes({ registry, sources, failed, checks, state, bgp, bfd, members, viewAge }),
      ...speakerApi({ state, sources, objects, bgp, bfd, members, clock }),
    };
    stack.use(await serve({ host: values.host, port: values.port, routes: guarded(routes, values, tokens), log }));

    const drivers = { runner, layer2, occupants, bgp, members, sources, checks, events, timings, log };
    runner.start(state, (effect) => carryOut(drivers, effect));
    checks.start();
    objects.start();
    followEndpoints({ ...common, disableSlices: values["disable-epslices"] }, sources);
    return Object.assign(stack.move(), { leave: () => bgp.leave() });
  },
});

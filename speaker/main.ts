#!/usr/bin/env node
import { SystemClock, systemRandom } from "#pkg/clock";
import { serve } from "#pkg/http";
import { connect, EventRecorder, serviceReference } from "#pkg/k8s";
import { Layer2, Layer2Error } from "#pkg/layer2";
import { createRegistry, KubernetesMetrics } from "#pkg/metrics";
import { NodeChecks } from "#pkg/node-checks";
import { podNamespace, runDaemon } from "#pkg/process";
import { registerBfd, registerBgp } from "./bgp/metrics.ts";
import { startBgp } from "./bgp/start-bgp.ts";
import { carryOut } from "./carry-out.ts";
import { Conflicts } from "./conflicts/conflicts.ts";
import { registerConflicts } from "./conflicts/metrics.ts";
import type { ClusterEvent, MemberEvents } from "./core/events.ts";
import { holdersOf } from "./core/services.ts";
import { createState } from "./core/state.ts";
import { CoreRunner } from "./core-runner.ts";
import { chooseEndpoints } from "./endpoints.ts";
import { flags } from "./flags.ts";
import { chooseMembers, whyNoRing } from "./members/choose-members.ts";
import { macsOf } from "./members/mac-table.ts";
import { registerMemberlist } from "./members/metrics.ts";
import { registerAnnouncements, registerLayer2, registerNodeWarnings } from "./metrics.ts";
import { announcedByLayer2, servedElsewhere } from "./node-facts.ts";
import { speakerRoutes } from "./routes.ts";
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
    log.info("speaker starting", { op: "startup", namespace, configMap: values.config, node });

    const runner = new CoreRunner(clock);
    const cluster = stack.use(connect({ kubeconfig: values.kubeconfig, userAgent: "ingot-speaker", log, clock, random }));
    const events = stack.use(new EventRecorder(cluster, { component: "metallb-speaker", host: node, log, clock }));
    const layer2 = stack.use(
      new Layer2({
        log,
        refreshMs: values["layer2-refresh"],
        onInterfaces: (interfaces) => runner.dispatch({ type: "interfaces", interfaces }),
        onSighting: (sighting) => conflicts.handleSighting(sighting),
      }),
    );
    let failed: string | undefined;
    try {
      await layer2.start();
    } catch (error) {
      if (!(error instanceof Layer2Error)) throw error;
      // Other protocols do without it, and this node is no candidate.
      log.error("layer 2 is not available on this node", { op: "startup", error });
      failed = error.message;
    }
    const { bgp, bfd } = stack.use(await startBgp({ port: values["bgp-port"], node, cluster, namespace, clock, random, log }));
    const noRing = whyNoRing(values, failed === undefined);
    if (noRing !== undefined)
      log.info("no speakers' ring, nodes with a ready speaker Pod are active", { op: "startup", reason: noRing });
    const state = createState({ node, ignoreExcludeLabel: values["ignore-exclude-lb"], hasRing: noRing === undefined });
    const checks = stack.use(
      new NodeChecks({
        node,
        log,
        clock,
        interfaces: () => layer2.interfaces(),
        pools: () => state.config?.config.pools ?? [],
        announced: () => announcedByLayer2(state),
        forwarded: (family) => servedElsewhere(state, family),
      }),
    );
    const conflicts = new Conflicts({
      cluster,
      namespace,
      node,
      active: () => state.members.active,
      layer2,
      record: (service, type, reason, message) => events.record(serviceReference(service), type, reason, message),
      log,
      clock,
      random,
      interfaces: (address) => state.config?.pools.find(address)?.interfaces ?? [],
      nodeOf: (mac) => macTable?.nodeOf(mac),
      electionAddress: (address) => state.placements.get(address.toString())?.electionAddress ?? address,
      services: (address) =>
        holdersOf(state.services, address).flatMap(({ service }) => state.services.rows.get(service)?.service ?? []),
    });
    const { defender, quarantine } = conflicts;
    stack.use(quarantine);
    const registry = createRegistry();
    const metrics = new KubernetesMetrics(registry);
    registerAnnouncements(registry, state);
    registerLayer2(registry, layer2);
    registerBgp(registry, bgp);
    registerBfd(registry, bfd);
    registerConflicts(registry, conflicts);
    registerNodeWarnings(registry, checks);

    const { members, memberlist, macTable } = chooseMembers({
      values,
      cluster,
      namespace,
      node,
      log,
      clock,
      random,
      noRing,
      macs: macsOf(layer2.interfaces()),
      emit: (event: MemberEvents) => {
        runner.dispatch(event);
        if (event.type === "members") defender.membersChanged();
      },
    });
    if (memberlist !== undefined) registerMemberlist(registry, memberlist);
    stack.use(members);
    stack.use(runner);
    stack.defer(() => layer2.stopAnnouncing()); // The next to go is the ring, and this node answers until its successors do.

    stack.use(defender);
    const sources = stack.use(
      new Sources({
        cluster,
        namespace,
        configMap: values.config,
        metrics,
        log,
        emit: (event: ClusterEvent) => {
          if (event.type === "quarantine") quarantine.set(event.data);
          else runner.dispatch(event);
        },
      }),
    );
    const routes = speakerRoutes({ registry, sources, failed, checks, state, bgp, bfd, members, conflicts });
    stack.use(await serve({ host: values.host, port: values.port, routes, log }));
    checks.start();
    quarantine.start();
    runner.start(state, (effect) =>
      carryOut({ runner, layer2, defender, bgp, members, macTable, sources, checks, events, log }, effect),
    );
    const running = stack.move();
    // Not awaited: until the API answers, the process is well and can be stopped.
    void chooseEndpoints({ cluster, disableSlices: values["disable-epslices"], log, clock, random }).then(
      (endpoints) => sources.start(endpoints),
      (error: unknown) => {
        if (!running.disposed) throw error;
      },
    );
    return Object.assign(running, { leave: () => bgp.leave() });
  },
});

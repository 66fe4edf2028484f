#!/usr/bin/env node
import { SystemClock, systemRandom } from "#pkg/clock";
import { serve } from "#pkg/http";
import {
  connect,
  type EndpointSlice,
  type EventReason,
  EventRecorder,
  type Resource,
  type Service,
  serviceReference,
} from "#pkg/k8s";
import { Layer2, Layer2Error } from "#pkg/layer2";
import { createRegistry, KubernetesMetrics } from "#pkg/metrics";
import { NodeChecks } from "#pkg/node-checks";
import { podNamespace, runDaemon } from "#pkg/process";
import { registerBfd, registerBgp } from "./bgp/metrics.ts";
import { startBgp } from "./bgp/start-bgp.ts";
import { Conflicts } from "./conflicts/conflicts.ts";
import { registerConflicts } from "./conflicts/metrics.ts";
import { chooseEndpoints } from "./endpoints.ts";
import { flags } from "./flags.ts";
import { chooseMembers } from "./members/choose-members.ts";
import { type MacTable, macsOf } from "./members/mac-table.ts";
import { registerMemberlist } from "./members/metrics.ts";
import { registerAnnouncements, registerLayer2, registerNodeWarnings } from "./metrics.ts";
import { announcedHere, servedElsewhere } from "./node-facts.ts";
import { speakerRoutes } from "./routes.ts";
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
    let sources: Sources | undefined;
    let macTable: MacTable | undefined;
    const layer2 = stack.use(
      new Layer2({
        log,
        refreshMs: values["layer2-refresh"],
        onInterfaces: (interfaces) => {
          checks.changed();
          macTable?.setOwn(macsOf(interfaces));
          if (sources !== undefined) speaker.interfacesChanged();
        },
        onSighting: (sighting) => conflicts.handleSighting(sighting),
      }),
    );
    const checks = stack.use(
      new NodeChecks({
        node,
        log,
        clock,
        interfaces: () => layer2.interfaces(),
        pools: () => sources?.pools ?? [],
        announced: () => announcedHere(speaker),
        forwarded: (family) => servedElsewhere(speaker, node, family),
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
    const active = () => members.active();
    const record = (service: Service, type: "Normal" | "Warning", reason: EventReason, message: string) =>
      events.record(serviceReference(service), type, reason, message);
    const conflicts = new Conflicts({
      cluster,
      namespace,
      node,
      active,
      layer2,
      record,
      log,
      clock,
      random,
      interfaces: (address) => sources?.interfaces(address) ?? [],
      nodeOf: (mac) => macTable?.nodeOf(mac),
      electionAddress: (address) => speaker.placement(address)?.electionAddress ?? address,
      services: (address) => speaker.holders(address).flatMap(({ service }) => speaker.service(service) ?? []),
    });
    const { defender, quarantine } = conflicts;
    stack.use(quarantine);
    const speaker = new Speaker({
      node,
      active,
      layer2: defender,
      bgp,
      log,
      gossip: () => members.gossip,
      later: (delay, fn) => clock.schedule("patience", clock.now() + delay, fn),
      interfaces: () => layer2.interfaces(),
      ignoreExcludeLabel: values["ignore-exclude-lb"],
      wake: () =>
        setImmediate(() => {
          speaker.reconcile();
          checks.changed();
        }),
      announced: (service) => record(service, "Normal", "nodeAssigned", `announcing from node "${node}"`),
      unannounced: (service, reason, message) => record(service, "Warning", reason, message),
    });
    const registry = createRegistry();
    const metrics = new KubernetesMetrics(registry);
    registerAnnouncements(registry, node, speaker);
    registerLayer2(registry, layer2);
    registerBgp(registry, bgp);
    registerBfd(registry, bfd);
    registerConflicts(registry, conflicts);
    registerNodeWarnings(registry, checks);

    const { members, memberlist, ...chosen } = chooseMembers({
      values,
      cluster,
      namespace,
      node,
      log,
      clock,
      random,
      canAnnounce: failed === undefined,
      macs: macsOf(layer2.interfaces()),
      changed: () => {
        log.info("active speakers changed", { event: "membersChanged", nodes: members.active() });
        speaker.membersChanged();
        defender.membersChanged();
        sources?.check();
      },
      gossipChanged: (changes) => speaker.gossipChanged(changes),
      reclaim: () => {
        log.info("the others took this node for gone, announcing again", { event: "reclaimed", nodes: members.active() });
        speaker.reclaim();
      },
    });
    macTable = chosen.macTable;
    if (memberlist !== undefined) registerMemberlist(registry, memberlist);
    stack.use(members);
    stack.defer(() => layer2.stopAnnouncing()); // The next to go is the ring, and this node answers until its successors do.

    stack.use(defender);
    const routes = speakerRoutes({ registry, sources: () => sources, failed, checks, speaker, bgp, bfd, members, conflicts });
    stack.use(await serve({ host: values.host, port: values.port, routes, log }));
    checks.start();
    quarantine.start();
    const running = stack.move();
    const follow = (endpoints: Resource<EndpointSlice>) => {
      if (running.disposed) return;
      sources = running.use(
        new Sources({
          cluster,
          namespace,
          configMap: values.config,
          node,
          endpoints,
          metrics,
          log,
          members,
          speaker,
          bgp,
          quarantine,
          configured: () => checks.changed(),
          layer2Ahead: () => void layer2.begin(),
        }),
      );
      sources.start();
    };
    const stopped = (error: unknown) => {
      if (!running.disposed) throw error;
    };
    // Not awaited: until the API answers, the process is well and can be stopped.
    void chooseEndpoints({ cluster, disableSlices: values["disable-epslices"], log, clock, random }).then(follow, stopped);
    return Object.assign(running, { leave: () => bgp.leave() });
  },
});

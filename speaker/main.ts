#!/usr/bin/env node
import { randomBytes } from "node:crypto";
import { guarded, TokenAccess } from "#pkg/api-access";
import { SystemClock, systemRandom } from "#pkg/clock";
import { Checkpoints, CoreRunner, hideByKey, Recorder, recordLine } from "#pkg/core";
import { centralName } from "#pkg/gossip";
import { FlowCounter, type HandoverFailures, HandoverKeeper, type Inherited } from "#pkg/handover";
import { serve } from "#pkg/http";
import { connect, controllerLease, EventRecorder } from "#pkg/k8s";
import { Asker, Layer2 } from "#pkg/layer2";
import { releaseFreedMemory, whyDescriptorsStay } from "#pkg/linux";
import { podNamespace, runDaemon } from "#pkg/process";
import { readClasses } from "#pkg/service";
import { compileSooner, saveWhileLoading } from "#pkg/threads";
import { speakerApi } from "./api.ts";
import { watchSessions } from "./bgp/session-watch.ts";
import { startBgp } from "./bgp/start-bgp.ts";
import { carryOut, mayWrite, written } from "./carry-out.ts";
import { ConfigMapWriter } from "./config-map-writer.ts";
import { createState, SpeakerView, speakerCore } from "./core/index.ts";
import { DataPath } from "./data-path.ts";
import { followEndpoints } from "./endpoints.ts";
import { Faults } from "./faults.ts";
import { flags } from "./flags.ts";
import { FollowedRoutes } from "./followed-routes.ts";
import { addressesOn } from "./health-client.ts";
import { createKernel } from "./kernel.ts";
import { lastConnections } from "./last-connections.ts";
import { createMembers, whyNoRing } from "./members/create-members.ts";
import { FastPath } from "./members/fast-path.ts";
import { NodePaths } from "./members/node-paths.ts";
import { speakerMetrics } from "./metrics.ts";
import { createChecks, startLayer2 } from "./node-facts.ts";
import { ObjectVerdicts } from "./object-verdicts.ts";
import { Prober } from "./prober.ts";
import { nodeFactsOf, speakerRoutes, whatIsMissing } from "./routes.ts";
import { SelfTest } from "./self-test.ts";
import { Sources } from "./sources.ts";
import { StatusObjects } from "./status-objects/status-objects.ts";
import { ToldInterfaces } from "./told-interfaces.ts";
import { UnassignedServices } from "./unassigned-services.ts";

await runDaemon({
  usage: "ingot-speaker: announces the addresses of Services from the node that it runs on.",
  flags,
  stopTimeoutMs: 10_000,
  settled: compileSooner, // At rest the ring's thread takes most of a speaker's processor time.
  async start(values, log) {
    await using stack = new AsyncDisposableStack();
    const clock = new SystemClock();
    const random = systemRandom;
    const namespace = podNamespace(values.namespace);
    const node = values["node-name"];
    if (node === "") throw new Error("Cannot tell which node this is: give --node-name or METALLB_NODE_NAME");
    const announceFor = values["announce-for"];
    const isCentral = announceFor === "all";
    const member = isCentral ? centralName(node) : node;
    const classes = readClasses(values["lb-class"], values["lb-class-default"]);
    const configSource = values["config-source"];
    saveWhileLoading();
    log.info("speaker starting", { op: "startup", namespace, configSource, configMap: values.config, node });
    if (whyDescriptorsStay !== undefined)
      log.warn("sockets of a thread that is terminated stay open until the speaker ends", { error: whyDescriptorsStay });

    // The drivers. Their events wait for the start of the core.
    const runner = new CoreRunner(speakerCore, clock, random);
    const emit = runner.dispatch;
    const cluster = stack.use(connect({ kubeconfig: values.kubeconfig, userAgent: "ingot-speaker", log, clock, random }));
    const common = { cluster, namespace, node: member, clock, random, log };
    const events = stack.use(new EventRecorder(cluster, { component: "metallb-speaker", namespace, host: node, log, clock }));
    const kernel = stack.use(createKernel({ ...common, events, emit }));
    const onFailures = (failures: HandoverFailures) => emit({ type: "handoverFailures", failures });
    const onInherited = (inherited: Inherited) => emit({ type: "inherited", inherited });
    const handovers = stack.use(new HandoverKeeper({ onFailures, onInherited, log, clock }));
    const flowCounter = stack.use(new FlowCounter({ onCounts: (counts) => emit({ type: "flows", counts }), log, clock }));
    const toldInterfaces = new ToldInterfaces(kernel, (interfaces) => emit({ type: "interfaces", interfaces }));
    const layer2 = stack.use(
      new Layer2({
        log,
        refreshMs: values["layer2-refresh"],
        onInterfaces: toldInterfaces.update,
        onSighting: (sighting) => emit({ type: "sighting", sighting }),
      }),
    );
    const failed = await startLayer2(layer2, announceFor, log);
    const { bgp, bfd } = stack.use(
      await startBgp({ ...common, interfaces: () => layer2.interfaces(), port: values["bgp-port"] }),
    );
    const noRing = whyNoRing(values, failed, log);
    // Members of the ring are joined by what they have told the core.
    const options = { node: member, announceFor, ignoreExcludeLabel: values["ignore-exclude-lb"], hasRing: noRing === undefined };
    const state = createState(options);
    const configMaps = stack.use(new ConfigMapWriter({ ...common, mayWrite: mayWrite(state), onWritten: written(member, emit) }));
    const { gossip } = state.members;
    const ofRing = { values, noRing, interfaces: layer2.interfaces(), layer2, gossip, emit };
    const { members, memberlist } = createMembers({ ...common, ...ofRing });
    stack.use(members);
    const nodePaths = isCentral ? new NodePaths(emit) : undefined;
    const pathsFor = nodePaths ?? memberlist;
    const fastPath = pathsFor && stack.use(new FastPath({ memberlist: pathsFor, bfd, clock }));
    stack.defer(() => layer2.stopAnnouncing()); // The next to go is the ring, and this node answers until its successors do.

    // The core, and what looks at it.
    stack.use(runner);
    const view = new SpeakerView(state);
    const checkpoints = stack.use(
      new Checkpoints({ program: "speaker", main: import.meta.url, options, onThreadEnd: releaseFreedMemory, log }),
    );
    const recorder = new Recorder({ makeCheckpoint: checkpoints.make });
    const hide = hideByKey(randomBytes(32));
    runner.onStep = ({ event, now }, effects) => recorder.add(recordLine(speakerCore, { event, now }, effects, hide));
    const checks = stack.use(createChecks({ view, layer2, kernel, clock, log }));
    const asker = new Asker(clock, random);
    const selfTest = stack.use(new SelfTest({ view, layer2, asker, emit, clock, log }));
    const api = { host: process.env.KUBERNETES_SERVICE_HOST ?? "", port: Number(process.env.KUBERNETES_SERVICE_PORT) };
    const lanFaults = () => checks.lanFaults();
    const ownAddresses = () => addressesOn(view.ownInterfaces);
    const ofPath = { view, lanFaults, ownAddresses, api: api.host === "" ? undefined : api };
    const dataPath = isCentral ? undefined : stack.use(new DataPath({ ...ofPath, emit, clock, log }));
    const prober = new Prober({ view, layer2, asker, members, cluster: common.cluster });
    const viewAge = () => view.viewAgeSeconds(clock.now());
    const { registry, metrics, timings } = speakerMetrics({
      view,
      layer2,
      bgp,
      bfd,
      kernel,
      handovers,
      memberlist,
      checks,
      configMaps,
      viewAge,
    });
    const sources = stack.use(
      new Sources({ ...common, hasNodeAddresses: isCentral, configMap: values.config, configSource, classes, metrics, emit }),
    );
    const nodeFacts = () => nodeFactsOf({ sources, view, members, configMaps, fastPath, failed, checks, bfd, viewAge });
    const missing = () => whatIsMissing(sources, view, members);
    const objects = stack.use(new ObjectVerdicts({ view, nodeFacts, clock }));
    const faults = stack.use(new Faults({ node, bgp, checks, objects, events, emit, clock }));
    const unassigned = stack.use(new UnassignedServices({ ...common, view, lease: controllerLease, events }));
    const tokens = new TokenAccess({ cluster, clock, log });
    const routes = {
      ...speakerRoutes({ registry, sources, failed, checks, view, bgp, bfd, kernel, members, viewAge }),
      ...speakerApi({ view, sources, objects, bgp, bfd, kernel, members, missing, recorder, selfTest, prober, clock }),
    };
    stack.use(await serve({ host: values.host, port: values.port, routes: guarded(routes, values, tokens), log }));

    const followedRoutes = stack.use(new FollowedRoutes({ layer2, emit, clock, log }));
    const drivers = {
      runner,
      layer2,
      configMaps,
      bgp,
      followedRoutes,
      toldInterfaces,
      kernel,
      handovers,
      flowCounter,
      members,
      fastPath,
      nodePaths,
      sources,
      dataPath,
      checks,
      events,
      timings,
      log,
    };
    runner.start(state, (effect) => carryOut(drivers, effect));
    objects.start();
    stack.use(watchSessions({ bgp, emit, clock }));
    if (!isCentral) {
      kernel.check();
      checks.start();
      selfTest.start();
    }
    const [name = "", uid] = values["status-objects"].split("/");
    if (uid !== undefined) stack.use(new StatusObjects({ ...common, owner: { name, uid }, view, bgp, sources })).start();
    faults.start();
    unassigned.start();
    followEndpoints({ ...common, disableSlices: values["disable-epslices"] }, sources);
    // Our own routes go before the addresses do, which still take what is on its way.
    const leave = async () => {
      await bgp.leave();
      await kernel.stop();
      emit({ type: "leaving" });
    };
    const linger = () => lastConnections({ view, graceMs: values["connection-grace"], clock, log });
    return Object.assign(stack.move(), { leave, linger });
  },
});

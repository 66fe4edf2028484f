import assert from "node:assert/strict";
import { patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { steps } from "../steps.ts";
import { BorderRouter, ClientRouter, peer } from "./border-router.ts";
import { config, InstalledCluster, namespace, routedPool } from "./installed.ts";
import { assertNothingLost, print } from "./packets.ts";

const hosts = [11, 12, 13];

const step = steps(async () => {
  const on = await InstalledCluster.start({ nodes: hosts.length });
  await on.deploy(2);
  const profile = "bfd-profiles: [{name: fast, receive-interval: 300, transmit-interval: 300}]";
  const watched = `${peer}    bfd-profile: fast\n`;
  const toClient = watched.replace("peers:\n", "").replace("172.30.0.2\n", `${on.cluster.client.ipv4}\n`).trimStart();
  await on.install(`${watched}  ${toClient}${profile}${config}${routedPool}`);
  return on;
});

// BIRD refuses a node for a minute after what it takes for a failure; it takes the end of BFD for one, and so does FRR.
step("rolling the DaemonSet costs no packet by BGP with BFD, beside BIRD and FRR", async (on) => {
  const detection = { holdTimeSeconds: 20, bfd: { intervalMs: 300, multiplier: 3 } };
  const far = await on.serve("far", { loadBalancerIP: "198.51.100.7" });
  const byFrr = await on.serve("by-frr", { loadBalancerIP: "198.51.100.8" });
  const bird = await BorderRouter.start(on, hosts, { ...detection, errorWaitSeconds: 60 });
  const frr = await ClientRouter.start(on, hosts, byFrr, detection);
  const settled = async () => {
    for (const hops of [await bird.kernelHops(far), await frr.kernelHops()]) assert.equal(hops.length, hosts.length);
    for (const { host } of on.cluster.nodes) {
      const { body } = await host.get("http://127.0.0.1:7472/metrics");
      assert.equal(body.match(/^metallb_bfd_session_up\{[^}]*\} 1$/gm)?.length, 2);
    }
    return true;
  };
  await waitFor("routes and BFD of all nodes", settled, patience);
  const streamed = await on.streaming({ far, byFrr }, async () => {
    await on.kubectl("-n", namespace, "rollout", "restart", "daemonset/speaker");
    await on.rolledOut("daemonset/speaker");
    await waitFor("routes and BFD of all nodes again", settled, patience);
  });
  print("rolled with BFD", streamed);
  assertNothingLost(streamed);
});

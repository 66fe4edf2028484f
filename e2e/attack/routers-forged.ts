import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { DemoCluster } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { startRouter } from "#e2e/routers";
import type { Scene } from "./scene.ts";

const routerAsn = 65012;
const floodMs = 30_000;
// A router has its turn for 30 s, and so has the forger in between; the speaker's attempts are some seconds apart.
const patience = { timeout: 150_000 };

const text = `protocol radv {
  interface "eth0" { max ra interval 10; default lifetime 0; };
}
protocol bgp node {
  local as ${routerAsn};
  neighbor range fe80::/10 external;
  interface "eth0";
  hold time 3;
  ttl security on;
  ipv4 { extended next hop on; import all; export none; };
}
`;

interface PeerView {
  readonly state: string;
  readonly router?: string;
}

/** A host on a link of which the node looks for the router by advertisements (unnumbered). */
export const routersForged: Scene = {
  name: "routers-forged",
  tried:
    "a host on the link of an unnumbered peer sends 500 router advertisements a second, each from another address, before the router is there, while it is, and while it restarts",
  async run(logs) {
    await using cluster = await DemoCluster.start({ logs, nodes: 1 });
    const { lab } = cluster;
    const [node] = cluster.nodes;
    if (node === undefined) throw new Error("Cannot attack: the cluster has no node");
    const link = await lab.switch("link1");
    await node.host.attach(link);
    const [attacker, host] = [await lab.host("attacker"), await lab.host("bird1", { forwarding: true })];
    await attacker.attach(link);
    await host.attach(link);
    const began = performance.now();
    const file = fileURLToPath(new URL("./forge-routers.ts", import.meta.url));
    await using forger = await attacker.spawn("forger", [process.execPath, file, await attacker.link("eth0").mac()]);
    await forger.waitForLine(/^sending$/);
    await cluster.configure(`peers:
- {my-asn: 65001, peer-asn: ${routerAsn}, interface: eth1, hold-time: 3s, connect-time: 1s, ttl-security: 1}
address-pools:
- {name: main, protocol: bgp, addresses: [198.51.100.0/24]}
`);
    const view = async (): Promise<PeerView | undefined> =>
      (JSON.parse((await node.speaker.get("/v1/bgp/peers")).body) as PeerView[])[0];
    const established = async () => (await view())?.state === "established";
    const verdict = async () => (await node.speaker.get("/v1/verdicts")).body;
    await node.speaker.process.waitForLine(/"routerFound".*"router":"fe80::bad:/); // The forger is taken for one.
    const bird = await startRouter("bird", { lab, host }, { asn: routerAsn, routerId: "10.255.0.2", neighbors: [], text });
    await using stack = new AsyncDisposableStack();
    stack.use(bird);
    const started = performance.now();
    await waitFor("a session with the router", established, patience);
    const first = (performance.now() - started) / 1000;
    let down = 0;
    for (const ends = performance.now() + floodMs; performance.now() < ends; await sleep(500)) if (!(await established())) down++;
    const others = new Set((await verdict()).match(/fe80::bad:[0-9a-f:]+/g) ?? []).size;
    await bird.stop("SIGKILL");
    await waitFor("the session to be over", async () => !(await established()), patience);
    const restarted = performance.now();
    await bird.start();
    await waitFor("a session with the router again", established, patience);
    const again = (performance.now() - restarted) / 1000;
    await forger.stop();
    const sent = Number(/^sent (\d+)$/m.exec(forger.lines.join("\n"))?.[1] ?? 0);
    return {
      seconds: (performance.now() - began) / 1000,
      effect: `${sent} advertisements sent; the router had its session ${first.toFixed(1)} s after it came, and ${again.toFixed(1)} s after it restarted; in between the session was down at ${down} looks, and the verdict named ${others} other routers`,
      holds: down === 0 && others === 1 && sent > 10_000,
    };
  },
};

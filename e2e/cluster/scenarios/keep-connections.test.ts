import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ingotImage as image, patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { drainLabel } from "#pkg/placement";
import type { TcpFlows } from "../../scenarios/tcp-flows.ts";
import { steps } from "../steps.ts";
import { InstalledCluster } from "./installed.ts";

// Established connections of both families and both traffic policies, by way of kube-proxy in mode iptables, and in mode nftables.
const pool = `
address-pools:
  - name: lan
    protocol: layer2
    keep-connections: true
    addresses: [172.30.0.200-172.30.0.219, "fd00:30::200-fd00:30::219"]
`;
const port = 9001;
const flows = 25;
const program = resolve(import.meta.dirname, "../../scenarios/tcp-flows.ts");
// By then each connection has asked several times since.
const watchedMs = 3_000;
let clients = 0;
let all: readonly string[]; // addresses

const step = steps(async () => {
  const on = await InstalledCluster.start({ nodes: 3 });
  await on.apply(echoDaemonSet);
  await on.kubectl("rollout", "status", "daemonset/echo", "--timeout=5m");
  await on.install(pool, ["net-admin"]);
  const ports = [{ name: "echo", port, protocol: "TCP" }];
  const common = { selector: { app: "echo" }, ports, ipFamilyPolicy: "RequireDualStack" };
  const shared = await on.serve("shared", common);
  const local = await on.serve("local", { ...common, externalTrafficPolicy: "Local" });
  all = [shared, local].flatMap((addresses) => addresses.split(" "));
  assert.equal(all.length, 4);
  return on;
});

const echoDaemonSet = {
  apiVersion: "apps/v1",
  kind: "DaemonSet",
  metadata: { name: "echo", namespace: "default" },
  spec: {
    selector: { matchLabels: { app: "echo" } },
    template: {
      metadata: { labels: { app: "echo" } },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: "echo",
            image: `${image.name}:${image.tag}`,
            command: ["node", "-e", `require("net").createServer((s) => s.on("error", () => {}).pipe(s)).listen(${port}, "::")`],
            readinessProbe: { tcpSocket: { port }, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 30 },
          },
        ],
      },
    },
  },
};

/** The node whose speaker says that it announces the address. */
async function ownerOf(on: InstalledCluster, address: string): Promise<string> {
  const owner = async () => {
    const each = on.cluster.nodes.map(async ({ name, host }) => {
      const { body } = await host.get("http://127.0.0.1:7472/v1/services");
      const { services } = JSON.parse(body) as { services: { addresses: { address: string; announced: boolean }[] }[] };
      return services.flatMap(({ addresses }) =>
        addresses.flatMap((one) => (one.address === address && one.announced ? [name] : [])),
      );
    });
    const found = [...new Set((await Promise.all(each)).flat())];
    return found.length === 1 ? found[0] : undefined;
  };
  return waitFor(`one owner of ${address}`, owner, patience);
}

/** Opens connections to each address, which go on while `act` runs and for a while after it; `act` may look at them in between. */
async function goOn(
  on: InstalledCluster,
  addresses: readonly string[],
  act: (allGoOn: (when: string) => Promise<void>) => Promise<void>,
): Promise<void> {
  const command = [process.execPath, program, "long"];
  const opened = addresses.map((address) => ({
    address,
    client: on.cluster.client.daemon(`flows${++clients}`, [...command, address, `${port}`, `${flows}`]),
  }));
  const last = async (log: string) => (await readFile(log, "utf8")).trim().split("\n").at(-1) ?? "";
  const allGoOn = async (when: string) => {
    for (const { address, client } of opened) {
      // A busy machine stops the client or a node for a second at times. A connection that is lost stays silent, or breaks.
      const allSettled = async () => {
        const now = JSON.parse(await last(client.log)) as TcpFlows;
        return now.answering + now.broken === flows ? now : undefined;
      };
      const { broken, codes, answering } = await waitFor(
        `answers over all connections to ${address} ${when}`,
        allSettled,
        patience,
      );
      assert.deepEqual({ address, when, broken, codes, answering }, { address, when, broken: 0, codes: [], answering: flows });
    }
  };
  try {
    for (const { address, client } of opened)
      await waitFor(`connections to ${address}`, async () => (await last(client.log)).startsWith("{"), patience);
    await allGoOn("when they were opened");
    await act(allGoOn);
    await sleep(watchedMs);
    await allGoOn("in the end");
  } finally {
    await Promise.all(opened.map(({ client }) => client.stop("SIGTERM")));
  }
}

/** A new mode begins without rules: nodes see that they cannot deliver, and for how long. Connections to such a node are not kept. */
async function allDeliver(on: InstalledCluster): Promise<void> {
  await sleep(watchedMs);
  const none = async () => {
    const verdicts = on.cluster.nodes.map(({ host }) => host.get("http://127.0.0.1:7472/v1/node"));
    return (await Promise.all(verdicts)).every(({ body }) => !body.includes('"cannotDeliver"'));
  };
  await waitFor("all nodes to deliver to Pods", none, patience);
  await sleep(watchedMs); // Addresses come back.
}

/** Packets that a node has handed to others since its table was made. */
async function handedOver(on: InstalledCluster, node: string): Promise<number> {
  const { body } = await on.cluster.node(node).host.get("http://127.0.0.1:7472/metrics");
  return Number(/^ingot_handover_packets_total (\d+)/m.exec(body)?.[1] ?? 0);
}

/** Drains the owner of each address after the other, and takes it back. */
async function movesToAndFro(on: InstalledCluster): Promise<void> {
  for (const address of all)
    await goOn(on, [address], async (allGoOn) => {
      const owner = await ownerOf(on, address);
      await on.kubectl("label", "node", owner, `${drainLabel}=`);
      const next = async () => {
        const node = await ownerOf(on, address);
        return node === owner ? undefined : node;
      };
      const other = await waitFor(`another owner of ${address}`, next, patience);
      await waitFor(`${other} to hand packets over`, async () => (await handedOver(on, other)) > 0, patience);
      await sleep(watchedMs);
      await allGoOn(`at ${other}, with ${owner} drained`);
      await on.kubectl("label", "node", owner, `${drainLabel}-`);
      await waitFor(`${address} to be back`, async () => (await ownerOf(on, address)) === owner, patience);
    });
}

for (const mode of ["iptables", "nftables"] as const) {
  step(
    `kube-proxy in mode ${mode}: all connections go on when their node is drained, and when it has the address again`,
    async (on) => {
      const name = mode === "iptables" ? "KUBE-SERVICES" : "table ip kube-proxy";
      if (mode === "nftables") for (const node of on.cluster.nodes) await node.setProxyMode(mode);
      for (const { host } of on.cluster.nodes) {
        const rules = async () => {
          const shown = await host.run(["nft", "list", "ruleset"]);
          return shown.includes(name) && all.every((address) => shown.includes(address));
        };
        await waitFor("kube-proxy's rules", rules, patience);
      }
      await allDeliver(on);
      await movesToAndFro(on);
    },
  );

  step(`kube-proxy in mode ${mode}: all connections go on while all speakers are replaced`, (on) =>
    goOn(on, all, async () => {
      await on.kubectl("-n", "metallb-system", "rollout", "restart", "daemonset/speaker");
      await on.rolledOut("daemonset/speaker");
      for (const address of all) await ownerOf(on, address);
    }),
  );
}

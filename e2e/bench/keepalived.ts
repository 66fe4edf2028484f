/** Debian's keepalived (VRRPv3) on nodes of a lab, as the reference of `failover.bench.ts`; with `--echo`, what answers on each node. */
import { spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Lab, waitFor } from "#e2e/lab";
import type { Subject } from "./failover-runs.ts";

export const hasKeepalived = spawnSync("keepalived", ["--version"]).status === 0;

const addresses = ["172.30.0.200", "fd00:30::200"] as const;
const port = 80;

/**
 * @param intervalMs between two advertisements
 * @param count of nodes, the first of which owns both addresses
 */
export async function keepalivedSubject(count: number, intervalMs: number): Promise<Subject> {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await Lab.start());
  const lan = await lab.switch("lan");
  const attached = async (name: string, number: number) => {
    const host = await lab.host(name);
    await host.attach(lan, { addresses: [`172.30.0.${number}/24`, `fd00:30::${number}/64`] });
    return host;
  };
  const client = await attached("client", 100);
  const nodes = await Promise.all(Array.from({ length: count }, (_, index) => attached(`node${index + 1}`, 11 + index)));
  for (const [index, host] of nodes.entries()) {
    const run = `/run/keepalived-${index}`;
    writeFileSync(lab.outside(`${run}.conf`), configuration(intervalMs, 250 - 10 * index));
    const files = ["--use-file", `${run}.conf`, "--pid", `${run}.pid`, "--vrrp_pid", `${run}-vrrp.pid`];
    await host.spawn(`keepalived-${index}`, ["keepalived", "--dont-fork", "--log-console", "--vrrp", ...files]);
    const echo = await host.spawn(`echo-${index}`, ["node", fileURLToPath(import.meta.url), "--echo"]);
    await echo.waitForLine(/listening/);
  }
  const [owner] = nodes;
  if (owner === undefined) throw new Error("Cannot measure: there is no node");
  const isMaster = () =>
    waitFor("the first node to have both addresses alone", async () => {
      const held = await Promise.all(nodes.map((host) => host.output(["ip", "-json", "address", "show", "dev", "eth0"])));
      return addresses.every((address) => held.every((text, index) => text.includes(`"${address}"`) === (index === 0)));
    });
  await isMaster();
  return Object.assign(stack.move(), {
    lan,
    client,
    owner: { host: owner },
    mac: await owner.link("eth0").mac(),
    addresses,
    isReady: isMaster,
    isMended: isMaster,
  });
}

/** Real time, as Debian's package documents it, and as little else as there can be. */
function configuration(intervalMs: number, priority: number): string {
  const instance = (name: string, id: number, address: string) => `vrrp_instance ${name} {
  state BACKUP
  interface eth0
  virtual_router_id ${id}
  priority ${priority}
  advert_int ${intervalMs / 1000}
  virtual_ipaddress {
    ${address}
  }
}
`;
  const [ipv4, ipv6] = addresses;
  return `global_defs {
  vrrp_version 3
  vrrp_rt_priority 50
  vrrp_no_swap
}
${instance("ipv4", 51, `${ipv4}/24`)}${instance("ipv6", 52, `${ipv6}/64`)}`;
}

if (import.meta.main) {
  const socket = createSocket("udp6"); // And IPv4.
  socket.on("message", (data, { address, port: from }) => socket.send(data, from, address));
  socket.bind(port, () => console.log("listening"));
}

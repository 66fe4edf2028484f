// A process on a node that stands for kube-proxy, in user space: takes in packets to the addresses of Services and passes them on
// to ready endpoints. Unlike kube-proxy it hides the client's address from them, and serves neither cluster addresses nor node
// ports. Flags: --node-name, --kubeconfig.
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { SystemClock, systemRandom } from "#pkg/clock";
import { connect } from "#pkg/k8s";
import { createLog, type Fields } from "#pkg/log";
import { AcceptedAddresses } from "./accepted-addresses.ts";
import { TcpForwarder, UdpForwarder } from "./forwarders.ts";
import { type Forward, forwarding } from "./forwarding.ts";
import { proxiedServices, proxiedSlices } from "./proxied.ts";

const { values } = parseArgs({ options: { "node-name": { type: "string" }, kubeconfig: { type: "string" } } });
const node = values["node-name"] ?? "";
const log = createLog("info");
const clock = new SystemClock();
const cluster = connect({ kubeconfig: values.kubeconfig, userAgent: "service-proxy", log, clock, random: systemRandom });
const accepted = new AcceptedAddresses();
await accepted.start();

const open = new Map<string, TcpForwarder | UdpForwarder>(); // protocol, address and port -> what listens there
let changed = false;
let busy = false;
let announced = false;

const wake = (): void => {
  changed = true;
  if (!busy) void reconcileAll();
};
const services = cluster.informer(proxiedServices, {}, { changed: wake, synced: wake });
const slices = cluster.informer(proxiedSlices, {}, { changed: wake, synced: wake });
services.start();
slices.start();

/** One at a time; what changes meanwhile makes one more. At most a fifth of the time goes to it: with 10,000 Services one takes 100 ms. */
async function reconcileAll(): Promise<void> {
  busy = true;
  while (changed && services.synced && slices.synced) {
    changed = false;
    const startedAt = clock.now();
    try {
      await reconcile();
    } catch (error) {
      retry("cannot take addresses in", { error });
    }
    if (!announced) log.info("forwarding");
    announced = true;
    await sleep(4 * (clock.now() - startedAt));
  }
  busy = false;
}

function retry(message: string, fields: Fields): void {
  log.error(message, fields);
  clock.schedule("forward again", clock.now() + 1_000, wake);
}

async function reconcile(): Promise<void> {
  const wanted = forwarding(services.values(), slices.values(), node);
  const forwards = new Map(wanted.forwards.map((forward) => [key(forward), forward]));
  for (const [key, forwarder] of open)
    if (!forwards.has(key)) {
      forwarder[Symbol.dispose]();
      open.delete(key);
    }
  await accepted.set(wanted.accepted);
  for (const [key, { protocol, listen, targets }] of forwards) {
    const known = open.get(key);
    if (known !== undefined) {
      known.targets = targets;
      continue;
    }
    const forwarder = protocol === "TCP" ? new TcpForwarder(targets) : new UdpForwarder(targets, clock);
    try {
      await forwarder.listen(listen);
      open.set(key, forwarder);
      log.info("forwards", { protocol, ...listen });
    } catch (error) {
      forwarder[Symbol.dispose]();
      retry("cannot listen", { protocol, ...listen, error }); // A port that something else has must not hold up the others.
    }
  }
}

function key({ protocol, listen }: Forward): string {
  return `${protocol} ${listen.address} ${listen.port}`;
}

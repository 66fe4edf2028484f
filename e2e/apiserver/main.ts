/** Runs the API server as a process of its own, such as in a network namespace, until SIGINT or SIGTERM. */
import { rmSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { connectByRelay } from "#e2e/lab";
import { asText, at } from "./json.ts";
import { ApiServer } from "./server.ts";

const usage = `usage: main.ts [--address ADDRESS] [--port PORT] [--host NAME]... [--kubeconfig FILE] [--request-log FILE]
               [--cluster-cidr PREFIX]... [--node-ports FIRST-LAST] [--history COUNT] [--relays FOLDER]

  --address      listen here (127.0.0.1)
  --port         0 takes a free one (6443)
  --host         name or address under which clients reach it; may be repeated, the first is written into the kubeconfig
  --kubeconfig   write an administrator's kubeconfig here; it appears once the server listens, and is removed at the end
  --request-log  append each request here, as lines of JSON
  --cluster-cidr prefix for cluster addresses; one of each family (10.96.0.0/12, fd00:10:96::/112)
  --node-ports   range of node ports (30000-32767)
  --history      changes of each resource that watches can go back (10000)
  --relays       of a lab: pods/portforward leads to Pods on its hosts
`;

const { values } = parseArgs({
  options: {
    address: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "6443" },
    host: { type: "string", multiple: true },
    kubeconfig: { type: "string" },
    "request-log": { type: "string" },
    "cluster-cidr": { type: "string", multiple: true },
    "node-ports": { type: "string", default: "30000-32767" },
    history: { type: "string", default: "10000" },
    relays: { type: "string" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  process.stdout.write(usage);
  process.exit(0);
}

const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
process.once("SIGINT", () => stop());
process.once("SIGTERM", () => stop());

const [firstPort, lastPort] = values["node-ports"].split("-").map((text) => natural("--node-ports", text));
const { relays } = values;
const server = new ApiServer({
  address: values.address,
  port: natural("--port", values.port),
  historySize: natural("--history", values.history),
  nodePorts: [firstPort ?? 0, lastPort ?? firstPort ?? 0],
  ...(values.host === undefined ? {} : { hosts: values.host }),
  ...(values["cluster-cidr"] === undefined ? {} : { clusterCidrs: values["cluster-cidr"] }),
  ...(relays === undefined
    ? {}
    : { dial: (pod, port) => connectByRelay(relays, asText(at(pod, "spec", "nodeName")), "127.0.0.1", port) }),
  ...(values["request-log"] === undefined ? {} : { requestLog: values["request-log"] }),
});
await server.start();
if (values.kubeconfig !== undefined) writeFileSync(values.kubeconfig, server.kubeconfig(), { mode: 0o600 });
process.stdout.write(`listening on ${server.url}\n`);

await stopped;
await server[Symbol.asyncDispose]();
if (values.kubeconfig !== undefined) rmSync(values.kubeconfig, { force: true });

function natural(flag: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  process.stderr.write(`Cannot read ${flag}: ${JSON.stringify(text)} is not a whole number\n\n${usage}`);
  process.exit(2);
}

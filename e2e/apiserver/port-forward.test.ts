import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { type Duplex, duplexPair } from "node:stream";
import { test } from "node:test";
import { KubeConfig, PortForward } from "@kubernetes/client-node";
import { ApiServer, type ApiServerOptions, type Identity } from "./server.ts";

/** A server with a Pod `p` on a node, and one `pending` on none. */
async function start(dial: ApiServerOptions["dial"]): Promise<ApiServer> {
  const server = new ApiServer(dial === undefined ? {} : { dial });
  await server.start();
  const pod = { apiVersion: "v1", kind: "Pod" };
  const spec = { containers: [{ name: "c", image: "i" }] };
  server.create({ ...pod, metadata: { name: "p", namespace: "default" }, spec: { ...spec, nodeName: "node1" } });
  server.create({ ...pod, metadata: { name: "pending", namespace: "default" }, spec });
  return server;
}

/** Opens a forwarded port with the client library. `failed` has the data of the error channel. */
async function forward(server: ApiServer, pod: string, identity?: Identity): Promise<{ stream: Duplex; failed: Duplex }> {
  const config = new KubeConfig();
  config.loadFromString(server.kubeconfig(identity));
  const [stream, theirs] = duplexPair();
  const [failed, errors] = duplexPair();
  const socket = await new PortForward(config).portForward("default", pod, [8080], theirs, errors, theirs);
  stream.on("close", () => (socket as { close(): void }).close());
  return { stream, failed };
}

test("what is sent to a forwarded port arrives at the Pod's, and the other way round", async () => {
  const asked: string[] = [];
  const echo = createServer((socket) => void socket.pipe(socket)).listen(0, "127.0.0.1");
  await once(echo, "listening");
  await using server = await start(async ({ metadata }, port) => {
    asked.push(`${metadata.name}:${port}`);
    return connect((echo.address() as AddressInfo).port, "127.0.0.1");
  });
  const { stream } = await forward(server, "p");
  for (const text of ["hello", "x".repeat(200_000)]) {
    stream.write(text);
    let received = "";
    while (received.length < text.length) received += String((await once(stream, "data"))[0]);
    assert.equal(received, text);
  }
  stream.destroy();
  echo.close();
  await once(echo, "close"); // The connection to the Pod has ended with the client's.
  assert.deepEqual(asked, ["p:8080"]);
});

test("why nobody listens there is said on the channel for errors", async () => {
  await using server = await start(async () => {
    throw new Error("connect ECONNREFUSED 127.0.0.1:8080");
  });
  const { failed } = await forward(server, "p");
  const [text] = await once(failed, "data");
  assert.equal(String(text), "an error occurred forwarding 8080: connect ECONNREFUSED 127.0.0.1:8080");
});

const neverDialled = async (): Promise<Duplex> => assert.fail("the Pod was connected to");
const refusals: { name: string; dial?: ApiServerOptions["dial"]; pod: string; verbs?: string[]; code: number }[] = [
  { name: "a Pod that does not exist", dial: neverDialled, pod: "none", code: 404 },
  { name: "a Pod on no node", dial: neverDialled, pod: "pending", code: 400 },
  { name: "a user who may only get", dial: neverDialled, pod: "p", verbs: ["get"], code: 403 },
  { name: "a user who may only create", dial: neverDialled, pod: "p", verbs: ["create"], code: 403 },
  { name: "a server that cannot reach Pods", pod: "p", code: 501 },
];
for (const { name, dial, pod, verbs, code } of refusals)
  test(`refused: ${name}`, async () => {
    await using server = await start(dial);
    const rbac = "rbac.authorization.k8s.io";
    const metadata = { name: "forwarder", namespace: "default" };
    const rules = [{ apiGroups: [""], resources: ["pods/portforward"], verbs: verbs ?? ["list"] }];
    server.create({ apiVersion: `${rbac}/v1`, kind: "Role", metadata, rules });
    const subjects = [{ kind: "User", name: "someone", apiGroup: rbac }];
    const roleRef = { apiGroup: rbac, kind: "Role", name: "forwarder" };
    server.create({ apiVersion: `${rbac}/v1`, kind: "RoleBinding", metadata, subjects, roleRef });
    const asked = forward(server, pod, verbs === undefined ? undefined : { name: "someone", groups: [] });
    await assert.rejects(asked, ({ message }: { message: string }) => message.endsWith(String(code)));
  });

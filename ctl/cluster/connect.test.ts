import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect as dial } from "node:net";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { UsageError } from "../command.ts";
import { defaultNamespace, PodAgent } from "./connect.ts";

/** A server, and how many connections a forwarded port to it has opened. */
async function forwarded(answer: Parameters<typeof createServer>[1]) {
  const server: Server = createServer(answer as never);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const opened = { count: 0 };
  const agent = new PodAgent(async () => {
    opened.count++;
    const [ours, theirs] = duplexPair();
    const socket = dial(port, "127.0.0.1");
    theirs.pipe(socket).pipe(theirs);
    ours.on("close", () => socket.destroy());
    return ours;
  });
  return {
    agent,
    opened,
    [Symbol.dispose]() {
      agent.destroy();
      server.close();
      server.closeAllConnections();
    },
  };
}

test("one forwarded port serves question after question, in its order", async () => {
  using port = await forwarded((asked, answer) => answer.end(`${asked.headers.host} ${asked.url}`));
  const answers = await Promise.all(["/v1/a?b=c", "/v1/d"].map((path) => port.agent.get(path)));
  answers.push(await port.agent.get("/v1/e"));
  assert.deepEqual(
    answers.map(({ status, body }) => `${status} ${body}`),
    ["200 localhost /v1/a?b=c", "200 localhost /v1/d", "200 localhost /v1/e"],
  );
  assert.equal(port.opened.count, 1);
});

test("a connection that ends before the answer is an error", async () => {
  using port = await forwarded((asked) => asked.socket.destroy());
  await assert.rejects(port.agent.get("/v1/a"));
});

test("a process that answers nothing costs one time-out, however many questions wait, and is asked again later", async (context) => {
  let isHung = true;
  const asked: string[] = [];
  using port = await forwarded(({ url = "" }, answer) => {
    asked.push(url);
    if (!isHung) answer.end(url);
  });
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const answers = Promise.allSettled(["/v1/a", "/v1/b", "/v1/c"].map((path) => port.agent.get(path)));
  while (asked.length === 0) await setImmediate();
  context.mock.timers.tick(3_000);
  assert.deepEqual(
    (await answers).map((one) => (one.status === "rejected" ? one.reason.message : one.status)),
    Array(3).fill("no answer within 3 s"),
  );
  assert.deepEqual(asked, ["/v1/a"]);
  isHung = false;
  assert.equal((await port.agent.get("/v1/d")).body, "/v1/d");
});

test("a port that cannot be forwarded is an error that says why", async () => {
  const agent = new PodAgent(async () => {
    throw new Error('pods "x" is forbidden');
  });
  await assert.rejects(agent.get("/v1/a"), { message: 'pods "x" is forbidden' });
});

test("a kubeconfig that is not there is a usage error, also for the namespace", () => {
  const options = { kubeconfig: "/nonexistent", context: undefined, systemNamespace: "metallb-system" };
  assert.throws(
    () => defaultNamespace(options),
    (error) => error instanceof UsageError && /cannot read the kubeconfig: ENOENT/.test(error.message),
  );
});

import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:https";
import { type AddressInfo, connect, createServer } from "node:net";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { selfSigned } from "#pkg/certificate";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import { type ParsedConfig, parseConfig } from "#pkg/config";
import { ApiError, type Cluster, type Secret, type WebhookClient } from "#pkg/k8s";
import { service } from "#pkg/k8s/testing";
import { silentLog } from "#pkg/log/testing";
import { type AdmissionRequest, answerReview, readReview } from "./admission.ts";
import { CertificateKeeper } from "./certificate-keeper.ts";
import { connectionLimits } from "./connections.ts";
import { reviewChange, type Trial } from "./review.ts";
import { reviewPath } from "./review-path.ts";
import { WebhookServer, webhookLimits } from "./webhook-server.ts";

const namespace = "metallb-system";
const pools = (addresses: string) => `address-pools: [{name: a, protocol: layer2, addresses: [${addresses}]}]`;
const before = pools("192.0.2.0/24");
const holding = (name: string, ip: string) => service(`default/${name}`, { ingress: [ip], clusterIPs: ["10.96.0.1"] });
const trial: Trial = {
  config: parseConfig(before).config,
  services: [holding("one", "192.0.2.1"), holding("two", "192.0.2.2")],
  occupied: new Map(),
  namespaces: new Map(),
};
const change = (text: string | undefined, more: Partial<AdmissionRequest> = {}): AdmissionRequest => ({
  uid: "u",
  namespace,
  name: "config",
  data: text === undefined ? {} : { config: text },
  annotations: {},
  before: { config: before },
  ...more,
});
/** @param turns in which it may be tried */
function review(asked: AdmissionRequest, known: Trial | undefined = trial, turns = 1_000, configMap: string | null = "config") {
  let now = 0;
  const time = { now: () => now, deadline: turns, nextTurn: async () => now++ };
  const reader = { read: (text: string, done: (parsed: ParsedConfig) => void) => done(parseConfig(text)) };
  const options = { namespace, configMap: configMap ?? undefined, reader, terms: { controller: { trial: async () => known } } };
  return reviewChange(asked, options, time);
}
test("a ConfigMap that is not the configuration, because custom resources are, may be anything", async () => {
  const asked = change("address-pools: [{name: a}]");
  assert.equal((await review(asked)).allowed, false);
  assert.deepEqual(await review(asked, trial, 1_000, null), { allowed: true, warnings: [] });
});
const many: Trial = {
  ...trial,
  config: parseConfig(pools("10.0.0.0/22")).config,
  services: Array.from({ length: 1_000 }, (_, i) => holding(`s${i}`, `10.0.${i >> 8}.${i & 255}`)),
};

const mayMove = { "ingot.dev/allow-renumber": "true" };
const cases: {
  name: string;
  asked: AdmissionRequest;
  known?: Trial;
  turns?: number;
  allowed?: boolean;
  message?: RegExp;
  warnings?: RegExp[];
}[] = [
  { name: "what changes nothing has no warning", asked: change(pools("192.0.2.0/24, 198.51.100.0/24")) },
  {
    name: "what is not valid is refused, with line and column",
    asked: change("address-pools: [{name: a}]"),
    allowed: false,
    message: /\n1:17: error: address-pools\[0\]\.protocol: required, but missing\n/,
  },
  { name: "the text stays as it is", asked: change(before, { before: { config: before } }) },
  { name: "a text that is not valid already may stay", asked: change("x: 1", { before: { config: "x: 1" } }) },
  {
    name: "what the text leaves without a pool may be given up from now on",
    asked: change(pools("198.51.100.0/24"), { before: { config: pools("198.51.100.0/24") }, annotations: mayMove }),
    warnings: [/^moved, as ingot.dev\/allow-renumber allows, /, /^2 Services would get other addresses/],
  },
  {
    name: "a text that is not valid already may stay, whatever may be given up",
    asked: change("x: 1", { before: { config: "x: 1" }, annotations: mayMove }),
  },
  { name: "another ConfigMap", asked: change("x: 1", { name: "other" }) },
  { name: "another namespace", asked: change("x: 1", { namespace: "default" }) },
  { name: "it is deleted", asked: change("", { data: undefined }) },
  { name: "no key", asked: change(undefined), warnings: [/^there is no key "config"/] },
  {
    name: "pools that strand what Services hold",
    asked: change(pools("198.51.100.0/24")),
    warnings: [
      /^not used until .* default\/one \(192\.0\.2\.1\), default\/two \(192\.0\.2\.2\)$/,
      /^2 Services would get other addresses: default\/one \(192\.0\.2\.1 to 198\.51\.100\.0\)/,
    ],
  },
  {
    name: "what Services hold may be given up, as the ConfigMap allows",
    asked: change(pools("198.51.100.0/24"), { annotations: mayMove }),
    warnings: [
      /^moved, as ingot.dev\/allow-renumber allows, .* default\/one \(192\.0\.2\.1\), /,
      /^2 Services would get other addresses/,
    ],
  },
  {
    name: "of many Services all",
    asked: change(pools("10.1.0.0/22")),
    known: many,
    warnings: [/^not used until .*and 995 more$/, /^1000 Services would get other addresses/],
  },
  {
    name: "in too little time no more than those in the way are found",
    asked: change(pools("10.1.0.0/22")),
    known: many,
    turns: 10,
    warnings: [
      /^there was not the time for all: .* in the way were looked for among 500 of 1000, .* not at all; see "ingotctl diff"$/,
      /^not used until .*and 495 more$/,
    ],
  },
  {
    name: "in somewhat more time some are found that would get other addresses",
    asked: change(pools("10.1.0.0/22")),
    known: many,
    turns: 170,
    warnings: [
      /^there was not the time for all: Services that would get other addresses were looked for among \d+ of 1000; /,
      /^not used until .*and 995 more$/,
      /^\d+ Services would get other addresses/,
    ],
  },
  {
    name: "a process that has not seen all says nothing of Services",
    asked: change(pools("198.51.100.0/24")),
    known: { ...trial, config: undefined },
  },
];
for (const { name, asked, known = trial, turns, allowed = true, message, warnings = [] } of cases)
  test(`a change is reviewed: ${name}`, async () => {
    const found = await review(asked, known, turns);
    assert.equal(found.allowed, allowed);
    if (message !== undefined) assert.match(found.message ?? "", message);
    assert.equal(found.warnings.length, warnings.length, found.warnings.join("\n"));
    for (const [index, warning] of warnings.entries()) assert.match(found.warnings[index] ?? "", warning);
  });

test("an answer stays within what the API server takes, and no text is no review", () => {
  const { response } = JSON.parse(answerReview("u", { allowed: true, warnings: Array(50).fill("x".repeat(1_000)) }));
  assert.deepEqual([response.warnings.length, response.warnings[0].length], [12, 250]);
  for (const body of ["", "[]", "{}", '{"kind":"AdmissionReview"}', '{"kind":"Pod","request":{"uid":"u"}}'])
    assert.equal(readReview(body), undefined);
});

const pair = selfSigned({
  names: ["localhost"],
  notBefore: new Date(Date.now() - 60_000),
  notAfter: new Date(Date.now() + 3_600_000),
  serial: new Uint8Array(16),
});

async function post(port: number, body: string, path = reviewPath(pair.key), localAddress = "127.0.0.1") {
  const options = { port, path, method: "POST", ca: pair.certificate, host: "127.0.0.1", servername: "localhost", localAddress };
  const sent = request({ ...options, agent: false });
  sent.end(body);
  const [response] = await once(sent, "response");
  let text = "";
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode as number, body: text };
}

/** A server on a port of the system's choice. */
async function serve(clock: SimulatedClock) {
  const reviewed: string[] = [];
  const server = new WebhookServer({
    port: 0,
    review: async ({ name }) => {
      reviewed.push(name);
      return { allowed: true, warnings: ["w"] };
    },
    log: silentLog,
    clock,
  });
  assert.equal(server.port, undefined);
  server.setCertificate(pair);
  while (server.port === undefined) await setImmediate();
  return { server, port: server.port, reviewed };
}
const body = JSON.stringify({ kind: "AdmissionReview", request: { uid: "u", namespace, name: "config", object: { data: {} } } });

test("a port that another program has is used once it is free", async () => {
  const clock = new SimulatedClock();
  const other = createServer().listen(0);
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  let failures = 0;
  const log = { ...silentLog, error: () => failures++ };
  await using server = new WebhookServer({ port, review: async () => ({ allowed: true, warnings: [] }), log, clock });
  server.setCertificate(pair);
  while (failures === 0) await setImmediate();
  await new Promise((resolve) => other.close(resolve));
  clock.advanceBy(10_000);
  for (let turn = 0; turn < 1_000 && server.port === undefined; turn++) await setImmediate();
  assert.equal(server.port, port);
  assert.equal((await post(port, body)).status, 200);
});

test("the port answers reviews, so many at a time, and refuses everything else", async () => {
  const clock = new SimulatedClock();
  const { server, port, reviewed } = await serve(clock);
  await using _ = server;
  const { status, body: answer } = await post(port, body);
  assert.deepEqual([status, JSON.parse(answer).response], [200, { uid: "u", allowed: true, warnings: ["w"] }]);
  assert.equal((await post(port, "no")).status, 400);
  assert.equal((await post(port, body)).status, 200);
  assert.equal((await post(port, body)).status, 200);
  assert.equal((await post(port, body)).status, 429);
  clock.advanceBy(webhookLimits.reviews.everyMs);
  assert.equal((await post(port, body)).status, 200);
  assert.equal(reviewed.length, 4);
});

test("a client that does not know the path has nothing reviewed, and takes nothing from a client that knows it", async () => {
  const clock = new SimulatedClock();
  const { server, port, reviewed } = await serve(clock);
  await using _ = server;
  for (const path of ["/", "/validate", `${reviewPath(pair.key)}0`, reviewPath(`${pair.key} `)])
    for (let i = 0; i < 3; i++) {
      assert.equal((await post(port, body, path)).status, 404);
      clock.advanceBy(connectionLimits.newOfSource.everyMs);
    }
  assert.equal(reviewed.length, 0);
  assert.equal((await post(port, body)).status, 200);
});

test("after a change of the certificate the path of the one before serves, too, and no older one", async () => {
  const clock = new SimulatedClock();
  const { server, port } = await serve(clock);
  await using _ = server;
  const asked = async (path: string) => {
    clock.advanceBy(60_000);
    return (await post(port, body, path)).status;
  };
  server.setCertificate({ ...pair, key: `${pair.key}\n` });
  assert.deepEqual([await asked(reviewPath(pair.key)), await asked(reviewPath(`${pair.key}\n`))], [200, 200]);
  server.setCertificate({ ...pair, key: `${pair.key}\n\n` });
  assert.deepEqual([await asked(reviewPath(pair.key)), await asked(reviewPath(`${pair.key}\n`))], [404, 200]);
});

/** Connects from a loopback address. @returns the socket, once it is connected, and what tells that it is closed */
async function connectFrom(port: number, localAddress: string) {
  const socket = connect({ port, host: "127.0.0.1", localAddress });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => {});
  await once(socket, "connect");
  return { socket, closed, isClosed: () => socket.destroyed || socket.readableEnded };
}

test("connections that say nothing are closed in time, however long a handshake is drawn out", async () => {
  const clock = new SimulatedClock();
  const { server, port } = await serve(clock);
  await using _ = server;
  const { socket, closed } = await connectFrom(port, "127.0.0.1");
  socket.resume();
  socket.write(Buffer.of(22, 3, 1));
  await post(port, body); // It is let in by now.
  clock.advanceBy(connectionLimits.lifeMs);
  await closed;
});

test("a source gets eight connections at once and one every 250 ms, and takes none from another", async () => {
  const clock = new SimulatedClock();
  const { server, port } = await serve(clock);
  await using _ = server;
  const flood = await Promise.all(Array.from({ length: 40 }, () => connectFrom(port, "127.0.0.2")));
  for (const { socket } of flood) socket.resume();
  await Promise.all(flood.slice(connectionLimits.newOfSource.burst).map(({ closed }) => closed));
  assert.equal((await post(port, body)).status, 200);
  assert.equal(flood.filter(({ isClosed }) => isClosed()).length, 40 - connectionLimits.newOfSource.burst);
  for (const { socket } of flood) socket.destroy();
});

test("while 200 hosts connect at once the API server gets in, and the kernel refuses the others", {
  timeout: 60_000,
}, async () => {
  const clock = new SimulatedClock();
  const { server, port } = await serve(clock);
  await using _ = server;
  const fromApi = () => post(port, body, reviewPath(pair.key), "127.0.0.2");
  assert.equal((await fromApi()).status, 200);
  clock.advanceBy(1_100);
  const flood = [];
  for (let index = 0; index < 201; index++) flood.push(await connectFrom(port, `127.0.${1 + (index >> 7)}.${1 + (index & 127)}`));
  for (const { socket } of flood) socket.resume();
  await flood.at(-1)?.closed; // All are closed but those that may be open at once.
  const refused = connect({ port, host: "127.0.0.1", localAddress: "127.0.3.1" }).on("error", () => {});
  assert.equal((await fromApi()).status, 200);
  assert.equal(refused.connecting, true);
  for (const socket of [refused, ...flood.map(({ socket }) => socket)]) socket.destroy();
});

test("a 33rd connection takes the place of the oldest one of the host that has most", async () => {
  const clock = new SimulatedClock();
  const { server, port } = await serve(clock);
  await using _ = server;
  const hosts = ["127.0.0.2", "127.0.0.2", "127.0.0.2", ...Array.from({ length: 29 }, (_, i) => `127.0.1.${i}`)];
  const held = [];
  for (const host of hosts) {
    const one = await connectFrom(port, host);
    one.socket.resume();
    held.push(one);
    clock.advanceBy(connectionLimits.new.everyMs);
  }
  assert.equal((await post(port, body)).status, 200);
  await held[0]?.closed;
  assert.equal(held.filter(({ isClosed }) => isClosed()).length, 1);
  for (const { socket } of held) socket.destroy();
});

/** The API, as far as the certificate is kept in it. */
class Api {
  secret: Readonly<Record<string, string>> | undefined;
  clients: Map<string, WebhookClient> | undefined = new Map([["webhook", { bundle: "", path: "" }]]);
  readonly writes: string[] = [];
  changed: (now: Secret | undefined) => void = () => {};

  readonly cluster = {
    informer: (
      _resource: unknown,
      _scope: unknown,
      handlers: { changed: (key: string, now: unknown) => void; synced: () => void },
    ) => {
      this.changed = () => handlers.changed("secret", this.secret && { data: this.secret });
      const start = () => {
        this.changed(undefined);
        handlers.synced();
      };
      return { start, synced: true, [Symbol.dispose]() {} };
    },
    writeSecret: async (_namespace: string, _name: string, data: Readonly<Record<string, string>>) => {
      this.writes.push("secret");
      this.secret = data;
      this.changed(undefined);
    },
    webhookClients: async () => this.clients,
    writeWebhookClients: async (_name: string, webhooks: readonly string[], client: WebhookClient) => {
      this.writes.push("client");
      for (const webhook of webhooks) this.clients?.set(webhook, client);
    },
  } as unknown as Cluster;
}

/** @param days since the first start on which the keeper looks, and what happens before it looks once more */
async function keep(api: Api, days: readonly (number | (() => void))[], isLeader = true) {
  const clock = new SimulatedClock();
  const start = Date.parse("2026-01-01T00:00:00Z");
  let at = start;
  const shown: string[] = [];
  await using keeper = new CertificateKeeper({
    cluster: api.cluster,
    namespace,
    name: "ingot-webhook",
    configuration: "ingot-webhook",
    log: silentLog,
    clock,
    elector: { isLeader },
    server: { setCertificate: ({ certificate }) => shown.push(certificate) },
    randomBytes: (count) => new Uint8Array(count).fill(7),
    wallClock: () => new Date(at),
    random: seededRandom(1),
  });
  keeper.start();
  for (const day of [0, ...days]) {
    if (typeof day === "function") day();
    else at = start + day * 86_400_000;
    clock.advanceBy(60_000);
    for (let i = 0; i < 20; i++) await setImmediate();
  }
  return shown;
}

test("a certificate is made, trusted before it is shown, and made anew before it ends, the old one being trusted meanwhile", async () => {
  const api = new Api();
  const shown = await keep(api, [100, 310]);
  assert.equal(shown.length, 2);
  assert.deepEqual(api.writes, ["secret", "client", "client", "secret"]);
  for (const certificate of shown) assert.ok(api.clients?.get("webhook")?.bundle.includes(certificate.trim()));
});

test("the API server asks on the path of the old certificate until the new one is shown", async () => {
  const api = new Api();
  const path = () => api.clients?.get("webhook")?.path;
  await keep(api, []);
  const first = reviewPath(api.secret?.["tls.key"] ?? "");
  assert.equal(path(), first);
  await keep(api, [310]);
  assert.equal(path(), first);
  await keep(api, [310, 310]);
  assert.equal(path(), reviewPath(api.secret?.["tls.key"] ?? ""));
  assert.notEqual(path(), first);
});

const notThere = () => Promise.reject(new ApiError("Cannot write Secret: not found", 404, "NotFound"));

test("while the Secret is gone the API server goes on to trust what is shown, and to ask on its path", async () => {
  const api = new Api();
  const { writeSecret } = api.cluster;
  const isShown = ({ "tls.crt": certificate = "", "tls.key": key = "" } = api.secret ?? {}) => {
    const client = api.clients?.get("webhook");
    assert.ok(client?.bundle.includes(certificate.trim()));
    assert.equal(client?.path, reviewPath(key));
  };
  let first: Api["secret"];
  const goes = () => {
    first = api.secret;
    api.secret = undefined;
    api.cluster.writeSecret = notThere;
    api.changed(undefined);
  };
  const comesBack = () => {
    isShown(first);
    api.secret = {};
    api.cluster.writeSecret = writeSecret;
    api.changed(undefined);
  };
  const shown = await keep(api, [goes, () => isShown(first), comesBack, () => isShown(first), () => isShown()]);
  assert.deepEqual(shown, [first?.["tls.crt"], api.secret?.["tls.crt"]]);
});

test("a controller that starts while the Secret is gone leaves the webhook to those that show a certificate", async () => {
  const api = new Api();
  await keep(api, []);
  const before = api.clients?.get("webhook");
  api.secret = undefined;
  api.cluster.writeSecret = notThere;
  await keep(api, []);
  assert.deepEqual(api.clients?.get("webhook"), before);
});

const astray: { name: string; change: Partial<WebhookClient> }[] = [
  { name: "bundle", change: { bundle: "of another" } },
  { name: "path", change: { path: "/validate" } },
];
for (const { name, change } of astray)
  test(`a ${name} that somebody changed is put right, and one that stands by writes nothing`, async () => {
    const api = new Api();
    const [made = ""] = await keep(api, []);
    const wanted = api.clients?.get("webhook") ?? assert.fail("there is a webhook");
    api.clients = new Map([["webhook", { ...wanted, ...change }]]);
    api.writes.length = 0;
    await keep(api, [], false);
    assert.deepEqual(api.writes, []);
    assert.deepEqual(await keep(api, []), [made]);
    assert.deepEqual([api.writes, api.clients.get("webhook")], [["client"], wanted]);
  });

test("without a webhook the certificate is made all the same, for when there is one", async () => {
  const api = new Api();
  api.clients = undefined;
  assert.equal((await keep(api, [])).length, 1);
  assert.deepEqual(api.writes, ["secret"]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { at, type JsonObject } from "./json.ts";
import { ApiServer } from "./server.ts";
import { TestClient } from "./test-client.ts";

const rbac = "rbac.authorization.k8s.io/v1";
const services = "/api/v1/namespaces/default/services";

/** A server on which the ServiceAccount `default/speaker` has these rules: in the whole cluster, and in its namespace. */
async function start(clusterRules: readonly JsonObject[], rules: readonly JsonObject[] = []) {
  const server = new ApiServer();
  await server.start();
  const namespace = "default";
  const subjects = [{ kind: "ServiceAccount", name: "speaker", namespace }];
  server.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "speaker", namespace } });
  server.create({ apiVersion: rbac, kind: "ClusterRole", metadata: { name: "r" }, rules: clusterRules });
  server.create({
    apiVersion: rbac,
    kind: "ClusterRoleBinding",
    metadata: { name: "r" },
    roleRef: { kind: "ClusterRole", name: "r" },
    subjects,
  });
  server.create({ apiVersion: rbac, kind: "Role", metadata: { name: "r", namespace }, rules });
  server.create({
    apiVersion: rbac,
    kind: "RoleBinding",
    metadata: { name: "r", namespace },
    roleRef: { kind: "Role", name: "r" },
    subjects: [{ kind: "ServiceAccount", name: "speaker" }], // The namespace is that of the binding.
  });
  const client = new TestClient(server, { token: server.serviceAccountToken("default/speaker") });
  return {
    server,
    client,
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

test("a missing permission is the real API's 403, naming user, verb, resource and place", async () => {
  await using started = await start([{ apiGroups: [""], resources: ["services"], verbs: ["get", "list"] }]);
  const { client } = started;
  assert.equal((await client.get(`${services}/kubernetes`)).code, 200);
  const { code, body } = await client.patch(`${services}/kubernetes/status`, "merge", {});
  assert.equal(code, 403);
  assert.deepEqual(body, {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message:
      'services "kubernetes" is forbidden: User "system:serviceaccount:default:speaker" cannot patch resource "services/status" in API group "" in the namespace "default"',
    reason: "Forbidden",
    details: { name: "kubernetes", kind: "services" },
    code: 403,
  });
  const cluster = await client.get("/api/v1/nodes");
  assert.match(
    String(cluster.body.message),
    /^nodes is forbidden: .* cannot list resource "nodes" in API group "" at the cluster scope$/,
  );
  const path = await client.get("/metrics");
  assert.match(
    String(path.body.message),
    /^forbidden: User "system:serviceaccount:default:speaker" cannot get path "\/metrics"$/,
  );
});

const secrets = "/api/v1/namespaces/default/secrets";
const rule = { apiGroups: [""], resources: ["secrets"], verbs: ["list", "watch", "get"] };
const cases: { name: string; rules?: JsonObject[]; clusterRules?: JsonObject[]; path: string; allowed: boolean }[] = [
  { name: "a Role holds in its namespace", rules: [rule], path: secrets, allowed: true },
  { name: "a Role does not hold in the whole cluster", rules: [rule], path: "/api/v1/secrets", allowed: false },
  {
    name: "a Role does not hold in another namespace",
    rules: [rule],
    path: "/api/v1/namespaces/kube-system/secrets",
    allowed: false,
  },
  { name: "a ClusterRole bound cluster-wide holds everywhere", clusterRules: [rule], path: "/api/v1/secrets", allowed: true },
  { name: "another API group is another resource", rules: [{ ...rule, apiGroups: ["apps"] }], path: secrets, allowed: false },
  {
    name: "a rule for a name does not allow a list",
    rules: [{ ...rule, resourceNames: ["memberlist"] }],
    path: secrets,
    allowed: false,
  },
  {
    name: "a rule for a name allows a list of that name alone",
    rules: [{ ...rule, resourceNames: ["memberlist"] }],
    path: `${secrets}?fieldSelector=metadata.name%3Dmemberlist`,
    allowed: true,
  },
  {
    name: "everything is a star",
    clusterRules: [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }],
    path: secrets,
    allowed: true,
  },
  {
    name: "a subresource is not its resource",
    rules: [{ ...rule, resources: ["secrets/status"] }],
    path: secrets,
    allowed: false,
  },
  {
    name: "a path is allowed by prefix",
    clusterRules: [{ nonResourceURLs: ["/met*"], verbs: ["get"] }],
    path: "/metrics",
    allowed: true,
  },
];
for (const { name, rules = [], clusterRules = [], path, allowed } of cases) {
  test(`access: ${name}`, async () => {
    await using started = await start(clusterRules, rules);
    assert.equal((await started.client.get(path)).code !== 403, allowed);
  });
}

test("without credentials one is anonymous, and with bad ones nobody", async () => {
  await using started = await start([]);
  const { server } = started;
  using anonymous = new TestClient(server, { token: "none" });
  assert.equal((await anonymous.get("/version")).code, 200);
  assert.equal((await anonymous.get("/healthz")).code, 200);
  const refused = await anonymous.get("/api");
  assert.equal(refused.code, 403);
  assert.match(String(refused.body.message), /User "system:anonymous"/);
  using nobody = new TestClient(server, { token: "nonsense" });
  assert.equal((await nobody.get("/version")).code, 401);
});

test("a token dies with its ServiceAccount, also when one of the same name is made", async () => {
  await using started = await start([{ apiGroups: [""], resources: ["services"], verbs: ["list"] }]);
  const { server, client } = started;
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "speaker", namespace: "default" } };
  assert.equal((await client.get(services)).code, 200);
  server.delete(account);
  assert.equal((await client.get(services)).code, 401);
  server.create(account);
  assert.equal((await client.get(services)).code, 401);
  using again = new TestClient(server, { token: server.serviceAccountToken("default/speaker") });
  assert.equal((await again.get(services)).code, 200);
});

test("a TokenRequest is answered with a token that works", async () => {
  await using started = await start([]);
  const { server } = started;
  using admin = new TestClient(server);
  const { code, body } = await admin.post("/api/v1/namespaces/default/serviceaccounts/speaker/token", {
    spec: { expirationSeconds: 600 },
  });
  assert.equal(code, 201);
  using client = new TestClient(server, { token: String(at(body, "status", "token")) });
  const review = await client.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {});
  assert.deepEqual(at(review.body, "status", "userInfo"), {
    username: "system:serviceaccount:default:speaker",
    groups: ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
  });
});

test("users and groups come from client certificates, and may be others only if they are allowed to", async () => {
  await using started = await start([{ apiGroups: [""], resources: ["services"], verbs: ["list"] }]);
  const { server, client } = started;
  const asSpeaker = { "impersonate-user": "system:serviceaccount:default:speaker" };
  using admin = new TestClient(server);
  assert.equal((await admin.get(services, asSpeaker)).code, 200);
  assert.equal((await admin.get(secrets, asSpeaker)).code, 403, "an administrator taken for another is no administrator");
  assert.equal((await admin.get(secrets, { "impersonate-user": "eve", "impersonate-group": "system:masters" })).code, 200);
  const refused = await client.get(services, { "impersonate-user": "admin", "impersonate-group": "system:masters" });
  assert.equal(refused.code, 403);
  assert.match(String(refused.body.message), /cannot impersonate resource "users"/);
});

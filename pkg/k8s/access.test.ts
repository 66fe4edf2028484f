import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findAccess } from "./access.ts";
import { CredentialsError } from "./errors.ts";

class Directory implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "ingot-k8s-"));

  write(name: string, content: string): string {
    const path = join(this.path, name);
    writeFileSync(path, content);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

function kubeconfig(cluster: string, user = "{}", context = "{cluster: c, user: u}"): string {
  return `
apiVersion: v1
kind: Config
current-context: x
contexts: [{name: x, context: ${context}}]
clusters: [{name: c, cluster: ${cluster}}]
users: [{name: u, user: ${user}}]
`;
}

test("everything a kubeconfig says is taken, with files relative to it", () => {
  using directory = new Directory();
  const path = directory.write(
    "config",
    kubeconfig(
      "{server: 'https://k8s.test/base/', certificate-authority: ca.crt, tls-server-name: inner, proxy-url: 'http://p:1', insecure-skip-tls-verify: true}",
      `{client-certificate-data: ${btoa("cert")}, client-certificate: ignored, client-key: keys/k, tokenFile: /run/token, token: ignored,
        username: me, password: secret, as: other, as-uid: u1, as-groups: [g, h],
        as-user-extra: {example.com/team: [a, b]}, exec: {command: ./plugin}}`,
    ),
  );
  assert.deepEqual(findAccess(path, {}), {
    origin: path,
    server: new URL("https://k8s.test/base/"),
    authority: { file: join(directory.path, "ca.crt") },
    skipVerify: true,
    serverName: "inner",
    proxy: "http://p:1",
    certificate: { data: Buffer.from("cert") },
    key: { file: join(directory.path, "keys/k") },
    token: { file: "/run/token" },
    basic: { username: "me", password: "secret" },
    impersonate: {
      "Impersonate-User": "other",
      "Impersonate-Uid": "u1",
      "Impersonate-Group": ["g", "h"],
      "Impersonate-Extra-example.com%2Fteam": ["a", "b"],
    },
    exec: { command: join(directory.path, "plugin") },
  });
});

test("KUBECONFIG may list files: the first to name something wins, and missing and empty files are left out", () => {
  using directory = new Directory();
  const first = directory.write("first", "current-context: x\nclusters: [{name: c, cluster: {server: 'https://first.test'}}]");
  const second = directory.write("second", kubeconfig("{server: 'https://second.test'}", "{token: t}"));
  const empty = directory.write("empty", "# nothing yet\n");
  const access = findAccess(undefined, { KUBECONFIG: `${directory.path}/missing:${empty}:${first}:${second}` });
  assert.equal(access.server.href, "https://first.test/");
  assert.deepEqual(access.token, { data: Buffer.from("t") });
});

test("a context without a user is anonymous", () => {
  using directory = new Directory();
  const path = directory.write("config", kubeconfig("{server: 'http://127.0.0.1:8001'}", "{token: t}", "{cluster: c}"));
  assert.equal(findAccess(path, {}).token, undefined);
});

test("in a Pod the service account is used, before KUBECONFIG, after a file that is named", () => {
  using directory = new Directory();
  directory.write("token", "t");
  const other = directory.write("config", kubeconfig("{server: 'https://other.test'}"));
  const env = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443", KUBECONFIG: other };
  const access = findAccess(undefined, env, directory.path);
  assert.equal(access.server.href, "https://[fd00::1]/");
  assert.deepEqual(access.token, { file: join(directory.path, "token") });
  assert.deepEqual(access.authority, { file: join(directory.path, "ca.crt") });
  assert.equal(findAccess("", env, directory.path).server.hostname, "[fd00::1]");
  assert.equal(findAccess(other, env, directory.path).server.hostname, "other.test");
});

test("the environment's proxy is used unless the kubeconfig names one", () => {
  using directory = new Directory();
  const path = directory.write("config", kubeconfig("{server: 'https://k8s.test'}"));
  assert.equal(findAccess(path, { HTTPS_PROXY: "http://p:1" }).proxy, "http://p:1");
});

const refused = [
  {
    name: "not YAML, without quoting its secrets",
    content: "token: secret\n{",
    says: /Cannot read kubeconfig (?!.*secret)[^\n]*$/,
  },
  { name: "empty", content: "", says: /current-context is not set/ },
  { name: "a list", content: "[1]", says: /current-context is not set/ },
  { name: "no such context", content: "current-context: y", says: /contexts has no entry named "y"/ },
  { name: "no such cluster", content: kubeconfig("{}", "{}", "{cluster: z}"), says: /clusters has no entry named "z"/ },
  {
    name: "no such user",
    content: kubeconfig("{server: 'https://a'}", "{}", "{cluster: c, user: z}"),
    says: /users has no entry named "z"/,
  },
  {
    name: "an auth-provider",
    content: kubeconfig("{server: 'https://a'}", "{auth-provider: {name: oidc}}"),
    says: /auth-provider "oidc"; give it a token, a certificate or an exec plugin/,
  },
  {
    name: "a SOCKS proxy",
    content: kubeconfig("{server: 'https://a', proxy-url: 'socks5://me:secret@p:1'}"),
    says: /Cannot use proxy for .*: it is "socks5:…"/,
  },
  { name: "no server", content: kubeconfig("{}"), says: /server is "", not an http or https URL/ },
  { name: "a server that is not a URL", content: kubeconfig("{server: 'https://'}"), says: /server is "https:\/\/"/ },
];
for (const { name, content, says } of refused)
  test(`a kubeconfig is refused: ${name}`, () => {
    using directory = new Directory();
    const path = directory.write("config", content);
    assert.throws(
      () => findAccess(path, {}),
      (error) => error instanceof CredentialsError && says.test(error.message) && error.message.includes(path),
    );
  });

test("without any credentials the error says all that was tried", () => {
  using directory = new Directory();
  assert.throws(() => findAccess(undefined, { HOME: directory.path }), {
    name: "CredentialsError",
    message:
      "Cannot find credentials for Kubernetes: tried the service account (KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are " +
      `not set), KUBECONFIG (not set), ${directory.path}/.kube/config (no such file)`,
  });
  const env = { HOME: directory.path, KUBECONFIG: "/missing", KUBERNETES_SERVICE_HOST: "h", KUBERNETES_SERVICE_PORT: "1" };
  assert.throws(() => findAccess(undefined, env, "/no/account"), /\/no\/account\/token: no such file.*\/missing: no such file/);
  assert.throws(() => findAccess("/missing", env), /Cannot read kubeconfig \/missing/);
});

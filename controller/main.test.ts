import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { ApiServer, type RequestRecord } from "#e2e/apiserver";
import { labEnvironment, programFile } from "#e2e/lab";

function launch(...args: string[]): ChildProcess {
  return spawn(process.execPath, [programFile("controller"), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    env: labEnvironment,
  });
}

/** The first line of the log with this message. */
async function logged(child: ChildProcess, message: string): Promise<Record<string, unknown>> {
  if (child.stdout === null) throw new Error("Cannot read the log: it is not piped");
  for await (const line of createInterface({ input: child.stdout })) {
    const fields = JSON.parse(line);
    if (fields.msg === message) return fields;
  }
  throw new Error(`Cannot find "${message}": the log has ended`);
}

/** Waits for requests as they are answered. */
class Requests {
  #waiting: { readonly matches: (request: RequestRecord) => boolean; readonly resolve: () => void }[] = [];

  readonly see = (request: RequestRecord): void => {
    for (const { matches, resolve } of this.#waiting) if (matches(request)) resolve();
  };

  next(verb: string, resource: string, name: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const matches = (request: RequestRecord) =>
      request.verb === verb && request.resource === resource && request.name === name && request.code < 300;
    this.#waiting.push({ matches, resolve });
    return promise;
  }
}

const configMap = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { namespace: "metallb-system", name: "config" },
  data: { config: "address-pools:\n- {name: main, protocol: layer2, addresses: [192.0.2.0/24]}\n" },
};
const service = (name: string) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { namespace: "default", name },
  spec: { type: "LoadBalancer", ports: [{ port: 80 }] },
});

test("the process gives addresses, measures, survives the API server's absence, and stops in order", {
  timeout: 300_000,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), "ingot-controller-"));
  const requests = new Requests();
  await using api = new ApiServer({ onRequest: requests.see });
  await api.start();
  api.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "metallb-system" } });
  api.create(configMap);
  const secret = { apiVersion: "v1", kind: "Secret", metadata: { namespace: "metallb-system", name: "memberlist" } };
  api.create(secret);
  const kubeconfig = join(directory, "kubeconfig");
  writeFileSync(kubeconfig, api.kubeconfig());
  const address = (name: string) => {
    const status = api.get(service(name))?.status as { loadBalancer?: { ingress?: { ip: string }[] } } | undefined;
    return status?.loadBalancer?.ingress?.[0]?.ip;
  };

  const recorded = requests.next("create", "configmaps", "");
  const child = launch("--kubeconfig", kubeconfig, "--namespace=metallb-system", "--port=0", "--ml-secret-name=memberlist");
  try {
    const { port } = await logged(child, "serving metrics and health");
    await recorded;
    const first = requests.next("patch", "services/status", "first");
    api.create(service("first"));
    await first;
    assert.equal(address("first"), "192.0.2.0");

    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    assert.match(metrics, /^metallb_allocator_addresses_in_use_total\{pool="main"\} 1$/m);
    assert.match(metrics, /^metallb_allocator_addresses_total\{pool="main"\} 256$/m);
    assert.match(metrics, /^metallb_k8s_client_config_loaded_bool 1$/m);
    assert.match(metrics, /^metallb_k8s_client_config_stale_bool 0$/m);
    assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200);

    await api.pause();
    const second = requests.next("patch", "services/status", "second");
    api.create(service("second"));
    await api.resume();
    await second;
    assert.deepEqual([address("first"), address("second")], ["192.0.2.0", "192.0.2.1"]);
    assert.match(
      JSON.stringify(
        api.get({ apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "metallb-system", name: "ingot-status" } }),
      ),
      /192\.0\.2\.0/,
    );
    const { secretkey } = (api.get(secret)?.data ?? {}) as Record<string, string>;
    assert.match(Buffer.from(secretkey ?? "", "base64").toString(), /^[\w+/]{22}$/);

    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "exit"), [0, null]);
  } finally {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true });
  }
});

test("credentials that cannot be read end the start, and the log says which", { timeout: 300_000 }, async () => {
  const child = launch("--kubeconfig=/nonexistent/kubeconfig", "--namespace=metallb-system", "--port=0");
  const exited = once(child, "exit");
  assert.match(JSON.stringify(await logged(child, "cannot start")), /nonexistent/);
  assert.deepEqual(await exited, [1, null]);
});

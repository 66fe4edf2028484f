import assert from "node:assert/strict";
import { join } from "node:path";
import { patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { steps } from "../steps.ts";
import { config, InstalledCluster, manifests, namespace } from "./installed.ts";

// The component validating-webhook on a real API server: it is asked, it is right, and it is done without.
const step = steps(async () => {
  const on = await InstalledCluster.start({ nodes: 1 });
  await on.deploy(1);
  await on.cluster.routeServices();
  await on.install(config, ["validating-webhook"]);
  return on;
});

/** Changes the ConfigMap as a person does. @returns what kubectl prints, also to standard error, or why it was refused */
async function change(on: InstalledCluster, text: string): Promise<string> {
  const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "config", namespace }, data: { config: text } };
  try {
    return await on.cluster.kubectl(["apply", "--warnings-as-errors", "-f", "-"], { input: JSON.stringify(object) });
  } catch (error) {
    return String((error as Error).message);
  }
}

const current = (on: InstalledCluster) =>
  on.kubectl("-n", namespace, "get", "configmap", "config", "-o", "jsonpath={.data.config}");
const refused = /admission webhook .* denied the request: .*error: address-pools/s;
let attempts = 0;

/**
 * Waits until a configuration that is not valid is refused, and changes nothing. The API server does without the webhook while it does not
 * reach or trust it, and kubectl asks for no change of a text that it has, so that each attempt needs another one.
 * @returns what kubectl prints
 */
async function refusal(on: InstalledCluster): Promise<string> {
  const attempt = async () => {
    const before = await current(on);
    const found = await change(on, `${config}  - name: broken-${attempts++}\n`);
    if (!refused.test(found)) return undefined;
    assert.equal(await current(on), before);
    return found;
  };
  const answer = await waitFor("a refusal", attempt, patience);
  await change(on, config);
  assert.equal(await current(on), config);
  return answer;
}

step("a configuration that is not valid is refused, with line and column, once the webhook is trusted", async (on) => {
  assert.match(await refusal(on), /6:5: error: address-pools\[1\]\.protocol: required, but missing/);
});

step("which Services would lose or change their addresses is a warning, and the change is made", async (on) => {
  const address = await on.serve("web");
  const other = config.replace("172.30.0.200-172.30.0.219", "172.30.0.100-172.30.0.109");
  const warned = async () => {
    await change(on, config); // In case the webhook did not answer in time, and the change was made without it.
    const answer = await change(on, other);
    assert.match(answer, new RegExp(`Warning: not used until these Services are gone or moved.*default/web \\(${address}\\)`));
    assert.match(
      answer,
      new RegExp(`Warning: 1 Service would get other addresses: default/web \\(${address} to 172\\.30\\.0\\.100\\)`),
    );
    return true;
  };
  await waitFor("the warnings", warned, patience);
  assert.equal(await current(on), other);
  await change(on, config);
  assert.equal(await on.addressOf("web"), address);
});

step("other ConfigMaps, of this namespace and of others, are nobody's business", async (on) => {
  for (const at of [namespace, "default"]) {
    await on.apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "other", namespace: at },
      data: { config: "no: 1" },
    });
    await on.kubectl("-n", at, "delete", "configmap", "other");
  }
});

step("a certificate that is deleted is made again once the manifests are applied, and trusted", async (on) => {
  await on.kubectl("-n", namespace, "delete", "secret", "ingot-webhook");
  await on.kubectl("apply", "-f", join(manifests, "components/validating-webhook/secret.yaml"));
  const certificate = ["-n", namespace, "get", "secret", "ingot-webhook", "-o", "jsonpath={.data.tls\\.crt}"];
  await waitFor("another certificate", () => on.kubectl(...certificate), patience);
  await refusal(on);
});

step("with the controller gone everything may be changed", async (on) => {
  await on.kubectl("-n", namespace, "scale", "deployment/controller", "--replicas=0");
  await waitFor(
    "no controller",
    async () => (await on.get("pods", "-n", namespace, "-l", "component=controller")).length === 0,
    patience,
  );
  const broken = "address-pools: [{name: a}]\n";
  await change(on, broken);
  assert.equal(await current(on), broken);
  await change(on, config);
  assert.equal(await current(on), config);
});

step("and when it is back, it is asked again", async (on) => {
  await on.kubectl("-n", namespace, "scale", "deployment/controller", "--replicas=1");
  await on.rolledOut("deployment/controller");
  await refusal(on);
});

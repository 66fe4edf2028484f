import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { text } from "node:stream/consumers";
import { load } from "js-yaml";

/** Any Kubernetes object. */
export interface ApiObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}
export type Reference = Pick<ApiObject, "apiVersion" | "kind" | "metadata">;

/** The API server refused; `status` is HTTP's. */
export class ApiRefusal extends Error {
  override readonly name = "ApiRefusal";
  readonly status: number;

  constructor(what: string, status: number, answer: string) {
    super(`Cannot ${what}: ${status}: ${answer}`);
    this.status = status;
  }
}

/** The fields that are read of a self-contained kubeconfig; `-data` is Base64. */
interface Kubeconfig {
  readonly clusters: readonly [{ readonly cluster: { readonly "certificate-authority-data": string } }];
  readonly users: readonly [
    { readonly user: { readonly "client-certificate-data": string; readonly "client-key-data": string } },
  ];
}

/**
 * Acts on a cluster as an administrator, by plain requests that are never repeated. The client library would read the kubeconfig too, but
 * to load it takes longer than most tests do.
 */
export class ApiClient implements Disposable {
  readonly #port: number;
  readonly #agent: Agent; // Its connections are kept.

  /** @param kubeconfig its text: one cluster, and one user with a certificate @param port where the API is, on 127.0.0.1 */
  constructor(kubeconfig: string, port: number) {
    const { clusters, users } = load(kubeconfig) as Kubeconfig;
    const [{ cluster }] = clusters;
    const [{ user }] = users;
    this.#agent = new Agent({
      keepAlive: true,
      ca: Buffer.from(cluster["certificate-authority-data"], "base64"),
      cert: Buffer.from(user["client-certificate-data"], "base64"),
      key: Buffer.from(user["client-key-data"], "base64"),
    });
    this.#port = port;
  }

  /** Creates it or makes it what is given (server-side apply, with force). */
  async apply(object: ApiObject): Promise<ApiObject> {
    const query = "?fieldManager=demo-cluster&force=true";
    return this.#call("PATCH", `${path(object)}${query}`, "application/apply-patch+yaml", object);
  }

  /** JSON merge patch (RFC 7396), of a subresource such as `status` where one is named. */
  async patch(reference: Reference, change: object, subresource?: string): Promise<ApiObject> {
    return this.#call("PATCH", path(reference, subresource), "application/merge-patch+json", change);
  }

  /** Undefined if the object does not exist. */
  async get(reference: Reference): Promise<ApiObject | undefined> {
    try {
      return await this.#call("GET", path(reference));
    } catch (error) {
      if (error instanceof ApiRefusal && error.status === 404) return undefined;
      throw error;
    }
  }

  /** All objects of a kind, in one namespace or in all. */
  async list(apiVersion: string, kind: string, namespace?: string): Promise<readonly ApiObject[]> {
    const { items } = await this.#call("GET", collection(apiVersion, kind, namespace));
    return items as ApiObject[];
  }

  async delete(reference: Reference): Promise<void> {
    await this.#call("DELETE", path(reference));
  }

  /** A bearer token of a ServiceAccount, good for 30 days. */
  async token(namespace: string, account: string): Promise<string> {
    const reference = { apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace, name: account } };
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: 30 * 24 * 3600 } };
    const { status } = await this.#call("POST", path(reference, "token"), "application/json", body);
    return (status as { token: string }).token;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #call(method: string, path: string, contentType?: string, body?: object): Promise<ApiObject> {
    const headers = contentType === undefined ? {} : { "content-type": contentType };
    const agent = this.#agent;
    const sent = request({ host: "127.0.0.1", port: this.#port, method, path, headers, agent, timeout: 20_000 });
    sent.on("timeout", () => sent.destroy(new Error(`Cannot ${method} ${path}: the API server does not answer`)));
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    const answer = await text(response);
    const { statusCode = 0 } = response;
    if (statusCode >= 300) throw new ApiRefusal(`${method} ${path}`, statusCode, message(answer));
    return JSON.parse(answer);
  }
}

function path(reference: Reference, subresource?: string): string {
  const { apiVersion, kind, metadata } = reference;
  const object = `${collection(apiVersion, kind, metadata.namespace)}/${metadata.name}`;
  return subresource === undefined ? object : `${object}/${subresource}`;
}

function collection(apiVersion: string, kind: string, namespace: string | undefined): string {
  const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const scope = namespace === undefined ? "" : `/namespaces/${namespace}`;
  return `${group}${scope}/${kind.toLowerCase()}s`; // The plural of every kind in use here.
}

function message(answer: string): string {
  try {
    return JSON.parse(answer).message;
  } catch {
    return answer;
  }
}

import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./command.ts";

/** A cluster's certificate authority, and the key that signs ServiceAccount tokens. Files are PEM. */
export class Pki {
  readonly caCertificate: string;
  readonly serviceAccountKey: string;
  readonly #directory: string;
  readonly #caKey: string;

  private constructor(directory: string) {
    this.#directory = directory;
    this.caCertificate = join(directory, "ca.crt");
    this.#caKey = join(directory, "ca.key");
    this.serviceAccountKey = join(directory, "service-account.key");
  }

  static async create(directory: string): Promise<Pki> {
    const pki = new Pki(directory);
    const ca = ["-subj", "/CN=cluster-ca", "-days", "2", "-keyout", pki.#caKey, "-out", pki.caCertificate];
    await run(["openssl", "req", "-x509", ...newKey, ...ca]);
    // In the traditional form: the API server reads the public half of no other.
    await run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", pki.serviceAccountKey]);
    return pki;
  }

  /**
   * A certificate to serve and to log in with.
   * @param subject such as `/O=system:masters/CN=admin`: its groups and its user name
   * @param names such as `IP:127.0.0.1` and `DNS:localhost`
   */
  async issue(name: string, subject: string, names: readonly string[]): Promise<Certificate> {
    const path = join(this.#directory, name);
    const certificate = { key: `${path}.key`, certificate: `${path}.crt` };
    await run(["openssl", "req", ...newKey, "-subj", subject, "-keyout", certificate.key, "-out", `${path}.csr`]);
    await writeFile(`${path}.ext`, `subjectAltName=${names.join(",")}\nextendedKeyUsage=serverAuth,clientAuth\n`);
    // Not from a file that openssl keeps: several nodes' certificates are issued at once.
    const serial = ["-set_serial", `0x${randomBytes(8).toString("hex")}`];
    const signed = ["-CA", this.caCertificate, "-CAkey", this.#caKey, ...serial, "-days", "2"];
    await run([
      "openssl",
      "x509",
      "-req",
      "-in",
      `${path}.csr`,
      ...signed,
      "-extfile",
      `${path}.ext`,
      "-out",
      certificate.certificate,
    ]);
    return certificate;
  }

  /** Writes a kubeconfig that logs in with that certificate. @returns its path */
  async kubeconfig(name: string, server: string, { key, certificate }: Certificate): Promise<string> {
    const path = join(this.#directory, `${name}.conf`);
    const base64 = async (file: string) => (await readFile(file)).toString("base64");
    const config = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "cluster",
      contexts: [{ name: "cluster", context: { cluster: "cluster", user: name } }],
      clusters: [{ name: "cluster", cluster: { server, "certificate-authority-data": await base64(this.caCertificate) } }],
      users: [{ name, user: { "client-certificate-data": await base64(certificate), "client-key-data": await base64(key) } }],
    };
    await writeFile(path, JSON.stringify(config)); // JSON is YAML.
    return path;
  }
}

/** Paths of PEM files. */
export interface Certificate {
  readonly key: string;
  readonly certificate: string;
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

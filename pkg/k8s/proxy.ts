import { parseAddress, parsePrefix } from "#pkg/net";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy that the environment names for `server`, as Go programs read it, because that is what the variables were written
 * for: HTTPS_PROXY or HTTP_PROXY by the server's scheme, never for this machine, and not for what NO_PROXY lists (`*`, host
 * names with their subdomains, addresses, CIDRs, each with an optional port).
 */
export function proxyFromEnvironment(server: URL, env: Environment): string | undefined {
  const scheme = server.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  const proxy = variable(env, scheme);
  if (proxy === undefined || isExempt(server, variable(env, "NO_PROXY") ?? "")) return undefined;
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

function variable(env: Environment, name: string): string | undefined {
  return env[name] || env[name.toLowerCase()] || undefined;
}

const thisMachine = ["127.0.0.0/8", "::1/128", "localhost"];

function isExempt(server: URL, list: string): boolean {
  const host = server.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const port = server.port || (server.protocol === "https:" ? "443" : "80");
  const listed = list.split(",").map((entry) => entry.trim().toLowerCase());
  return thisMachine.concat(listed).some((entry) => covers(entry, host, port));
}

function covers(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  const address = parseAddress(host);
  const prefix = parsePrefix(entry);
  if (prefix !== undefined) return address !== undefined && prefix.contains(address);
  const { name, onlyPort } = splitPort(entry);
  if (name === "" || (onlyPort !== undefined && onlyPort !== port)) return false;
  const listed = parseAddress(name);
  if (address !== undefined || listed !== undefined)
    return address !== undefined && listed !== undefined && address.equals(listed);
  const domain = name.replace(/^\*(?=\.)/, "");
  return domain.startsWith(".") ? host.endsWith(domain) : host === domain || host.endsWith(`.${domain}`);
}

function splitPort(entry: string): { name: string; onlyPort?: string } {
  if (parseAddress(entry) !== undefined) return { name: entry };
  const match = /^\[?(.*?)\]?:(\d+)$/.exec(entry);
  return match === null ? { name: entry.replace(/^\[|\]$/g, "") } : { name: match[1] ?? "", onlyPort: match[2] ?? "" };
}

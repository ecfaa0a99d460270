import { lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { isIP } from "node:net";
import { parse } from "yaml";
import { InroadError, messageOf } from "#lib/errors";
import { type ClosableTransport, type HttpsOptions, httpsTransport } from "./https.ts";

/**
 * A transport to the cluster of a kubeconfig file's current (or the named) context.
 *
 * Static credentials only: client certificate, token, token file. A server given by name is looked up once, here; the
 * certificate is still checked against the name. Throws `InroadError`: `KubeconfigMissing`, `KubeconfigInvalid`,
 * `KubeconfigUnsupported` (credential plugins and the like).
 */
export async function transportFromKubeconfig(path: string, context?: string): Promise<ClosableTransport> {
  const file = await readText(path, path);
  return httpsTransport(await withAddress(await optionsFrom(file, path, context)));
}

type Section = Readonly<Record<string, unknown>>;

async function optionsFrom(
  file: string,
  path: string,
  contextName: string | undefined,
): Promise<HttpsOptions> {
  const config = section(parseYaml(file, path));
  const name = contextName ?? text(config["current-context"]);
  if (name === undefined)
    throw invalid(path, "no current-context", "set one with `kubectl config use-context NAME`");
  const context = named(config, "contexts", name, "context", path);
  const cluster = named(config, "clusters", text(context["cluster"]) ?? "", "cluster", path);
  const user = named(config, "users", text(context["user"]) ?? "", "user", path);
  refuseUnsupported(cluster, user, path);
  const server = text(cluster["server"]);
  if (server === undefined)
    throw invalid(path, `the cluster of context "${name}" has no server`, "add its URL");
  const read = (from: Section, key: string) => inlineOrFile(from, key, path);
  const tokenFile = text(user["tokenFile"]);
  return defined({
    server: server.replace(/\/$/, ""),
    serverName: text(cluster["tls-server-name"]),
    ca: await read(cluster, "certificate-authority"),
    cert: await read(user, "client-certificate"),
    key: await read(user, "client-key"),
    token:
      text(user["token"]) ?? (tokenFile && (await readText(resolve(dirname(path), tokenFile), path)).trim()),
  });
}

function refuseUnsupported(cluster: Section, user: Section, path: string): void {
  const found = [
    ...["exec", "auth-provider", "username"].filter((key) => user[key] !== undefined),
    ...["proxy-url"].filter((key) => cluster[key] !== undefined),
    ...["insecure-skip-tls-verify"].filter((key) => cluster[key] === true),
  ];
  if (found.length === 0) return;
  throw new InroadError(
    "KubeconfigUnsupported",
    `the kubeconfig uses ${found.join(", ")}, which is not supported`,
    {
      where: path,
      mend: "use a context with a client certificate or a token (`kubectl create token` makes one)",
    },
  );
}

async function withAddress(options: HttpsOptions): Promise<HttpsOptions> {
  const url = URL.canParse(options.server) ? new URL(options.server) : undefined;
  const host = url?.hostname.replace(/^\[|\]$/g, "") ?? "";
  if (url === undefined || host === "" || isIP(host) !== 0) return options;
  const { address, family } = await lookup(host);
  const port = url.port === "" ? 443 : url.port;
  const literal = family === 6 ? `[${address}]` : address;
  return { serverName: host, ...options, server: `${url.protocol}//${literal}:${port}` };
}

/** `KEY-data` holds base64 text, `KEY` the path of a file, relative to the kubeconfig. */
async function inlineOrFile(from: Section, key: string, path: string): Promise<string | undefined> {
  const data = text(from[`${key}-data`]);
  if (data !== undefined) return Buffer.from(data, "base64").toString("utf8");
  const file = text(from[key]);
  return file === undefined ? undefined : readText(resolve(dirname(path), file), path);
}

function named(config: Section, list: string, name: string, key: string, path: string): Section {
  const entries = config[list];
  const found = (Array.isArray(entries) ? entries : []).map(section).find((entry) => entry["name"] === name);
  if (found === undefined)
    throw invalid(path, `${list} has no entry named "${name}"`, "correct the name or add it");
  return section(found[key]);
}

function parseYaml(file: string, path: string): unknown {
  try {
    return parse(file);
  } catch (error) {
    throw invalid(path, messageOf(error), "correct the YAML");
  }
}

async function readText(path: string, where: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new InroadError("KubeconfigMissing", `cannot read ${path}: ${messageOf(error)}`, {
      where,
      mend: "check the path and its permissions",
      cause: error,
    });
  }
}

function invalid(where: string, message: string, mend: string): InroadError {
  return new InroadError("KubeconfigInvalid", message, { where, mend });
}

function section(value: unknown): Section {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Without the properties that are undefined. */
function defined<T extends object>(options: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

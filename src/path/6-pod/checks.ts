/** One attempt of a probe or hook over the network, dialled from the node as a kubelet does. */
import type { Socket } from "node:net";
import { connect as tlsConnect } from "node:tls";
import { request as httpRequest } from "#lib/http";
import { messageOf } from "#lib/errors";
import { tcpConnect } from "#kernel";
import type { NetPlace } from "#kernel";
import type { Container, HTTPGetAction } from "kubernetes-types/core/v1.js";
import { resolvePort } from "./ports.ts";

export interface CheckResult {
  readonly ok: boolean;
  readonly message: string;
}

export interface CheckTarget {
  /** Where it is dialled from. */
  readonly from: NetPlace;
  /** The pod's address, unless the action names a host. */
  readonly address: string;
  readonly container: Container;
}

/** What a probe does; exec and gRPC are not here, since nothing is carried out for them. */
export interface Check {
  readonly httpGet?: HTTPGetAction | undefined;
  readonly tcpSocket?: { readonly host?: string | undefined; readonly port: number | string } | undefined;
}

/** Carries a check out within `timeoutMs`. Never throws. HTTP status 200 to 399 is a success. */
export async function runCheck(check: Check, target: CheckTarget, timeoutMs: number): Promise<CheckResult> {
  const wanted = check.httpGet?.port ?? check.tcpSocket?.port ?? 0;
  const port = resolvePort(target.container, wanted);
  if (port === undefined) return { ok: false, message: `no container port is named ${wanted}` };
  try {
    return check.httpGet === undefined
      ? await openTcp(target.from, check.tcpSocket?.host || target.address, port, timeoutMs)
      : await getHttp(check.httpGet, target, port, timeoutMs);
  } catch (error) {
    return { ok: false, message: messageOf(error) };
  }
}

function openTcp(from: NetPlace, address: string, port: number, timeoutMs: number): Promise<CheckResult> {
  const where = `dial tcp ${address}:${port}`;
  return new Promise((resolve) => {
    const socket = tcpConnect(from, address, port);
    const finish = (ok: boolean, message: string): void => {
      socket.destroy();
      resolve({ ok, message });
    };
    socket.setTimeout(timeoutMs, () => finish(false, `${where}: i/o timeout`));
    socket.on("connect", () => finish(true, "connected"));
    socket.on("error", (error) => finish(false, `${where}: ${error.message}`));
  });
}

function getHttp(
  action: HTTPGetAction,
  target: CheckTarget,
  port: number,
  timeoutMs: number,
): Promise<CheckResult> {
  const secure = action.scheme === "HTTPS";
  const address = action.host || target.address;
  const { promise, resolve, reject } = Promise.withResolvers<CheckResult>();
  let socket: Socket | undefined;
  const dial = (): Socket => {
    socket = tcpConnect(target.from, address, port).on("error", reject);
    return secure ? tlsConnect({ socket, rejectUnauthorized: false }).on("error", reject) : socket;
  };
  const path = action.path === undefined || action.path === "" ? "/" : action.path;
  const headers: Record<string, string> = {
    host: `${address}:${port}`,
    "user-agent": "kube-probe/1.34",
    accept: "*/*",
  };
  for (const { name, value } of action.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  // Throws for headers and paths that HTTP cannot carry, before anything is dialled.
  const request = httpRequest({
    path: path.startsWith("/") ? path : `/${path}`,
    headers: { ...headers, connection: "close" },
    createConnection: dial,
  });
  request.on("response", (response) => {
    const status = response.statusCode ?? 0;
    resolve({
      ok: status >= 200 && status < 400,
      message: `HTTP probe ${status < 400 ? "succeeded" : "failed"} with statuscode: ${status}`,
    });
    socket?.destroy();
  });
  request.on("error", reject);
  const timer = setTimeout(
    () =>
      reject(
        new Error(
          `Get "${secure ? "https" : "http"}://${address}:${port}${path}": context deadline exceeded`,
        ),
      ),
    timeoutMs,
  );
  request.end();
  return promise.finally(() => {
    clearTimeout(timer);
    socket?.destroy();
  });
}

/** Listening sockets on the host's loopback, and who holds a port that is busy. */
import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { InroadError, codeOf } from "#lib/errors";

/** Listens on 127.0.0.1:port. Rejects with the system's error. */
function listen(port: number): Promise<Server> {
  const server = createServer({ pauseOnConnect: true });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

export interface Found {
  readonly server: Server;
  readonly port: number;
  /** Why the ports before it were passed over: `80 is not permitted`, `8080 is taken by nginx (pid 7)`. */
  readonly passedOver: readonly string[];
}

/** Listens on the first free port of those wanted, then of the ones after the last. */
export async function listenOnFirst(wanted: readonly number[]): Promise<Found> {
  const passedOver: string[] = [];
  const last = wanted.at(-1) ?? 8080;
  const candidates = [...wanted, ...Array.from({ length: 50 }, (_, index) => last + 1 + index)];
  for (const port of candidates) {
    try {
      return { server: await listen(port), port, passedOver };
    } catch (error) {
      const code = codeOf(error);
      if (code !== "EADDRINUSE" && code !== "EACCES") throw error;
      passedOver.push(`${port} is ${code === "EACCES" ? "not permitted" : `taken by ${ownerText(port)}`}`);
    }
  }
  throw new InroadError("NoFreePort", `no free port among ${wanted.join(", ")} and the 50 after`, {
    where: "127.0.0.1",
    mend: "name one with --publish HOST:PORT, or --publish none",
  });
}

/** Listens on exactly this port; the error names who holds it. */
export async function listenOnRequested(port: number): Promise<Server> {
  try {
    return await listen(port);
  } catch (error) {
    const code = codeOf(error);
    if (code === "EACCES") {
      throw new InroadError("PortNotPermitted", `not permitted to listen on port ${port}`, {
        where: "--publish",
        mend: "choose a port from 1024 up, or run as root",
        cause: error,
      });
    }
    if (code !== "EADDRINUSE") throw error;
    throw new InroadError("PortBusy", `port ${port} is taken by ${ownerText(port)}`, {
      where: "--publish",
      mend: "choose another host port, or end that process",
      cause: error,
    });
  }
}

function ownerText(port: number): string {
  return ownerOfPort(port) ?? "another user's process";
}

/** `name (pid N)` of the process that listens on a TCP port of this host, as far as we may look. */
function ownerOfPort(port: number): string | undefined {
  const inodes = new Set([
    ...inodesListeningOn("/proc/net/tcp", port),
    ...inodesListeningOn("/proc/net/tcp6", port),
  ]);
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    if (holdsSocket(pid, inodes)) return `${readFileSync(`/proc/${pid}/comm`, "utf8").trim()} (pid ${pid})`;
  }
  return undefined;
}

function inodesListeningOn(table: string, port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const listening = "0A";
  try {
    return readFileSync(table, "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[1]?.endsWith(`:${hex}`) === true && fields[3] === listening)
      .map((fields) => fields[9] ?? "");
  } catch {
    return [];
  }
}

function holdsSocket(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      return inode !== undefined && inodes.has(inode);
    });
  } catch {
    return false;
  }
}

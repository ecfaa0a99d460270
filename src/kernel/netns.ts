/**
 * Network namespaces of this thread. setns(2) acts on one thread; everything here is synchronous, so no other
 * code of the thread ever runs in a foreign namespace.
 */
import { closeSync, fstatSync, openSync, statfsSync } from "node:fs";
import { InroadError, messageOf } from "#lib/errors";
import { setNetNs, unshareNetNs } from "./libc.ts";
import { isLoopback } from "./loopback.ts";
import type { LoopbackPlace, NetNs, NetPlace } from "./types.ts";

/** Of the file system that namespaces are files of (linux/magic.h). */
const NSFS_MAGIC = 0x6e736673;

let home: NetNs | undefined;
let current: NetNs | undefined;
let loopbackHome: LoopbackPlace | undefined;

/** The namespace this thread lives in: where it was at the first call, or what it entered for good since. */
export function homeNetNs(): NetNs {
  home ??= openCurrent("home");
  return home;
}

/**
 * Makes a new, empty network namespace (its loopback device is down) and returns a handle to it. The namespace
 * lives as long as the handle, a device's peer, a socket or a process holds it.
 * @throws InroadError `EPERM` without CAP_SYS_ADMIN in the user namespace.
 */
export function createNetNs(name: string): NetNs {
  const back = current ?? homeNetNs();
  unshareNetNs(name);
  try {
    return openCurrent(name);
  } finally {
    returnTo(back);
  }
}

/**
 * A handle to the network namespace at a path: /run/netns/NAME, /proc/PID/ns/net. Nothing but a namespace is opened.
 * @throws InroadError `NotANamespace`, or the errno's name (`ENOENT`).
 */
export function openNetNs(path: string): NetNs {
  if (statfsSync(path).type !== NSFS_MAGIC)
    throw new InroadError("NotANamespace", `${path} is no network namespace`);
  const fd = openSync(path, "r");
  const ns = { name: path, fd, path: `/proc/${process.pid}/fd/${fd}` };
  try {
    // Only a network namespace can be entered as one.
    inNetNs(ns, () => undefined);
    return ns;
  } catch (error) {
    closeSync(fd);
    throw new InroadError("NotANamespace", messageOf(error));
  }
}

/** Whether two handles are of one namespace. */
export function isSameNetNs(one: NetNs, other: NetNs): boolean {
  return fstatSync(one.fd).ino === fstatSync(other.fd).ino;
}

/** Gives the handle up. Sockets and processes inside keep the namespace alive until they end. */
export function closeNetNs(ns: NetNs): void {
  closeSync(ns.fd);
}

/** Moves this thread into a namespace for good. For Workers, at their start; the main thread must stay at home. */
export function enterNetNs(ns: Pick<NetNs, "fd"> & { readonly name?: string }): void {
  setNetNs(ns.fd, ns.name ?? `fd ${ns.fd}`);
  home = openCurrent(ns.name ?? "entered");
  current = undefined;
}

/** As `enterNetNs`, for a place that is no namespace. */
export function enterLoopback(place: LoopbackPlace): void {
  loopbackHome = place;
}

/** The loopback place that is meant: this one, or the one this thread lives in; undefined in a world of namespaces. */
export function loopbackPlace(place: NetPlace | undefined): LoopbackPlace | undefined {
  if (place === undefined) return loopbackHome;
  return isLoopback(place) ? place : undefined;
}

/**
 * Calls `fn` inside a namespace and returns to where the thread was. `fn` must be synchronous: whatever it starts
 * (a socket, a child process) belongs to that namespace, whatever continues later does not run in it.
 * A loopback place is no namespace: there `fn` is just called.
 */
export function inNetNs<T>(ns: NetPlace | undefined, fn: () => T): T {
  if (ns === undefined || isLoopback(ns)) return fn();
  const back = current ?? homeNetNs();
  if (back.fd === ns.fd) return fn();
  setNetNs(ns.fd, ns.name);
  current = ns;
  try {
    return fn();
  } finally {
    returnTo(back);
  }
}

/** A thread that cannot get home would open every later socket in the wrong network: better to die. */
function returnTo(back: NetNs): void {
  try {
    setNetNs(back.fd, back.name);
    current = back === home ? undefined : back;
  } catch (error) {
    console.error(error);
    process.abort();
  }
}

function openCurrent(name: string): NetNs {
  const fd = openSync("/proc/thread-self/ns/net", "r");
  return { name, fd, path: `/proc/${process.pid}/fd/${fd}` };
}

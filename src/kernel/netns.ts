/**
 * Network namespaces of this thread. setns(2) acts on one thread; everything here is synchronous, so no other
 * code of the thread ever runs in a foreign namespace.
 */
import { closeSync, openSync } from "node:fs";
import { setNetNs, unshareNetNs } from "./libc.ts";
import { isLoopback } from "./loopback.ts";
import type { LoopbackPlace, NetNs, NetPlace } from "./types.ts";

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

/** What every component needs that runs by itself against the API server of a kubeconfig. */
import { createClient, createSnapshotSource, type LiveSnapshotSource } from "#client";
import { transportFromKubeconfig } from "#client/kubeconfig";
import { InroadError } from "#lib/errors";
import { createLog, type Log } from "#lib/log";

export interface Component {
  readonly source: LiveSnapshotSource;
  readonly log: Log;
  /** Fulfilled at SIGINT or SIGTERM. */
  readonly stopped: Promise<void>;
  close(): void;
}

export interface ComponentOptions {
  readonly kubeconfig: string;
  readonly context?: string;
  readonly domain: string;
  /** Plural names of the kinds that it needs to know. */
  readonly kinds: readonly string[];
}

/** How long an API server may take before its lists are here, milliseconds. */
const PATIENCE_MS = 30_000;

/** Connects, and waits until everything that it needs to know is here. */
export async function startComponent(name: string, options: ComponentOptions): Promise<Component> {
  const { kubeconfig, kinds } = options;
  const component = await connectComponent(name, options);
  const answer = await Promise.race([
    component.source.synced.then(() => "synced"),
    component.stopped.then(() => "stopped"),
    late(),
  ]);
  if (answer === "synced") return component;
  component.close();
  throw new InroadError("NoAnswer", `nothing from the API server of ${kubeconfig} (${answer})`, {
    where: kubeconfig,
    mend: `see the lines above; it must be allowed to list and watch ${kinds.join(", ")}`,
  });
}

/** Connects, and does not wait. */
export async function connectComponent(name: string, options: ComponentOptions): Promise<Component> {
  const { kubeconfig, context, domain, kinds } = options;
  const log = createLog(name, (line) => console.error(line));
  const transport = await transportFromKubeconfig(kubeconfig, context);
  const source = createSnapshotSource(createClient(transport), { domain, only: kinds, log });
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  const close = (): void => {
    source.close();
    transport.close();
  };
  return { source, log, stopped, close };
}

function late(): Promise<string> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(`waited ${PATIENCE_MS / 1000} s`), PATIENCE_MS).unref();
  });
}

/** An ingress replica, in the namespace of its pod. */
import { createSnapshotSource, type ProgrammedLease } from "#client";
import { InroadError } from "#lib/errors";
import { startIngress, type Resolution } from "#path/ingress";
import { dualListener, reachEnd, tcpConnect, tcpListener, udpSocket } from "#kernel/sockets";
import { resolveName, socketsFrom } from "#serve/dns";
import { formatRecord } from "#wire/dns";
import { debugPort } from "../system.ts";
import { onCertificate } from "../threads.ts";
import { announceProgrammed, enterPod } from "./worker.ts";

const self = await enterPod();
const { data, client, log, ready, onStop } = self;
const source = createSnapshotSource(client, {
  domain: data.domain,
  controllerName: data.controllerName,
  only: ["services", "endpointslices", "pods", "ingresses", "ingressclasses", "secrets"],
  log,
});

/** Service names are asked as absolute names, of the cluster's own DNS, as any program in this pod would. */
async function resolve(name: string): Promise<Resolution> {
  const resolver = {
    nameservers: [reachEnd(undefined, data.nameserver, 53, "UDP")],
    search: [],
    ndots: 1,
    timeoutMs: 2_000,
    sockets: socketsFrom({
      udpDescriptor: () => udpSocket(undefined, "0.0.0.0", 0),
      tcpConnect: (address, port) => tcpConnect(undefined, address, port),
    }),
  };
  const { outcome, records } = await resolveName(resolver, `${name}.`, "A");
  for (const record of records) {
    if (record.type === "A")
      return { address: record.address, ttl: record.ttl, answer: formatRecord(record) };
  }
  const code = outcome === "failed" ? "NameServerFailed" : "NameNotFound";
  throw new InroadError(code, `${name}: ${outcome}`);
}

/** For all addresses of the pod. */
function listener(port: number): number {
  return data.ipFamilies.includes("IPv6") ? dualListener(port) : tcpListener(undefined, "0.0.0.0", port);
}

await source.synced;
const ingress = startIngress({
  source,
  pod: data.pod,
  resolve,
  listen: {
    http: { fd: listener(80) },
    https: { fd: listener(443) },
  },
  debug: { fd: tcpListener(undefined, "0.0.0.0", debugPort), token: data.debugToken },
  defaultCertificate: { cert: data.certificate.certificate, key: data.certificate.key },
  log,
});
onCertificate(data.line, ({ certificate, key }) => ingress.setDefaultCertificate({ cert: certificate, key }));
let lease: ProgrammedLease | undefined;
onStop(async () => {
  await Promise.all([lease?.close(), ingress.close()]);
});
await ingress.ready;
lease = announceProgrammed(self, "ingress", source);
ready();

/** What really happened to one request: its record, read from the ingress pod through the API server's pod proxy. */
import { InroadError } from "#lib/errors";
import type { Transport } from "#client";
import type { PodAt } from "#model";
import type { RequestRecord } from "./records.ts";

/** The port of the debug endpoint in ingress pods. */
const debugPort = 10_254;

/** The latest record of this request id in this pod; undefined when the pod has none. Fails with code `NoEvidence`. */
export async function observe(
  transport: Transport,
  pod: PodAt,
  requestId: string,
): Promise<RequestRecord | undefined> {
  const base = `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}:${debugPort}/proxy`;
  const path = `${base}/debug/records?requestId=${encodeURIComponent(requestId)}`;
  const response = await transport.request({ method: "GET", path });
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  if (response.status !== 200) {
    throw new InroadError(
      "NoEvidence",
      `the ingress gave no records: ${response.status} ${text.trim().slice(0, 200)}`,
      {
        where: `pod ${pod.namespace}/${pod.name}`,
        mend: "look at the pod: inroad status",
        exitStatus: 3,
      },
    );
  }
  const { records } = JSON.parse(text) as { records: readonly RequestRecord[] };
  return records.at(-1);
}

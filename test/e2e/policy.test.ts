/** A NetworkPolicy from the first moment, others by kubectl: what packets do, and what the trace says of it. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createLive, eventually } from "../support/live.ts";

interface TraceDocument {
  readonly steps: readonly {
    readonly component: string;
    readonly action: string;
    readonly evaluated: readonly { readonly what: string; readonly matched: boolean; readonly why: string }[];
    readonly evidence: { readonly checks: readonly { readonly observed: string; readonly source: string }[] };
  }[];
  readonly verdict: {
    readonly outcome: string;
    readonly httpStatus?: number;
    readonly reason: string;
    readonly mend?: string;
  };
  readonly disagreements: readonly object[];
}

const manifests = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: api-from-ingress }
spec:
  podSelector: { matchLabels: { app: api } }
  ingress:
    - from:
        - namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: inroad-system } }
      ports: [{ port: 8080 }]
---
apiVersion: v1
kind: Pod
metadata: { name: client, labels: { app: client } }
spec: { containers: [{ name: client, image: example/client:1, ports: [{ containerPort: 8000 }] }] }
`;

const policy = (name: string, spec: object): string =>
  JSON.stringify({ apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name }, spec });

const clients = { podSelector: { matchLabels: { app: "client" } } };

describe("NetworkPolicies", { timeout: 180_000 }, () => {
  const live = createLive("policies");
  const kubectl = live.kubectl("v35");
  before(async () => {
    const file = join(live.folder, "policy.yaml");
    writeFileSync(file, manifests);
    await live.up("-f", "examples/hadywafa", "-f", file);
  });
  after(() => live.down());

  const trace = async (from: string, url: string): Promise<TraceDocument & { readonly code: number }> => {
    const { code, stdout } = await live.cli("trace", "--name", "policies", "--from", from, "-o", "json", url);
    return { ...JSON.parse(stdout), code };
  };

  const policySteps = ({ steps }: TraceDocument): string[] =>
    steps
      .filter(({ action }) => action === "admit" || action === "drop")
      .map(
        ({ component, action, evaluated }) =>
          `${component} ${action}: ${evaluated.map((e) => e.what).join()}`,
      );

  test("what the policy of the manifests allows is delivered, and the trace names the rule", async () => {
    const told = await trace("internet", "https://api.hadywafa.com/");
    assert.equal(told.code, 0, JSON.stringify(told));
    const [step] = told.steps.filter(({ action }) => action === "admit");
    assert.match(step?.component ?? "", /^node node-[ab]$/);
    assert.deepEqual(step?.evaluated, [
      {
        what: "NetworkPolicy default/api-from-ingress (ingress)",
        matched: true,
        why: "ingress[0] allows it",
      },
    ]);
  });

  test("what it does not allow is dropped; the trace names the policy and the mend, the kernel confirms", async () => {
    const told = await trace("pod/default/client", "http://api-service/");
    assert.equal(told.code, 1);
    assert.deepEqual(told.disagreements, []);
    assert.equal(told.verdict.outcome, "dropped");
    assert.match(
      told.verdict.reason,
      /^NetworkPolicy default\/api-from-ingress isolates the ingress of pod default\/api-\S+ and nothing allows default\/client /,
    );
    assert.match(
      told.verdict.mend ?? "",
      /add to spec\.ingress a rule with from: pods app=client of namespace default/,
    );
    const drop = told.steps.find(({ action }) => action === "drop");
    assert.equal(drop?.evidence.checks[0]?.observed, "kept back");
  });

  /**
   * Asks from within the client pod until the outcome is as wanted; returns how many milliseconds after `since` that was
   * asked which had it.
   */
  const until = async (wanted: "answered" | "kept back", since: () => Promise<unknown>): Promise<number> => {
    const script = `while :; do began=$(date +%s%3N)
      if curl -s -o /dev/null -m 0.5 "$1"; then got=answered; else got="kept back"; fi
      if [ "$got" = "$2" ]; then echo "$began"; exit; fi; done`;
    const address = await kubectl("get service api-service -o jsonpath={.spec.clusterIP}");
    const command = ["bash", "-c", script, "bash", `http://${address}/`, wanted];
    const seen = live.exec("pod/default/client", ...command);
    await since();
    const changed = Date.now();
    return Number(await seen) - changed;
  };

  test("a policy applied by kubectl lets connections pass within a second, and its deletion keeps them back again", async (t) => {
    const allow = policy("api-from-client", {
      podSelector: { matchLabels: { app: "api" } },
      ingress: [{ from: [clients], ports: [{ port: 8080 }] }],
    });
    const opened = await until("answered", () => kubectl("apply -f -", allow));
    const told = await trace("pod/default/client", "http://api-service/");
    assert.equal(told.code, 0, JSON.stringify(told));
    assert.match(
      policySteps(told)[0] ?? "",
      /admit: NetworkPolicy default\/api-from-client .*api-from-ingress/,
    );
    const closed = await until("kept back", () => kubectl("delete networkpolicy api-from-client"));
    t.diagnostic(`opened after ${opened} ms, closed after ${closed} ms`);
    assert.ok(opened < 1000 && closed < 1000, `opened after ${opened} ms, closed after ${closed} ms`);
  });

  test("a policy that keeps a pod from the cluster DNS is named before any packet to the Service", async () => {
    await kubectl("apply -f -", policy("client-out", { ...clients, policyTypes: ["Egress"] }));
    await eventually(async () => {
      const told = await trace("pod/default/client", "http://api-service/");
      assert.match(
        told.verdict.reason,
        /^no name is resolved: NetworkPolicy default\/client-out isolates the egress/,
      );
      assert.deepEqual(told.disagreements, []);
    });
    await kubectl("delete networkpolicy client-out");
  });

  test("what policies keep from the pod behind the ingress is a 504, and the trace goes on to the node that drops it", async () => {
    await kubectl("apply -f -", policy("api-from-ingress", { podSelector: { matchLabels: { app: "api" } } }));
    await eventually(async () => {
      const told = await trace("internet", "http://api.hadywafa.com/");
      assert.deepEqual(told.disagreements, []);
      assert.equal(told.verdict.outcome, "dropped");
      assert.equal(told.verdict.httpStatus, 504);
      const [check] = told.steps.at(-1)?.evidence.checks ?? [];
      assert.match(`${check?.observed} ${check?.source}`, /^kept back policies of node-[ab]$/);
    });
  });

  test("odd policies are told as events, invalid ones are refused", async () => {
    const typo = policy("typo", { podSelector: { matchLabels: { app: "apy" } } });
    await kubectl("apply -f -", typo);
    await eventually(async () => {
      assert.match(await kubectl("describe networkpolicy typo"), /Name: +typo/);
      assert.match(
        await kubectl("get events --field-selector involvedObject.name=typo"),
        /PolicySelectsNoPod/,
      );
    });
    const refused = await kubectl.attempt(
      "apply -f -",
      policy("bad", { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: "10.0.0.0/99" } }] }] }),
    );
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /spec\.ingress\[0\]\.from\[0\]\.ipBlock\.cidr: Invalid value/);
  });
});

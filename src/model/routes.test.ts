import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { exampleSnapshot, ingress, rule } from "../../test/support/snapshot.ts";
import { match, matchRequest, normalizeHost } from "./routes.ts";
import type { IngressRoutes } from "./types.ts";

type Path = readonly [path: string, pathType?: string];

/** Routes with these paths for one host, all in one Ingress. */
function routesFor(paths: readonly Path[], host = "foo.com", more: object = {}): IngressRoutes {
  const rules = paths.map(([path, pathType]) => rule(host, path, "api-service", 80, pathType ?? "Prefix"));
  return exampleSnapshot({ ingresses: [ingress("test", { rules, ...more })] }).routes;
}

/** The 18 examples of the Ingress page of the Kubernetes documentation: paths, requests, the path that takes them. */
const documented: readonly (readonly [
  paths: readonly Path[],
  requests: readonly string[],
  taken: Path | undefined,
])[] = [
  [[["/"]], ["/", "/foo", "/a/b/c", "/foo/"], ["/", "Prefix"]],
  [[["/foo", "Exact"]], ["/foo"], ["/foo", "Exact"]],
  [[["/foo", "Exact"]], ["/bar"], undefined],
  [[["/foo", "Exact"]], ["/foo/"], undefined],
  [[["/foo/", "Exact"]], ["/foo"], undefined],
  [[["/foo"]], ["/foo", "/foo/"], ["/foo", "Prefix"]],
  [[["/foo/"]], ["/foo", "/foo/"], ["/foo/", "Prefix"]],
  [[["/aaa/bb"]], ["/aaa/bbb"], undefined],
  [[["/aaa/bbb"]], ["/aaa/bbb"], ["/aaa/bbb", "Prefix"]],
  [[["/aaa/bbb/"]], ["/aaa/bbb"], ["/aaa/bbb/", "Prefix"]],
  [[["/aaa/bbb"]], ["/aaa/bbb/"], ["/aaa/bbb", "Prefix"]],
  [[["/aaa/bbb"]], ["/aaa/bbb/ccc"], ["/aaa/bbb", "Prefix"]],
  [[["/aaa/bbb"]], ["/aaa/bbbxyz"], undefined],
  [[["/"], ["/aaa"]], ["/aaa/ccc"], ["/aaa", "Prefix"]],
  [[["/"], ["/aaa"], ["/aaa/bbb"]], ["/aaa/bbb"], ["/aaa/bbb", "Prefix"]],
  [[["/"], ["/aaa"], ["/aaa/bbb"]], ["/ccc"], ["/", "Prefix"]],
  [[["/aaa"]], ["/ccc"], undefined],
  [[["/foo"], ["/foo", "Exact"]], ["/foo"], ["/foo", "Exact"]],
];

test("the path examples of the Kubernetes documentation hold", () => {
  assert.equal(documented.length, 18);
  for (const [paths, requests, taken] of documented) {
    const routes = routesFor(paths);
    for (const request of requests) {
      const found = match(routes, "foo.com", request);
      const answer = found && [found.path, found.pathType];
      assert.deepEqual(answer, taken, `${JSON.stringify(paths)} against ${request}`);
    }
  }
});

/** Further rules of the API text and of the conformance features. */
const furtherPaths: readonly (readonly [
  name: string,
  paths: readonly Path[],
  request: string,
  taken: string | undefined,
])[] = [
  ["of /foo and /foo/ the longer takes both requests", [["/foo"], ["/foo/"]], "/foo", "Prefix /foo/"],
  ["a longer Prefix goes before a shorter Exact", [["/foo", "Exact"], ["/foo/"]], "/foo", "Prefix /foo/"],
  ["case matters in Exact", [["/foo", "Exact"]], "/FOO", undefined],
  ["case matters in Prefix", [["/foo"]], "/FOO", undefined],
  ["whole elements are compared", [["/aaa"]], "/aaaccc", undefined],
  [
    "ImplementationSpecific is a Prefix",
    [["/a", "ImplementationSpecific"]],
    "/a/b",
    "ImplementationSpecific /a",
  ],
  ["ImplementationSpecific compares elements", [["/a", "ImplementationSpecific"]], "/ab", undefined],
  ["a missing path is /", [["", "ImplementationSpecific"]], "/x", "ImplementationSpecific /"],
  ["the query does not count", [["/foo", "Exact"]], "/foo?a=/b", "Exact /foo"],
  ["an empty element is an element", [["/a/b"]], "/a//b", undefined],
  ["nothing is decoded", [["/a b"]], "/a%20b", undefined],
];

for (const [name, paths, request, taken] of furtherPaths) {
  test(name, () => {
    const found = match(routesFor(paths), "foo.com", request);
    assert.equal(found && `${found.pathType} ${found.path}`, taken);
  });
}

const hosts: readonly (readonly [
  name: string,
  rules: readonly (readonly [host: string, path: string])[],
  host: string,
  path: string,
  taken: string | undefined,
])[] = [
  ["an exact host is found", [["foo.com", "/"]], "foo.com", "/", "foo.com"],
  ["host names ignore case", [["foo.com", "/"]], "FOO.Com", "/", "foo.com"],
  ["rules ignore case in their hosts", [["FOO.com", "/"]], "foo.com", "/", "FOO.com"],
  ["the port does not count", [["foo.com", "/"]], "foo.com:8443", "/", "foo.com"],
  ["a dot at the end does not count", [["foo.com", "/"]], "foo.com.:80", "/", "foo.com"],
  ["another host is not found", [["foo.com", "/"]], "bar.com", "/", undefined],
  ["a wildcard stands for one label", [["*.foo.com", "/"]], "bar.foo.com", "/", "*.foo.com"],
  ["a wildcard does not stand for two labels", [["*.foo.com", "/"]], "baz.bar.foo.com", "/", undefined],
  ["a wildcard does not stand for no label", [["*.foo.com", "/"]], "foo.com", "/", undefined],
  [
    "exact goes before wildcard",
    [
      ["*.foo.com", "/"],
      ["bar.foo.com", "/"],
    ],
    "bar.foo.com",
    "/",
    "bar.foo.com",
  ],
  [
    "wildcard goes before no host",
    [
      ["", "/"],
      ["*.foo.com", "/"],
    ],
    "bar.foo.com",
    "/",
    "*.foo.com",
  ],
  [
    "a rule without host takes the rest",
    [
      ["", "/"],
      ["foo.com", "/"],
    ],
    "bar.com",
    "/",
    "",
  ],
  [
    "no fall-through to the wildcard",
    [
      ["*.foo.com", "/"],
      ["bar.foo.com", "/x"],
    ],
    "bar.foo.com",
    "/y",
    undefined,
  ],
  [
    "no fall-through to no host",
    [
      ["", "/"],
      ["foo.com", "/x"],
    ],
    "foo.com",
    "/y",
    undefined,
  ],
  ["an empty host takes the rule without host", [["", "/"]], "", "/", ""],
  ["an address takes the rule without host", [["", "/"]], "[2001:db8::1]:80", "/", ""],
];

for (const [name, rules, host, path, taken] of hosts) {
  test(name, () => {
    const ingresses = rules.map(([ruleHost, rulePath], i) =>
      ingress(`i${i}`, { rules: [rule(ruleHost, rulePath, "api-service", 80)] }),
    );
    const found = match(exampleSnapshot({ ingresses }).routes, host, path);
    const index = found && Number(found.ingress.name.slice(1));
    assert.equal(index === undefined ? undefined : rules[index]?.[0], taken);
  });
}

const ownerOfRoot = (ingresses: readonly ReturnType<typeof ingress>[]) =>
  match(exampleSnapshot({ ingresses }).routes, "foo.com", "/")?.ingress.name;

test("of two equal paths the older Ingress wins, then the first by namespace and name", () => {
  const rules = [rule("foo.com", "/", "api-service", 80)];
  const older = ingress("z", { rules }, { created: "2026-01-01T00:00:00Z" });
  const newer = ingress("a", { rules }, { created: "2026-01-02T00:00:00Z" });
  const same = ingress("b", { rules }, { created: "2026-01-02T00:00:00Z" });
  assert.equal(ownerOfRoot([newer, older]), "z");
  assert.equal(ownerOfRoot([same, newer]), "a");
});

test("what no rule takes goes to the default backend", () => {
  const defaultBackend = { service: { name: "api-service", port: { number: 80 } } };
  const routes = routesFor([["/aaa"]], "foo.com", { defaultBackend });
  assert.equal(match(routes, "foo.com", "/ccc")?.field, "spec.defaultBackend");
  assert.equal(match(routes, "bar.com", "/")?.field, "spec.defaultBackend");
  assert.equal(match(routes, "foo.com", "/aaa")?.field, "spec.rules[0].http.paths[0]");
});

const backendFor = (name: string) => ({ service: { name, port: { number: 80 } } });

test("a host's unmatched paths go to its own Ingress's default backend", () => {
  const ingresses = [
    ingress("a", { defaultBackend: backendFor("api-service") }, { created: "2026-01-01T00:00:00Z" }),
    ingress(
      "b",
      { defaultBackend: backendFor("api-service"), rules: [rule("foo.com", "/x", "api-service", 80)] },
      { created: "2026-01-02T00:00:00Z" },
    ),
  ];
  const { routes } = exampleSnapshot({ ingresses });
  assert.equal(match(routes, "foo.com", "/y")?.ingress.name, "b");
  assert.equal(match(routes, "bar.com", "/y")?.ingress.name, "a");
});

test("a rule without paths leaves its host to the default backend", () => {
  const routes = exampleSnapshot({
    ingresses: [
      ingress("a", { rules: [{ host: "foo.com" }] }),
      ingress("b", { rules: [rule("", "/", "api-service", 80)] }),
    ],
  }).routes;
  assert.equal(match(routes, "foo.com", "/"), undefined);
});

test("every candidate is told with the reason why it won or lost", () => {
  const ingresses = [
    ingress("a", {
      rules: [
        rule("foo.com", "/", "api-service", 80),
        rule("foo.com", "/api", "api-service", 80),
        rule("foo.com", "/api", "api-service", 80, "Exact"),
        rule("foo.com", "/ap", "api-service", 80),
        rule("*.com", "/", "api-service", 80),
        rule("bar.com", "/", "api-service", 80),
      ],
    }),
  ];
  const { path, evaluated } = matchRequest(exampleSnapshot({ ingresses }).routes, "foo.com", "/api/v1?x");
  assert.equal(path?.path, "/api");
  assert.deepEqual(
    evaluated.map(({ what, matched, why }) => `${matched ? "yes" : "no"} ${what.split(" (")[0]}: ${why}`),
    [
      "yes host foo.com: equal",
      "no host *.com: host foo.com is more specific",
      "no host bar.com: is not foo.com",
      "no Exact /api: is not /api/v1",
      "yes Prefix /api: every element is equal",
      "no Prefix /ap: whole elements are compared, and one only begins alike",
      "no Prefix /: matches, but a longer path won",
    ],
  );
});

test("the fast answer is the explained answer", () => {
  const segment = fc.constantFrom("", "a", "b", "A", "%2f");
  const path = fc.array(segment, { maxLength: 4 }).map((parts) => `/${parts.join("/")}`);
  const host = fc.constantFrom("", "foo.com", "*.foo.com", "a.foo.com", "FOO.com:80", "x.y.foo.com");
  const pathType = fc.constantFrom("Exact", "Prefix", "ImplementationSpecific");
  const rules = fc.array(fc.tuple(host, path, pathType), { maxLength: 8 });
  fc.assert(
    fc.property(rules, host, path, (given, requestHost, requestPath) => {
      const spec = { rules: given.map(([h, p, t]) => rule(h, p, "api-service", 80, t)) };
      const { routes } = exampleSnapshot({ ingresses: [ingress("i", spec)] });
      const explained = matchRequest(routes, requestHost, requestPath);
      assert.equal(explained.path, match(routes, requestHost, requestPath));
      assert.equal(
        explained.evaluated.filter((e) => e.matched && /^(Exact|Prefix|Impl)/.test(e.what)).length,
        explained.path ? 1 : 0,
      );
    }),
    { numRuns: 200 },
  );
});

test("hosts are compared in one form", () => {
  const forms = {
    "Foo.com": "foo.com",
    "foo.com:": "foo.com",
    "foo.com.:8080": "foo.com",
    "": "",
    "[::1]:80": "[::1]",
  };
  for (const [given, expected] of Object.entries(forms)) assert.equal(normalizeHost(given), expected);
});

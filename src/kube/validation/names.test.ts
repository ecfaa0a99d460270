import assert from "node:assert/strict";
import { test } from "node:test";
import * as names from "./names.ts";

const good = (errors: (text: string) => string[], ...texts: readonly string[]): void => {
  for (const text of texts) assert.deepEqual(errors(text), [], text);
};
const bad = (errors: (text: string) => string[], ...texts: readonly string[]): void => {
  for (const text of texts) assert.notDeepEqual(errors(text), [], text);
};

test("labels of DNS names", () => {
  good(names.dnsLabelErrors, "a", "a-b", "1", "a".repeat(63));
  bad(names.dnsLabelErrors, "", "-a", "a-", "A", "a.b", "a_b", "a".repeat(64), "a\n");
  good(names.dns1035LabelErrors, "a", "a1", "a-b");
  bad(names.dns1035LabelErrors, "1a", "a-", "", "a.b");
});

test("subdomains and wildcards", () => {
  good(names.dnsSubdomainErrors, "a", "a.b-c.d", "1.2");
  bad(names.dnsSubdomainErrors, "", "a..b", ".a", "a.", "*.a", "a_b", "a".repeat(254));
  good(names.wildcardErrors, "*.example.com");
  bad(names.wildcardErrors, "*", "*.*.a", "a.*.b", "example.com");
});

test("keys of labels and annotations", () => {
  good(names.qualifiedNameErrors, "a", "A_b.c", "example.com/a", "a/b");
  bad(names.qualifiedNameErrors, "", "/a", "a/", "a/b/c", "a b", "-a", "a".repeat(64));
  assert.deepEqual(names.qualifiedNameErrors("/x"), ["prefix part must be non-empty"]);
  assert.equal(names.qualifiedNameErrors("/").length, 3);
});

test("a message shows what is right, with an example and the pattern", () => {
  assert.deepEqual(names.dnsLabelErrors("B_"), [
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
  ]);
  assert.deepEqual(names.dnsLabelErrors("a".repeat(64)), ["must be no more than 63 characters"]);
});

test("names and numbers of ports", () => {
  good(names.portNameErrors, "http", "a1", "x-y");
  assert.deepEqual(names.portNameErrors("B_D"), [
    "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
    "must contain at least one letter (a-z)",
  ]);
  assert.deepEqual(names.portNameErrors("-a--b-"), [
    "must not contain consecutive hyphens",
    "must not begin or end with a hyphen",
  ]);
  assert.deepEqual(names.portNameErrors("a".repeat(16)), ["must be no more than 15 characters"]);
  for (const port of [1, 65535]) assert.deepEqual(names.portNumberErrors(port), []);
  for (const port of [0, -1, 65536, 1.5]) assert.deepEqual(names.portNumberErrors(port), [names.portRange]);
});

test("label values, config keys, environment names, headers", () => {
  good(names.labelValueErrors, "", "a", "A.b_c-d");
  bad(names.labelValueErrors, "a b", "-a", "a".repeat(64));
  good(names.configKeyErrors, "a.b", "A_b-c");
  assert.deepEqual(names.configKeyErrors("."), ["must not be '.'"]);
  assert.deepEqual(names.configKeyErrors("..a"), ["must not start with '..'"]);
  good(names.environmentNameErrors, "A", "a.b", "1 x");
  bad(names.environmentNameErrors, "", "a=b", "ä");
  good(names.headerNameErrors, "X-Header");
  bad(names.headerNameErrors, "X_Header", "a b");
});

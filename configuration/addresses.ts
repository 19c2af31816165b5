import type { YamlSection } from './yaml-section.ts';

/** `host:port` texts; one of them may hold several, divided by commas. Each wrong one is a finding. */
export function brokerList(section: YamlSection, key: string): string[] {
  const brokers = section
    .strings(key)
    .flatMap((entry) => entry.split(','))
    .map((broker) => broker.trim())
    .filter((broker) => broker !== '');
  if (brokers.length === 0) section.report(key, 'name at least one broker as host:port');
  for (const broker of brokers) {
    if (!/^[^\s@/]+:\d{1,5}$/.test(broker)) {
      section.report(key, `expected host:port, got "${broker}"`);
    }
  }
  return brokers;
}

/** An `http` or `https` address without a slash at its end. `credentialKeys` says where a password belongs. */
export function httpUrl(section: YamlSection, key: string, credentialKeys?: string): string {
  return checkedUrl(section, key, { value: section.string(key), credentialKeys });
}

/** As `httpUrl`, for a key that may be absent. */
export function optionalHttpUrl(
  section: YamlSection,
  key: string,
  credentialKeys?: string,
): string | undefined {
  const value = section.optionalString(key);
  return value === undefined ? undefined : checkedUrl(section, key, { value, credentialKeys });
}

/**
 * Addresses stand in errors and logs: a secret in one would too, so a password and a query are refused and not repeated.
 * Paths are appended to them, which a query would swallow anyway.
 */
function checkedUrl(
  section: YamlSection,
  key: string,
  { value, credentialKeys }: { value: string; credentialKeys: string | undefined },
): string {
  const authority = /^(?:[A-Za-z][A-Za-z0-9+.-]*:)?\/*([^/?#]*)/.exec(value)?.[1] ?? '';
  const hint = credentialKeys === undefined ? '' : `; use ${credentialKeys}`;
  if (authority.includes('@')) {
    section.report(key, `expected no user or password in the address${hint}`);
  } else if (/[?#]/.test(value)) {
    section.report(key, `expected an address that ends before "?" and "#"${hint}`);
  } else if (value !== '' && !(/^https?:\/\/./.test(value) && URL.canParse(value))) {
    section.report(key, `expected an http:// or https:// address, got "${value}"`);
  }
  return value.replace(/\/+$/, '');
}

/**
 * Join keys in the one form in which the stream and a dimension meet, as pipeline.yaml names it, written
 * here a second time for texts. Only ASCII letters and spaces are touched.
 */
export function normaliserOf(name: string): (text: string) => string {
  switch (name) {
    case 'url':
      return normaliseUrl;
    case 'lower-case':
      return lowerAscii;
    case 'trim':
      return (text) => text.replaceAll(/^[\t-\r ]+|[\t-\r ]+$/g, '');
    default:
      return (text) => text;
  }
}

/** Scheme and host in lower case, no fragment; user, port, path and query as they are. */
export function normaliseUrl(url: string): string {
  const [whole = ''] = url.split('#', 1);
  const parts = /^([a-z][a-z\d+.-]*:)(?:(\/\/)((?:[^/?]*@)?)([^/?]*))?/is.exec(whole);
  if (parts === null) return whole;
  const [prefix, scheme = '', slashes = '', user = '', host = ''] = parts;
  return lowerAscii(scheme) + slashes + user + lowerAscii(host) + whole.slice(prefix.length);
}

function lowerAscii(text: string): string {
  return text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** The 32 digits of a uuid, however it is spelled. */
export function uuidDigits(text: string): string {
  return text.replaceAll('-', '').toLowerCase();
}

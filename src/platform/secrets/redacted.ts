/** What is shorter stands in a text by chance. */
const SHORTEST_SECRET = 4

/** A text with `***` wherever one of the secrets stood. Secrets of less than 4 characters are not looked for. */
export const redacted = (text: string, secrets: readonly string[]): string =>
  secrets
    .filter(({ length }) => length >= SHORTEST_SECRET)
    .toSorted((one, other) => other.length - one.length)
    .reduce((clean, secret) => clean.replaceAll(secret, '***'), text)

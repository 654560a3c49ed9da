/** What Slack takes in the place of the characters that begin and end its own markup. */
const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }
const CHARACTERS = new Map(Object.entries(ESCAPES).map(([character, escape]) => [escape, character]))

/** A text as it is sent, so that a reader sees it to the letter: https://docs.slack.dev/messaging/formatting-message-text */
export const escapeText = (text: string): string =>
  text.replaceAll(/[&<>]/g, (character) => ESCAPES[character] as string)

/** What a person reads of a text as Slack sends it: links and mentions by their labels, and no escapes. */
export const readableText = (text: string): string =>
  text
    .replaceAll(/<([^<>|]*)(?:\|([^<>]*))?>/g, (_whole, target: string, label = '') =>
      readable(target, label),
    )
    .replaceAll(/&(?:amp|lt|gt);/g, (escape) => CHARACTERS.get(escape) as string)

function readable(target: string, label: string): string {
  const [sign, rest] = [target[0], target.slice(1)]
  if (sign === '@') return `@${label || rest}`
  if (sign === '#') return `#${label || rest}`
  // `<!here>`, `<!subteam^S1|@writers>`, `<!date^…^…|a fallback>`
  if (sign === '!') return label && label !== rest ? label : `@${rest.split('^')[0]}`
  return label || target.replace(/^(mailto|tel):/, '')
}
